"""Operations that lose nothing: sums and products of two numbers as a rounded result and its exact error.

They are exact in IEEE 754 arithmetic that rounds each operation. A compiler that contracts a product and a sum to one
rounding, or moves constants, would change them. So products that are rounded pass through `settled`, and constants
that meet arrays through `variable`: idioms that only such compilers need, and that programs drop.
"""

from .._formulas import idiom, is_array, settled
from .._typing import Array, Namespace

Parts = tuple[Array, Array]
"""A rounded result and its error."""

_SPLITTER = 2.0**27 + 1


@idiom()
def variable(xp: Namespace, like: Array, number: float) -> Array:
    """Return a number as an array, so that no compiler combines it with other constants."""
    return xp.where(like == like, number, like)


def clean(xp: Namespace, low: Array) -> Array:
    """Return the lower part of a number, 0 where it is NaN: next to an infinity."""
    return xp.where(low == low, low, 0.0) if is_array(low) else low


def product(xp: Namespace, a: Array, b: Array) -> Array:
    """Return a b, rounded, so that no compiler contracts it with a sum: XLA does, but not through a selection."""
    result = a * b
    return settled(xp, result) if is_array(result) else result


def two_sum(a: Array, b: Array) -> Parts:
    """Return a + b and its error."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def fast_two_sum(a: Array, b: Array) -> Parts:
    """Return a + b and its error, where a is 0 or has no smaller exponent than b."""
    s = a + b
    return s, b - (s - a)


def split(xp: Namespace, a: Array) -> Parts:
    """Return a as the sum of two numbers of 26 binary digits; |a| is below 2^996."""
    c = product(xp, a, _SPLITTER)
    high = c - (c - a)
    return high, a - high


def two_product(xp: Namespace, a: Array, b: Array) -> Parts:
    """Return a b and its error, if neither overflows nor is below 2^-969."""
    p = product(xp, a, b)
    (a_high, a_low), (b_high, b_low) = split(xp, a), split(xp, b)
    # These four products are exact, so contraction does not change them.
    return p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low


def two_square(xp: Namespace, a: Array) -> Parts:
    """Return a^2 and its error."""
    p = product(xp, a, a)
    high, low = split(xp, a)
    return p, ((high * high - p) + 2 * (high * low)) + low * low
