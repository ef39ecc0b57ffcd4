"""Formats: their constants against what the libraries say, ULP at the edges, and rounding by exact rationals."""

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbce_conformance.inputs.formats import FORMATS


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
def test_constants(fmt):
    info = ml_dtypes.finfo(fmt.dtype)
    assert fmt.tiny == float(info.smallest_normal)
    assert fmt.smallest == float(info.smallest_subnormal)
    assert fmt.max == float(info.max)
    assert 2.0 ** (1 - fmt.p) == float(info.eps)


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
def test_ulp_is_the_spacing(fmt):
    x = np.array([fmt.smallest, fmt.tiny, 0.75, 1.0, 1.5, 2.0, fmt.max / 4])
    np.testing.assert_array_equal(fmt.ulp(x), np.float64(np.spacing(fmt.round(x))))
    np.testing.assert_array_equal(fmt.ulp(-x), fmt.ulp(x))
    assert fmt.ulp(0.0) == fmt.smallest


def test_ulp_just_below_a_power_of_two_is_that_of_the_lower_binade():
    below = np.nextafter(1.0, 0.0)
    assert FORMATS["float32"].ulp(below) == 2.0**-24
    assert FORMATS["float32"].ulp(1.0) == 2.0**-23


# --- rounding -------------------------------------------------------------------------------------------------------


def rounded(x, fmt):
    """Return a rational rounded to a format, to nearest, ties to even, by integers alone."""
    if x == 0:
        return 0.0
    exponent = max(x.numerator.bit_length() - x.denominator.bit_length(), fmt.emin)
    while abs(x) >= Fraction(2) ** (exponent + 1):
        exponent += 1
    while exponent > fmt.emin and abs(x) < Fraction(2) ** exponent:
        exponent -= 1
    ulp = Fraction(2) ** (exponent - fmt.p + 1)
    number = round(x / ulp) * ulp  # of a Fraction: to nearest, ties to even
    return math.copysign(math.inf, x) if abs(number) > Fraction(fmt.max) else float(number)


def middles(fmt):
    """Return magnitudes in the middle of two numbers, of every binade and subnormal ones, and where overflow begins."""
    steps = np.arange(2 ** (8 * fmt.dtype.itemsize - fmt.p) - 1, dtype=np.uint64) << np.uint64(fmt.p - 1)
    last = np.uint64(2 ** (fmt.p - 1) - 1)
    inner = np.random.default_rng(0).integers(0, last, (4, steps.size), dtype=np.uint64)
    bits = np.concatenate([steps, steps + last, *(steps + i for i in inner), np.arange(8, dtype=np.uint64)])
    lower = np.float64(fmt.from_bits(bits))
    return np.append(lower + fmt.ulp(lower) / 2, fmt.max + fmt.ulp(fmt.max) / 2)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
def test_rounds_once_at_middles_and_beside_them(name):
    """A double next to the middle of two bfloat16 numbers, which by way of float32 becomes that middle, is no tie."""
    fmt = FORMATS[name]
    at = middles(fmt)
    beside = [np.nextafter(at, 0), np.nextafter(at, np.inf), at * (1 - 2.0**-40), at * (1 + 2.0**-26)]
    x = np.concatenate([at, *beside])
    for sign in (1, -1):
        got = np.float64(fmt.round(sign * x))
        np.testing.assert_array_equal(got, [rounded(Fraction(number), fmt) for number in (sign * x).tolist()])
        assert (np.signbit(got) == (sign < 0)).all()
    assert name != "bfloat16" or (np.float64(x.astype(fmt.dtype)) != fmt.round(x)).sum() > 1000  # what it was


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
@given(data=st.data())
def test_rounds_any_double_once(fmt, data):
    x = data.draw(st.floats(allow_nan=False, allow_infinity=False))
    assert float(fmt.round(x)) == rounded(Fraction(x), fmt)
    assert fmt.round(x).dtype == fmt.dtype
    assert fmt.round(x).shape == ()


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
def test_what_is_no_number_or_of_another_shape(fmt):
    wide = np.array([[np.nan, np.inf], [-np.inf, -0.0]])
    np.testing.assert_array_equal(np.float64(fmt.round(wide)), wide)
    np.testing.assert_array_equal(np.float64(fmt.round_pair(wide, np.zeros_like(wide))), wide)
    assert np.signbit(fmt.round(-0.0))
    turned = np.arange(6.0).reshape(2, 3).T * (1 + 2.0**-8 + 2.0**-40)
    np.testing.assert_array_equal(fmt.round(turned), fmt.round(turned.ravel()).reshape(turned.shape))
    assert fmt.round([]).shape == (0,)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
def test_a_rest_decides_at_a_middle(name):
    """And however small it is; beside a middle and at a number it decides nothing."""
    fmt = FORMATS[name]
    at = middles(fmt)
    numbers = np.float64(fmt.round(at[at < fmt.max]))
    near = np.concatenate([at, np.nextafter(at, 0), np.nextafter(at, np.inf), numbers])
    for high in (near, -near):
        for low in (np.spacing(high) / 4, -np.spacing(high) / 4, np.full_like(high, math.ulp(0)), np.zeros_like(high)):
            sums = (Fraction(a) + Fraction(b) for a, b in zip(high.tolist(), low.tolist(), strict=True))
            np.testing.assert_array_equal(
                np.float64(fmt.round_pair(high, low)), [rounded(total, fmt) for total in sums]
            )


@given(high=st.floats(-1e300, 1e300), part=st.floats(-0.5, 0.5))
def test_pairs_are_rounded_once(high, part):
    low = part * math.ulp(high)
    if high + low != high:  # `high` is the nearest double
        return
    for fmt in FORMATS.values():
        assert float(fmt.round_pair(high, low)) == rounded(Fraction(high) + Fraction(low), fmt)
