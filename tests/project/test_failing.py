"""What a test says that fails: the step of its loop, too."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FAILING = """
def test_of_every_dtype():
    for dtype in ("float32", "float64"):
        for reduction in ("mean", "sum"):
            assert (dtype, reduction).count("sum") == 0


def a_helper(x):
    return x + 1


def test_by_a_helper():
    for options in ({}, {"gamma": 2}):
        a_helper(None if options else 1)
"""


def test_the_step_of_a_loop_is_named(tmp_path):
    (tmp_path / "test_loops.py").write_text(FAILING)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        ROOT / "pyproject.toml",
        "--rootdir",
        tmp_path,
        "-p",
        "no:cacheprovider",
    ]
    output = subprocess.run([*command, tmp_path / "test_loops.py"], capture_output=True, text=True, cwd=tmp_path).stdout
    shown = [" ".join(line.split()) for line in output.splitlines()]
    assert "2 failed" in output
    assert {"dtype = 'float32'", "reduction = 'sum'", "options = {'gamma': 2}"} <= set(shown)
