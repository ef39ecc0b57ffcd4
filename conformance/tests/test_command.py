"""The command as people run it: exit codes, files, what it says of what is absent."""

import json
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

import xbce
from tests.conftest import pytest_configure
from xbce_conformance.cli import main
from xbce_conformance.subjects import selection
from xbce_conformance.subjects.backends import find_backends
from xbce_conformance.subjects.model import Function, Subject


def invoke(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def small_run(tmp_path_factory):
    """One function of every subject on NumPy and PyTorch in one dtype."""
    out = tmp_path_factory.mktemp("run")
    options = ("--function", "binary_cross_entropy_with_logits", "--dtype", "float32", "--out", out)
    result = invoke("run", "--backend", "numpy", "--backend", "torch:cpu", *options)
    return result, json.loads((out / "results.json").read_text("utf-8")), (out / "report.html").read_text("utf-8")


def test_exit_and_table(small_run):
    result, data, _ = small_run
    assert result.exit_code == 0
    assert re.search(r"All \d+ rows of xbce pass\.", result.output)
    assert "xbce: binary_cross_entropy_with_logits.hessian" in result.output
    assert "absent: optax: needs optax and the backend jax or jax:cuda" in result.output
    keys = ("subject", "function", "quantity", "backend", "dtype", "kind")
    rows = {tuple(row[key] for key in keys) for row in data["rows"]}
    assert len(rows) == len(data["rows"])


def test_torch_appears_with_its_zeros(small_run):
    rows = [row for row in small_run[1]["rows"] if row["subject"] == "torch" and row["quantity"] != "mean"]
    rows = [row for row in rows if row["kind"] == "samples"]
    assert {row["quantity"] for row in rows} == {"value", "gradient"}
    for row in rows:
        assert row["figures"]["zero_for_normal"] > 0
        assert row["figures"]["max_ulp"] > 1e6
        assert row["verdict"] is None


def test_report_stands_alone(small_run):
    page = small_run[2]
    assert page.startswith("<!doctype html>")
    for outside in ('src="', 'href="http', "@import", "<link", "<script src"):
        assert outside not in page
    assert page.count("<title>Largest error by ") == 2  # by logit and by label
    assert "torch.nn.functional.binary_cross_entropy_with_logits" in page


def test_one_function(tmp_path):
    options = ("--function", "special.expit", "--function", "reduce", "--dtype", "float32", "--out", tmp_path)
    result = invoke("run", "--backend", "numpy", *options)
    assert result.exit_code == 0
    rows = json.loads((tmp_path / "results.json").read_text("utf-8"))["rows"]
    assert {row["case"] for row in rows} == {"special.expit", "reduce(weight, where)"}
    assert {row["subject"] for row in rows} == {"xbce", "scipy"}


def test_unknown_function():
    result = invoke("run", "--function", "expit")
    assert result.exit_code == 2
    assert "'special.expit'" in result.output


def test_list():
    result = invoke("list")
    assert result.exit_code == 0
    assert "array-api-strict" in result.output
    for name, reason in find_backends()[1].items():
        assert f"absent: {name}: {reason}" in " ".join(result.output.split())


def test_required_backend_that_is_absent():
    result = invoke("run", "--backend", "numpy", "--require", "torch:cpu")
    assert result.exit_code == 3
    assert "required backends are absent: torch:cpu: not asked for" in result.output


def test_nothing_to_measure(tmp_path):
    result = invoke("run", "--backend", "numpy", "--subject", "torch", "--out", tmp_path)
    assert result.exit_code == 3
    assert "nothing to measure (torch: needs the backend torch:cpu or torch:cuda)" in result.output


def test_a_row_that_fails_exits_1(tmp_path, monkeypatch):
    def broken(backends, _case):
        function = Function("x - x z", ("value",), lambda x, z: x - x * z)
        yield Subject("xbce", "0", backends["numpy"], ("float16",), (function,), judged=True)

    monkeypatch.setitem(selection._FINDERS, "xbce", broken)
    with pytest.warns(RuntimeWarning, match="invalid value"):
        result = invoke("run", "--backend", "numpy", "--dtype", "float16", "--subject", "xbce", "--out", tmp_path)
    assert result.exit_code == 1
    assert "FAIL: xbce: x - x z, numpy, float16\n    " in result.output
    assert "1 of 1 rows fail." in (tmp_path / "report.html").read_text("utf-8")


def test_console_script():
    command = [sys.executable, "-c", "from xbce_conformance.cli import main; main()", "--version"]
    assert xbce.__version__ in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_tests_fail_when_a_required_backend_is_absent(pytestconfig, monkeypatch):
    """So that a run in which a whole backend is skipped cannot pass."""
    absent = next(iter(find_backends()[1]), None)
    if absent is None:
        pytest.skip("every backend is here")
    monkeypatch.setenv("XBCE_REQUIRED_BACKENDS", absent)
    with pytest.raises(pytest.UsageError, match=f"required backends are absent: {absent}"):
        pytest_configure(pytestconfig)
