"""The judge: xbce keeps its promise, and each kind of broken loss is caught by its own row."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

import xbce
from tests.helpers import NUMPY, approx, step
from xbce_conformance import contract
from xbce_conformance.cases import CASES, PLAIN
from xbce_conformance.contract.data import load
from xbce_conformance.exact_values.exact import Exact
from xbce_conformance.exact_values.reductions import exact_denominator, exact_quotient, exact_reduction
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.inputs.input_set import SEARCHED
from xbce_conformance.judge import runner
from xbce_conformance.measurement.errors import measure
from xbce_conformance.subjects.jobs import jobs
from xbce_conformance.subjects.model import Function, Subject

right = xbce.binary_cross_entropy_with_logits


def judge(function, quantity, dtype="float32", case=PLAIN):
    """Return the row of a function that claims to keep the promise."""
    tried = Function("tried", (quantity,), function, case=case)
    subject = Subject("tried", "1", NUMPY, (dtype,), (tried,), judged=True)
    ((row,),) = runner.run(jobs([subject], (dtype,)), "quick")
    return row


def test_xbce_keeps_its_promise():
    for dtype in NUMPY.dtypes:
        for quantity, function in (("value", right), ("gradient", right.gradient), ("hessian", right.hessian)):
            row = judge(function, quantity, dtype)
            with step(NUMPY, function, quantity, dtype):
                assert row.violations == []
                assert row.figures.max_ulp <= max(row.verdict.bound.values())
                assert row.special.mismatches == []


def quiet(function):
    def wrapped(x, z):
        with np.errstate(all="ignore"):
            return function(x, z)

    return wrapped


def softplus(x):
    return np.maximum(x, x.dtype.type(0)) + np.log1p(np.exp(-np.abs(x)))


def tensorflow_formula(x, z):
    return softplus(x) - x * z


@pytest.mark.parametrize("regime", ["soft near 1", "soft near 0"])
def test_cancellation_is_caught_by_the_regime_that_it_is_in(regime):
    """Subtracting x z from x loses the digits of labels near 1 only; other broken losses are in test_named.py."""
    row = judge(quiet(tensorflow_formula), "value")
    assert any("ULP for soft labels" in text for text in row.violations)
    assert (row.regimes[regime] > 1e6) == (regime == "soft near 1")
    assert row.worst.regime in row.regimes


FOCAL = next(case for case in CASES if case.name == "sigmoid_focal_loss(gamma=2, alpha=0.25)")


def focal_of_rounded_probability(x, z):
    """Return the focal loss as it is often written: 1 - p_t from a rounded p_t."""
    p = 1 / (1 + np.exp(-x))
    p_t = p * z + (1 - p) * (1 - z)
    return ((0.25 * z + 0.75 * (1 - z)) * (1 - p_t) ** 2 * right(x, z)).astype(x.dtype)


def test_a_broken_focal_loss_is_caught():
    row = judge(quiet(focal_of_rounded_probability), "value", case=FOCAL)
    assert any("results are zero where a normal number is right" in text for text in row.violations)
    assert row.regimes["tail, label agrees"] > 1e6
    assert row.case == FOCAL.name
    assert row.profiles.logit == {}


def test_bounds_grow_with_the_exponent():
    row = judge(quiet(focal_of_rounded_probability), "value", case=FOCAL)
    assert row.verdict.bound == {"hard": 19.0, "soft": 19.0}


def mean_of(function, denominator):
    case = next(case for case in CASES if case.function == "reduce")
    tried = Function("tried", ("mean",), function, case=case, denominator=denominator)
    subject = Subject("tried", "1", NUMPY, ("float64",), (tried,), judged=True)
    ((row,),) = runner.run(jobs([subject], ("float64",)), "quick")
    return row


def test_masks_must_select():
    """A mask that multiplies lets NaN and inf through."""

    def multiplied(losses, weight, where):
        return quiet(lambda a, w: (a * w * where).sum() / where.sum())(losses, weight)

    def selected(losses, weight, where):
        return (losses * weight)[where].sum() / where.sum()

    assert mean_of(multiplied, "count").violations != []
    assert mean_of(selected, "count").violations == []
    assert mean_of(selected, "size").violations != []


def test_worst_case_reproduces():
    row = judge(quiet(tensorflow_formula), "value")
    x, z = (np.float32([float.fromhex(row.worst.inputs[name])]) for name in ("logits", "labels"))
    computed = tensorflow_formula(x, z)[0]
    assert float(computed).hex() == row.worst.computed
    exact = float.fromhex(row.worst.exact)
    assert abs(float(computed) - exact) / (2.0 ** (math.floor(math.log2(exact)) - 23)) == approx(
        row.figures.max_ulp, rel=1e-9
    )


def test_reductions_are_judged_per_regime():
    def mean_of_rounded(x, z):
        return right(x, z).mean(dtype=np.float64).astype(x.dtype) * np.float16(1.01)

    row = judge(mean_of_rounded, "mean", "float16")
    assert any("on 'digits'" in text for text in row.violations)
    row = judge(lambda x, z: right(x, z, reduction="mean"), "mean", "float16")
    assert row.violations == []
    assert row.figures.count == len(row.regimes)
    assert SEARCHED not in row.regimes


def test_exact_mean_is_exact():
    high = np.array([0.1, 0.2, 0.4])
    mean, rest = exact_reduction("mean", Exact(high, np.zeros(3), high))
    true = sum(map(Fraction, high.tolist())) / 3
    assert mean == float(true)
    assert abs(Fraction(mean) + Fraction(rest) - true) < Fraction(1, 2**106)


def test_denominators():
    arrays = {"weight": np.array([0.5, 0.0, 3.0, 8.0])}
    where = np.array([True, True, True, False])
    found = {name: exact_denominator(name, arrays, where) for name in ("count", "size", "weight", "nonzero", "batch")}
    assert found == {"count": 3, "size": 4, "weight": Fraction(7, 2), "nonzero": 2, "batch": 4}


def test_exact_derivative_of_a_mean():
    exact = Exact(np.array([1.0, 2.0]), np.array([0.0, 2.0**-60]), np.array([1.0, 6.0]))
    quotient = exact_quotient(exact, Fraction(3), np.array([True, False]))
    np.testing.assert_array_equal(quotient.high, [1 / 3, 0])
    assert Fraction(quotient.high[0]) + Fraction(quotient.low[0]) == approx(Fraction(1, 3), rel=1e-30)
    np.testing.assert_array_equal(quotient.scale, [1 / 3, 0])


@pytest.mark.parametrize(
    ("high", "low", "got", "ulp"),
    [
        (65520.0, -1e-20, np.inf, 0.5),  # less than the middle by what float32 cannot tell
        (65508.0, 0.0, np.inf, 0.875),
        (65520.0, 0.0, np.inf, 0.5),  # rounds to infinity
        (65520.0, 0.0, 65504.0, 0.5),
        (65504.0, 0.0, np.inf, np.inf),
        (65508.0, 0.0, -np.inf, np.inf),
        (65508.0, 0.0, np.nan, np.inf),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_infinity_is_the_next_number_beyond_the_largest(high, low, got, ulp, sign):
    exact = Exact(np.array([sign * high]), np.array([sign * low]), np.array([high]))
    with np.errstate(invalid="ignore"):
        errors = measure(np.array([sign * got], np.float16), exact, FORMATS["float16"])
    assert errors.ulp[0] == approx(ulp, rel=1e-15) if np.isfinite(ulp) else np.isinf(errors.ulp[0])
    assert errors.correctly_rounded[0] == (low == 0 and high == 65520.0 and got == np.inf)


def test_nothing_is_beyond_the_largest_number_of_float64():
    largest = FORMATS["float64"].max
    exact = Exact(np.array([largest]), np.array([0.0]), np.array([largest]))
    assert np.isinf(measure(np.array([np.inf]), exact, FORMATS["float64"]).ulp[0])


def test_a_subject_must_return_the_dtype_of_its_logits():
    row = judge(lambda x, z: np.float64(right(x, z)), "value")
    says = "it returned float64; float32 is expected, the dtype of its first argument"
    assert (row.failure, row.violations) == (says, [says])
    assert (row.figures.count, row.figures.max_ulp) == (0, math.inf)


def test_flushing_backend_is_allowed_only_what_flushing_explains():
    def flush(x, z):
        value = right(x, z)
        return np.where(np.abs(value) < np.finfo(np.float32).tiny, 0, value).astype(np.float32)

    row = judge(flush, "value")
    assert row.violations
    flushing = replace(NUMPY, to_numpy=np.asarray, from_numpy=lambda a: np.array(a).view(_Flushed))
    subject = Subject("tried", "1", flushing, ("float32",), (Function("tried", ("value",), flush),), judged=True)
    ((row,),) = runner.run(jobs([subject], ("float32",)), "quick")
    assert row.violations == []
    assert row.figures.flushed > 1000


class _Flushed(np.ndarray):
    """A NumPy array whose products lose subnormal numbers, as JAX's do; enough for the probe of a backend."""

    def __mul__(self, other):
        product = np.asarray(self) * np.asarray(other)
        return np.where(np.abs(product) < np.finfo(product.dtype).tiny, 0, product)


def test_contract_is_complete():
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        for quantity in ("value", "gradient", "hessian", "label_gradient", "sum", "mean"):
            for hard in (True, False):
                assert 0.5 <= contract.bound(quantity, dtype, hard=hard) <= 4
    with pytest.raises(LookupError, match="no bound is stated for value of binary_cross_entropy_with_logits in float8"):
        contract.bound("value", "float8", hard=True)


def test_exceptions_have_reasons_and_name_real_backends():
    from xbce_conformance.subjects.backends import BACKEND_NAMES

    for row in load("contract.json")["exceptions"]:
        assert set(row["backends"]) <= set(BACKEND_NAMES)
        assert "found: " in row["reason"]
        usual = contract.bound(row["quantity"], row["dtype"], hard=row.get("labels") != "soft")
        assert row["ulp"] > usual
