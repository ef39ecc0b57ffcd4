"""xbce in high precision: a subject of its own, with bounds of its own, which native results exceed."""

import json
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from tests.helpers import NUMPY
from xbce_conformance import contract
from xbce_conformance.cases import CASES, PLAIN
from xbce_conformance.cli import main
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.judge import runner
from xbce_conformance.report.league import league
from xbce_conformance.results.compare import compare
from xbce_conformance.results.model import Results
from xbce_conformance.subjects.backends import find_backends
from xbce_conformance.subjects.jobs import Job, jobs
from xbce_conformance.subjects.selection import Choice, find_subjects

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "results.schema.json").read_text("utf-8"))
(NATIVE, HIGH), _ = find_subjects(("xbce", "xbce (high)"), {"numpy": NUMPY})


def invoke(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Reports of the plain loss in both precisions on NumPy."""
    out = tmp_path_factory.mktemp("both")
    chosen = ["--precision", "native", "--precision", "high", "--subject", "xbce", "--backend", "numpy"]
    plain = ["--function", PLAIN.function, "--dtype", "float32", "--out", out]
    result = invoke("run", *chosen, *plain)
    assert result.exit_code == 0, result.output
    assert "rows of xbce, xbce (high) pass." in result.output
    return out


@pytest.fixture(scope="module")
def results(folder):
    return Results.read(folder / "results.json")


def of(subject, results):
    return [row for row in results.rows if row.subject == subject]


# --- rows are told apart --------------------------------------------------------------------------------------------


def test_each_precision_has_a_row_for_everything(results):
    native, high = of("xbce", results), of("xbce (high)", results)
    assert len(native) + len(high) == len(results.rows) == len({row.key for row in results.rows})
    assert {row.key[1:] for row in native} == {row.key[1:] for row in high}


def test_high_is_what_is_called(results):
    """Else the rows would be the same."""
    native = {row.key[1:]: row for row in of("xbce", results)}
    for row in of("xbce (high)", results):
        other = native[row.key[1:]]
        assert row.figures.max_ulp <= 0.501
        if row.of_errors and row.case == PLAIN.name and row.quantity in ("value", "gradient", "hessian"):
            assert row.figures.max_ulp < other.figures.max_ulp
            assert row.sha256 != other.sha256
            # Not all: where the exact value rounds to a tie in float64, the reference cannot tell which way it goes.
            assert row.figures.rounded_share > max(0.99, other.figures.rounded_share)


def test_a_reproducer_calls_the_precision(results):
    row = next(row for row in of("xbce (high)", results) if row.function == PLAIN.name)
    _, *command = shlex.split(row.reproducer)
    printed = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True).stdout
    assert float.fromhex(printed) == float.fromhex(row.worst.computed)
    assert 'precision="high"' in row.reproducer
    assert "precision" not in of("xbce", results)[0].reproducer


def test_files_have_the_schema_and_keep_both(folder, results, tmp_path):
    jsonschema.validate(json.loads((folder / "results.json").read_text("utf-8")), SCHEMA)
    parts = [replace(results, rows=of(name, results)) for name in ("xbce", "xbce (high)")]
    merged = Results.merged(parts)
    merged.write(tmp_path / "results.json")
    assert {row.key for row in Results.read(tmp_path / "results.json").rows} == {row.key for row in results.rows}


def test_neither_is_compared_with_the_other(results):
    native, high = (replace(results, rows=of(name, results)) for name in ("xbce", "xbce (high)"))
    changes = compare(native, high)
    assert len(changes) == len(results.rows)
    assert {change.what for change in changes if change.worse} == {"is not measured any more"}


def test_each_has_its_place_in_the_league(folder, results):
    for quantity in ("value", "gradient", "hessian"):
        assert [entry.name for entry in league(results, quantity)] == ["xbce (high) on numpy", "xbce on numpy"]
    report = (folder / "report.md").read_text("utf-8")
    assert "| xbce (high) on numpy | 0.50 |" in report
    page = (folder / "report.html").read_text("utf-8")
    assert ">xbce (high)</text>" in page


def test_high_is_measured_only_where_it_is_asked_for():
    assert [s.name for s in Choice(backends=("numpy",)).find()[0] if s.name.startswith("xbce")] == ["xbce"]
    high = Choice(("xbce",), ("numpy",), precisions=("high",))
    assert [s.name for s in high.find()[0]] == ["xbce (high)"]
    both = Choice(("xbce (high)", "xbce"), ("numpy",), precisions=("native", "high"))
    assert [s.name for s in both.find()[0]] == ["xbce (high)", "xbce"]


@pytest.mark.parametrize("name", ["numpy", "torch:cpu", "jax", "dask", "array-api-strict"])
def test_every_function_of_every_mode_is_measured_in_both(name):
    backends, _ = find_backends((name,))
    if not backends:
        pytest.skip(f"{name} is absent")
    native, high = (Choice(("xbce",), (name,), precisions=(p,)).find()[0][0] for p in ("native", "high"))
    assert [f.name for f in native.functions] == [f.name for f in high.functions]
    assert {(f.autodiff, f.compiled) for f in high.functions} == {(f.autodiff, f.compiled) for f in native.functions}


# --- bounds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FORMATS)
def test_bounds_are_those_of_the_precision(dtype):
    for function in HIGH.functions:
        high, native = Job(HIGH, function, dtype), Job(NATIVE, function, dtype)
        for quantity in (*function.case.quantities, *function.quantities):
            for hard in (True, False):
                bound = high.bound(quantity, hard=hard)
                assert bound == (1 if dtype == "float64" else 0.501)
                assert bound < native.bound(quantity, hard=hard) or quantity in ("sum", "mean", "value")
            assert high.exceptions(quantity) == []


def test_stated_exceptions_are_native():
    native = contract.exceptions("gradient", "float32", "numpy")
    assert native
    assert contract.exceptions("gradient", "float32", "numpy", precision="high") == []
    assert contract.bound("gradient", "float32", hard=False, backend="numpy") == native[0]["ulp"]
    assert contract.bound("gradient", "float32", hard=False, backend="numpy", precision="high") == 0.501


def judged(subject, dtype):
    functions = [f for f in subject.functions if f.case is PLAIN]
    todo = jobs([replace(subject, functions=tuple(functions))], (dtype,))
    return [row for rows in runner.run(todo, "quick") for row in rows]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_subject_that_ignores_the_precision_fails(dtype):
    ignoring = replace(HIGH, functions=NATIVE.functions)
    bound = "1" if dtype == "float64" else "0.501"
    for row in judged(ignoring, dtype):
        if row.quantity not in ("sum", "mean", "label_gradient"):
            assert any(text.endswith(f"; the bound is {bound}") for text in row.violations), row.name


@pytest.mark.parametrize("dtype", FORMATS)
def test_xbce_keeps_the_promise_of_high_precision(dtype):
    for row in judged(HIGH, dtype):
        assert row.violations == [], row.name


def test_all_cases_are_there():
    assert {function.case for function in HIGH.functions} == {*CASES}
