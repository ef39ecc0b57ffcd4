"""The exact functions and their derivatives, independent of xbce.

Three references. `Float64Reference` is NumPy's float64, for the plain loss of float32 and narrower. `BallReference` is
ball arithmetic (python-flint's `arb`), for the plain loss of float64 and to certify the other: an enclosure is accepted
when both of its ends round to the same double, else the precision is raised. `SeriesReference` does the same with any
of the `definitions`, in every format; it is slower, and certifies `BallReference`.

An exact value is a pair of doubles, the nearest one and what is left, so that errors of a fraction of a ULP of
float64 can be measured.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import flint
import numpy as np

from xbce_conformance.definitions import Definition, Variable, evaluate
from xbce_conformance.formats import Doubles, Floats
from xbce_conformance.series import Ball


@dataclass(frozen=True)
class Exact:
    """Exact values `high + low`, and the magnitude that their errors are counted against.

    `scale` is the value itself where all terms of the quantity have one sign, else the larger of the sum of the
    positive terms and the sum of the negative ones. So for the gradient of a hard label it is the gradient, and for
    that of a soft label the larger of the two terms whose difference it is. An infinite value has `low` 0.
    """

    high: Doubles
    low: Doubles
    scale: Doubles

    def __getitem__(self, part: Any) -> "Exact":
        return Exact(self.high[part], self.low[part], self.scale[part])


class Reference(Protocol):
    """The exact quantities of one function."""

    def exact(self, quantity: str, arrays: tuple[Floats, ...]) -> dict[str, Exact]:
        """Return the quantity by name, and others that cost no more."""


class PlainReference:
    """The plain loss of finite logits and labels in [0, 1]."""

    def exact(self, quantity: str, arrays: tuple[Floats, ...]) -> dict[str, Exact]:
        """Return one quantity."""
        exact: Exact = getattr(self, quantity)(*arrays)
        return {quantity: exact}

    def label_gradient(self, logits: Floats, labels: Floats) -> Exact:  # noqa: ARG002
        """Return softplus(-x) - softplus(x)."""
        return _itself(-_doubles(logits))


class Float64Reference(PlainReference):
    """Float64 in NumPy: within 2 ULP of float64 (value) and 3 (derivatives), for inputs of float32 and narrower.

    Certified against `BallReference` by the tests.
    """

    def value(self, logits: Floats, labels: Floats) -> Exact:
        """Return the loss as a sum of three non-negative terms."""
        x, z = _doubles(logits), _doubles(labels)
        positive, negative = np.maximum(x, 0), np.maximum(-x, 0)
        return _itself(positive * (1 - z) + negative * z + np.log1p(np.exp(-np.abs(x))))

    def gradient(self, logits: Floats, labels: Floats) -> Exact:
        """Return the gradient; from the small sigmoid, never 1 - the large one."""
        x, z = _doubles(logits), _doubles(labels)
        small = _small_sigmoid(x)
        gradient = np.where(x >= 0, (1 - z) - small, small - z)
        up, down = (1 - z) * np.where(x >= 0, 1 - small, small), z * np.where(x >= 0, small, 1 - small)
        hard = (z == 0) | (z == 1)
        return Exact(gradient, np.zeros_like(gradient), np.where(hard, gradient, np.maximum(up, down)))

    def hessian(self, logits: Floats, labels: Floats) -> Exact:  # noqa: ARG002
        """Return the second derivative."""
        small = _small_sigmoid(_doubles(logits))
        return _itself(small * (1 - small))


def _doubles(x: Floats) -> Doubles:
    return np.asarray(x, np.float64)


def _itself(value: Doubles) -> Exact:
    return Exact(value, np.zeros_like(value), value)


def _small_sigmoid(x: Doubles) -> Doubles:
    e = np.exp(-np.abs(x))
    small: Doubles = e / (1 + e)
    return small


class BallReference(PlainReference):
    """Ball arithmetic: exact to the last bit of `high`, and `low` to half a double."""

    def value(self, logits: Floats, labels: Floats) -> Exact:
        """Return the loss."""
        high, low = _enclose(_ball_value, logits, labels)
        return Exact(high, low, high)

    def gradient(self, logits: Floats, labels: Floats) -> Exact:
        """Return the gradient."""
        high, low = _enclose(_ball_gradient, logits, labels)
        z = _doubles(labels)
        hard = (z == 0) | (z == 1)
        soft_scale = Float64Reference().gradient(logits, labels).scale  # its exponent is all that counts
        return Exact(high, low, np.where(hard, high, soft_scale))

    def hessian(self, logits: Floats, labels: Floats) -> Exact:
        """Return the second derivative."""
        high, low = _enclose(_ball_hessian, logits, labels)
        return Exact(high, low, high)


# exp(-|x|) of larger logits is below every double: an interval from 0 will do, and keeps exponents small.
_UNDERFLOW = 800.0
_PRECISION_LIMIT = 1500  # bits; more than 1154 tell exp(-800) from nothing


def _ball_exp(x: float) -> flint.arb:
    """Enclose exp(-|x|)."""
    if abs(x) > _UNDERFLOW:
        return flint.arb(0, 1) * flint.arb(2) ** -1150
    return (-abs(flint.arb(x))).exp()


def _ball_value(x: float, z: float) -> flint.arb:
    linear = flint.arb(abs(x)) * ((1 - flint.arb(z)) if x >= 0 else flint.arb(z))
    return linear + _ball_exp(x).log1p()


def _ball_gradient(x: float, z: float) -> flint.arb:
    e = _ball_exp(x)
    small = e / (1 + e)
    return (1 - flint.arb(z)) - small if x >= 0 else small - flint.arb(z)


def _ball_hessian(x: float, _z: float) -> flint.arb:
    e = _ball_exp(x)
    return e / (1 + e) ** 2


def _enclose(function: Callable[[float, float], flint.arb], logits: Floats, labels: Floats) -> tuple[Doubles, Doubles]:
    x, z = np.broadcast_arrays(_doubles(logits), _doubles(labels))
    high, low = np.empty(x.shape), np.empty(x.shape)
    for i, (xi, zi) in enumerate(zip(x.ravel().tolist(), z.ravel().tolist(), strict=True)):
        high.flat[i], low.flat[i] = _round_once(function, xi, zi)
    return high, low


def _round_once(function: Callable[[float, float], flint.arb], x: float, z: float) -> tuple[float, float]:
    precision = 192
    while True:
        with flint.ctx.workprec(precision):
            # At the limit |x| is so large that exp(-|x|) is below every double, and the value lies at the middle of two
            # doubles but for that: either of them will do, since `low` holds the rest.
            rounded = _rounded(function(x, z), at_any_width=precision > _PRECISION_LIMIT)
            if rounded is not None:
                return rounded
        precision *= 2


def _rounded(ball: Ball, *, at_any_width: bool = False) -> tuple[float, float] | None:
    """Return the nearest double and the rest, or None where the ball is too wide to tell it."""
    if not ball.is_finite():
        return (math.inf, 0.0) if ball > 0 else (-math.inf, 0.0) if ball < 0 else None
    lower, upper = _nearest(ball.lower()), _nearest(ball.upper())
    if lower != upper and not at_any_width:
        return None
    return lower, _nearest((ball - flint.arb(lower)).mid()) if math.isfinite(lower) else 0.0


def _nearest(exact: flint.arb) -> float:
    """Round an exact ball (of radius 0) to the nearest double, ties to even; correct for subnormal results too."""
    mantissa, exponent = (int(part) for part in exact.man_exp())
    leading = exponent + mantissa.bit_length()
    if mantissa == 0 or leading < -1080:
        return 0.0
    infinite = math.inf if mantissa > 0 else -math.inf
    if leading > 1100:
        return infinite
    try:
        # Python's division of integers rounds correctly in the whole range.
        return mantissa / (1 << -exponent) if exponent < 0 else float(mantissa << exponent)
    except OverflowError:
        return infinite


class SeriesReference:
    """Any definition, by its Taylor series in the first argument, in the labels or in pos_weight."""

    _VARIABLE: ClassVar[dict[str, Variable]] = {"label_gradient": "labels", "pos_weight_gradient": "pos_weight"}

    def __init__(self, definition: Definition) -> None:
        self._definition = definition

    def exact(self, quantity: str, arrays: tuple[Floats, ...]) -> dict[str, Exact]:
        """Return all quantities that the series in the same variable holds."""
        variable = self._VARIABLE.get(quantity, "first")
        columns = [_doubles(array).tolist() for array in arrays]
        rows = [self._round(variable, numbers) for numbers in zip(*columns, strict=True)]
        return {name: Exact(*np.array([row[name] for row in rows]).T) for name in rows[0]}

    def _round(self, variable: Variable, numbers: tuple[float, ...]) -> dict[str, tuple[float, float, float]]:
        """Return nearest double, rest and scale per quantity."""
        # exp(-x) of larger numbers has relevant digits only where the precision holds its exponent.
        precision = 128 if all(abs(number) < _HUGE for number in numbers) else 1152
        found: dict[str, tuple[float, float, float]] = {}
        while True:
            with flint.ctx.workprec(precision):
                results = evaluate(self._definition, variable, numbers)
                for name, (ball, scale) in results.items():
                    rounded = _rounded(ball, at_any_width=precision > _PRECISION_LIMIT)
                    if name not in found and rounded is not None:
                        magnitude = _nearest(scale.mid()) if scale.is_finite() else math.inf
                        found[name] = (*rounded, max(abs(rounded[0]), magnitude))
            if len(found) == len(results):
                return found
            if precision > _PRECISION_LIMIT:
                msg = f"the definition has no value at {numbers}"
                raise ArithmeticError(msg)
            precision *= 3


_HUGE = 2.0**200
