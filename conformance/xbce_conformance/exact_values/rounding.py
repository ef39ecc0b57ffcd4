"""Rounds balls: to the nearest double and what is left of it, or not at all where a ball is too wide to tell."""

import math

import flint

from xbce_conformance.exact_values.signed_series import Ball

_SMALLEST = math.ulp(0.0)
_MIDDLE_BITS = 25
"""A middle of two numbers of a format narrower than float64 has no more significant bits."""
_LEAST_MIDDLE = 2.0**-150


def rounded(ball: Ball, *, at_any_width: bool = False) -> tuple[float, float] | None:
    """Return the nearest double and the rest, or None where the ball is too wide to tell it.

    Too wide is also one that leaves open on which side of a double it lies that may be the middle of two numbers of a
    narrower format: there the rest is not 0 unless the ball is that double.
    """
    if not ball.is_finite():
        return (math.inf, 0.0) if ball > 0 else (-math.inf, 0.0) if ball < 0 else None
    lower, upper = nearest(ball.lower()), nearest(ball.upper())
    if lower != upper and not at_any_width:
        return None
    if not math.isfinite(lower):
        return lower, 0.0
    rest = ball - flint.arb(lower)
    low = nearest(rest.mid())
    if not _may_be_middle(lower) or rest == 0:
        return lower, low
    if not (rest > 0 or rest < 0):
        return (lower, low) if at_any_width else None
    return lower, low or (_SMALLEST if rest > 0 else -_SMALLEST)


def _may_be_middle(x: float) -> bool:
    return abs(x) >= _LEAST_MIDDLE and math.ldexp(math.frexp(x)[0], _MIDDLE_BITS).is_integer()


def nearest(exact: flint.arb) -> float:
    """Round an exact ball (of radius 0) to the nearest double, ties to even; correct for subnormal results too."""
    mantissa, exponent = (int(part) for part in exact.man_exp())
    leading = exponent + mantissa.bit_length()
    if mantissa == 0 or leading < -1080:
        return 0.0
    infinite = math.inf if mantissa > 0 else -math.inf
    if leading > 1100:
        return infinite
    try:
        # Python's division of integers rounds correctly in the whole range.
        return mantissa / (1 << -exponent) if exponent < 0 else float(mantissa << exponent)
    except OverflowError:
        return infinite
