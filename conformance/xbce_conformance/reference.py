"""The exact loss and its derivatives, independent of xbce.

Two references. `Float64Reference` is NumPy's float64, for subjects of float32 and narrower. `BallReference` is ball
arithmetic (python-flint's `arb`), for subjects of float64 and to certify the other: an enclosure is accepted when
both of its ends round to the same double, else the precision is raised.

An exact value is a pair of doubles, the nearest one and what is left, so that errors of a fraction of a ULP of
float64 can be measured.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import flint
import numpy as np

from xbce_conformance.formats import Doubles, Floats


@dataclass(frozen=True)
class Exact:
    """Exact values `high + low`, and the magnitude that their errors are counted against.

    `scale` is the value itself but for the gradient of a soft label: there it is the larger of the two terms whose
    difference the gradient is.
    """

    high: Doubles
    low: Doubles
    scale: Doubles

    def __getitem__(self, part: slice) -> "Exact":
        return Exact(self.high[part], self.low[part], self.scale[part])


class Reference(Protocol):
    """The exact functions of finite logits and labels in [0, 1]."""

    def value(self, logits: Floats, labels: Floats) -> Exact:
        """Return (1 - z) softplus(x) + z softplus(-x)."""

    def gradient(self, logits: Floats, labels: Floats) -> Exact:
        """Return (1 - z) sigmoid(x) - z sigmoid(-x)."""

    def hessian(self, logits: Floats, labels: Floats) -> Exact:
        """Return sigmoid(x) sigmoid(-x)."""


class Float64Reference:
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


class BallReference:
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
            ball = function(x, z)
            lower, upper = _nearest(ball.lower()), _nearest(ball.upper())
            # At the limit |x| is so large that exp(-|x|) is below every double, and the value lies at the middle of two
            # doubles but for that: either of them will do, since `low` holds the rest.
            if lower == upper or precision > _PRECISION_LIMIT:
                rest = ball - flint.arb(lower)
                return lower, _nearest(rest.mid())
        precision *= 2


def _nearest(exact: flint.arb) -> float:
    """Round an exact ball (of radius 0) to the nearest double, ties to even; correct for subnormal results too."""
    mantissa, exponent = (int(part) for part in exact.man_exp())
    if mantissa == 0 or exponent + mantissa.bit_length() < -1080:
        return 0.0
    # Python's division of integers rounds correctly in the whole range.
    return mantissa / (1 << -exponent) if exponent < 0 else float(mantissa << exponent)
