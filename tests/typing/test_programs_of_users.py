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
LIBRARIES = ["accepted_libraries.py"]
REFUSED = re.compile(r"# refused: (\S+), (\S+)$")


def checked_by_mypy(programs, folder):
    """Return the program, the line and the rule of each error."""
    settings = "[mypy]\nstrict = true\n"
    if programs != LIBRARIES:  # PyTorch takes half a minute
        settings += "[mypy-torch.*,jax.*]\nfollow_imports = skip\nignore_missing_imports = true\n"
    (folder / "mypy.ini").write_text(settings, "utf-8")
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context"]
    command += [f"--cache-dir={folder / 'cache'}", *programs]
    environment = os.environ | {"MYPYPATH": str(ROOT)}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert not run.stderr
    found = re.findall(r"^(\w+\.py):(\d+): error: .* \[(\S+)\]$", run.stdout, re.MULTILINE)
    assert len(found) == run.stdout.count(": error: "), run.stdout
    return {(program, int(line), rule) for program, line, rule in found}


def checked_by_pyright(programs, folder):
    """Return the program, the line and the rule of each error."""
    pytest.importorskip("basedpyright")
    settings = {"include": programs, "typeCheckingMode": "strict", "extraPaths": [str(ROOT)]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), "utf-8")
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable]
    run = subprocess.run([*command, "--project", folder], cwd=folder, capture_output=True, text=True, check=False)
    report = json.loads(run.stdout)
    assert report["summary"]["filesAnalyzed"] == len(programs)
    return {
        (Path(found["file"]).name, found["range"]["start"]["line"] + 1, found["rule"])
        for found in report["generalDiagnostics"]
    }


def stated(program, which):
    """Return the program, the line and the rule of each error that it states."""
    lines = (HERE / program).read_text("utf-8").splitlines()
    found = [(i, match) for i, line in enumerate(lines, 1) if (match := REFUSED.search(line))]
    return {(program, i, rule) for i, match in found for rule in match[which].split("|")}


@pytest.mark.parametrize(("checker", "which"), [(checked_by_mypy, 1), (checked_by_pyright, 2)], ids=["mypy", "pyright"])
@pytest.mark.parametrize(
    "programs",
    [  # one run for all that need the same: most of it is what the programs import
        pytest.param(["accepted.py", "refused.py"], id="NumPy"),
        pytest.param(LIBRARIES, id="libraries", marks=pytest.mark.long),
    ],
)
def test_errors_are_those_that_the_programs_state(programs, checker, which, tmp_path):
    if programs == LIBRARIES:
        pytest.importorskip("torch")
        pytest.importorskip("jax")
    for program in programs:
        shutil.copy(HERE / program, tmp_path)
    wanted = set().union(*(stated(program, which) for program in programs))
    assert checker(programs, tmp_path) == wanted
