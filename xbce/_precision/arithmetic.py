"""The arithmetic of `precision="high"`: a namespace whose numbers are pairs, for the formulas as they are.

A formula gets it in place of the library's namespace, and pairs in place of arrays. What the formula computes is then
exact up to 2^-70 or so, and is rounded once.
"""

import math
from collections.abc import Callable
from typing import Any, Literal

from .._formulas import Idiom, is_array
from .._typing import Array, DType, Namespace
from .estimates import Estimates
from .exact import fast_two_sum, product, two_product, two_sum
from .functions import Exponential, binary_exponent, exponential, logarithm, scale
from .pairs import INFINITE_POWER, Pair, add, entered, multiply
from .rounding import DIGITS, moderate, rounded_once
from .tables import LOG_2, LOG_2_REST

Kind = Literal["native", "pairs", "extended", "estimates", "moderate"]
"""How a kernel computes: in the library's own arithmetic, in pairs, or in pairs whose range has no ends.

Estimates stand for pairs where their errors do not matter, and pairs of moderate numbers for those whose range has no
ends: both say where they have no result.
"""


_LARGE, _MOST_EXPONENT, _LEAST_RESULT = 2.0**200, 600.0, 2.0**-700
"""Limits of moderate numbers: arguments are 0, or they and 1 over them are smaller; so are exponents, and results."""


def over(xp: Namespace, kind: Kind) -> Namespace:
    """Return the namespace of numbers of an arithmetic that is not the library's own."""
    if kind == "estimates":
        return Estimates(xp)
    return HighPrecision(xp, extended=kind == "extended", moderate=kind == "moderate")


class _Limits:
    """What formulas ask of `finfo`; powers and exponentials are exact down to a magnitude that no dtype has."""

    bits = 64

    def __init__(self, smallest_normal: float) -> None:
        self.smallest_normal = smallest_normal


class HighPrecision:
    """A namespace of pairs on the arrays of another one."""

    inf, nan = math.inf, math.nan
    computes_constants = True

    def __init__(self, native: Namespace, *, extended: bool, moderate: bool = False) -> None:
        self.native = native
        self.extended = extended
        """Whether numbers have powers: for float64, whose range the results may fill."""
        self.moderate = moderate
        """Whether the numbers stand for those with powers, which have the same digits."""
        self.doubts: list[Array] = []
        """Where a number might leave the range of doubles, if numbers are moderate."""
        self.float64: DType = native.float64
        self._most = 2.0**31 if extended else 700.0
        """The largest magnitude whose exponential is distinguished from 0 or infinity."""

    def number(self, x: Any) -> Pair:
        """Return a Python number or an array of float64 as a pair."""
        if isinstance(x, Pair):
            return x
        if isinstance(x, int):
            x = float(x)
        if self.moderate and is_array(x):
            size = abs(x)
            self.doubts.append((size >= _LARGE) | ((size <= 1 / _LARGE) & (x != 0)))
        return entered(self, x) if self.extended else Pair(self, x)

    def finfo(self, _dtype: DType) -> _Limits:
        """Return limits of the numbers."""
        return _Limits(math.ulp(0.0) if self.extended or self.moderate else 2.0**-1000)

    def astype(self, x: Any, _dtype: DType) -> Pair:
        """Return x, or 1 where a condition holds and 0 where not."""
        if isinstance(x, Pair):
            return x
        return Pair(self, self.native.astype(x, self.float64), single_bit=True)

    def where(self, condition: Array, a: Any, b: Any) -> Pair:
        """Select."""
        a, b = self.number(a), self.number(b)
        xp = self.native
        if not is_array(a.high) and not is_array(b.high):
            zero = xp.astype(condition, self.float64) * 0.0
            a = Pair(self, a.high + zero, a.low, a.power, single_bit=a.single_bit, unit=a.unit)
        low = power = None
        if a.low is not None or b.low is not None:
            low = self._selected(condition, a.low, b.low, a.high if is_array(a.high) else b.high)
        if a.power is not None or b.power is not None:
            power = self._selected(condition, a.power, b.power, a.high if is_array(a.high) else b.high)
        unit = all(x.unit or (isinstance(x.high, float) and x.low is None and 0 <= x.high <= 1) for x in (a, b))
        bits = all(x.single_bit or (isinstance(x.high, float) and x.high in (0.0, 1.0, -1.0)) for x in (a, b))
        return Pair(self, xp.where(condition, a.high, b.high), low, power, unit=unit, single_bit=bits)

    def _selected(self, condition: Array, a: Array | None, b: Array | None, like: Array) -> Array:
        """Select parts that are None, numbers or arrays."""
        xp = self.native
        a, b = (0.0 if x is None else x for x in (a, b))
        if not is_array(a) and not is_array(b):
            a = a + xp.zeros_like(like)
        return xp.where(condition, a, b)

    def isinf(self, x: Pair) -> Array:
        """Tell which numbers are infinite."""
        return (x.high == math.inf) | (x.high == -math.inf)

    def ones_like(self, x: Pair) -> Pair:
        """Return ones."""
        return Pair(self, self.native.ones_like(x.high), single_bit=True)

    def zeros_like(self, x: Pair) -> Pair:
        """Return zeros."""
        return Pair(self, self.native.zeros_like(x.high), single_bit=True)

    def floor(self, x: Pair) -> Pair:
        """Return the largest integer that is at most x, for moderate x."""
        xp = self.native
        high = xp.floor(x.high)
        if x.low is not None:
            high = xp.where((high == x.high) & (x.low < 0), high - 1, high)
        return Pair(self, high)

    def _exponential(self, x: Pair) -> tuple[Exponential, Array]:
        """Return the exponential of x, limited to the range that is computed, and x as one double."""
        xp, high, low = self.native, x.high, x.low
        if x.power is not None:
            moderate, small = x.power == 0, x.power < 0
            high = xp.where(moderate, high, xp.where(small, 0.0, high * 2.0**DIGITS))
            low = None if low is None else xp.where(moderate, low, 0.0)
        if self.moderate:
            self.doubts.append(abs(high) >= _MOST_EXPONENT)
        inside = (high >= -self._most) & (high <= self._most)
        limited = xp.where(high >= -self._most, xp.where(high <= self._most, high, self._most), -self._most)
        rest = 0.0 * limited if low is None else xp.where(inside, low, 0.0)
        return exponential(xp, limited, rest), high

    def exp(self, x: Pair) -> Pair:
        """Return exp(x)."""
        xp = self.native
        e, y = self._exponential(x)
        k, power = e.k, None
        if self.extended:
            power = xp.floor((k + DIGITS // 2) * (1 / DIGITS))
            k = k - DIGITS * power
            power = xp.where(xp.isinf(y), xp.where(y > 0, INFINITE_POWER, 0.0 * power), power)
        factor = scale(xp, k)
        infinite = xp.isinf(y)
        high = xp.where(infinite, xp.where(y > 0, y, 0.0), e.high * factor)
        low = xp.where(infinite, 0.0, e.low * factor)
        return Pair(self, xp.where(y == y, high, y), low, power)

    def expm1(self, x: Pair) -> Pair:
        """Return exp(x) - 1 for x <= 0."""
        xp = self.native
        e, y = self._exponential(x)
        factor = scale(xp, xp.where(e.k < -200, -200.0, xp.where(e.k > 200, 200.0, e.k)))
        far = add(Pair(self, e.high * factor, e.low * factor), Pair(self, -1.0))
        high = xp.where(e.near, e.minus_one[0], far.high)
        low = xp.where(e.near, e.minus_one[1], far.low)
        result = Pair(self, xp.where(y == y, high, y), low)
        if x.power is None:
            return result
        tiny = x.power < 0
        return self.where(tiny, x, result)

    def tanh(self, x: Pair) -> Pair:
        """Return (exp(2x) - 1) / (exp(2x) + 1) for x < 0, and minus that of -x for x > 0."""
        upper = x >= 0
        t = self.expm1(self.where(upper, -x, x) * 2.0)
        result = t / (t + 2.0)
        return self.where(upper, -result, result)

    def log(self, x: Pair) -> Pair:
        """Return log(x)."""
        return self._log(x, x - 1.0)

    def log1p(self, x: Pair) -> Pair:
        """Return log(1 + x)."""
        if not x.unit:
            return self._log(x + 1.0, x)
        if x.power is None:
            m = x + 1.0
            return Pair(self, *logarithm(self.native, (m.high, m.low), (x.high, x.low)))
        xp, tiny = self.native, x.power < 0
        v = Pair(self, xp.where(tiny, 0.0, x.high), xp.where(tiny, 0.0, x.low))
        m = v + 1.0
        return self.where(tiny, x, Pair(self, *logarithm(xp, (m.high, m.low), (v.high, v.low))))

    def _log(self, m: Pair, v: Pair) -> Pair:
        """Return log(m), where v = m - 1 has all digits next to 0."""
        xp = self.native
        valid = (m.high > 0) & (m.high < math.inf)
        high = xp.where(valid, m.high, 1.0)
        low = 0.0 * high if m.low is None else xp.where(valid, m.low, 0.0)
        if self.extended:
            k = binary_exponent(xp, high * 2.0 ** (DIGITS // 2), DIGITS // 2) - DIGITS // 2
        else:
            small = high < 1
            k = binary_exponent(xp, xp.where(small, high * 2.0**1022, high), 512)
            k = xp.where(small, k - 1022, k)
        factor = scale(xp, -k)
        high, low = high * factor, low * factor
        large = high >= math.sqrt(2)
        high, low = xp.where(large, 0.5 * high, high), xp.where(large, 0.5 * low, low)
        k = xp.where(large, k + 1, k)
        if m.power is not None:
            k = xp.where(valid, k + DIGITS * m.power, k)
        v_high, v_low = two_sum(high - 1, low)
        near = k == 0
        tiny = None
        if v.power is not None:
            tiny = v.power < 0
            near = near & ~tiny
        v_high = xp.where(near, v.high, v_high)
        v_low = xp.where(near, 0.0 if v.low is None else v.low, v_low)
        log, rest = logarithm(xp, (high, low), (v_high, v_low))
        scaled, error = two_product(xp, k, LOG_2)
        log, more = two_sum(scaled, log)
        log, rest = fast_two_sum(log, more + (rest + (error + product(xp, k, LOG_2_REST))))
        # An infinity, NaN for a negative number, or NaN itself.
        special = xp.where(m.high == 0, -math.inf, xp.where(m.high < 0, math.nan, m.high))
        log, rest = xp.where(valid, log, special), xp.where(valid, rest, 0.0)
        if tiny is None:
            return Pair(self, log, rest)
        power = xp.where(valid, 0.0, xp.where(xp.isinf(special), INFINITE_POWER, 0.0 * k))
        return self.where(tiny & valid, v, Pair(self, log, rest, power))

    def log2(self, x: Pair) -> Pair:
        """Return the logarithm to base 2."""
        return self.log(x) / Pair(self, LOG_2, LOG_2_REST)

    def pow(self, base: Pair, exponent: Any) -> Pair:
        """Return base^exponent for a base that is not negative."""
        whole = exponent if isinstance(exponent, (int, float)) else None
        if whole is None and isinstance(exponent, Pair) and exponent.low is None and isinstance(exponent.high, float):
            whole = exponent.high
        if whole in (1, 2, 3, 4):
            result = base
            for _ in range(int(whole) - 1):
                result = multiply(result, base)
            return result
        exponent = self.number(exponent)
        zero = base == 0
        if base.log is None:
            base.log = self.log(self.where(zero, 1.0, base))
        power = self.exp(exponent * base.log)
        of_zero = self.where(exponent == 0, 1.0, 0.0) if is_array(exponent.high) else float(exponent.high == 0)
        return self.where(zero, of_zero, power)

    def keep_idiom(self, idiom: Idiom, operands: tuple[Any, ...]) -> Any:
        """Return the result of an idiom, by its form for pairs if it has one."""
        form = _FORMS.get(idiom.name)
        return idiom.plain(self, *operands) if form is None else form(self, *operands)

    def rest(self, x: Pair) -> Array:
        """Return what the rounding of a number to float64 leaves, to float64."""
        x = self.number(x)
        if x.low is None:
            return self.native.zeros_like(x.high)
        return x.low if x.power is None else moderate(self.native, x.low, x.power)

    def tested(self, x: Pair) -> Array:
        """Tell where a result of moderate numbers may have lost digits."""
        size = abs(self.number(x).high)
        return (size >= 1 / _LEAST_RESULT) | (size <= _LEAST_RESULT)

    def rounded(self, x: Pair, dtype: DType) -> Array:
        """Return a number rounded once to the nearest number of a dtype, ties to even."""
        x = self.number(x)
        return rounded_once(self.native, x.high, x.low, x.power, dtype)


def _minus_sign(xp: HighPrecision, h: Pair) -> Pair:
    return Pair(xp, 1 - 2 * h.high, single_bit=True)


def _exp_minus_abs(xp: HighPrecision, x: Pair, upper: Array, s: Pair) -> Pair:  # noqa: ARG001
    e = xp.exp(xp.where(upper, -x, x))
    return Pair(xp, e.high, e.low, e.power, unit=True)


def _log1mexp(xp: HighPrecision, x: Pair) -> Pair:
    return xp._log(-xp.expm1(x), -xp.exp(x))  # noqa: SLF001


_FORMS: dict[str, Callable[..., Any]] = {
    "minus_sign": _minus_sign,
    "exp_minus_abs": _exp_minus_abs,
    "constant_zero": lambda _, e: e,
    "settled": lambda _, x: x,
    "accurate_log": HighPrecision.log,
    "accurate_log1p": HighPrecision.log1p,
    "log1mexp": _log1mexp,
}
"""Idioms that pairs compute in their own way."""
