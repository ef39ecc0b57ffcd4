"""Tables of constants, as sums of two doubles.

They are computed with Python's `decimal`, whose functions round correctly. So the tables are the same on every machine,
and anybody can compute them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Context, Decimal
from functools import cached_property, lru_cache
from typing import Any

from .._typing import Array, Device, Namespace

_CONTEXT = Context(prec=60)
_LOG_2 = _CONTEXT.ln(Decimal(2))


def _pair(exact: Decimal) -> tuple[float, float]:
    """Return a number as the nearest double, and the nearest double to the rest."""
    high = float(exact)
    return high, float(_CONTEXT.subtract(exact, Decimal(high)))


class Table:
    """Doubles that are looked up by an index; known by its name."""

    def __init__(self, name: str, numbers: Callable[[], Iterator[float]]) -> None:
        self.name = name
        self._numbers = numbers

    def __repr__(self) -> str:
        return self.name

    @cached_property
    def numbers(self) -> list[float]:
        """The doubles."""
        return list(self._numbers())

    def array(self, xp: Namespace, device: Device) -> Array:
        """Return the doubles as an array."""
        return xp.asarray(self.numbers, dtype=xp.float64, device=device)


def lookup(xp: Namespace, table: Table, index: Array) -> Array:
    """Return the doubles at an index, an array of int64."""
    own: Any = getattr(xp, "lookup", None)
    if own is not None:
        found: Array = own(table, index)
        return found
    place = _Place(str(index.device), index.device)
    flat = xp.take(_kept(xp, table, place), xp.reshape(index, (-1,)), axis=0)
    return xp.reshape(flat, index.shape)


@dataclass(frozen=True, slots=True)
class _Place:
    """A device, known by its name: those of CuPy cannot be hashed."""

    name: str
    device: Device = field(compare=False)


@lru_cache(maxsize=256)
def _kept(xp: Namespace, table: Table, place: _Place) -> Array:
    return table.array(xp, place.device)


STEPS = 1024
"""Steps of the table of powers in one factor of 2."""
STEPS_PER_UNIT = float(_CONTEXT.divide(Decimal(STEPS), _LOG_2))
STEP, STEP_REST = _pair(_CONTEXT.divide(_LOG_2, Decimal(STEPS)))
LOG_2, LOG_2_REST = _pair(_LOG_2)
THIRD, THIRD_REST = _pair(_CONTEXT.divide(Decimal(1), Decimal(3)))


@lru_cache(maxsize=1)
def _powers() -> list[tuple[float, float]]:
    step = _CONTEXT.divide(_LOG_2, Decimal(STEPS))
    return [_pair(_CONTEXT.exp(_CONTEXT.multiply(Decimal(j), step))) for j in range(STEPS)]


POWER = Table("power", lambda: (high for high, _ in _powers()))
"""2^(j / 1024), rounded"""
POWER_REST = Table("power_rest", lambda: (low for _, low in _powers()))
"""2^(j / 1024) - POWER"""

LEAST_SCALE, MOST_SCALE = -1022, 1023
SCALE = Table("scale", lambda: (2.0**k for k in range(LEAST_SCALE, MOST_SCALE + 1)))
"""2^k for k from -1022 on"""

ROWS = 512
"""Rows of the table of logarithms in an interval of length 1."""
FIRST_ROW = 358
"""The row of 0.7."""


@lru_cache(maxsize=1)
def _logarithms() -> list[tuple[float, float, float]]:
    rows = []
    for row in range(FIRST_ROW, 2 * ROWS + 1):
        inverse = round(2**13 * ROWS / row) / 2**13
        rows.append((inverse, *_pair(_CONTEXT.minus(_CONTEXT.ln(Decimal(inverse))))))
    return rows


INVERSE = Table("inverse", lambda: (inverse for inverse, _, _ in _logarithms()))
"""512 / row, rounded to 13 binary digits after the point"""
LOG = Table("log", lambda: (high for _, high, _ in _logarithms()))
"""-log(INVERSE), rounded"""
LOG_REST = Table("log_rest", lambda: (low for _, _, low in _logarithms()))
"""-log(INVERSE) - LOG"""

TABLES = {table.name: table for table in (POWER, POWER_REST, SCALE, INVERSE, LOG, LOG_REST)}
"""All tables, by name."""
