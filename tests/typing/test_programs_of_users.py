"""Type checkers follow arrays and options through xbce: they accept what is right, and refuse what is wrong."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
REFUSED = re.compile(r"# refused: (\S+), (\S+)$")


def checked_by_mypy(program, folder):
    """Return the line and the rule of each error."""
    settings = "[mypy]\nstrict = true\n"
    if "libraries" not in program:  # PyTorch takes half a minute
        settings += "[mypy-torch.*,jax.*]\nfollow_imports = skip\nignore_missing_imports = true\n"
    (folder / "mypy.ini").write_text(settings, "utf-8")
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context"]
    command += [f"--cache-dir={folder / 'cache'}", program]
    environment = os.environ | {"MYPYPATH": str(ROOT)}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert not run.stderr
    found = re.findall(rf"^{re.escape(program)}:(\d+): error: .* \[(\S+)\]$", run.stdout, re.MULTILINE)
    assert len(found) == run.stdout.count(": error: "), run.stdout
    return {(int(line), rule) for line, rule in found}


def checked_by_pyright(program, folder):
    """Return the line and the rule of each error."""
    pytest.importorskip("basedpyright")
    settings = {"include": [program], "typeCheckingMode": "strict", "extraPaths": [str(ROOT)]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), "utf-8")
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable]
    run = subprocess.run([*command, "--project", folder], cwd=folder, capture_output=True, text=True, check=False)
    report = json.loads(run.stdout)
    assert report["summary"]["filesAnalyzed"] == 1
    return {(found["range"]["start"]["line"] + 1, found["rule"]) for found in report["generalDiagnostics"]}


def stated(program, which):
    """Return the line and the rule of each error that the program states."""
    lines = (HERE / program).read_text("utf-8").splitlines()
    found = [(i, match) for i, line in enumerate(lines, 1) if (match := REFUSED.search(line))]
    return {(i, rule) for i, match in found for rule in match[which].split("|")}


@pytest.mark.parametrize(("checker", "which"), [(checked_by_mypy, 1), (checked_by_pyright, 2)], ids=["mypy", "pyright"])
@pytest.mark.parametrize(
    "program",
    ["accepted.py", "refused.py", pytest.param("accepted_libraries.py", marks=pytest.mark.long)],
)
def test_errors_are_those_that_the_program_states(program, checker, which, tmp_path):
    if "libraries" in program:
        pytest.importorskip("torch")
        pytest.importorskip("jax")
    shutil.copy(HERE / program, tmp_path)
    assert checker(program, tmp_path) == stated(program, which)
