"""Checks the error-free transformations of `xbce/_precision/exact.py` on all numbers of a small format.

That they lose nothing is a theorem for every precision (Dekker 1971, Knuth, Veltkamp), which the scripts take as known.
Here the functions themselves run on numbers of a few binary digits, exhaustively: whoever changes an operation of one
of them is told. Powers of two change nothing, so that one number needs one exponent only.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from xbce._precision import exact


class Small:
    """A number of `digits` binary digits, whose operations round to nearest, ties to even."""

    __slots__ = ("digits", "value")

    def __init__(self, value: Fraction, digits: int) -> None:
        self.value, self.digits = value, digits

    def __add__(self, other: "Small") -> "Small":
        return self._rounded(self.value + _value(other))

    def __sub__(self, other: "Small") -> "Small":
        return self._rounded(self.value - _value(other))

    def __mul__(self, other: "Small | float") -> "Small":
        return self._rounded(self.value * _value(other))

    __rmul__ = __mul__

    def _rounded(self, x: Fraction) -> "Small":
        if not x:
            return Small(x, self.digits)
        size = abs(x)
        exponent = size.numerator.bit_length() - size.denominator.bit_length()
        exponent -= size < Fraction(2) ** exponent
        unit = Fraction(2) ** (exponent + 1 - self.digits)
        return Small(round(x / unit) * unit, self.digits)  # ties to even


def _value(x: "Small | float") -> Fraction:
    return x.value if isinstance(x, Small) else Fraction(x)


def _numbers(digits: int, exponents: range) -> Iterator[Small]:
    for exponent in exponents:
        for mantissa in range(2 ** (digits - 1), 2**digits):
            for sign in (1, -1):
                yield Small(sign * mantissa * Fraction(2) ** exponent, digits)


def wrong(digits: int) -> Iterator[str]:
    """Yield what the transformations get wrong among numbers of some digits."""
    splitter = exact._SPLITTER  # noqa: SLF001
    exact._SPLITTER = 2.0 ** ((digits + 1) // 2) + 1  # noqa: SLF001
    try:
        first = [*_numbers(digits, range(1))]
        for a in first:
            yield from _differ("two_square", exact.two_square(None, a), a.value**2)
            yield from _wrong_split(a)
            for b in first:
                yield from _differ("two_product", exact.two_product(None, a, b), a.value * b.value)
            for b in [*_numbers(digits, range(-digits - 2, digits + 3)), Small(Fraction(0), digits)]:
                yield from _differ("two_sum", exact.two_sum(a, b), a.value + b.value)
                if abs(b.value) <= abs(a.value):
                    yield from _differ("fast_two_sum", exact.fast_two_sum(a, b), a.value + b.value)
    finally:
        exact._SPLITTER = splitter  # noqa: SLF001


def _wrong_split(a: Small) -> list[str]:
    parts = exact.split(None, a)
    found = _differ("split", parts, a.value, rounded=False)
    half = a.digits // 2
    # What the products need: the upper part has half of the digits, the lower one as many and its sign.
    upper, lower = (x.value for x in parts)
    if upper % 2 ** ((a.digits + 1) // 2) or abs(lower) > 2 ** ((a.digits + 1) // 2 - 1):
        found.append(f"split({a.value}) has a part of more than {half} digits")
    return found


def _differ(name: str, result: Any, right: Fraction, *, rounded: bool = True) -> list[str]:
    high, low = result
    nearest = not rounded or high.value == high._rounded(right).value  # noqa: SLF001
    return [] if nearest and high.value + low.value == right else [f"{name} of {right}: {high.value} + {low.value}"]
