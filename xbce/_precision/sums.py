"""Sums that do not depend on the order of the terms, nor on how they are spread over chunks, shards and threads.

Each term is cut into digits of 24 bits on a grid that all numbers share. Digits of one place are integers, and their
sums are exact. `PLACES` places are kept from that of the largest term downwards, so that what is cut off a term is
below 2^-96 of the largest one. The sum of the digits is rounded once.
"""

import functools
import math
import operator
from collections.abc import Sequence
from typing import NamedTuple

from .._typing import Array, Namespace
from .exact import Parts, fast_two_sum, two_sum

BITS = 24
"""Bits of a digit; float64 holds the sums of 2^29 digits."""
PLACES = 5
LEAST = -41
"""The place of the smallest doubles; that of the largest ones is 42. A digit in place i counts 2^(24 i)."""
_STEPS = (32, 16, 8, 4, 2, 1)
FIELDS = PLACES + 2
"""Numbers of a partial sum."""

Axes = tuple[int, ...]


class PartialSum(NamedTuple):
    """What is known of the terms of a sum."""

    place: Array
    """The place of the largest magnitude."""
    digits: tuple[Array, ...]
    """The sums of the digits in this place and in those below it."""
    special: Array
    """The sum of the terms that are not finite; 0 without such terms."""

    def packed(self, xp: Namespace) -> Array:
        """Return these numbers along a last axis of length `FIELDS`."""
        return xp.stack([self.place, *self.digits, self.special], axis=-1)


def unpacked(x: Array) -> PartialSum:
    """Return a partial sum from an array with a last axis of length `FIELDS`."""
    return PartialSum(x[..., 0], tuple(x[..., i] for i in range(1, PLACES + 1)), x[..., PLACES + 1])


def partial_sum(xp: Namespace, terms: tuple[Array, ...], axes: Axes) -> PartialSum:
    """Return the partial sum along axes, which are kept; a term is the sum of one element of each array.

    The first array holds the terms rounded to double, the second what that leaves.
    """
    first = terms[0]
    size = xp.where(first < 0, -first, first)
    finite = size < math.inf
    place = _place(xp, _largest(xp, xp.where(finite, size, 0.0), axes))
    unit = _power(xp, -place)
    digits = [digit for x in terms for digit in _digits(xp, xp.where(finite, x, 0.0) * unit)]
    special, *sums = _sums(xp, [xp.where(finite, 0.0, first), *digits], axes)
    of_places = [sums[i::PLACES] for i in range(PLACES)]
    return PartialSum(place, tuple(functools.reduce(operator.add, of_place) for of_place in of_places), special)


def merged(xp: Namespace, parts: PartialSum, axes: Axes) -> PartialSum:
    """Return the partial sum of all terms of parts along axes, which are kept."""
    place = _largest(xp, parts.place - LEAST, axes) + LEAST
    gap = place - parts.place
    digits: list[Array] = []
    for i in range(PLACES):
        aligned = xp.where(gap == 0, parts.digits[i], 0.0)
        for shift in range(1, i + 1):
            aligned = xp.where(gap == shift, parts.digits[i - shift], aligned)
        digits.append(aligned)
    special, *sums = _sums(xp, [parts.special, *digits], axes)
    return PartialSum(place, tuple(sums), special)


def rounded_sum(xp: Namespace, part: PartialSum) -> Array:
    """Return the sum as a double, and what that leaves of it, along a new first axis.

    An infinite term makes it infinite; infinities of both signs, and NaN, make it NaN.
    """
    high, low = in_units(part.digits)
    power, finite = _power(xp, part.place), part.special == 0
    return xp.stack([xp.where(finite, high * power, part.special), xp.where(finite, low * power, 0.0)], axis=0)


def in_units(digits: Sequence[Array]) -> Parts:
    """Return the sum of digits in units of the first place: as a double, and what its rounding leaves."""
    high, low = digits[-1] * 2.0 ** (-BITS * (PLACES - 1)), 0.0 * digits[-1]
    for i in range(PLACES - 2, -1, -1):
        high, rest = two_sum(digits[i] * 2.0 ** (-BITS * i), high)
        high, low = fast_two_sum(high, low + rest)
    return high, low


def exact_sum(xp: Namespace, terms: tuple[Array, ...], axes: Axes) -> Array:
    """Return the sum of terms along axes, which are counted from the end, and its rest, like `rounded_sum`."""
    if not axes:
        return xp.stack([terms[0], terms[1] if len(terms) > 1 else xp.zeros_like(terms[0])], axis=0)
    return xp.squeeze(rounded_sum(xp, partial_sum(xp, terms, axes)), axis=axes)


def _sums(xp: Namespace, terms: list[Array], axes: Axes) -> list[Array]:
    """Return the sum of each array along axes, which are kept; in one pass if the library has one for several."""
    together = getattr(xp, "sums", None)
    if together is not None:
        sums: list[Array] = together(terms, axes)
        return sums
    return [xp.sum(x, axis=axes, keepdims=True) for x in terms]


def _largest(xp: Namespace, x: Array, axes: Axes) -> Array:
    """Return the largest of non-negative numbers along axes, which are kept; 0 of none."""
    if any(x.shape[axis] == 0 for axis in axes):
        return xp.sum(x, axis=axes, keepdims=True)
    return xp.max(x, axis=axes, keepdims=True)


def _place(xp: Namespace, x: Array) -> Array:
    """Return the place of x, which is at least 0: the largest i, from `LEAST` on, with 2^(24 i) <= x."""
    above = x >= 1
    place = xp.where(above, 0.0 * x, float(LEAST))
    x = xp.where(above, x, xp.where(above, 0.0, x) * 2.0 ** (-BITS * LEAST))
    for step in _STEPS:
        has = x >= 2.0 ** (BITS * step)
        x, place = xp.where(has, x * 2.0 ** (-BITS * step), x), xp.where(has, place + step, place)
    return place


def _power(xp: Namespace, place: Array) -> Array:
    """Return 2^(24 place) for a place from -42 to 42."""
    result, left = 0.0 * place + 1.0, xp.where(place < 0, -place, place)
    for step in _STEPS:
        has = left >= step
        left = xp.where(has, left - step, left)
        factor, scaled = 2.0 ** (BITS * step), xp.where(has, result, 0.0)
        result = xp.where(has, xp.where(place < 0, scaled / factor, scaled * factor), result)
    return result


def _digits(xp: Namespace, x: Array) -> list[Array]:
    """Return the digits of numbers below 2^24, from that of the units downwards."""
    digits = []
    for _ in range(PLACES):
        digit = xp.trunc(x)
        x = (x - digit) * 2.0**BITS
        digits.append(digit)
    return digits
