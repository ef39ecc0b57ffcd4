"""What fails outright: what raises, hangs, or returns no result is a row that fails, and costs no other row."""

import json
import runpy
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.helpers import leave_out_pictures
from xbce_conformance import Adapter, measure
from xbce_conformance.cli import main

FILE = Path(__file__).parent / "data" / "failing.py"
FAILURES = {
    "always": ("raised", "RuntimeError: it does not work"),
    "beyond_1e30": ("raised", "OverflowError: a logit is too large"),
    "hangs": ("time-limit", "it did not return within 0.2 s"),
    "hangs_beyond_1e30": ("time-limit", "it did not return within 0.2 s"),
    "swallows": ("time-limit", "it did not return within 0.2 s"),
    "leaves": ("raised", "SystemExit: 0"),
    "nothing": ("nothing", "it returned None; an array is expected"),
    "column": ("shape", "it returned the shape (1000, 1); (1000,) is expected"),
    "all_with_all": ("shape", "it returned the shape (1000, 1000); (1000,) is expected"),
    "mean": (
        "shape",
        "it returned the shape (); (1000,) is expected: this is the mean of all elements. Name a callable",
    ),
    "wide": ("dtype", "it returned float64; float32 is expected, the dtype of its first argument"),
    "a_list": ("dtype", "it returned float64; float32 is expected, the dtype of its first argument"),
    "integers": ("dtype", "it returned int32; float32 is expected, the dtype of its first argument"),
}
LIMIT = 0.2
OF_ALL = ("mean", "column", "all_with_all")
"""Their shape of one element may be the right one, or tells nothing."""

losses = runpy.run_path(str(FILE))


def check_input(name, inputs):
    """See that an input is given, and that it is one that shows the failure."""
    assert set(inputs) == {"logits", "labels"}
    if name.endswith("beyond_1e30"):
        assert abs(float.fromhex(inputs["logits"])) > 1e30


# --- from Python ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAILURES)
def test_measure(name):
    kind, says = FAILURES[name]
    start = time.monotonic()
    results = measure(losses[name], dtypes=["float32"], call_limit=LIMIT)
    assert time.monotonic() - start < 30
    assert [row.kind for row in results.rows] == ["samples", "behaviour", "invariance"]
    assert results.failed == results.judged == results.rows[:2]
    assert not results.passed
    for row in results.rows:
        assert row.failure.startswith(says), row.failure
        assert (row.figures.count, row.sha256, row.regimes) == (0, "", {})
    for row in results.failed:
        (violation,) = row.verdict.violations
        assert (violation.name, violation.text, violation.waived) == (f"failure:{kind}", row.failure, "")
    if name not in OF_ALL:
        check_input(name, results.rows[0].worst.inputs)


def test_a_dtype_that_is_asked_for_and_raises_fails():
    """float16 and bfloat16 are left out only where nobody has named them."""

    def only_wide(x, z):
        if x.dtype.itemsize < 4:
            raise TypeError("no half types")
        return losses["right"](x, z)

    results = measure(only_wide, parts=["samples"])
    assert [(row.dtype, row.violations) for row in results.rows] == [("float32", []), ("float64", [])]
    assert results.missing == {
        f"only_wide in {dtype} on numpy": "TypeError: no half types" for dtype in ("float16", "bfloat16")
    }
    for asked in ({"dtypes": ["float16"]}, {}):
        subject = only_wide if asked else Adapter(only_wide, dtypes=("float16",))
        (row,) = measure(subject, parts=["samples"], **asked).failed
        assert (row.dtype, row.failure) == ("float16", "TypeError: no half types")


def test_half_types_that_return_something_else_fail():
    """Only what raises is left out."""
    results = measure(lambda x, z: np.float32(losses["right"](x, z)), parts=["samples"])
    found = {row.dtype: row.verdict.violations[0].name if row.violations else "" for row in results.rows}
    fails = "failure:dtype"
    assert found == {"float16": fails, "bfloat16": fails, "float32": "", "float64": fails}


def test_what_fails_in_one_quantity_costs_no_other():
    results = measure(Adapter(losses["right"], gradient=losses["always"]), dtypes=["float32"], parts=["samples"])
    assert [(row.quantity, row.violations) for row in results.rows] == [
        ("value", []),
        ("gradient", ["RuntimeError: it does not work"]),
    ]


def test_what_raises_at_a_special_value_is_a_wrong_special_value():
    def no_nan(x, z):
        if np.isnan(x).any():
            raise ValueError("NaN")
        return losses["right"](x, z)

    (row,) = measure(no_nan, dtypes=["float32"], parts=["samples"]).failed
    assert row.failure == ""
    assert {violation.name for violation in row.verdict.violations} == {"special-values:nan-logits"}
    assert {mismatch.computed for mismatch in row.special.mismatches} == {"raises ValueError"}


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def _theirs(tmp_path, monkeypatch):
    leave_out_pictures(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "failing", raising=False)
    shutil.copy(FILE, ".")


@pytest.mark.usefixtures("_theirs")
def test_command():
    """All of them in one run: the right one among them has its rows, and passes."""
    names = ["always", "beyond_1e30", "hangs", "leaves", "right", "nothing", "all_with_all", "wide"]
    subjects = [part for name in names for part in ("--subject", f"./failing.py:{name}")]
    options = ["--dtype", "float32", "--part", "samples", "--call-limit", "1", "--out", "out"]
    result = CliRunner().invoke(main, ["run", *subjects, *options], catch_exceptions=False)
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    rows = {row["subject"]: row for row in json.loads(Path("out/results.json").read_text("utf-8"))["rows"]}
    assert list(rows) == [f"failing:{name}" for name in names]
    right = rows.pop("failing:right")
    assert (right["failure"], right["verdict"]["violations"]) == ("", [])
    assert right["figures"]["count"] > 10000
    for subject, row in rows.items():
        name = subject.partition(":")[2]
        kind, says = FAILURES[name]
        says = says.replace("0.2 s", "1 s")
        assert row["failure"].startswith(says)
        assert row["verdict"]["violations"] == [{"name": f"failure:{kind}", "text": row["failure"], "waived": ""}]
        assert f"FAIL: {subject}, numpy, float32\n    {row['failure']} [failure:{kind}]\n" in result.output
        if name not in OF_ALL:
            check_input(name, row["worst"]["inputs"])
            assert f"\n    worst: logits {row['worst']['inputs']['logits']}, labels " in result.output
    assert "7 of 8 rows fail." in Path("out/report.md").read_text("utf-8")


@pytest.mark.usefixtures("_theirs")
def test_a_reproducer_of_what_raises_raises():
    options = ["--dtype", "float32", "--part", "samples", "--out", "out"]
    CliRunner().invoke(main, ["run", "--subject", "./failing.py:beyond_1e30", *options], catch_exceptions=False)
    (row,) = json.loads(Path("out/results.json").read_text("utf-8"))["rows"]
    assert row["reproducer"].startswith("python -c ")
    command = row["reproducer"].replace("python", sys.executable, 1)
    again = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)  # noqa: S602 - as a user does
    assert again.returncode == 1
    assert again.stderr.splitlines()[-1] == "OverflowError: a logit is too large"


# --- the pytest plugin ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_theirs")
def test_plugin():
    names = ["always", "beyond_1e30", "hangs", "leaves", "right", "nothing", "column", "wide"]
    subjects = [part for name in names for part in ("--xbce-subject", f"./failing.py:{name}")]
    options = ["--xbce-dtype", "float32", "--xbce-part", "samples", "--xbce-call-limit", "1"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--pyargs", "xbce_conformance"]
    result = subprocess.run([*command, *subjects, *options], capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stdout
    assert "7 failed, 1 passed, 1 skipped" in result.stdout
    for name in names:
        if name != "right":
            kind, says = FAILURES[name]
            assert f"FAIL: failing:{name}, numpy, float32\n" in result.stdout
            assert says.replace("0.2 s", "1 s") in result.stdout
            assert f"[failure:{kind}]" in result.stdout
