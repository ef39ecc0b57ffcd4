"""Numbers that a formula needs in more digits than its dtype has, or the operations of which depend on their value."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from .._typing import Array, DType, Namespace
from .protocol import Fixed, Number

_REST = 29
"""Binary digits of a double that float32 does not hold."""


class Exponent(NamedTuple):
    """A number, as the nearest one that a dtype holds and what is left of it; and as 2 scale mantissa.

    exp(x)^(number / 2) is exp(scale x)^mantissa, where exp(scale x) underflows no sooner than exp(x)^number does.
    """

    number: Number
    head: Number
    """What float32 holds."""
    tail: Number | None
    """None if nothing is left."""
    scale: Number
    """A power of two"""
    mantissa: Number
    """0, or in [0.5, 1)"""
    mantissa_head: Number
    """What float32 holds of it."""

    @classmethod
    def of(cls, number: Number) -> "Exponent | ArrayExponent":
        """Return an exponent; a quick one, if libraries have quicker ways to it."""
        if not isinstance(number, float):
            return ArrayExponent(number)
        kind = _QuickExponent if number in QUICK else cls
        mantissa, power = math.frexp(number)
        return kind(number, *_split(number), math.ldexp(0.5, power), mantissa, _split(mantissa)[0])

    def held(self, xp: Namespace, dtype: DType, *, exactly: bool) -> "Exponent":
        """Return the exponent for one dtype, float32 or float64: its head is what the dtype holds."""
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
        """Return the exponent for one dtype, float32 or float64: its head is what the dtype holds."""
        number = self.number
        # A library's power of two may be off by its last digit.
        scale, _ = _split(2.0 ** xp.floor(xp.log2(number)))
        mantissa = number / xp.where(scale == 0, 1.0, 2 * scale)
        if exactly or xp.finfo(dtype).bits == 64:
            return Exponent(number, number, None, scale, mantissa, mantissa)
        head, mantissa_head = xp.astype(number, dtype), xp.astype(mantissa, dtype)
        tail = xp.astype(number - xp.astype(head, number.dtype), dtype)
        return Exponent(number, head, tail, scale, mantissa, mantissa_head)


AnyExponent: TypeAlias = Exponent | ArrayExponent
QUICK = (0.0, 1.0, 2.0)
"""Exponents that libraries have quicker ways to."""


@dataclass(frozen=True, slots=True)
class Exponents(Fixed):
    """What is known of two exponents, and chooses operations."""

    halved: bool
    """Whether M^g multiplies as two roots: to the power of 3/4 the least number of every dtype is a normal one."""
    whole: bool
    """Whether they are the same, and M^g, or its root, is a product of M."""
    exact: bool
    """Whether float32 holds both."""
    roots: bool
    """Whether one lies between 0 and 1."""


def exponents_of(
    pos: float, neg: float, as_argument: Callable[[float], Number]
) -> tuple[Exponents, AnyExponent, AnyExponent | None]:
    """Return what is known of two exponents, and each of them, the second one if it is another."""
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
    """A number that probabilities, and what they lack of 1, are clipped at from below."""

    number: Number
    least: Number
    """The least number of float32 that is not below it: x < both, or neither."""
    log: Number
    """log(clip)"""
    log1m: Number
    """log(1 - clip)"""
    logit: Number
    """-logit(clip)"""

    @classmethod
    def of(cls, clip: float) -> "Clip":
        """Return a clip; of 0 one that is known to be."""
        if clip == 0:
            return _NoClip(0.0, 0.0, -math.inf, 0.0, math.inf)
        head, tail = _split(clip)
        least = head + math.ulp(head) * 2.0**_REST if tail > 0 else head
        log, log1m = math.log(clip), math.log1p(-clip)
        # The difference of the logarithms cancels next to 1/2, and the quotient overflows next to 0.
        logit = math.log1p((1 - 2 * clip) / clip) if clip > 0.25 else log1m - log
        return cls(clip, least, log, log1m, logit)

    def limit(self, xp: Namespace, dtype: DType) -> Number:
        """Return a number of a dtype, float32 or float64, that numbers of it are below if they are below the clip."""
        return self.number if xp.finfo(dtype).bits == 64 else self.least

    @property
    def only_bounds(self) -> bool:
        """Whether it is 0: probabilities are in [0, 1] then, and their logarithms may be infinite."""
        return isinstance(self, Fixed)


class _NoClip(Clip, Fixed):
    __slots__ = ()


def _split(number: Number) -> tuple[Number, Number]:
    """Return a number as the nearest one that float32 holds, and what is left."""
    scaled = number * (2.0**_REST + 1)
    head = scaled - (scaled - number)
    return head, number - head
