"""The references against each other, and ball arithmetic against exact rational arithmetic."""

from fractions import Fraction

import flint
import numpy as np
import pytest

from xbce_conformance.cases import PLAIN
from xbce_conformance.exact_values.by_series import SeriesReference
from xbce_conformance.exact_values.definitions import cross_entropy
from xbce_conformance.exact_values.exact import Exact
from xbce_conformance.exact_values.plain_loss import BallReference, Float64Reference
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.measurement.errors import measure

DOUBLE = FORMATS["float64"]


@pytest.mark.parametrize(("quantity", "bound"), [("value", 2.0), ("gradient", 3.0), ("hessian", 3.0)])
@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
def test_float64_reference_is_certified(name, quantity, bound):
    """On all inputs that it is used for: a sample of every regime of the format, every tenth pair."""
    inputs = PLAIN.inputs(FORMATS[name], "quick")
    x, z = (inputs.arrays[name][::10] for name in ("logits", "labels"))
    exact = getattr(BallReference(), quantity)(x, z)
    reference = getattr(Float64Reference(), quantity)(x, z)
    error = np.abs((reference.high - exact.high) - exact.low) / DOUBLE.ulp(exact.scale)
    assert error.max() <= bound
    ratio = DOUBLE.ulp(reference.scale) / DOUBLE.ulp(exact.scale)
    assert set(ratio) <= {0.5, 1.0, 2.0}  # of neighbours of a power of two it may be one binade off


def test_ball_reference_rounds_correctly():
    """`high` is nearest, `low` is the rest, subnormal results included."""
    x = np.array([0.3, -17.25, 36.0, 708.5, 720.0, -740.0, 745.0, 746.0, 1e300])
    exact = BallReference().value(x, np.float64(x > 0))
    for xi, high, low in zip(x.tolist(), exact.high.tolist(), exact.low.tolist(), strict=True):
        with flint.ctx.workprec(4000):
            value = (1 + (-flint.arb(min(abs(xi), 2000.0))).exp()).log()
            mantissa, exponent = value.mid().man_exp()
        true = Fraction(int(mantissa)) * Fraction(2) ** int(exponent)
        assert float(true) == high
        assert float(true - Fraction(high)) == low


@pytest.mark.parametrize("reference", [BallReference(), SeriesReference(cross_entropy)])
@pytest.mark.parametrize("x", [900.0, 1e5, 1e300])
def test_middles_but_for_what_is_below_every_double(reference, x):
    """1 - z is the middle of two doubles and the gradient a little less, by exp(-x) that no precision shows."""
    exact = reference.exact("gradient", (np.array([x, -x]), np.array([0.3, 1 - 3 * 2.0**-53])))["gradient"]
    middle = Fraction(1) - Fraction(0.3)
    below, above = sorted((0.7, np.nextafter(0.7, 1)))
    assert (Fraction(below) + Fraction(float(above))) / 2 == middle
    assert exact.high[0] == below
    assert Fraction(below) + Fraction(exact.low[0]) == middle
    assert exact.high[1] == -(1 - 3 * 2.0**-53)
    assert exact.low[1] >= 0


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("reference", [Float64Reference(), BallReference(), SeriesReference(cross_entropy)])
def test_the_rest_tells_the_side_of_a_middle(reference, name):
    """3/4 x is the middle of two numbers, and the loss is more, by exp(-x) however small."""
    fmt = FORMATS[name]
    x = fmt.round(FORMATS[name].max / 3 * np.linspace(0.5, 1, 200))
    middle = 0.75 * np.float64(x)
    lower = np.float64(fmt.round(middle * (1 - 2.0**-50)))
    ties = middle - lower == fmt.ulp(middle) / 2
    assert ties.sum() > 20
    exact = reference.exact("value", (x[ties], fmt.round(np.full(ties.sum(), 0.25))))["value"]
    right = lower[ties] + fmt.ulp(middle[ties])
    np.testing.assert_array_equal(np.float64(fmt.round_pair(exact.high, exact.low)), right)


def test_correctly_rounded_at_a_middle():
    """A result counts as correctly rounded by the exact value, not by its nearest double."""
    fmt = FORMATS["bfloat16"]
    exact = Exact(np.full(4, 1 + 2.0**-8), np.array([2.0**-80, 2.0**-80, -(2.0**-80), 0.0]), np.ones(4))
    got = fmt.round([1, 1 + 2.0**-7, 1, 1])
    assert measure(got, exact, fmt).correctly_rounded.tolist() == [False, True, True, True]


def test_worked_values():
    x, z = np.array([9.7, 0.0, 40.0, -745.0]), np.array([0.0, 1.0, 1.0, 0.0])
    ball = BallReference()
    np.testing.assert_array_equal(
        ball.value(x, z).high, [9.700061281617296, 0.6931471805599453, 4.248354255291589e-18, 5e-324]
    )
    np.testing.assert_array_equal(ball.gradient(x, z).high[1:3], [-0.5, -4.248354255291589e-18])
    assert ball.hessian(x, z).high[1] == 0.25


def test_scale_of_soft_gradients_is_the_larger_term():
    for reference in (BallReference(), Float64Reference()):
        exact = reference.gradient(np.array([0.0, 0.0, 2.0]), np.array([0.5, 1.0, 0.25]))
        sigmoid = 1 / (1 + np.exp(-2.0))
        np.testing.assert_allclose(np.abs(exact.scale), [0.25, 0.5, 0.75 * sigmoid], rtol=1e-15)
