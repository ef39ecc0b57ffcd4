"""The committed figures of functions: of the documented schema, by platform, and a page that says what they say."""

import json
import re
import runpy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import numpy as np
import pytest

from tests.helpers import approx
from xbce_conformance.functions import ELEMENTARY, Report
from xbce_conformance.functions.reference import exact_values
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.results.figures import ulp_text

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "conformance" / "results" / "functions"
FILES = sorted(FOLDER.glob("*.json"))
PAGE = (FOLDER / "README.md").read_text("utf-8")


@pytest.fixture(scope="module")
def script():
    return SimpleNamespace(**runpy.run_path(str(FOLDER / "page.py")))


JAX_CANNOT = "linux-x86-64-v2", "jax", "float16"
"""Its compiler looks for a function that converts float16, which is not there."""
PLAYED_SLOWLY = "linux-aarch64", "float64"
"""Of PyTorch and JAX; their exact values would take an hour there."""


@pytest.fixture(scope="module")
def reports(script):
    return script.platforms()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_files_have_the_schema_and_the_name_of_their_platform(file, script):
    schema = json.loads((ROOT / "docs" / "functions.schema.json").read_text("utf-8"))
    jsonschema.validate(json.loads(file.read_text("utf-8")), schema)
    report = Report.read(file)
    assert script.platform_of(report) == file.stem
    assert script.best_rows(report.rows) == report.rows


def test_four_levels_are_there(reports):
    assert {"linux-x86-64-v2", "linux-x86-64-v3", "linux-x86-64-v4", "linux-aarch64"} <= reports.keys()
    for name, report in reports.items():
        measured = {(row.function, row.backend, row.dtype) for row in report.rows}
        assert measured >= {
            (function, backend, dtype)
            for function in ELEMENTARY
            for backend in ("torch:cpu", "jax")
            for dtype in FORMATS
            if (name, backend, dtype) != JAX_CANNOT and (name, dtype) != PLAYED_SLOWLY
        }
        assert measured >= {(name, "numpy", dtype) for name in ELEMENTARY for dtype in ("float32", "float64")}


def test_what_can_be_tried_at_every_number_is(reports):
    for name, report in reports.items():
        draws = 2**20 if name == "linux-aarch64" else 2**24
        for row in report.rows:
            if ELEMENTARY[row.function].arguments == 1 and row.dtype in ("float16", "bfloat16"):
                assert row.exhaustive
                assert row.count == 2**16
            elif not row.exhaustive:
                assert row.samples >= (2**17 if row.dtype == "float64" else draws)


def test_worst_errors_are_those_of_their_inputs(reports):
    """By ball arithmetic or float64: what a row says of its worst input is true."""
    for report in reports.values():
        for row in report.rows:
            fmt = FORMATS[row.dtype]
            inputs = tuple(fmt.round([float.fromhex(x)]) for x in row.worst_inputs)
            high, low = exact_values(ELEMENTARY[row.function], fmt, inputs)
            assert float.fromhex(row.worst_exact) == approx(float(high[0]), rel=1e-13), row.key
            computed, scale = float.fromhex(row.worst_computed), high
            if ELEMENTARY[row.function].scale:
                scale = ELEMENTARY[row.function].scale(*map(np.float64, inputs), high)
            if np.isfinite(row.max_ulp):
                error = abs((computed - high[0]) - low[0]) / fmt.ulp(scale[0])
                assert row.max_ulp == approx(float(error), rel=1e-5), row.key
            else:
                assert not np.isfinite(computed) or not np.isfinite(fmt.round(high[0])), row.key


def test_page_is_the_generated_one(script, reports):
    assert script.page(reports) == PAGE


def test_every_figure_is_on_the_page(reports):
    for name, report in reports.items():
        _, _, rest = PAGE.partition(f"\n## {name}\n")
        section = rest.partition("\n## ")[0]
        for row in report.rows:
            share = row.correctly_rounded / row.count
            figures = f"{'=' * row.exhaustive}{ulp_text(row.max_ulp)} / {row.mean_ulp:.2g} / {share:.1%}"
            line = rf"^\| {row.function} \|.*{re.escape(figures)}"
            assert re.search(line, section.partition(f"**{row.dtype}**")[2].partition("\n\n**")[0], re.MULTILINE)


def test_every_defect_has_a_reason_and_every_reason_a_defect(script, reports):
    found = [row for report in reports.values() for row in report.rows if script.is_defect(row)]
    assert [row.key for row in found if not script.reason_of(row)] == []
    used = {script.reason_of(row) for row in found}
    assert [reason.text for reason in script.REASONS if reason.text not in used] == []
    for row in found:
        same = [script._same(report, row) for report in reports.values()]
        worst = max((other for other in same if other), key=lambda other: other.max_ulp)
        start = f"| {row.function} | {script.library(row)} {worst.version} | {row.dtype} | {ulp_text(worst.max_ulp)}"
        (line,) = (line for line in PAGE.splitlines() if line.startswith(start))
        assert f"| `{'`, `'.join(worst.worst_inputs)}` = " in line
        assert line.endswith(f"| {script.reason_of(row)} |")


def test_plots_show_every_library_and_platform(script, reports):
    for dtype in ("float32", "float64"):
        text = (FOLDER / f"by-binade-{dtype}.svg").read_text("utf-8")
        for name in reports:
            for backend in ("numpy",) if (name, dtype) == PLAYED_SLOWLY else ("numpy", "torch:cpu", "jax"):
                assert f"{backend}, {name}" in text
        for function in script.DRAWN:
            assert f">{function}</text>" in text


# --- how files are taken --------------------------------------------------------------------------------------------


def test_every_number_counts_more_than_samples(script, reports):
    report = next(iter(reports.values()))
    sampled = next(row for row in report.rows if row.dtype == "float64")
    whole = replace(sampled, exhaustive=True, samples=0)
    few = replace(sampled, samples=7)
    for rows in ([sampled, whole, few], [few, whole, sampled]):
        assert script.best_rows(rows) == [whole]
    assert script.best_rows([few, sampled]) == [sampled] == script.best_rows([sampled, few])


def test_files_of_one_platform_become_one(script, reports, tmp_path):
    name, report = next(iter(reports.items()))
    parts = {"one": report.rows[::2], "two": report.rows[1::2]}
    for stem, rows in parts.items():
        replace(report, rows=rows, missing={stem: "absent"}).write(tmp_path / f"{stem}.json")
    found = script.taken([tmp_path / f"{stem}.json" for stem in parts])
    assert found.keys() == {name}
    assert found[name].missing == dict.fromkeys(parts, "absent")
    assert sorted(found[name].rows, key=repr) == sorted(report.rows, key=repr)


def test_levels_that_differ_are_named(script, reports):
    name, report = next(iter(reports.items()))
    row = next(row for row in report.rows if row.function == "exp")
    other = replace(report, rows=[replace(row, level="other", max_ulp=3 * row.max_ulp)])
    text = script.differences({name: replace(report, rows=[row]), "other": other})
    assert f"| exp | {script.library(row)} | {row.dtype} | {script.cell(row)} | {script.cell(other.rows[0])} |" in text
    assert "| exp |" not in script.differences({name: report, "other": report})
    assert script.differences({name: report}) == ""
