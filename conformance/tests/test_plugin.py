"""The pytest plugin, as another project runs it: in a folder of its own, in a process of its own."""

import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

THEIRS = """
import xbce

right = xbce.binary_cross_entropy_with_logits


def wrong(x, z):
    return x * 0


def of_classes(x, z):
    if ((z != 0) & (z != 1)).any():
        raise ValueError("classes are 0 and 1")
    return xbce.sigmoid_focal_loss(x, z, gamma=1.7)
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "theirs.py").write_text(THEIRS, "utf-8")

    def pytest_run(*options, arguments=("--pyargs", "xbce_conformance")):
        command = [sys.executable, "-W", "error", "-m", "pytest", "-p", "no:cacheprovider", *arguments, *options]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    return pytest_run


def test_a_subject_that_keeps_the_bounds(run, tmp_path):
    result = run("--xbce-subject", "theirs:right", "--xbce-dtype", "float32", "--junitxml", "junit.xml")
    assert result.returncode == 0, result.stdout
    assert "3 passed, 1 skipped" in result.stdout  # there are no waivers
    suite = ET.parse(tmp_path / "junit.xml").getroot()[0]  # noqa: S314 - written by this run
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "0", "0")
    names = {case.get("name") for case in suite.iter("testcase")}
    assert "test_conformance[theirs:right-numpy-float32-theirs:right,-gradient]" in names
    figures = {p.get("name"): p.get("value") for p in suite.iter("property")}
    assert 0.5 < float(figures["theirs:right numpy float32 theirs:right value max_ulp"]) <= 4


def test_a_subject_that_breaks_them(run):
    """Whatever the bound is: zeros for normal numbers fail."""
    result = run("--xbce-subject", "theirs:wrong", "--xbce-dtype", "float16", "--xbce-bound", "1e30")
    assert result.returncode == 1
    assert "1 failed" in result.stdout
    assert "results are zero where a normal number is right" in result.stdout
    assert "again: python -c 'import numpy as np, ml_dtypes; import theirs; print(" in result.stdout


def test_hard_labels_and_any_numbers(run):
    options = ("--xbce-subject", "theirs:of_classes", "--xbce-dtype", "float32")
    case = ("--xbce-case", "sigmoid_focal_loss(gamma=1.7)")
    assert run(*options, *case, "--xbce-labels", "hard").returncode == 0
    result = run(*options, *case, "--xbce-labels", "soft")
    assert result.returncode == 1
    assert "classes are 0 and 1" in result.stdout
    result = run(*options, "--xbce-regime", "tail")
    assert "'tail' is no regime of what is measured; one of 'near 0', " in result.stdout
    assert "gamma must be a number, got x" in run(*options, "--xbce-case", "sigmoid_focal_loss(gamma=x)").stdout


def test_without_a_subject_it_is_xbce(run):
    result = run("--xbce-backend", "numpy", "--xbce-function", "special.expit")
    assert result.returncode == 0, result.stdout
    assert "4 passed" in result.stdout


def test_xbce_in_high_precision(run):
    result = run("--xbce-backend", "numpy", "--xbce-function", "special.expit", "--xbce-precision", "high", "-v")
    assert result.returncode == 0, result.stdout
    assert result.stdout.count("test_conformance[xbce-(high)-numpy-") == 4


def test_peers_are_reported(run):
    result = run("--xbce-subject", "textbook", "--xbce-dtype", "float32", "-rs")
    assert result.returncode == 0
    assert "3 skipped" in result.stdout
    assert "reported, not judged: " in result.stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--xbce-subject", "theirs:nothing"], "theirs:nothing: theirs has no attribute 'nothing'"),
        pytest.param(
            ["--xbce-subject", "theirs:right", "--xbce-function", "special.expit"],
            "nothing to measure (no subject has",
            marks=pytest.mark.long,
        ),
        (["--xbce-backend", "cupy"], "nothing to measure (cupy: "),
    ],
)
def test_nothing_to_measure_is_an_error(run, options, says):
    result = run(*options)
    assert result.returncode != 0
    assert says in result.stdout + result.stderr


def test_the_suite_stays_out_of_other_runs(run, tmp_path):
    """Installed beside it, a project's own tests are what they were."""
    (tmp_path / "test_own.py").write_text("def test_own():\n    pass\n", "utf-8")
    result = run(arguments=("-q",))
    assert result.returncode == 0
    assert "1 passed" in result.stdout


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "with xdist"])
def test_options_without_the_suite_are_refused(run, tmp_path, workers):
    """A run of other tests alone would be green, and the subject not measured."""
    (tmp_path / "test_own.py").write_text("def test_own():\n    pass\n", "utf-8")
    result = run("--xbce-subject", "theirs:wrong", "--xbce-level", "full", arguments=("-q", *workers))
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    says = "--xbce-subject, --xbce-level: the suite is not among the tests of this run; add --pyargs xbce_conformance"
    assert f"ERROR: {says}" in result.stdout + result.stderr


def test_it_imports_nothing_until_it_is_asked():
    """Every run of pytest beside which xbce is installed loads it."""
    code = """
import sys, pytest, xbce_conformance.pytest_plugin
print([name for name in ("numpy", "xbce", "click") if name in sys.modules])
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "[]\n"
