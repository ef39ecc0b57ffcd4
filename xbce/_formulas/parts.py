"""What several formulas are made of."""

import math
from typing import NamedTuple

from .._typing import Array, DType, Namespace
from .idioms import aside, enlarged, exp_minus_abs, minus_sign


class Halves(NamedTuple):
    """What the formulas of a logit x share."""

    h: Array
    """[x >= 0] as a number"""
    s: Array
    """-sign(x), with sign(0) = 1"""
    e: Array
    """exp(-|x|)"""


def halves(xp: Namespace, x: Array) -> Halves:
    """Return them."""
    upper = x >= 0
    h = xp.astype(upper, x.dtype)
    s = minus_sign(xp, h)
    return Halves(h, s, exp_minus_abs(xp, x, upper, s))


_REST = 29
"""Binary digits of a double that float32 does not hold."""


def split(xp: Namespace, number: float, dtype: DType) -> tuple[float, float]:
    """Return a number as the nearest one that a dtype (float32 or float64) holds, and what is left."""
    if xp.finfo(dtype).bits == 64:
        return number, 0.0
    scaled = number * (2.0**_REST + 1)
    head = scaled - (scaled - number)
    return head, number - head


def least(xp: Namespace, number: float, dtype: DType) -> float:
    """Return the least number of a dtype that is not below a number: x < both, or neither."""
    head, tail = split(xp, number, dtype)
    return head + math.ulp(head) * 2.0**_REST if tail > 0 else head


def power(xp: Namespace, base: Array, exponent: float) -> Array:
    """Return base to an exponent, both not negative, as exactly as if the dtype held the exponent.

    A rounded one would cost |log(base)| times its error: 29 ULP of float32 for exp(-36) to the power of 1.3.
    """
    if exponent == int(exponent):
        return base**exponent
    # The derivative of a root is infinite at 0, where that of the base may be 0.
    zero = base == 0
    base = xp.where(zero, 1.0, base)
    head, tail = split(xp, exponent, base.dtype)
    return xp.where(zero, 0.0, with_tail(xp, base**head, tail, base))


def with_tail(xp: Namespace, result: Array, tail: Array | float, base: Array) -> Array:
    """Return a power of the base, times the base to what is left of the exponent: 1 + tail log(base), up to 1e-11."""
    if isinstance(tail, float) and tail == 0:
        return result
    normal = float(xp.finfo(base.dtype).smallest_normal)  # JAX's logarithm of a subnormal number is -inf
    return enlarged(xp, result, tail * xp.log(xp.where(base < normal, normal, base)))


def smoothed(xp: Namespace, z: Array, smoothing: float) -> tuple[Array, Array]:
    """Return z' = z (1 - a) + a / 2 and 1 - z', each as a sum of terms of one sign."""
    if smoothing == 0:
        return z, 1 - z
    half = aside(xp, z, smoothing / 2)
    return z * (1 - smoothing) + half, (1 - z) * (1 - smoothing) + half


def signed_side(h: Array, z: Array, smoothing: float) -> Array:
    """Return h - z': 1 - z' for h = 1 and -z' for h = 0, from terms of one sign."""
    if smoothing == 0:
        return h - z
    return (h - z) * (1 - smoothing) + (h - 0.5) * smoothing
