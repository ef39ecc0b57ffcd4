"""The one rounding of a result: from a sum of two doubles to a dtype, to nearest, ties to even.

A library's conversion of the larger double decides but for the cases in which the smaller one does, and those in which
the library rounds twice: PyTorch and JAX convert float64 to the half types by way of float32.
"""

from collections.abc import Callable

from .._typing import Array, DType, Namespace
from .exact import product

DIGITS = 512
"""Binary digits of the unit of powers."""

_RANGES = {
    "bfloat16": (-133, (2 - 2.0**-7) * 2.0**127, (2 - 2.0**-8) * 2.0**127),
    "float16": (-24, 65504.0, 65520.0),
    "float32": (-149, (2 - 2.0**-23) * 2.0**127, (2 - 2.0**-24) * 2.0**127),
}
"""Exponent of the smallest number, the largest number, and the least one that becomes infinite."""


def rounded_once(xp: Namespace, high: Array, low: Array | None, power: Array | None, dtype: DType) -> Array:
    """Return (high + low) 2^(512 power), rounded to a dtype; high is the nearest double to the sum."""
    if dtype == xp.float64:
        return high if power is None else _double(xp, high, low, power)
    if power is not None:
        high, low = moderate(xp, high, power), None if low is None else moderate(xp, low, power)
    least, largest, limit = next(known for name, known in _RANGES.items() if name in str(dtype))

    def narrow(x: Array) -> Array:
        single = xp.astype(x, xp.float32)
        return xp.astype(single if dtype == xp.float32 else xp.astype(single, dtype), xp.float64)

    result = _nearest(xp, high, low, narrow, 2.0 ** (least - 1))
    # Next to the largest number the other candidate is not infinite.
    magnitude = xp.where(high < 0, -high, high)
    below = magnitude < limit
    if low is not None:
        below = below | ((magnitude == limit) & ((low < 0) != (high < 0)) & (low != 0))
    overflows = xp.isinf(result) & below
    result = xp.where(overflows & (high > 0), largest, xp.where(overflows, -largest, result))
    return xp.astype(xp.astype(result, xp.float32), dtype)


def _nearest(xp: Namespace, high: Array, low: Array | None, narrow: Callable[[Array], Array], half: float) -> Array:
    """Return the nearest number to high + low, where `narrow` rounds to such numbers, as doubles.

    `half` is half of the smallest of them. Where a library takes a number that is larger than it by half to 0, it
    flushes subnormal numbers, and 0 is the result.
    """
    near = narrow(high)
    gap = high - near
    other = narrow(near + 1.5 * gap)
    gap, other_gap = xp.where(gap < 0, -gap, gap), high - other
    other_gap = xp.where(other_gap < 0, -other_gap, other_gap)
    better = other_gap < gap
    if low is not None:
        better = better | ((other_gap == gap) & (low != 0) & ((low > 0) == (other > near)))
    flushed = (near == 0) & ((high > 1.5 * half) | (high < -1.5 * half))
    return xp.where(better & ~flushed, other, near)


def moderate(xp: Namespace, x: Array, power: Array) -> Array:
    """Return x 2^(512 power) where that is a normal double, or too large for one."""
    x = xp.where(power > 0, x * 2.0**DIGITS, xp.where(power < 0, x * 2.0**-DIGITS, x))
    x = xp.where(power > 1, x * 2.0**DIGITS, x)
    x = xp.where(power > 2, x * 2.0**DIGITS, x)
    return xp.where(power < -1, x * 2.0**-DIGITS, x)


def _double(xp: Namespace, high: Array, low: Array | None, power: Array) -> Array:
    """Return the double; a subnormal one is rounded once."""

    def narrow(x: Array) -> Array:
        # XLA would multiply the constants with each other, to 0 and infinity.
        for factor in (2.0**-DIGITS, 2.0**-DIGITS, 2.0**DIGITS, 2.0**DIGITS):
            x = product(xp, x, factor)
        return x

    deep = _nearest(xp, high, low, narrow, 2.0 ** (2 * DIGITS - 1075))
    result = moderate(xp, xp.where(power == -2, deep, high), power)
    return xp.where(power < -2, 0.0 * high, result)
