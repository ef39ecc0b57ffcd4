"""What programs read: JSON alone on the standard output; completion in shells."""

import json
import os
import shutil
import subprocess
import sys
from importlib import import_module

import click
import numpy as np
import pytest
from click.testing import CliRunner

from xbce_conformance.cli import main
from xbce_conformance.cli.exit_codes import ExitCode
from xbce_conformance.cli.help import PROGRAM

WITHOUT = {("completion",)}
"""What prints a program already."""
LOSS = """
import os
import numpy as np

print("imported")

def loss(x, z):
    print("called")
    os.system("echo from a shell")
    return 1.001 * (np.maximum(x, 0) - x * z + np.log1p(np.exp(-np.abs(x))))
"""


def invoke(*arguments):
    """Return the exit code, what is on the standard output, as JSON, and what is on the standard error."""
    result = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    return result.exit_code, json.loads(result.stdout), result.stderr


def every_command(group, context, path=()):
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from every_command(command, context, (*path, name))
        else:
            yield (*path, name), command


def test_every_command_has_json():
    commands = dict(every_command(main, click.Context(main)))
    without = {
        path for path, command in commands.items() if "--json" not in {o for p in command.params for o in p.opts}
    }
    assert without == WITHOUT


def test_list(monkeypatch):
    """Of a few: all take long to import, and test_command.py lists them."""
    module = import_module("xbce_conformance.cli.list")
    monkeypatch.setattr(module, "ALL_BACKEND_NAMES", ("numpy", "jax:cuda"))
    monkeypatch.setattr(module, "SUBJECT_NAMES", ("xbce", "optax"))
    code, found, text = invoke("list", "--json")
    assert code == 0
    (numpy,) = [backend for backend in found["backends"] if backend["name"] == "numpy"]
    assert numpy["version"] == np.__version__
    assert "float32" in numpy["dtypes"]
    assert numpy["flushes_subnormals_in"] == []
    (xbce,) = [subject for subject in found["subjects"] if (subject["name"], subject["backend"]) == ("xbce", "numpy")]
    assert "sigmoid_focal_loss" in " ".join(xbce["functions"])
    assert {"optax"} <= found["absent"].keys() <= {"optax", "jax:cuda"}
    assert all(isinstance(reason, str) and reason for reason in found["absent"].values())
    assert "Backends" in text
    for name in found["absent"]:
        assert f"absent: {name}: " in " ".join(text.split())


def test_run_report_and_compare(tmp_path):
    options = ("--subject", "xbce", "--backend", "numpy", "--function", "special.expit", "--dtype", "float16")
    code, found, text = invoke("run", *options, "--part", "samples", "--out", tmp_path, "--json")
    assert code == 0
    assert found == json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert {row["case"] for row in found["rows"]} == {"special.expit"}
    assert "All " in text
    file = tmp_path / "results.json"
    code, merged, text = invoke("report", file, file, "--out", tmp_path / "all", "--json")
    assert code == 0
    assert merged["rows"] == found["rows"]
    assert "are written" in text
    code, compared, text = invoke("compare", file, file, "--json")
    assert (code, compared, text) == (0, {"circumstances": [], "changes": []}, "")


def test_run_with_data_and_diff(tmp_path):
    file = tmp_path / "x.npz"
    np.savez(file, logits=np.float32([-20, 0.5, 20]), labels=np.float32([0, 1, 1]))
    out = tmp_path / "run"
    options = ("--data", file, "--subject", "xbce", "--backend", "numpy", "--dtype", "float32")
    code, found, text = invoke("run", *options, "--out", out, "--json")
    assert code == 0
    assert found == json.loads((out / "data.json").read_text("utf-8"))
    assert "xbce" in text
    options = ("--data", file, "--dtype", "float32")
    code, found, _ = invoke("diff", "xbce@numpy", "tf-formula", *options, "--out", out, "--json")
    assert code == 0
    assert found["results"][0]["kind"] == "Comparison"


def test_a_run_that_fails_prints_its_results(tmp_path):
    """In a process of its own: what a subject, and what it starts, write to the standard output is kept away."""
    (tmp_path / "my_loss.py").write_text(LOSS, "utf-8")
    np.savez(tmp_path / "x.npz", logits=np.float32([-20, 0.5, 20]), labels=np.float32([0, 1, 1]))
    options = ("--subject", "my_loss:loss", "--dtype", "float32", "--data", "x.npz")
    command = [sys.executable, "-m", "xbce_conformance", "run", *options, "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.FAILED
    assert json.loads(done.stdout) == json.loads((tmp_path / "conformance-report" / "data.json").read_text("utf-8"))
    for said in ("imported", "called", "from a shell", "FAIL: my_loss:loss@numpy value"):
        assert said in done.stderr


def test_an_error_leaves_the_standard_output_empty():
    result = CliRunner().invoke(main, ["run", "--subject", "nowhere:loss", "--json"])
    assert result.exit_code == ExitCode.NOT_LOADED
    assert result.stdout == ""
    assert "nowhere cannot be imported" in result.stderr


@pytest.mark.long
def test_search(tmp_path):
    options = ("--subject", "xbce", "--backend", "numpy", "--quantity", "value", "--dtype", "float16", "--seconds", "0")
    code, found, _ = invoke("search", *options, "--data", tmp_path / "worst.json", "--json")
    assert code == 0
    assert {(each["dtype"], each["quantity"]) for each in found} == {("float16", "value")}
    assert all(each["tried"] >= 0 and isinstance(each["new"], bool) for each in found)


# --- completion -----------------------------------------------------------------------------------------------------


def completed(words, tmp_path):
    """Return what bash completes, by the code that the command prints, of a command line whose last word is begun."""
    bash = shutil.which("bash")
    if not bash:
        pytest.skip("needs bash")
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    program = folder / PROGRAM
    program.write_text(f"#!{sys.executable}\nfrom xbce_conformance.cli import main\nmain(prog_name={PROGRAM!r})\n")
    program.chmod(0o755)
    script = CliRunner().invoke(main, ["completion", "bash"], catch_exceptions=False).stdout
    (tmp_path / "completion.bash").write_text(script, "utf-8")
    line = " ".join(f"'{word}'" for word in (PROGRAM, *words))
    program = (
        f"source completion.bash; [[ $COMP_WORDBREAKS != *:* ]] || exit 3; "
        f"COMP_WORDS=({line}); COMP_CWORD={len(words)}; _xbce_conformance_completion {PROGRAM}; "
        "printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [bash, "--norc", "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_bash_completes_commands(tmp_path):
    assert completed(["co"], tmp_path) == ["compare", "completion"]


def test_bash_completes_names_with_a_colon(tmp_path):
    assert completed(["run", "--backend", "torch:"], tmp_path) == ["torch:cpu", "torch:cuda"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["run", "--sub"], ["--subject"]),
        (["run", "--subject", "sk"], ["sklearn", "sklearn-array-api"]),
        (["run", "--subject", "./my"], [("./my", "file")]),
        (["run", "--function", "special.x"], ["special.xlogy", "special.xlog1py"]),
        (["run", "--case", "sig"], ["sigmoid_focal_loss"]),
        (["run", "--regime", "near"], None),
        (["diff", "xbce@array"], ["xbce@array-api-strict"]),
        (["diff", "torch", "tensor"], ["tensorflow"]),
        (["functions", "--function", "exp"], ["exp", "expm1"]),
        (["compare", "results"], [("results", "file")]),
        (["completion", "z"], ["zsh"]),
    ],
    ids=lambda value: " ".join(value) if value and isinstance(value[0], str) else None,
)
def test_what_is_completed(words, found):
    from click.shell_completion import ShellComplete

    items = ShellComplete(main, {}, PROGRAM, "_X").get_completions(words[:-1], words[-1])
    names = [item.value if item.type == "plain" else (item.value, item.type) for item in items]
    if found is None:
        assert names
        assert all(name.startswith(words[-1]) for name in names)
    else:
        assert names == found


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_code(shell):
    result = CliRunner().invoke(main, ["completion", shell], catch_exceptions=False)
    assert result.exit_code == 0
    assert f"_XBCE_CONFORMANCE_COMPLETE={shell}_complete" in result.stdout
    assert PROGRAM in result.stdout
