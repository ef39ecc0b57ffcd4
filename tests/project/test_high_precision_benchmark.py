"""What benchmarks/high_precision.py measures, and the section of the page that it writes."""

import high_precision
import pytest
from page import section

from benchmarks import calls  # noqa: F401 - the script imports it by this name
from tests.helpers import step


def test_the_page_has_what_is_committed():
    levels = high_precision.committed(high_precision.FILES)
    assert {results["level"] for results in levels} >= {"AVX-512", "AVX2"}
    for results in levels:
        assert {tuple(row[:5]) for row in results["figures"]} == set(high_precision.CASES)
    text = section(high_precision.PAGE.read_text("utf-8"), high_precision.HEADING)
    assert text.rstrip() == high_precision.section(levels).rstrip()


@pytest.mark.parametrize("library", ["NumPy", "PyTorch", "JAX"])
def test_each_case_is_measured(library):
    pytest.importorskip({"NumPy": "numpy", "PyTorch": "torch", "JAX": "jax"}[library])
    dtypes = {dtype for lib, dtype, *_ in high_precision.CASES if lib == library}
    for dtype in dtypes:
        for quantity in ("value", "mean") if library == "JAX" else (*high_precision.QUANTITIES, "step"):
            if (quantity == "step") > (library == "PyTorch"):
                continue
            with step(library, dtype, quantity):
                native, high = (
                    high_precision.call_of((library, dtype, quantity, "soft", 100), p)() for p in ("native", "high")
                )
                del native, high


def test_a_figure_is_the_median_per_element(monkeypatch):
    now = iter([0, 5, 5, 6, 6, 8])
    monkeypatch.setattr(high_precision.time, "perf_counter", lambda: next(now))
    assert high_precision.nanoseconds(lambda: None, 3, 1000) == 2e6


def test_labels():
    x, hard = high_precision.arrays("float32", "hard", 1000)
    assert set(hard) == {0, 1}
    _, soft = high_precision.arrays("float32", "soft", 1000)
    assert 0 <= soft.min() < 0.01 < 0.99 < soft.max() <= 1
    _, distilled = high_precision.arrays("float32", "distilled", 1000)
    assert ((distilled > 0.5) == (x > 0)).all()
