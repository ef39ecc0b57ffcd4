"""The plain loss and its derivatives, exactly: three references of it, independent of xbce.

`Float64Reference` is NumPy's float64, for float32 and narrower. `BallReference` is ball arithmetic (python-flint's
`arb`), for float64 and to certify the other: an enclosure is accepted when both of its ends round to the same double,
else the precision is raised. `SeriesReference` of `by_series` does the same with any definition, in every format; it is
slower, and certifies `BallReference`. `ArrayReference` is float64 in the namespace of any array library, for sweeps: on
a GPU nothing leaves the device.

An exact value is a pair of doubles, the nearest one and what is left, so that errors of a fraction of a ULP of
float64 can be measured.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import array_api_compat.numpy
import flint
import numpy as np
import numpy.typing as npt

from xbce_conformance.exact_values.exact import Exact
from xbce_conformance.exact_values.rounding import rounded
from xbce_conformance.exact_values.signed_series import PRECISION_LIMIT
from xbce_conformance.inputs.formats import Doubles, Floats

Array: TypeAlias = Any


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

    A value next to the middle of two numbers of these formats has a `low` that tells on which side it lies. Certified
    against `BallReference` by the tests.
    """

    def value(self, logits: Floats, labels: Floats) -> Exact:
        """Return the loss."""
        return self._exact("value", logits, labels)

    def gradient(self, logits: Floats, labels: Floats) -> Exact:
        """Return the gradient; from the small sigmoid, never 1 - the large one."""
        return self._exact("gradient", logits, labels)

    def hessian(self, logits: Floats, labels: Floats) -> Exact:  # noqa: ARG002
        """Return the second derivative."""
        small = _small_sigmoid(_doubles(logits))
        return _itself(small * (1 - small))

    def _exact(self, quantity: str, logits: Floats, labels: Floats) -> Exact:
        z = _doubles(labels)
        high, low, scale = ArrayReference.of(array_api_compat.numpy, _doubles(logits)).pair(quantity, z)
        return Exact(high, low, np.asarray(np.where((z == 0) | (z == 1), high, scale), np.float64))


class ExtendedReference(PlainReference):
    """NumPy's long double, to look for large errors of float64: what it finds, ball arithmetic confirms.

    Where long double has 64 bits, as on x86, it is off by 2^-10 ULP of float64.
    """

    def value(self, logits: Floats, labels: Floats) -> Exact:
        """Return the loss as a sum of three non-negative terms."""
        x, z = _extended(logits), _extended(labels)
        positive, negative = np.maximum(x, 0), np.maximum(-x, 0)
        return _itself(positive * (1 - z) + negative * z + np.log1p(np.exp(-np.abs(x))))

    def gradient(self, logits: Floats, labels: Floats) -> Exact:
        """Return the gradient; from the small sigmoid, never 1 - the large one."""
        x, z = _extended(logits), _extended(labels)
        small = _small_sigmoid(x)
        gradient = np.where(x >= 0, (1 - z) - small, small - z)
        up, down = (1 - z) * np.where(x >= 0, 1 - small, small), z * np.where(x >= 0, small, 1 - small)
        hard = (z == 0) | (z == 1)
        return Exact(gradient, np.zeros_like(gradient), np.where(hard, gradient, np.maximum(up, down)))

    def hessian(self, logits: Floats, labels: Floats) -> Exact:  # noqa: ARG002
        """Return the second derivative."""
        small = _small_sigmoid(_extended(logits))
        return _itself(small * (1 - small))


def _doubles(x: Floats) -> Doubles:
    return np.asarray(x, np.float64)


def _extended(x: Floats) -> npt.NDArray[Any]:
    return np.asarray(x, np.longdouble)


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


# exp(-|x|) of larger logits is below every double: any positive number that is will do, and keeps exponents small.
_UNDERFLOW = 800.0


def _ball_exp(x: float) -> flint.arb:
    """Enclose exp(-|x|), or what will do."""
    return (-flint.arb(min(abs(x), _UNDERFLOW))).exp()


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
            # At the limit nothing is left but numbers that are exact.
            pair = rounded(function(x, z), at_any_width=precision > PRECISION_LIMIT)
            if pair is not None:
                return pair
        precision *= 2


def tails(xp: Any, x: Array) -> tuple[Array, Array, Array]:
    """Return exp(-|x|), sigmoid(-|x|) and sigmoid(|x|), without loss of digits."""
    e = xp.exp(-xp.abs(x))
    return e, e / (1 + e), 1 / (1 + e)


_TINY = 2.0**-20
"""Of smaller logits sigmoid(x) is 1/2 and a small term, apart."""
_SMALLEST = math.ulp(0.0)
"""In place of an exp(-|x|) that underflows: it is not 0, and decides on which side of a middle a sum lies."""


@dataclass(frozen=True)
class ArrayReference:
    """The plain loss of one block of logits: what the exact values of all labels are made of."""

    xp: Any
    x: Array
    log1p: Array
    """log1p(exp(-|x|))"""
    small: Array
    """sigmoid(-|x|)"""
    large: Array
    """sigmoid(|x|)"""

    @classmethod
    def of(cls, xp: Any, x: Array) -> "ArrayReference":
        """Compute them."""
        e, small, large = tails(xp, x)
        return cls(xp, x, xp.log1p(e), small, large)

    def exact(self, quantity: str, z: float) -> tuple[Array, Array]:
        """Return the exact values for one label, and the scale of their errors."""
        if quantity != "hessian" and z not in (0.0, 1.0):
            return self.of_soft_labels(quantity, self.xp.full_like(self.x, z))
        exact: Array = getattr(self, f"_{quantity}")(z)
        return exact, exact

    def of_soft_labels(self, quantity: str, labels: Array) -> tuple[Array, Array]:
        """Return the same for an array of labels between 0 and 1, each with at most 24 significant bits.

        A sum often lies in the middle of two float32 numbers but for a term that is too small for its double, such as a
        tiny logit: the double is then one on the right side of the middle.
        """
        if quantity == "hessian":
            return self.exact(quantity, 0.0)
        high, low, scale = self.pair(quantity, labels)
        exact = self._rounded_to_odd(high, low)
        return exact, scale if quantity == "gradient" else exact

    def pair(self, quantity: str, labels: Array) -> tuple[Array, Array, Array]:
        """Return value or gradient for such labels, 0 and 1 among them, and what it lacks; and the scale."""
        xp, x = self.xp, self.x
        if quantity == "value":
            tail = xp.maximum(self.log1p, xp.full_like(x, _SMALLEST))
            total, low = _sum(xp.where(x > 0, x, xp.zeros_like(x)), -labels * x, tail)
            finite = xp.isfinite(x)  # infinity less infinity would be NaN
            total = xp.where(finite, total, xp.abs(x))
            return total, xp.where(finite, low, xp.zeros_like(x)), total
        tiny = xp.abs(x) < _TINY  # sigmoid(-|x|) is 1/2 there, less a term that a double has no bits for
        whole = xp.where(x >= 0, xp.ones_like(x), xp.zeros_like(x))
        small = xp.where(xp.isfinite(x), xp.maximum(self.small, xp.full_like(x, _SMALLEST)), self.small)
        part = xp.where(tiny, xp.tanh(x / 2) / 2, xp.where(x >= 0, -small, small))
        high, low = _sum(xp.where(tiny, xp.full_like(x, 0.5), whole), -labels, part)
        return high, low, xp.maximum((1 - labels) * self.sigmoid, labels * self._sigmoid(x < 0))

    def _rounded_to_odd(self, high: Array, low: Array) -> Array:
        """Return sums in float64: of one that is inexact the last bit is 1, so it is no middle."""
        side = low * self.xp.sign(high)
        step = self.xp.astype(side > 0, self.xp.int64) - self.xp.astype(side < 0, self.xp.int64)
        bits = high.view(self.xp.int64)
        return (bits + step * (1 - (bits & 1))).view(self.xp.float64)

    @property
    def sigmoid(self) -> Array:
        """sigmoid(x), without loss of digits."""
        return self._sigmoid(self.x >= 0)

    def _sigmoid(self, large: Array) -> Array:
        return self.xp.where(large, self.large, self.small)

    def _value(self, z: float) -> Array:
        x = -self.x if z else self.x
        return self.log1p + self.xp.where(x > 0, x, self.xp.zeros_like(x))

    def _gradient(self, z: float) -> Array:
        return -self._sigmoid(self.x < 0) if z else self.sigmoid

    def _hessian(self, z: float) -> Array:  # noqa: ARG002
        return self.small * self.large


def _sum(a: Array, b: Array, c: Array) -> tuple[Array, Array]:
    """Return the sum of three arrays, and what it lacks."""
    first, lacks = _two_sum(a, b)
    total, lacks_too = _two_sum(first, c)
    return total, lacks + lacks_too


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the rounded sum, and exactly what it lacks (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)
