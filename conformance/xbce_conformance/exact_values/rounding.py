"""Rounds balls: to the nearest double and what is left of it, or not at all where a ball is too wide to tell."""

import math

import flint

from xbce_conformance.exact_values.signed_series import Ball

PRECISION_LIMIT = 1500  # bits; more than 1154 tell exp(-800) from nothing


def rounded(ball: Ball, *, at_any_width: bool = False) -> tuple[float, float] | None:
    """Return the nearest double and the rest, or None where the ball is too wide to tell it."""
    if not ball.is_finite():
        return (math.inf, 0.0) if ball > 0 else (-math.inf, 0.0) if ball < 0 else None
    lower, upper = nearest(ball.lower()), nearest(ball.upper())
    if lower != upper and not at_any_width:
        return None
    return lower, nearest((ball - flint.arb(lower)).mid()) if math.isfinite(lower) else 0.0


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
