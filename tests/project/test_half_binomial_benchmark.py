"""What benchmarks/half_binomial.py measures, and the section of the page that it writes."""

import json

import half_binomial
import pytest
from page import HALF_BINOMIAL, section

from benchmarks import calls  # noqa: F401 - the script imports it by this name

pytest.importorskip("sklearn")


def test_the_page_has_what_is_committed():
    results = json.loads(half_binomial.RESULTS.read_text("utf-8"))
    text = section(half_binomial.PAGE.read_text("utf-8"), HALF_BINOMIAL)
    assert text.rstrip() == half_binomial.section(results).rstrip()
    assert {tuple(row[:3]) for row in results["methods"]} == {
        (m, d, n) for m in half_binomial.METHODS for d in half_binomial.DTYPES for n in half_binomial.SIZES
    }
    assert {tuple(row[:2]) for row in results["fits"]} == {
        (solver, n) for solver in half_binomial.SOLVERS for n in half_binomial.SAMPLES
    }


@pytest.mark.parametrize("method", half_binomial.METHODS)
def test_a_method_is_measured(method):
    low, middle, high = half_binomial.of_method(method, "float32", 1000, 1, 0.0)
    assert 0 < low <= middle <= high


@pytest.mark.parametrize("solver", half_binomial.SOLVERS)
def test_a_fit_is_that_of_scikit_learn(solver):
    found, difference = half_binomial.of_fit(solver, 500, 0.0)
    assert 0 < found[0] <= found[2]
    assert difference < 1e-12


def test_a_fit_uses_the_class_in_place():
    calls_made = []

    class Counting(half_binomial.Ours):
        def loss_gradient(self, *args, **options):
            calls_made.append(args)
            return super().loss_gradient(*args, **options)

    half_binomial.fitted(Counting, "lbfgs", *half_binomial.data_of(200))
    assert calls_made
    assert half_binomial._logistic.HalfBinomialLoss is half_binomial.Theirs


def test_a_ratio_is_of_xbce_to_the_other():
    now = [0.0]

    def call(seconds):
        return lambda: now.__setitem__(0, now[0] + seconds)

    assert half_binomial.quartiles(call(3.0), call(2.0), 5.0, lambda: now[0]) == (1.5, 1.5, 1.5)
