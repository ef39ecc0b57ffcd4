"""Numbers that a formula needs in more digits than its dtype has, and numbers whose value chooses operations.

Each has a form for arrays, whose values are not known.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from .._typing import Array, DType, Namespace
from .idioms import aside
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

    def held(self, xp: Namespace, dtype: DType, *, exactly: bool) -> "Held":
        """Return the exponent for one dtype, float32 or float64, which holds its head."""
        if xp.finfo(dtype).bits == 64:
            return Held(self.number, self.number, None)
        return Held(self.number, self.head, None if exactly else self.tail)

    def scaled(self, xp: Namespace, dtype: DType) -> tuple[Number, Number]:
        """Return the scale, and the mantissa in one dtype, float32 or float64."""
        return self.scale, self.mantissa if xp.finfo(dtype).bits == 64 else self.mantissa_head


class _QuickExponent(Exponent, Fixed):
    __slots__ = ()


class ArrayExponent(NamedTuple):
    """An exponent that is an array: of the dtype of the computation, or of float64, if it stands for a number."""

    number: Array

    def held(self, xp: Namespace, dtype: DType, *, exactly: bool) -> "Held":  # noqa: ARG002
        """Return the exponent for one dtype, float32 or float64, which holds its head."""
        number = self.number
        if number.dtype == dtype:
            return Held(number, number, None)
        head = xp.astype(number, dtype)
        return Held(number, head, xp.astype(number - xp.astype(head, number.dtype), dtype))

    def scaled(self, xp: Namespace, dtype: DType) -> tuple[Number, Number]:
        """Return the scale, and the mantissa in one dtype, float32 or float64."""
        number = self.number
        # The logarithm of 0 has no derivative. exp may be wrong in the last digits, which rounding removes.
        power = xp.exp(math.log(2) * xp.floor(xp.log2(xp.where(number > 0, number, 1.0))))
        scale, _ = _split(power, 12 if xp.finfo(number.dtype).bits == 32 else _REST)
        mantissa = number / (2 * scale)
        return (scale, mantissa) if number.dtype == dtype else (scale, xp.astype(mantissa, dtype))


class Held(NamedTuple):
    """An exponent, and its head and tail in the dtype of the computation."""

    number: Number
    head: Number
    tail: Number | None

    def times(self, part: Number) -> "Held":
        """Return a multiple by powers of two, which is exact."""
        if isinstance(part, float) and part == 1:
            return self
        return Held(part * self.number, part * self.head, None if self.tail is None else part * self.tail)


AnyExponent: TypeAlias = Exponent | ArrayExponent
QUICK = (0.0, 1.0, 2.0)
"""Exponents for which libraries have faster code."""


@dataclass(frozen=True, slots=True)
class Exponents(Fixed):
    """Properties of the two exponents, which choose operations."""

    halved: bool | None
    """Whether M^g is two factors M^(g / 2), as `is_halved` says; None for arrays, where it is so of some elements."""
    whole: bool
    """Whether the exponents are equal, and M^g, or M^(g / 2), is a power with an integer exponent."""
    exact: bool
    """Whether float32 holds each exponent that is a number."""
    roots: bool
    """Whether one exponent lies between 0 and 1, or may: the values of an array are not known."""


def is_halved(exponent: Number) -> Any:
    """Tell which exponents are applied in two halves: above 3/4 the power of a number of the dtype may be subnormal."""
    return exponent > 0.75


def exponents_of(
    pos: Number, neg: Number, as_argument: Callable[[Number], Number]
) -> tuple[Exponents, AnyExponent, AnyExponent | None]:
    """Return the properties of two exponents, the first exponent, and the second one or None if it is equal."""
    arrays = not (isinstance(pos, float) and isinstance(neg, float))
    equal = pos is neg or (not arrays and pos == neg)
    halved = None if arrays else is_halved(pos) or is_halved(neg)
    root = pos / 2 if halved else pos
    first = Exponent.of(as_argument(pos))
    second = None if equal else Exponent.of(as_argument(neg))
    known = Exponents(
        halved=halved,
        whole=not arrays and equal and root == round(root),
        exact=not any(x.tail for x in (first, second) if isinstance(x, Exponent)),
        roots=arrays or 0 < pos < 1 or 0 < neg < 1,
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
    def of(cls, clip: Number) -> "Clip | ArrayClip":
        """Return a clip; for 0 one that chooses operations."""
        if not isinstance(clip, float):
            return ArrayClip(clip)
        if clip == 0:
            return NoClip(0.0, 0.0, -math.inf, 0.0, math.inf)
        head, tail = _split(clip)
        least = head + math.ulp(head) * 2.0**_REST if tail > 0 else head
        log, log1m = math.log(clip), math.log1p(-clip)
        # The difference of the logarithms cancels next to 1/2, and the quotient overflows next to 0.
        logit = math.log1p((1 - 2 * clip) / clip) if clip > 0.25 else log1m - log
        return cls(clip, least, log, log1m, logit)

    def limit(self, xp: Namespace, dtype: DType) -> Number:
        """Return a number of float32 or float64: numbers of that dtype are below it if they are below the clip."""
        return self.number if xp.finfo(dtype).bits == 64 else self.least


class NoClip(Clip, Fixed):
    """A clip of 0: probabilities are limited to [0, 1], and their logarithms may be infinite."""

    __slots__ = ()


class ArrayClip(NamedTuple):
    """A clip that is an array of the dtype of the computation; it may hold zeros."""

    number: Array

    def limit(self, xp: Namespace, dtype: DType) -> Array:  # noqa: ARG002
        """Return the limit itself, which the dtype holds."""
        return self.number


class Offset(NamedTuple):
    """A number that is added inside a logarithm; the number minus 1 also in two parts, the first rounded."""

    number: Number
    less: Number
    """number - 1, rounded to float64"""
    rest: Number
    """What that rounding leaves."""
    head: Number
    """The nearest number to `less` that float32 holds."""
    tail: Number
    """number - 1 - head"""

    @classmethod
    def of(cls, offset: Number) -> "Offset | ArrayOffset":
        """Return an offset."""
        if not isinstance(offset, float):
            return ArrayOffset(offset)
        less = offset - 1
        rest = offset - (less + 1)
        # Splitting overflows for large numbers, which cancel with nothing.
        head, tail = _split(less) if offset < 2 else (less, 0.0)
        return cls(offset, less, rest, head, tail + rest)

    def less_one(self, xp: Namespace, u: Array) -> tuple[Array | Number, Array | Number]:
        """Return the number minus 1 as two parts in the dtype of u, which holds the first."""
        return (self.less, self.rest) if xp.finfo(u.dtype).bits == 64 else (self.head, self.tail)


class ArrayOffset(NamedTuple):
    """An offset that is an array: of the dtype of the computation, or of float64, if it stands for a number."""

    number: Array

    def less_one(self, xp: Namespace, u: Array) -> tuple[Array, Array]:
        """Return the number minus 1 as two parts in the dtype of u, which holds the first."""
        number = self.number
        one = aside(xp, number, 1.0)  # or else XLA would simplify (number - 1) + 1
        less = number - one
        rest = number - (less + one)
        if number.dtype == u.dtype:
            return less, rest
        head = xp.astype(less, u.dtype)
        return head, xp.astype((less - xp.astype(head, less.dtype)) + rest, u.dtype)


def _split(number: Number, rest: int = _REST) -> tuple[Number, Number]:
    """Return a number without its last binary digits, rounded, and the rest, by Dekker's splitting."""
    scaled = number * (2.0**rest + 1)
    head = scaled - (scaled - number)
    return head, number - head
