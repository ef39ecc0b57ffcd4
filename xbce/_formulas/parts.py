"""Terms that several formulas share."""

from typing import NamedTuple

from .._typing import Array, Namespace
from .exponents import Held
from .idioms import aside, enlarged, exp_minus_abs, is_array, minus_sign, one_where
from .protocol import Number


class Halves(NamedTuple):
    """Terms of a logit x."""

    h: Array
    """[x >= 0] as a number"""
    s: Array
    """-sign(x), with sign(0) = 1"""
    e: Array
    """exp(-|x|)"""


def halves(xp: Namespace, x: Array) -> Halves:
    """Return the terms of a logit."""
    upper = x >= 0
    h = xp.astype(upper, x.dtype)
    s = minus_sign(xp, h)
    return Halves(h, s, exp_minus_abs(xp, x, upper, s))


def power(xp: Namespace, base: Array, exponent: Held, *, whole: bool) -> Array:
    """Return base to an exponent, both not negative, as accurately as if the dtype held the exponent.

    Rounding the exponent would cost |log(base)| times its error: 29 ULP of float32 for exp(-36) to the power of 1.3.
    """
    if whole:
        return base**exponent.head
    # At 0 the derivative of a root is infinite, and the derivative of the base may be 0: NaN by the chain rule.
    zero = base == 0
    base = one_where(xp, zero, base)
    result = with_tail(xp, base**exponent.head, exponent.tail, base)
    # An array of exponents may hold zeros.
    return xp.where(zero & (exponent.head > 0) if is_array(exponent.head) else zero, 0.0, result)


def with_tail(xp: Namespace, result: Array, tail: Array | Number | None, base: Array) -> Array:
    """Return a power of the base times base^tail, which is 1 + tail log(base) up to 1e-11."""
    if tail is None:
        return result
    # JAX's logarithm of a subnormal number is -inf: https://github.com/jax-ml/jax/issues/37670
    normal = float(xp.finfo(base.dtype).smallest_normal)
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
