"""Measures: what is counted as what."""

import numpy as np
import pytest

from xbce_conformance.exact_values.exact import Exact
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.measurement.errors import Figures, allow_flushing, measure

SINGLE = FORMATS["float32"]


def exactly(values, low=0.0, scale=None):
    high = np.array(values, np.float64)
    return Exact(high, np.full_like(high, low), high if scale is None else np.array(scale, np.float64))


def test_errors_in_ulp():
    got = np.float32([1, 1 + 2**-23, 1 - 2**-24, 3])
    errors = measure(got, exactly([1.0, 1.0, 1.0, 3 + 2**-23]), SINGLE)
    np.testing.assert_array_equal(errors.ulp, [0, 1, 0.5, 0.5])
    np.testing.assert_array_equal(errors.correctly_rounded, [True, False, False, True])
    assert not errors.zero_for_normal.any()


def test_fractions_of_an_ulp_of_float64():
    errors = measure(np.array([1.0]), exactly([1.0], low=0.25 * 2**-52), FORMATS["float64"])
    assert errors.ulp == [0.25]


def test_zero_for_a_normal_number_is_gross():
    errors = measure(np.float32([0, 0, 0]), exactly([1e-9, 1e-40, 0.0]), SINGLE)
    np.testing.assert_array_equal(errors.zero_for_normal, [True, False, False])
    assert errors.ulp[0] > 1e6


def test_cancelled_terms_are_no_gross_failure():
    errors = measure(np.float32([0]), exactly([1e-9], scale=[0.25]), SINGLE)
    assert not errors.zero_for_normal.any()
    assert errors.ulp[0] < 1


@pytest.mark.parametrize("got", [np.nan, np.inf, -np.inf])
def test_not_finite_where_a_finite_number_is_right(got):
    assert measure(np.float32([got]), exactly([1.0]), SINGLE).ulp == [np.inf]


def test_overflow_is_right_where_the_exact_value_rounds_to_infinity():
    half = FORMATS["float16"]
    assert measure(np.float16([np.inf]), exactly([65520.0]), half).ulp == [0.5]
    assert measure(np.float16([np.inf]), exactly([65519.0]), half).ulp == [17 / 32], "as the next number, 65536"
    assert measure(np.float16([np.inf]), exactly([65504.0]), half).ulp == [np.inf], "the largest number"
    assert measure(np.float16([-np.inf]), exactly([65519.0]), half).ulp == [np.inf]


def test_flushing_is_counted_apart():
    tiny = SINGLE.tiny
    got = np.float32([0, 0, 3e-38, 0, 1])
    exact = exactly([1e-40, 2e-38, 2e-38, 0.03, 1.0])
    # The fourth input holds a subnormal label: replaced by zero, the exact value is zero.
    of_flushed = exactly([1e-40, 2e-38, 2e-38, 0.0, 1.0])
    bound = np.full(5, 4.0)
    errors = allow_flushing(measure(got, exact, SINGLE), got, SINGLE, bound, (exact, of_flushed))
    np.testing.assert_array_equal(errors.flushed, [True, False, True, True, False])
    np.testing.assert_array_equal(errors.zero_for_normal, [False, True, False, False, False])
    assert errors.ulp[0] == 0
    assert errors.ulp[1] > 1e6
    assert abs(3e-38 - 2e-38) < tiny


# As outside of tests: float64() of NumPy 2.0 makes a number of one element and warns; where that is an error, an array.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_small_error_is_never_called_flushing():
    got = np.float32([1.0])
    exact = exactly([1 + 3 * 2**-23])
    errors = allow_flushing(measure(got, exact, SINGLE), got, SINGLE, np.array([4.0]), (exact, exact))
    assert errors.ulp == [3]
    assert not errors.flushed.any()


def test_summary():
    got = np.float32([1, 1 + 2**-23, 0, 1])
    summary = Figures.of(measure(got, exactly([1.0, 1.0, 1.0, 1.0]), SINGLE))
    assert summary == Figures(
        count=4, max_ulp=2.0**23, p999_ulp=2.0**23, correctly_rounded=2, zero_for_normal=1, flushed=0, wrong_nonfinite=0
    )
    summary = Figures.of(measure(np.float32([1, np.nan, np.inf]), exactly([1.0, 1.0, 1.0]), SINGLE))
    assert (summary.wrong_nonfinite, summary.max_ulp) == (2, np.inf)
