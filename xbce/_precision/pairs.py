"""Numbers that are unevaluated sums of two doubles, times a power of 2^512 if the range of a double may not do."""

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from .._formulas import is_array, settled
from .._typing import Array
from .exact import Parts, clean, fast_two_sum, product, two_product, two_sum, variable
from .number import Number
from .rounding import DIGITS

if TYPE_CHECKING:
    from .arithmetic import HighPrecision

_UP, _DOWN = 2.0**DIGITS, 2.0**-DIGITS
_LARGEST, _LEAST = 2.0 ** (DIGITS // 2), 2.0 ** -(DIGITS // 2)
_NO_POWER = -(2.0**40)
"""The power of 0 where numbers are aligned."""
INFINITE_POWER = 2.0**50
"""The power of an infinity."""


class Pair(Number):
    """The number (high + low) 2^(512 power), with the operators of an array; high is the nearest double to the sum.

    `low` is None for 0. `power` is None for 0, and always so if the range of doubles suffices; otherwise the magnitude
    of `high` is between 2^-256 and 2^256, or 0, or infinite.
    """

    __slots__ = ("high", "log", "low", "power", "single_bit", "unit")

    def __init__(
        self,
        xp: "HighPrecision",
        high: Array,
        low: Array | None = None,
        power: Array | None = None,
        *,
        single_bit: bool = False,
        unit: bool = False,
    ) -> None:
        self.xp, self.high, self.low, self.power = xp, high, low, power
        self.single_bit = single_bit
        """Whether the magnitude is known to be 0 or a power of two near 1, so that products are exact."""
        self.unit = unit
        """Whether the number is known to be in [0, 1]."""
        self.log: Pair | None = None
        """The logarithm, once it is known: powers of one number share it."""

    @property
    def ndim(self) -> int:
        """Number of dimensions; numbers have none."""
        ndim: int = self.high.ndim
        return ndim

    def __neg__(self) -> "Pair":
        low = None if self.low is None else -self.low
        return Pair(self.xp, -self.high, low, self.power, single_bit=self.single_bit)

    def __add__(self, other: Any) -> "Pair":
        return add(self, self.xp.number(other))

    def __sub__(self, other: Any) -> "Pair":
        return add(self, -self.xp.number(other))

    def __mul__(self, other: Any) -> "Pair":
        return multiply(self, self.xp.number(other))

    def __truediv__(self, other: Any) -> "Pair":
        return divide(self, self.xp.number(other))

    def __lt__(self, other: Any) -> Array:
        return self.xp.number(other) > self

    def __le__(self, other: Any) -> Array:
        return self.xp.number(other) >= self

    def __gt__(self, other: Any) -> Array:
        a, b = ordered(self, self.xp.number(other))
        above: Array = a.high > b.high
        return above if a.low is None and b.low is None else above | ((a.high == b.high) & (_low(a) > _low(b)))

    def __ge__(self, other: Any) -> Array:
        a, b = ordered(self, self.xp.number(other))
        if a.low is None and b.low is None:
            return a.high >= b.high
        return (a.high > b.high) | ((a.high == b.high) & (_low(a) >= _low(b)))

    def __eq__(self, other: object) -> Array:
        if other is self:
            return self.high == self.high
        a, b = ordered(self, self.xp.number(other))
        same: Array = a.high == b.high
        return same if a.low is None and b.low is None else same & (_low(a) == _low(b))

    def __ne__(self, other: object) -> Array:
        return ~(self == other)

    __hash__ = None  # type: ignore[assignment]


def _low(x: Pair) -> Array | float:
    return 0.0 if x.low is None else x.low


def _is_number(x: Pair) -> bool:
    return isinstance(x.high, float)


def _apart(a: Pair, b: Pair) -> tuple[Array, Array]:
    """Return the high parts, none of which a compiler may combine with other constants."""
    xp = a.xp.native
    if _is_number(a) and is_array(b.high):
        return variable(xp, b.high, a.high), b.high
    if _is_number(b) and is_array(a.high):
        return a.high, variable(xp, a.high, b.high)
    return a.high, b.high


def ordered(a: Pair, b: Pair) -> tuple[Pair, Pair]:
    """Return numbers without powers that compare like these."""
    if a.power is None and b.power is None:
        return a, b
    for x, y in ((a, b), (b, a)):
        if _is_number(y) and y.power is None:  # a constant of moderate magnitude, 0 or an infinity
            a, b = (_flat(x), y) if x is a else (y, _flat(x))
            return a, b
    return a - b, Pair(a.xp, 0.0)


def _flat(x: Pair) -> Pair:
    """Return a number that compares with numbers between 2^-256 and 2^256, and with 0, like x does."""
    if x.power is None:
        return x
    none, above = x.power == 0, x.power > 0
    return _scaled(x, lambda y: x.xp.native.where(none, y, x.xp.native.where(above, y * _UP, y * _DOWN)))


def _scaled(x: Pair, scale: Callable[[Array], Array], power: Array | None = None) -> Pair:
    """Return a number whose parts are multiplied by a power of two, with another power."""
    return Pair(x.xp, scale(x.high), None if x.low is None else scale(x.low), power)


def add(a: Pair, b: Pair) -> Pair:
    """Return a + b, with an error of up to 2^-103 of it."""
    for x, y in ((a, b), (b, a)):
        if _is_number(x) and x.high == 0 and x.low is None and not _is_number(y):
            return Pair(y.xp, y.high + 0.0, y.low, y.power)  # without the sign of a zero
    if a.power is None and b.power is None:
        return Pair(a.xp, *_sum(a, b))
    a, b, power = _aligned(a, b)
    return _normal(Pair(a.xp, *_sum(a, b), power))


def _sum(a: Pair, b: Pair) -> Parts:
    xp = a.xp.native
    high, rest = two_sum(*_apart(a, b))
    if a.low is None and b.low is None:
        return high, clean(xp, rest)
    if a.low is None or b.low is None:
        return _renormalised(xp, high, rest + (a.low if b.low is None else b.low))
    low, least = two_sum(a.low, b.low)
    high, rest = fast_two_sum(high, clean(xp, rest + low))
    return _renormalised(xp, high, rest + least)


def _renormalised(xp: Any, high: Array, low: Array) -> Parts:
    high, low = fast_two_sum(high, clean(xp, low))
    return high, clean(xp, low)


def _aligned(a: Pair, b: Pair) -> tuple[Pair, Pair, Array]:
    """Return two numbers without powers, and the common power; what is below 2^-512 of the larger one may be lost."""
    xp = a.xp.native
    powers = [_power_to_align(x) for x in (a, b)]
    top = xp.where(powers[0] > powers[1], *powers)
    parts = []
    for x, power in zip((a, b), powers, strict=True):
        high = 0.0 * top + x.high if _is_number(x) else x.high
        same, next_to = top == power, top - power == 1
        parts.append(_scaled(Pair(x.xp, high, x.low), partial(_lowered, xp, same, next_to)))
    return parts[0], parts[1], top


def _lowered(xp: Any, same: Array, next_to: Array, x: Array) -> Array:
    return xp.where(same, x, xp.where(next_to, x * _DOWN, 0.0))


def _power_to_align(x: Pair) -> Array | float:
    own: Array | float = 0.0 if x.power is None else x.power
    if _is_number(x):
        return own if x.high else _NO_POWER
    xp = x.xp.native
    # An array: of two numbers PyTorch would select in float32.
    own = own if is_array(own) else xp.astype(x.high == x.high, x.dtype) * own
    power = xp.where(x.high == 0, _NO_POWER, own)
    return xp.where(x.high - x.high == 0, power, INFINITE_POWER)  # NaN and infinities outweigh all others


def _normal(x: Pair) -> Pair:
    """Return the number with a high part between 2^-256 and 2^256, if it was between 2^-768 and 2^768."""
    xp = x.xp.native
    above = (x.high >= _LARGEST) | (x.high <= -_LARGEST)
    below = (x.high < _LEAST) & (x.high > -_LEAST)
    power: Any = x.power
    power = xp.where(above, power + 1, xp.where(below, power - 1, power))
    return _scaled(x, lambda y: xp.where(above, y * _DOWN, xp.where(below, y * _UP, y)), power)


def entered(xp: "HighPrecision", x: Array) -> Pair:
    """Return a double of any magnitude as a number with a power."""
    if isinstance(x, float):
        if x == 0 or math.isinf(x) or math.isnan(x):
            return Pair(xp, x)
        power = (math.frexp(x)[1] + DIGITS // 2 - 1) // DIGITS
        return Pair(xp, math.ldexp(x, -DIGITS * power), None, float(power) if power else None)
    if not is_array(x):  # a size that a recorder traces
        return Pair(xp, x)
    infinite = (x == math.inf) | (x == -math.inf)
    entered_x = _normal(_normal(Pair(xp, x, None, xp.native.where(infinite, x, 0.0))))
    return Pair(xp, entered_x.high, None, xp.native.where(infinite, INFINITE_POWER, entered_x.power))


def multiply(a: Pair, b: Pair) -> Pair:
    """Return a b, with an error of up to 2^-102 of it."""
    xp = a.xp.native
    power = a.power if b.power is None else b.power if a.power is None else a.power + b.power
    for x, y in ((a, b), (b, a)):
        if x.single_bit or (_is_number(x) and x.low is None and abs(math.frexp(x.high)[0]) == 0.5):
            low = None if y.low is None else y.low * x.high
            scaled = Pair(a.xp, y.high * x.high, low, power, single_bit=x.single_bit and y.single_bit)
            return scaled if power is None else _normal(scaled)
    high, low = two_product(xp, a.high, b.high)
    if b.low is not None:
        low = low + product(xp, a.high, b.low)
    if a.low is not None:
        low = low + product(xp, a.low, b.high)
    result = Pair(a.xp, *_renormalised(xp, high, low), power, unit=a.unit and b.unit)
    return result if power is None else _normal(result)


def divide(a: Pair, b: Pair) -> Pair:
    """Return a / b, with an error of up to 2^-101 of it."""
    xp = a.xp.native
    power = a.power if b.power is None else -b.power if a.power is None else a.power - b.power
    quotient = a.high / b.high
    if is_array(quotient):
        quotient = settled(xp, quotient) if not _is_number(b) else quotient
    back, error = two_product(xp, quotient, b.high)
    rest = (a.high - back) - error
    if a.low is not None:
        rest = rest + a.low
    if b.low is not None:
        rest = rest - product(xp, quotient, b.low)
    result = Pair(a.xp, *_renormalised(xp, quotient, rest / b.high), power)
    if power is None:
        return result
    result = _normal(result)
    infinite = (result.high == math.inf) | (result.high == -math.inf)
    return Pair(a.xp, result.high, result.low, xp.where(infinite, INFINITE_POWER, result.power))
