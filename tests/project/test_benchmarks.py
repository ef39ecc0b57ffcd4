"""What the asv suite tracks besides times: errors against exact values, and the tables that are made of them."""

import numpy as np
import pytest
import report

from benchmarks import accuracy, losses, subjects
from tests.helpers import NUMPY
from xbce_conformance import contract
from xbce_conformance.cases import BY_NAME

FUNCTIONS = ("elementwise", "mean", "value_and_gradient", "training_step")


def errors_of(loss, subject, function, dtype="float32"):
    run = getattr(subjects.TABLES[loss]["numpy"][subject]("numpy"), function)
    with np.errstate(all="ignore"):
        return accuracy.errors(NUMPY, run, function, subjects.CASES[loss], dtype)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("loss", subjects.TABLES)
def test_errors_of_xbce_are_within_its_bounds(loss, function):
    found = errors_of(loss, "xbce", function)
    case = BY_NAME[subjects.CASES[loss]]
    # A derivative of a mean has two more roundings.
    bounds = [contract.bound(q, "float32", hard=False, case=case, backend="numpy") for q in ("value", "gradient")]
    assert 0 < found.max() <= max(bounds) + 2 * (function == "training_step")
    assert found.size > (0 if function == "mean" else 100)


def test_a_formula_that_is_worse_shows_as_such():
    ours, stable, textbook = (errors_of("", name, "elementwise") for name in ("xbce", "stable", "textbook"))
    assert ours.max() < 4
    assert 1e6 < stable.max() < np.inf  # x - x z for labels near 1
    assert textbook.max() == np.inf
    assert ours.mean() < 0.5 < stable.mean()


def test_every_case_that_is_timed_is_tracked():
    for benchmark in (losses.Elementwise, losses.FocalTrainingStep, losses.AsymmetricElementwise):
        assert benchmark.track_max_ulp.params[0] == benchmark.params[0]
        assert benchmark.track_max_ulp.unit == "ULP"
        assert benchmark.track_extra_bytes.params == (benchmark.params[0], (10**7,))
    assert {name.split()[2] for name in losses.FocalElementwise.params[0]} >= {"xbce", "torchvision", "optax-jit"}


def test_errors_have_a_table_of_their_own():
    same = {"benchmark": "Elementwise", "backend": "numpy", "dtype": "float32", "size": 0}
    rows = [
        {**same, "subject": "xbce", "unit": "largest ULP", "figure": 3.45},
        {**same, "subject": "xbce", "unit": "mean ULP", "figure": 0.29},
        {**same, "subject": "textbook", "unit": "largest ULP", "figure": "inf"},
        {**same, "subject": "xbce", "unit": "seconds", "figure": 1e-3, "size": 1000},
        {**same, "subject": "textbook", "unit": "seconds", "figure": 2e-3, "size": 1000},
    ]
    ((title, table),) = report.errors({"rows": rows})
    assert title == "all losses, errors"
    assert table == [
        ["backend", "subject", "float32, largest ULP", "float32, mean ULP"],
        ["numpy", "xbce", "3.45", "0.29"],
        ["numpy", "textbook", "inf", "–"],
    ]
    ((_, costs),) = report.tables({"rows": rows})
    assert costs[1][-1] == "2.00 x"
