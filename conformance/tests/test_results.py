"""The committed results: of the documented schema, kept promises, and a page that says what they say."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from xbce_conformance.measurement.measured import Violation
from xbce_conformance.report.league import leagues
from xbce_conformance.results.figures import ulp_text
from xbce_conformance.results.model import Results

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "conformance" / "results"
PAGE = (FOLDER / "README.md").read_text("utf-8")
FILES = sorted(FOLDER.glob("*/results.json"))


@pytest.fixture(scope="module")
def results():
    return Results.read(FOLDER / "cpu" / "results.json")


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.long), 20])
@pytest.mark.parametrize("file", FILES, ids=lambda path: path.parent.name)
def test_results_have_the_schema(file, every):
    schema = json.loads((ROOT / "docs" / "results.schema.json").read_text("utf-8"))
    data = json.loads(file.read_text("utf-8"))
    jsonschema.validate(data | {"rows": data["rows"][::every]}, schema)


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.parent.name)
def test_what_fails_is_on_the_page(file):
    results = Results.read(file)
    assert f"{len(results.judged):,} rows" in PAGE or not results.failed
    for row in results.failed:
        assert f"- {row.name}: {'; '.join(row.violations)}" in PAGE


def test_every_backend_of_a_cpu_is_in_them(results):
    judged = {row.backend for row in results.rows if row.judged}
    assert judged >= {"numpy", "torch:cpu", "jax", "dask", "array-api-strict", "mlx", "ndonnx"}


def test_peers_are_in_them(results):
    peers = {row.subject for row in results.rows if not row.judged}
    named = {"torch", "tensorflow", "keras", "optax", "sklearn", "paddle", "mlx", "scipy", "tf-formula", "textbook"}
    assert peers >= named
    assert {row.backend for row in results.rows if row.subject == "keras"} == {
        "tensorflow",
        "jax",
        "torch:cpu",
        "numpy",
    }


def line(row):
    """Write a row of an exhaustive sweep as the page has it."""
    figures = row.figures
    function = row.function.rpartition(", ")[2] if row.function.endswith("mode") else row.quantity
    label = float.fromhex(row.worst.inputs["labels"])
    return (
        f"| {row.subject} on {row.backend} | {function} | {row.dtype} | {figures.count:,} "
        f"| {ulp_text(figures.max_ulp)} | `{row.worst.inputs['logits']}`, {label:g} "
        f"| {figures.correctly_rounded / figures.count:.2%} | {figures.zero_for_normal:,} | {figures.flushed:,} "
        f"| {figures.wrong_nonfinite} |"
    )


def test_sweeps_are_on_the_page(results):
    swept = [row for row in results.rows if row.exhaustive]
    for row in swept:
        assert line(row) in PAGE
        assert row.figures.count == (2**33 if row.dtype == "float32" else 2**16 * 257)
    for dtype in ("float32", "float16", "bfloat16"):
        for backend in ("numpy", "torch:cpu"):
            found = {r.quantity for r in swept if (r.subject, r.backend, r.dtype) == ("xbce", backend, dtype)}
            assert found == {"value", "gradient"} | ({"hessian"} if dtype == "float32" else set())
    assert {row.quantity for row in swept if (row.subject, row.dtype) == ("torch", "float32")} == {"value", "gradient"}


def test_league_tables_are_on_the_page(results):
    for table in leagues(results).values():
        for entry in table:
            assert f"| {entry.name} | " in PAGE


def test_page_is_the_generated_one():
    page = runpy.run_path(str(FOLDER / "page.py"))
    assert page["page"]() == PAGE


@pytest.fixture
def with_a_device(tmp_path, results):
    """Copy the results of the CPU, and add those that a device would have."""
    (tmp_path / "cpu").mkdir()
    results.write(tmp_path / "cpu" / "results.json")
    folder = tmp_path / "some-gpu"
    folder.mkdir()
    swept, wrong = next(row for row in results.rows if row.exhaustive), results.judged[0]
    wrong = replace(
        wrong, verdict=replace(wrong.verdict, violations=[Violation("accuracy:hard-labels", "it is wrong")])
    )
    replace(results, rows=[swept, wrong]).write(folder / "results.json")
    parts = {"tests": {"status": "cut off"}, "functions": {"status": "done"}}
    run = {"rehearsal": False, "driver": ["Some GPU, 580"], "backends": {}, "parts": parts}
    (folder / "run.json").write_text(json.dumps(run))
    outcomes = [{"outcome": outcome} for outcome in ("passed", "failed", "passed")]
    (folder / "tests.json").write_text(json.dumps({"tests": outcomes}))
    return folder


def test_a_device_has_a_section(with_a_device):
    page = runpy.run_path(str(FOLDER / "page.py"))["page"](with_a_device.parent)
    section = page.partition("## some-gpu\n")[2]
    assert "- Some GPU, 580\n- tests: cut off\n- tests: 1 failed, 2 passed\n" in section
    assert "[results.json](some-gpu/results.json)" in section
    assert "1 of 2 rows fail.\n- xbce: " in section
    assert section.count("\n| xbce on ") == 1
    assert "None was at hand" not in page


def test_a_rehearsal_is_no_result_of_a_device(with_a_device):
    file = with_a_device / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"rehearsal": True}))
    with pytest.raises(ValueError, match="some-gpu holds a rehearsal, which is no result of a device"):
        runpy.run_path(str(FOLDER / "page.py"))["page"](with_a_device.parent)
