"""Cells: consecutive numbers t for which t and all exact values keep their binades.

The values are monotonic in t, so that the ends of a cell enclose what they are in between. Every finite number of the
format is in a cell, and no other real number is: where a value passes a power of two between two neighbours of the
format, there is nothing to be proved.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from proofs.native.numbers import Exact, Point, index_of, number_at, point_at
from xbce_conformance.functions.measure import BINADES
from xbce_conformance.inputs.formats import Format


@dataclass(frozen=True, slots=True)
class Cell:
    """The numbers from one index to another."""

    fmt: Format
    first: int
    last: int

    @property
    def t(self) -> tuple[float, float]:
        """Return the least and the largest number."""
        return number_at(self.first, self.fmt), number_at(self.last, self.fmt)

    @property
    def e(self) -> Exact:
        """Return what is known of exp(-t)."""
        return self._enclosed(lambda point: point.e)

    @property
    def log(self) -> Exact:
        """Return what is known of log(1 + e)."""
        return self._enclosed(lambda point: point.log)

    @property
    def q(self) -> Exact:
        """Return what is known of e / (1 + e)."""
        return self._enclosed(lambda point: point.q)

    @property
    def h(self) -> Exact:
        """Return what is known of q (1 - q)."""
        return self._enclosed(lambda point: point.h)

    @property
    def loss(self) -> Exact:
        """Return what is known of t + log(1 + e)."""
        return self._enclosed(lambda point: point.loss)

    def _enclosed(self, choose: Callable[[Point], Exact]) -> Exact:
        first, last = (choose(point_at(index, self.fmt)) for index in (self.first, self.last))
        return Exact(first.exponent, min(first.low, last.low), max(first.high, last.high), min(first.room, last.room))

    def halves(self) -> "tuple[Cell, Cell]":
        """Return two parts."""
        middle = (self.first + self.last) // 2
        return Cell(self.fmt, self.first, middle), Cell(self.fmt, middle + 1, self.last)

    def ends(self) -> "tuple[Cell, Cell]":
        """Return the cells of the first and of the last number alone."""
        return Cell(self.fmt, self.first, self.first), Cell(self.fmt, self.last, self.last)


@lru_cache(maxsize=8)
def cells(fmt: Format, *, normal_only: bool = False) -> tuple[Cell, ...]:
    """Return the cells of all finite numbers; or of those whose e, q and h are normal numbers, by a margin of 2^-8."""
    last = index_of(fmt.max, fmt)
    if normal_only:
        least = math.ldexp(1 + 2.0**-8, fmt.emin)
        last = _last_that(lambda index: point_at(index, fmt).h.low >= least, 0, last)
    return tuple(_cells(fmt, last))


def _cells(fmt: Format, last: int) -> Iterator[Cell]:
    first = 0
    while first <= last:
        binades = _binades(first, fmt)
        below, above = _around(fmt, -binades[1] * _LN2)
        high = above if first < above < last and _binades(above, fmt) != binades else last
        low = first if below <= first or _binades(below, fmt) != binades else below
        end = _last_that(lambda index, kept=binades: _binades(index, fmt) == kept, low, high)  # type: ignore[misc]
        yield Cell(fmt, first, end)
        first = end + 1


_LN2 = math.log(2)


def _around(fmt: Format, t: float) -> tuple[int, int]:
    """Return indices next to a number, where the exponential leaves its binade."""
    index = index_of(t, fmt) if t > 0 else 0
    return index - 4, index + 4


def _binades(index: int, fmt: Format) -> tuple[int, ...]:
    point = point_at(index, fmt)
    return (exponent_of(point.t), *(value.exponent for value in point[1:]))


def exponent_of(x: float) -> int:
    """Return floor(log2 x), or the end of the binades in the report, which stands for all beyond."""
    return min(max(math.frexp(x)[1] - 1, BINADES[0]), BINADES[-1]) if x else BINADES[0]


def _last_that(holds: Callable[[int], bool], low: int, high: int) -> int:
    """Return the last index up to `high` for which a property holds that holds at `low`, and from there to an end."""
    if holds(high):
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low
