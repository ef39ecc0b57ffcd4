"""Hashes of high precision: a small part on every backend, and that one changed bit is found."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.helpers import NUMPY
from xbce_conformance.cli import main
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.invariance import FUNCTIONS, Report, expected, report, run
from xbce_conformance.invariance.grid import ORDERS, POINTS, TERMS, arrays, orders
from xbce_conformance.invariance.hashes import grid_hash
from xbce_conformance.subjects.backends import find_backends

RESULTS = Path(__file__).parents[1] / "results" / "hashes"
VALUE, SUM = "binary_cross_entropy_with_logits, value", "reduce, sum"


def changed(x):
    """Return a copy of an array that has another last bit in one of its normal numbers, if it has such."""
    bits = np.array(x).view("u4")
    places = np.flatnonzero(np.isfinite(x) & (np.abs(x) > FORMATS["float32"].tiny))
    bits.flat[places[:1]] ^= 1
    return bits.view(np.float32)


@pytest.mark.parametrize("dtype", FORMATS)
def test_inputs_have_the_bits_that_are_expected(dtype):
    assert grid_hash(dtype) == expected()["grid"][dtype]
    grid = arrays(dtype)
    assert {x.shape for x in grid.values()} == {(POINTS,), (TERMS,)}
    with np.errstate(invalid="ignore"):
        x, z = grid["logits"].astype(np.float64), grid["logit_labels"].astype(np.float64)
    assert np.isnan(x).any()
    assert {np.inf, -np.inf} < {*x.tolist()}
    assert ((x != 0) & (np.abs(x) < FORMATS[dtype].tiny)).sum() > 10
    finite = x[np.isfinite(x) & (x != 0)]
    assert len({*np.frexp(finite)[1].tolist()}) > 0.6 * 2 * (1 - FORMATS[dtype].emin)  # of all binades
    assert np.isin(z, (0, 1)).sum() > POINTS / 3
    with np.errstate(over="ignore", invalid="ignore"):
        assert (np.abs(1 / (1 + np.exp(-x)) - z) <= 2 * FORMATS[dtype].ulp(z)).sum() > POINTS / 16


def test_orders_are_permutations():
    assert (np.sort(orders(), axis=1) == np.arange(TERMS)).all()
    assert len({order.tobytes() for order in orders()}) == ORDERS


def test_every_backend_has_the_hashes_that_are_expected():
    backends = find_backends()[0]
    found = run(backends, ["float32"], [VALUE, SUM], compiled=False)
    assert {row.mode.partition(",")[0] for row in found.rows} == {*backends}
    assert [report.fault(row) for row in found.rows if row.failed] == []
    assert {row.normal for row in found.rows} == {expected()["hashes"]["float32"][name][0] for name in (VALUE, SUM)}


@pytest.mark.parametrize("name", [VALUE, SUM])
def test_one_changed_bit_is_found(name):
    """In another library by comparison, in NumPy alone by the hash that is expected."""

    def to_numpy(x):
        return changed(np.asarray(x)) if np.ndim(x) else np.asarray(x)

    def last_sum(x):
        return np.asarray(changed(np.asarray(x)[None])[0])

    wrong = replace(NUMPY, to_numpy=to_numpy if name == VALUE else last_sum)
    found = run({"numpy": NUMPY, "other": replace(wrong, name="other")}, ["float32"], [name], compiled=False)
    by_mode = {row.mode: row for row in found.rows}
    assert not by_mode["numpy"].failed
    other = by_mode["other"]
    assert other.failed
    assert not other.expected
    assert other.difference.normal == (1 if name == VALUE else ORDERS)
    assert other.difference.result != other.difference.expected
    assert other.difference.inputs[0] in report.fault(other)
    (alone, *_) = run({"numpy": wrong}, ["float32"], [name], compiled=False).rows
    assert alone.failed
    assert not alone.difference
    assert report.fault(alone) == "not the expected hash"


def test_an_order_with_another_sum_is_found():
    calls = iter(range(10**6))

    def every_tenth(x):
        return np.asarray(changed(np.asarray(x)[None])[0]) if next(calls) % 10 == 3 else np.asarray(x)

    other = replace(NUMPY, name="other", to_numpy=every_tenth)
    found = run({"numpy": NUMPY, "other": other}, ["float32"], [SUM], compiled=False)
    (row,) = [row for row in found.rows if row.mode == "other"]
    assert row.orders == row.difference.normal == ORDERS / 10
    assert "10 orders have another sum" in report.fault(row)


def test_flushed_results_are_apart():
    """What flushes may have 0 for subnormal results; what does not flush may not."""
    tiny = FORMATS["float32"].tiny

    def flushed(x):
        return np.where(np.abs(x) < tiny, np.float32(0), x)

    # The question whether a backend flushes is asked with two numbers.
    secretly = replace(NUMPY, name="other", to_numpy=lambda x: flushed(x) if x.size > 2 else x)
    for backend, failed in ((secretly, True), (replace(secretly, to_numpy=flushed), False)):
        found = run({"numpy": NUMPY, "other": backend}, ["float32"], [VALUE], compiled=False)
        (row,) = [row for row in found.rows if row.mode == "other"]
        assert row.difference.normal == 0
        assert row.difference.subnormal > 0
        assert row.flushes != failed
        assert row.failed == failed


def test_command(tmp_path, monkeypatch):
    options = ["hashes", "--backend", "numpy", "--dtype", "float32", "--function", VALUE, "--out", str(tmp_path)]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 0, result.output
    file = tmp_path / "hashes.json"
    (row,) = Report.read(file).rows
    assert [row.normal, row.subnormal] == expected()["hashes"]["float32"][VALUE]
    assert f"| {VALUE} | = |" in (tmp_path / "hashes.md").read_text("utf-8")
    Report.read(file).write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == file.read_bytes()
    other = {"grid": {}, "hashes": {"float32": {VALUE: ["", ""]}}}
    monkeypatch.setattr(report, "expected", lambda: other)
    result = CliRunner().invoke(main, [*options, "--expected", str(tmp_path / "expected.json")])
    assert result.exit_code == 1
    assert f"numpy, float32: {VALUE}: not the expected hash" in result.output
    written = json.loads((tmp_path / "expected.json").read_text("utf-8"))
    assert written["hashes"] == {"float32": {VALUE: [row.normal, row.subnormal]}}
    assert written["grid"] == {"float32": expected()["grid"]["float32"]}


def test_published_page_is_what_the_files_say():
    page = runpy.run_path(str(RESULTS / "page.py"))
    reports = page["read"]()
    assert page["page"](reports) == (RESULTS / "README.md").read_text("utf-8")
    assert {report.modes["numpy"]["level"] for report in reports} >= {"x86-64-v2", "x86-64-v3", "x86-64-v4"}
    for report_ in reports:
        assert {*report_.grid.items()} <= {*expected()["grid"].items()}
        for row in report_.rows:
            assert not row.failed, (row.mode, row.dtype, row.function)
            assert row.normal == expected()["hashes"][row.dtype][row.function][0]


def test_names_are_unique_and_every_one_is_expected():
    names = [function.name for function in FUNCTIONS]
    assert len({*names}) == len(names)
    for dtype in FORMATS:
        assert [*expected()["hashes"][dtype]] == names
