"""The committed results: of the documented schema, kept promises, and a page that says what they say."""

import json
import runpy
from pathlib import Path

import jsonschema
import pytest

from xbce_conformance.report.league import leagues
from xbce_conformance.report.table import ulp_text
from xbce_conformance.results import Results

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "conformance" / "results"
PAGE = (FOLDER / "README.md").read_text("utf-8")
FILES = sorted(FOLDER.glob("*/results.json"))


@pytest.fixture(scope="module", params=FILES, ids=lambda path: path.parent.name)
def results(request):
    data = json.loads(request.param.read_text("utf-8"))
    schema = json.loads((ROOT / "docs" / "results.schema.json").read_text("utf-8"))
    jsonschema.validate(data, schema)
    return Results.read(request.param)


def test_there_are_results():
    assert [path.parent.name for path in FILES] != []


def test_what_is_broken_is_on_the_page(results):
    judged = [row for row in results.rows if row.judged]
    kept = len(judged) - len(results.broken)
    assert f"The promise is kept in {kept:,} of {len(judged):,} rows" in PAGE or not results.broken
    for row in results.broken:
        assert f" on {row.backend} in {row.dtype}: {'; '.join(row.broken)}" in PAGE
    assert {row.backend for row in judged} >= {"numpy", "torch:cpu", "jax", "dask", "array-api-strict"}


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
    function = row.function.rpartition(", ")[2] if row.function.endswith("mode") else row.quantity
    label = float.fromhex(row.worst.inputs["labels"])
    return (
        f"| {row.subject} on {row.backend} | {function} | {row.dtype} | {row.count:,} | {ulp_text(row.max_ulp)} "
        f"| `{row.worst.inputs['logits']}`, {label:g} | {row.rounded / row.count:.2%} "
        f"| {row.gross:,} | {row.flushed:,} | {row.mismatched} |"
    )


def test_sweeps_are_on_the_page(results):
    swept = [row for row in results.rows if row.upper_bound]
    for row in swept:
        assert line(row) in PAGE
        assert row.count == (2**33 if row.dtype == "float32" else 2**16 * 257)
    for dtype in ("float32", "float16", "bfloat16"):
        for backend in ("numpy", "torch:cpu"):
            found = {r.quantity for r in swept if (r.subject, r.backend, r.dtype) == ("xbce", backend, dtype)}
            assert found == {"value", "gradient"}
    assert {row.quantity for row in swept if (row.subject, row.dtype) == ("torch", "float32")} == {"value", "gradient"}


def test_league_tables_are_on_the_page(results):
    for table in leagues(results).values():
        for entry in table:
            assert f"| {entry.name} | " in PAGE


def test_page_is_the_generated_one():
    page = runpy.run_path(str(FOLDER / "page.py"))
    assert page["page"](Results.read(FOLDER / "cpu" / "results.json")) == PAGE
