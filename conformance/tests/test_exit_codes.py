"""How each command ends: its exit code, and what it says."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from xbce_conformance.cli import main
from xbce_conformance.cli.exit_codes import CODES, Commands, ExitCode
from xbce_conformance.storage import OtherPlan
from xbce_conformance.subjects.spec import BadSubject

BELOW_A_FILE = "file/folder"
"""A folder that nobody can make, not even root."""


def invoke(*arguments):
    result = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    return result.exit_code, " ".join(result.output.split())


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("", "utf-8")


def test_the_help_names_every_code():
    _, text = invoke("--help")
    assert {*CODES} == {*ExitCode}
    for code, meaning in CODES.items():
        assert f" {code:d} {meaning}" in text


def test_one_page_has_every_code():
    page = (Path(__file__).parents[2] / "docs" / "command.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| (.+?)(?:\. .*)? \|$", page, re.MULTILINE)
    assert rows == [(f"{code:d}", meaning) for code, meaning in CODES.items()]


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--level", "long"],
        ["run", "--subject", "pytorch"],
        ["run", "--subject", "textbook", "--backend", "numpy", "--function", "reduce"],
        ["sweep", "--case", "special.expit"],
        ["sweep", "--subject", "xbce", "--backend", "array-api-strict", "--dtype", "float16"],
        ["functions", "--samples", "0"],
        ["hashes", "--dtype", "float8"],
        ["search", "--seconds", "-1"],
        ["search", "--subject", "textbook", "--backend", "numpy", "--bound", "3"],
        ["compare", "one.json"],
        ["vectors", "export"],
        ["report"],
        ["list", "everything"],
        ["measure"],
    ],
    ids=" ".join,
)
def test_usage(arguments):
    assert invoke(*arguments)[0] == ExitCode.USAGE


@pytest.mark.parametrize("command", ["run", "sweep", "search"])
def test_a_subject_that_cannot_be_loaded(command):
    code, text = invoke(command, "--subject", "nowhere_at_all:loss")
    assert code == ExitCode.NOT_LOADED
    assert "Error: nowhere_at_all:loss: nowhere_at_all cannot be imported" in text


@pytest.mark.parametrize("command", ["run", "sweep", "search"])
def test_all_that_was_asked_for_is_absent(command):
    code, text = invoke(command, "--subject", "torch", "--backend", "numpy")
    assert code == ExitCode.NOT_LOADED
    assert "(torch: needs the backend torch:cpu or torch:cuda)" in text


def test_a_backend_that_is_absent(monkeypatch):
    code, text = invoke("run", "--backend", "numpy", "--require", "torch:cpu")
    assert (code, text) == (ExitCode.NOT_LOADED, "Error: required backends are absent: torch:cpu: not asked for")
    for command in ("functions", "hashes"):
        module = import_module(f"xbce_conformance.cli.{command}")
        here = module.find_backends(("numpy",))[0]
        found = {"functions": {}, "hashes": here}[command], {"cupy": "no CUDA device was found"}
        monkeypatch.setattr(module, "find_backends", lambda _names, found=found: found)
        code, text = invoke(command, "--backend", "cupy")
        assert code == ExitCode.NOT_LOADED
        assert "(cupy: no CUDA device was found)" in text


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--subject", "textbook", "--out", BELOW_A_FILE],
        ["run", "--subject", "textbook", "--out", "file"],
        ["run", "--subject", "textbook", "--backend", "numpy", "--exact-values", "/dev/null/folder"],
        ["sweep", "--out", BELOW_A_FILE],
        ["functions", "--backend", "numpy", "--out", BELOW_A_FILE],
        ["hashes", "--backend", "numpy", "--out", BELOW_A_FILE],
        ["hashes", "--backend", "numpy", "--expected", f"{BELOW_A_FILE}/hashes.json"],
        ["vectors", "export", BELOW_A_FILE],
        ["report", "file", "--out", BELOW_A_FILE],
    ],
    ids=" ".join,
)
def test_what_cannot_be_written_is_refused_before_the_work(arguments, tmp_path):
    code, text = invoke(*arguments)
    assert code == ExitCode.INPUT_OUTPUT
    assert text.startswith("Error: ")
    assert "nothing can be written to " in text
    assert text.endswith((": Not a directory", ": File exists"))
    assert not list(tmp_path.glob("**/*.json"))


@pytest.mark.parametrize("content", ["", "[]", "3", '{"schema_version": 4}', '{"schema_version": 4, "rows": [1]}'])
def test_a_file_that_is_no_results_file(content, tmp_path):
    (tmp_path / "file").write_text(content, "utf-8")
    for arguments in (["report", "file"], ["compare", "file", "file"]):
        code, text = invoke(*arguments)
        assert code == ExitCode.INPUT_OUTPUT
        assert "Error: file does not hold results: " in text


def test_a_file_that_cannot_be_read(tmp_path):
    assert invoke("report", "no.json") == (
        ExitCode.INPUT_OUTPUT,
        "Error: no.json cannot be read: No such file or directory",
    )
    assert invoke("compare", tmp_path, tmp_path)[0] == ExitCode.INPUT_OUTPUT


# --- whatever is raised ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (
            ZeroDivisionError("by zero"),
            ExitCode.INTERNAL,
            "internal error: ZeroDivisionError: by zero; please report it",
        ),
        (AssertionError(), ExitCode.INTERNAL, "internal error: AssertionError: ; please report it"),
        (SystemExit(0), ExitCode.INTERNAL, "internal error: SystemExit: a subject or a library has ended the process"),
        (SystemExit(), ExitCode.INTERNAL, "internal error: SystemExit: "),
        (SystemExit(ExitCode.FAILED), ExitCode.FAILED, ""),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "Interrupted."),
        (click.Abort(), ExitCode.INTERRUPTED, "Interrupted."),
        (click.ClickException("no"), ExitCode.USAGE, "Error: no"),
        (BadSubject("no"), ExitCode.NOT_LOADED, "Error: no"),
        (OtherPlan("another"), ExitCode.INPUT_OUTPUT, "Error: another"),
        (OSError(28, "No space left on device"), ExitCode.INPUT_OUTPUT, "Error: [Errno 28] No space left on device"),
    ],
    ids=repr,
)
def test_whatever_a_command_raises(error, code, says):
    @click.group(cls=Commands)
    def group():
        pass

    @group.command()
    def command():
        raise error

    result = CliRunner().invoke(group, ["command"], catch_exceptions=False)
    assert (result.exit_code, result.output.startswith(says)) == (code, True), result.output
    assert ("Traceback (most recent call last)" in result.output) == (code == ExitCode.INTERNAL)


def test_where_nobody_reads():
    """Not with 1, as Rich ends it: `compare old new | head -1` has found nothing worse by that."""
    program = "from xbce_conformance.cli.common import console; console().print('text')"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.wait() == ExitCode.INPUT_OUTPUT, process.stderr.read()
