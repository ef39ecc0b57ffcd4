"""Results in double precision where these decide the rounding: most results need no more digits (Ziv's test).

`Estimates` is a namespace whose numbers have a bound of their error. A formula computes them like all others, with the
library's own exp, log and log1p. A result whose rounding no error within the bound can change is the right one; the
others are left to pairs.
"""

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

from .._formulas import Idiom, is_array, minus_sign
from .._typing import Array, DType, Namespace
from .estimate import SLACK, UNIT, Estimate
from .rounding import rounded_once

FUNCTION_ERROR = 8.0
"""Bound of exp, log, log1p, tanh and pow of a library in units: 4 ULP; the functions report finds 1.2 in float64."""
SUM_ERROR = 4096.0
"""Bound of the error of a library's sum of up to 2^29 terms, in units of the sum of their magnitudes."""
LEAST_EXPONENT = -700.0
"""Exponentials of smaller numbers are those of this one, as in pairs: no result for float32 depends on them."""
LEAST_BASE = 2.0**-900
"""The bases of powers below it, but 0, are left to pairs: they may have lost digits."""


class UnsupportedError(Exception):
    """A formula uses an operation of which no bound is known."""


class Estimates:
    """A namespace of estimates on the arrays of another one, for float64 that no result fills."""

    inf, nan = math.inf, math.nan
    computes_constants = True

    def __init__(self, native: Namespace) -> None:
        self.native = native
        self.float64: DType = native.float64
        self.doubts: list[Array] = []
        """Where a number has no bound, so that the results are left to pairs."""

    def __getattr__(self, name: str) -> Any:
        raise UnsupportedError(name)

    def number(self, x: Any) -> Estimate:
        """Return a Python number or an array of float64 as an exact number."""
        if isinstance(x, Estimate):
            return x
        if not isinstance(x, (int, float)):
            return Estimate(self, x)
        x = float(x)
        return Estimate(self, x, positive=x >= 0, most=x, single_bit=abs(math.frexp(x)[0]) in (0.0, 0.5))

    def finfo(self, _dtype: DType) -> Any:
        """Return limits of the numbers."""
        return _LIMITS

    def astype(self, x: Any, _dtype: DType) -> Estimate:
        """Return x, or 1 where a condition holds and 0 where not."""
        if isinstance(x, Estimate):
            return x
        return Estimate(self, self.native.astype(x, self.float64), positive=True, single_bit=True)

    def where(self, condition: Array, a: Any, b: Any) -> Estimate:
        """Select."""
        a, b = self.number(a), self.number(b)
        xp, first, bound = self.native, a.settled, None
        if not is_array(first) and not is_array(b.value):
            first = first + xp.astype(condition, self.float64) * 0.0
        if a.bound is not None or b.bound is not None:
            bound = xp.where(condition, a.magnitude, b.magnitude)
        return Estimate(
            self,
            xp.where(condition, first, b.settled),
            max(a.k, b.k),
            bound,
            positive=a.positive and b.positive,
            single_bit=a.single_bit and b.single_bit,
            loose=False,
        )

    def isinf(self, x: Estimate) -> Array:
        """Tell which numbers are infinite."""
        return (x.value == math.inf) | (x.value == -math.inf)

    def ones_like(self, x: Estimate) -> Estimate:
        """Return ones."""
        return Estimate(self, self.native.ones_like(x.value), positive=True, single_bit=True)

    def zeros_like(self, x: Estimate) -> Estimate:
        """Return zeros."""
        return Estimate(self, self.native.zeros_like(x.value), positive=True, single_bit=True)

    def doubt(self, x: Estimate) -> None:
        """Doubt results where the error of a number may be a quarter of it."""
        self.doubts.append((4 * UNIT * (x.k + SLACK)) * x.magnitude > abs(x.value))

    def exp(self, x: Estimate) -> Estimate:
        """Return exp(x); the absolute error of x is the relative one of the result."""
        xp = self.native
        self.doubts.append(abs(x.value) == math.inf)
        limited = xp.maximum(xp.minimum(x.value, -LEAST_EXPONENT), LEAST_EXPONENT)
        exponential = xp.exp(limited)
        if not x.k:
            return Estimate(self, exponential, FUNCTION_ERROR, positive=True)
        self.doubts.append((4 * UNIT * (x.k + SLACK)) * x.magnitude >= 1)
        return Estimate(self, exponential, 2 * x.k + FUNCTION_ERROR, exponential * (1 + x.magnitude))

    def tanh(self, x: Estimate) -> Estimate:
        """Return tanh(x), which divides the relative error of x by at least 1."""
        return Estimate(self, self.native.tanh(x.value), x.k + FUNCTION_ERROR, x.bound)

    def log1p(self, x: Estimate) -> Estimate:
        """Return log(1 + x), which divides the error of a positive x by at least 1, and its relative error, too."""
        log = self.native.log1p(x.value)
        if not x.k or x.positive:
            return Estimate(self, log, x.k + FUNCTION_ERROR, x.bound, positive=x.positive)
        shifted = 1 + x.value
        self.doubts.append((4 * UNIT * (x.k + SLACK)) * x.magnitude >= shifted)
        return Estimate(self, log, 2 * x.k + FUNCTION_ERROR, x.magnitude / shifted + abs(log))

    def log(self, x: Estimate) -> Estimate:
        """Return log(x); the relative error of x is the absolute one of the result."""
        log = self.native.log(x.value)
        if not x.k:
            return Estimate(self, log, FUNCTION_ERROR)
        error: Array | float = 1.0
        if x.bound is not None:
            self.doubt(x)
            error = x.bound / abs(x.value)
        return Estimate(self, log, 2 * x.k + FUNCTION_ERROR, error + abs(log))

    def pow(self, base: Estimate, exponent: Any) -> Estimate:
        """Return base^exponent for a base that is not negative."""
        exponent = self.number(exponent)
        g = exponent.value
        if isinstance(g, float) and g in (1, 2, 3, 4):
            product: Estimate = functools.reduce(operator.mul, [base] * int(g))
            return product
        self.doubts.append((base.value < LEAST_BASE) & (base.value != 0))
        power = base.value**g
        if isinstance(g, float) and base.bound is None:
            return Estimate(self, power, abs(g) * base.k + FUNCTION_ERROR, positive=True)
        error = exponent.magnitude * (1.0 if base.bound is None else base.bound / base.value)
        if exponent.k:
            error = error + exponent.magnitude * abs(self.native.log(base.value))
        k = 2 * (base.k + exponent.k) + FUNCTION_ERROR
        error = 1 + error
        self.doubts.append((4 * UNIT * (k + SLACK)) * error > 1)
        return Estimate(self, power, k, power * error)

    def keep_idiom(self, idiom: Idiom, operands: tuple[Any, ...]) -> Any:
        """Return the result of an idiom, by its form for estimates if it has one."""
        form = _FORMS.get(idiom.name)
        return idiom.plain(self, *operands) if form is None else form(self, *operands)

    def bound_of_summand(self, x: Estimate) -> Array:
        """Return the bound of the error of a number, and of that of adding it, in units; infinite where in doubt."""
        x = self.number(x)
        bound = (x.k + SUM_ERROR) * x.magnitude
        if not self.doubts:
            return bound
        return bound / self.native.astype(~functools.reduce(operator.or_, self.doubts), self.float64)

    def sum(self, total: Array, bound: Array) -> Estimate:
        """Return a sum as a number, from the sum of such bounds."""
        return Estimate(self, total, 1.0, bound)

    def tested(self, x: Estimate, dtype: DType) -> tuple[Array, Array]:
        """Return a number rounded to a dtype, and where an error within its bound may change that."""
        x = self.number(x)
        xp, relative = self.native, (x.k + SLACK) * UNIT
        if x.bound is None:
            low, high = x.value * (1 - relative), x.value * (1 + relative)
        else:
            error = relative * x.bound
            low, high = x.value - error, x.value + error
        if x.loose:
            high = high + 0.0
        lower, upper = _rounded(xp, low, dtype), _rounded(xp, high, dtype)
        uncertain = lower != upper
        # Both may be 0, of different signs.
        return upper, uncertain if x.bound is None else uncertain | ((low < 0) & (high > 0))


def _rounded(xp: Namespace, x: Array, dtype: DType) -> Array:
    return xp.astype(x, dtype) if dtype == xp.float32 else rounded_once(xp, x, None, None, dtype)


class _Limits:
    """What formulas ask of `finfo`, as pairs have it."""

    bits = 64
    smallest_normal = 2.0**-1000


_LIMITS = _Limits()


def _minus_sign(xp: Estimates, h: Estimate) -> Estimate:
    return Estimate(xp, minus_sign(xp.native, h.value), single_bit=True, is_sign=True)


def _exp_minus_abs(xp: Estimates, x: Estimate, upper: Array, s: Estimate) -> Estimate:  # noqa: ARG001
    if x.k:
        raise UnsupportedError
    size = abs(x.value)
    xp.doubts.append(size == math.inf)
    limited = xp.native.minimum(size, -LEAST_EXPONENT)
    return Estimate(xp, xp.native.exp(-limited), FUNCTION_ERROR, positive=True, most=1.0)


def _product(_xp: Estimates, x: Estimate, factor: Any) -> Estimate:
    result: Estimate = x * factor  # an infinity times 0 is NaN, and so left to pairs
    return result


_FORMS: dict[str, Callable[..., Any]] = {
    "minus_sign": _minus_sign,
    "exp_minus_abs": _exp_minus_abs,
    "constant_zero": lambda _, e: e,
    "settled": lambda _, x: x,
    "product": _product,
    "accurate_log": Estimates.log,
    "accurate_log1p": Estimates.log1p,
}
"""Idioms that estimates compute in their own way."""
