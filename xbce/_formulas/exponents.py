"""Numbers that a formula needs in more digits than its dtype has, and numbers whose value chooses operations."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from .._typing import Array, DType, Namespace
from .protocol import Fixed, Number

_REST = 29
"""Binary digits of a double that float32 does not hold."""


class Exponent(NamedTuple):
    """A number as head + tail, where a dtype holds the head; and as 2 scale mantissa.

    exp(x)^(number / 2) is exp(scale x)^mantissa, where exp(scale x) underflows no sooner than exp(x)^number does.
    """

    number: Number
    head: Number
    """The nearest number that float32 holds."""
    tail: Number | None
    """number - head; None if the head is exact."""
    scale: Number
    """A power of two"""
    mantissa: Number
    """0, or in [0.5, 1)"""
    mantissa_head: Number
    """The nearest number to the mantissa that float32 holds."""

    @classmethod
    def of(cls, number: Number) -> "Exponent | ArrayExponent":
        """Return an exponent; one that chooses operations if it is in `QUICK`."""
        if not isinstance(number, float):
            return ArrayExponent(number)
        kind = _QuickExponent if number in QUICK else cls
        mantissa, power = math.frexp(number)
        return kind(number, *_split(number), math.ldexp(0.5, power), mantissa, _split(mantissa)[0])

    def held(self, xp: Namespace, dtype: DType, *, exactly: bool) -> "Exponent":
        """Return the exponent for one dtype, float32 or float64, which holds its head."""
        if xp.finfo(dtype).bits == 64:
            return self._replace(head=self.number, tail=None, mantissa_head=self.mantissa)
        return self._replace(tail=None) if exactly else self

    def times(self, part: float) -> "Exponent":
        """Return a multiple by a power of two, which is exact."""
        if part == 1:
            return self
        tail = None if self.tail is None else part * self.tail
        return self._replace(number=part * self.number, head=part * self.head, tail=tail, scale=part * self.scale)


class _QuickExponent(Exponent, Fixed):
    __slots__ = ()


class ArrayExponent(NamedTuple):
    """An exponent that is an array without dimensions."""

    number: Array

    def held(self, xp: Namespace, dtype: DType, *, exactly: bool) -> Exponent:
        """Return the exponent for one dtype, float32 or float64, which holds its head."""
        number = self.number
        # A library's power of two may be wrong in the last digit, which the split removes.
        scale, _ = _split(2.0 ** xp.floor(xp.log2(number)))
        mantissa = number / xp.where(scale == 0, 1.0, 2 * scale)
        if exactly or xp.finfo(dtype).bits == 64:
            return Exponent(number, number, None, scale, mantissa, mantissa)
        head, mantissa_head = xp.astype(number, dtype), xp.astype(mantissa, dtype)
        tail = xp.astype(number - xp.astype(head, number.dtype), dtype)
        return Exponent(number, head, tail, scale, mantissa, mantissa_head)


AnyExponent: TypeAlias = Exponent | ArrayExponent
QUICK = (0.0, 1.0, 2.0)
"""Exponents for which libraries have faster code."""


@dataclass(frozen=True, slots=True)
class Exponents(Fixed):
    """Properties of the two exponents, which choose operations."""

    halved: bool
    """Whether M^g is two factors M^(g / 2): above 3/4 the power of a number of the dtype may be subnormal."""
    whole: bool
    """Whether the exponents are equal, and M^g, or M^(g / 2), is a power with an integer exponent."""
    exact: bool
    """Whether float32 holds both exponents."""
    roots: bool
    """Whether one exponent lies between 0 and 1."""


def exponents_of(
    pos: float, neg: float, as_argument: Callable[[float], Number]
) -> tuple[Exponents, AnyExponent, AnyExponent | None]:
    """Return the properties of two exponents, the first exponent, and the second one or None if it is equal."""
    halved = pos > 0.75 or neg > 0.75
    root = pos / 2 if halved else pos
    first = Exponent.of(as_argument(pos))
    second = None if pos == neg else Exponent.of(as_argument(neg))
    known = Exponents(
        halved=halved,
        whole=pos == neg and root == round(root),
        exact=all(isinstance(x, Exponent) and not x.tail for x in (first, second or first)),
        roots=0 < pos < 1 or 0 < neg < 1,
    )
    return known, first, second


class Clip(NamedTuple):
    """The lower limit for probabilities and for 1 minus them."""

    number: Number
    least: Number
    """The smallest float32 number that is at least `number`: a float32 number is below both, or below neither."""
    log: Number
    """log(clip)"""
    log1m: Number
    """log(1 - clip)"""
    logit: Number
    """-logit(clip)"""

    @classmethod
    def of(cls, clip: float) -> "Clip":
        """Return a clip; for 0 one that chooses operations."""
        if clip == 0:
            return _NoClip(0.0, 0.0, -math.inf, 0.0, math.inf)
        head, tail = _split(clip)
        least = head + math.ulp(head) * 2.0**_REST if tail > 0 else head
        log, log1m = math.log(clip), math.log1p(-clip)
        # The difference of the logarithms cancels next to 1/2, and the quotient overflows next to 0.
        logit = math.log1p((1 - 2 * clip) / clip) if clip > 0.25 else log1m - log
        return cls(clip, least, log, log1m, logit)

    def limit(self, xp: Namespace, dtype: DType) -> Number:
        """Return a number of float32 or float64: numbers of that dtype are below it if they are below the clip."""
        return self.number if xp.finfo(dtype).bits == 64 else self.least

    @property
    def only_bounds(self) -> bool:
        """Whether the clip is 0: probabilities are limited to [0, 1], and their logarithms may be infinite."""
        return isinstance(self, Fixed)


class _NoClip(Clip, Fixed):
    __slots__ = ()


def _split(number: Number) -> tuple[Number, Number]:
    """Return the nearest number that float32 holds, and the rest, by Dekker's splitting."""
    scaled = number * (2.0**_REST + 1)
    head = scaled - (scaled - number)
    return head, number - head
