"""Every planted fault is caught at its level, by a violation of its kind; the right loss passes."""

from pathlib import Path

import pytest

from tests.planted import FAULTS, RIGHT, caught
from xbce_conformance import measure

PAGE = Path(__file__).parents[1] / "results" / "faults" / "README.md"


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.level == "quick"])
def test_a_fault_is_caught(name):
    assert caught(name, "quick")


@pytest.mark.long
@pytest.mark.parametrize("name", FAULTS)
def test_none_passes_at_the_level_full(name):
    assert caught(name, "full")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_right_loss_passes(dtype):
    results = measure(RIGHT, dtypes=[dtype])
    assert results.failed == []
    tried = {(row.quantity, row.kind) for row in results.rows}
    assert tried == {
        *((quantity, kind) for quantity in ("value", "gradient", "hessian") for kind in ("samples", "behaviour")),
        *((quantity, "samples") for quantity in ("mean", "sum")),
        *((quantity, "invariance") for quantity in ("value", "gradient", "hessian", "mean", "sum")),
    }


def test_the_published_table_has_every_fault():
    lines = PAGE.read_text("utf-8").splitlines()
    for name in (*FAULTS, "the_right_loss"):
        assert any(line.startswith(f"| {name.replace('_', ' ')} |") for line in lines), name
    assert sum(line.endswith("| caught |") for line in lines) == len(FAULTS)
