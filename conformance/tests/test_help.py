"""What the command says of itself: options in groups, examples, colours on a terminal only, suggestions."""

import os
import pty
import re
import shlex
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from xbce_conformance.cli import main
from xbce_conformance.cli.exit_codes import CODES, ExitCode
from xbce_conformance.cli.help import GROUPS, PROGRAM, HelpedCommand
from xbce_conformance.cli.program import EXAMPLES

ROOT = click.Context(main, info_name=PROGRAM)


def all_commands(group=main, path=()):
    for name in group.list_commands(ROOT):
        command = group.get_command(ROOT, name)
        if isinstance(command, click.Group):
            yield from all_commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(all_commands())
EACH = pytest.mark.parametrize("path", COMMANDS, ids=" ".join)


def invoke(*arguments):
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    return result.exit_code, result.output


@EACH
def test_every_command_has_examples_and_exit_codes(path):
    command = COMMANDS[path]
    assert isinstance(command, HelpedCommand)
    code, text = invoke(*path, "--help")
    assert code == 0
    assert len(command.examples) >= 2
    for line, purpose in command.examples.items():
        assert f"  # {purpose}\n  {PROGRAM} {line}\n" in text
    for exit_code, meaning in command.codes.items():
        assert f" {exit_code:d} {meaning} " in " ".join([*text.split(), ""])
    assert {*CODES} - {*command.codes} <= {ExitCode.FAILED}


@EACH
def test_every_option_is_in_one_group_and_says_what_it_is(path):
    command = COMMANDS[path]
    context = click.Context(command, parent=ROOT)
    for param in command.get_params(context):
        if isinstance(param, click.Option):
            assert param.help, param.opts
            assert (command.group_of(param) == "Help") == (param.opts == ["--help"]), param.opts
    titles = re.findall(r"^(\w[\w ]*):$", invoke(*path, "--help")[1], re.MULTILINE)
    assert titles == [title for title in [*GROUPS, "Examples", "Exit codes"] if title in titles]


def test_no_parameter_is_in_two_groups():
    names = [name for text in GROUPS.values() for name in text.split()]
    used = {param.name for command in COMMANDS.values() for param in command.params}
    assert len(names) == len({*names})
    assert {*names} <= used


def parsed(line):
    """Return the command of a line, after its arguments are parsed as in a call."""
    words, group = shlex.split(line), main
    while isinstance(group, click.Group):
        group = group.get_command(ROOT, words.pop(0))
    with group.make_context(group.name, words, parent=ROOT):
        return group


@EACH
def test_examples_parse(path):
    for line in COMMANDS[path].examples:
        assert parsed(re.split(r" [|>] ", line)[0]) is COMMANDS[path], line


def test_a_line_with_a_mistake_does_not_parse():
    with pytest.raises(click.UsageError):
        parsed("run --subjects torch")


def test_the_help_lists_all_commands_and_examples():
    code, text = invoke("--help")
    assert code == 0
    assert {path[0] for path in COMMANDS} == {*main.list_commands(ROOT)}
    for name in main.list_commands(ROOT):
        assert re.search(rf"^  {name} +\w", text, re.MULTILINE)
    for line in EXAMPLES:
        assert f"  {PROGRAM} {line}\n" in text
        if "COMMAND" not in line:
            parsed(line)


def test_help_imports_no_array_library():
    program = (
        "import sys\n"
        "from xbce_conformance.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "sys.exit(', '.join(sys.modules.keys() & {'numpy', 'xbce', 'matplotlib', 'torch', 'jax', 'flint'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rnu"], "No such command 'rnu'. Did you mean 'run'?"),
        (["run", "--subjet", "torch"], "No such option '--subjet'. Did you mean '--subject'?"),
        (["run", "--Level", "full"], "No such option '--Level'. Did you mean '--level'?"),
        (["hashes", "--egaer"], "No such option '--egaer'. Did you mean '--eager'?"),
        (["run", "--xyz"], "No such option '--xyz'.\n"),
        (["run", "--backend", "torch:gpu"], "Did you mean 'torch:cpu'?"),
        (["run", "--function", "focal_loss"], "Did you mean 'sigmoid_focal_loss'?"),
        (["run", "--subject", "skleanr"], "did you mean 'sklearn'?"),
        (["run", "--case", "sigmoid_focal_los(gamma=2)"], "did you mean 'sigmoid_focal_loss'?"),
        (["functions", "--function", "exq"], "Did you mean 'exp'?"),
        (["diff", "xbce@jaxx", "torch", "--data", "x.npz"], "names the backend 'jaxx'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_close_is_suggested(arguments, says):
    code, text = invoke(*arguments)
    assert code == ExitCode.USAGE
    assert says in text


# --- colours --------------------------------------------------------------------------------------------------------


def on_a_terminal(*arguments, **environment):
    """Return what a command writes to a terminal."""
    leader, follower = pty.openpty()
    unset = ("NO_COLOR", "FORCE_COLOR", "COLUMNS")
    variables = {name: value for name, value in os.environ.items() if name not in unset}
    variables |= {"TERM": "xterm", "COLUMNS": "100"} | environment
    command = [sys.executable, "-m", "xbce_conformance", *arguments]
    with subprocess.Popen(command, stdout=follower, stderr=follower, stdin=follower, env=variables) as process:
        os.close(follower)
        text = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:  # Linux has no other end of file here
                break
            if not part:
                break
            text += part
    os.close(leader)
    assert process.returncode == 0, text.decode()
    return text.decode()


def test_colours_on_a_terminal_only():
    text = on_a_terminal("--help")
    assert "\x1b[1mExamples" in text
    assert "\x1b[36mrun" in text
    assert "\x1b" not in on_a_terminal("--help", NO_COLOR="1")
    assert "\x1b" not in on_a_terminal("--help", TERM="dumb")
    piped = subprocess.run([sys.executable, "-m", "xbce_conformance", "--help"], capture_output=True, check=True)
    assert b"\x1b" not in piped.stdout
    assert re.sub(r"\x1b\[\d*m", "", text).split() == piped.stdout.decode().split()


def test_results_have_colours_on_a_terminal_only():
    """Rich prints these, on the command's own console; test_table.py has what it prints off a terminal."""
    program = (
        "import os\nfrom xbce_conformance.cli.common import console\n"
        "console().print('[red]text[/red]')\nos.environ['NO_COLOR'] = '1'\nconsole().print('[red]text[/red]')\n"
    )
    leader, follower = pty.openpty()
    variables = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    command = [sys.executable, "-c", program]
    subprocess.run(command, stdout=follower, check=True, env=variables | {"TERM": "xterm-256color"})
    os.close(follower)
    assert os.read(leader, 65536).decode().split() == ["\x1b[31mtext\x1b[0m", "text"]
    os.close(leader)
