"""What several formulas are made of."""

from typing import NamedTuple

from .._typing import Array, Namespace
from .exponents import Exponent
from .idioms import aside, enlarged, exp_minus_abs, minus_sign
from .protocol import Number


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


def power(xp: Namespace, base: Array, exponent: Exponent, *, whole: bool) -> Array:
    """Return base to an exponent, both not negative, as exactly as if the dtype held the exponent.

    A rounded one would cost |log(base)| times its error: 29 ULP of float32 for exp(-36) to the power of 1.3.
    """
    if whole:
        return base**exponent.head
    # The derivative of a root is infinite at 0, where that of the base may be 0.
    zero = base == 0
    base = xp.where(zero, 1.0, base)
    return xp.where(zero, 0.0, with_tail(xp, base**exponent.head, exponent.tail, base))


def with_tail(xp: Namespace, result: Array, tail: Array | Number | None, base: Array) -> Array:
    """Return a power of the base, times the base to what is left of the exponent: 1 + tail log(base), up to 1e-11."""
    if tail is None:
        return result
    normal = float(xp.finfo(base.dtype).smallest_normal)  # JAX's logarithm of a subnormal number is -inf
    return enlarged(xp, result, tail * xp.log(xp.where(base < normal, normal, base)))


def smoothed(xp: Namespace, z: Array, smoothing: Number | None) -> tuple[Array, Array]:
    """Return z' = z (1 - a) + a / 2 and 1 - z', each as a sum of terms of one sign."""
    if smoothing is None:
        return z, 1 - z
    half = aside(xp, z, smoothing / 2)
    return z * (1 - smoothing) + half, (1 - z) * (1 - smoothing) + half


def signed_side(h: Array, z: Array, smoothing: Number | None) -> Array:
    """Return h - z': 1 - z' for h = 1 and -z' for h = 0, from terms of one sign."""
    if smoothing is None:
        return h - z
    return (h - z) * (1 - smoothing) + (h - 0.5) * smoothing
