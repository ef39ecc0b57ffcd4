"""The numbers t = |x| of a format in ascending order, and what the formulas approximate at one of them."""

import math
import struct
from functools import lru_cache
from typing import Any, NamedTuple

import flint

from xbce_conformance.inputs.formats import Format

_CODES = {4: ("f", "I"), 8: ("d", "Q")}
_FAR = 4096.0
"""exp of minus this is a small part of the least number of each format."""


def number_at(index: int, fmt: Format) -> float:
    """Return the number at an index: that of 0 is 0, and each next number follows."""
    number, bits = _CODES[fmt.dtype.itemsize]
    return float(struct.unpack(number, struct.pack(bits, index))[0])


def index_of(t: float, fmt: Format) -> int:
    """Return the index of a number that the format has."""
    number, bits = _CODES[fmt.dtype.itemsize]
    return int(struct.unpack(bits, struct.pack(number, t))[0])


class Exact(NamedTuple):
    """What is known of an exact value y > 0."""

    exponent: int
    """floor(log2 y), or emin if that is larger: an ULP of y is 2^(exponent - p + 1)."""
    low: float
    """Not above y."""
    high: float
    """Not below y."""
    room: float
    """Not above the distance to the next power of two at which an ULP doubles, in ULP of y."""


class Point(NamedTuple):
    """The exact values at one t."""

    t: float
    e: Exact
    """exp(-t)"""
    log: Exact
    """log(1 + e), the loss of a hard label that agrees"""
    q: Exact
    """e / (1 + e), the size of the gradient for such a label"""
    h: Exact
    """q (1 - q), the hessian, and the least scale of the gradient of soft labels"""
    loss: Exact
    """t + log(1 + e), the loss of a hard label that disagrees"""


@lru_cache(maxsize=2**17)
def point_at(index: int, fmt: Format) -> Point:
    """Return the exact values at the number with an index."""
    t = number_at(index, fmt)
    bits = 2 * fmt.p + 64 - 2 * min(0, math.frexp(t)[1])  # next to 0, q (1 - q) is 1/4 but for t^2 / 16
    if t >= _FAR:
        return _far_point(t, fmt)
    while True:
        with flint.ctx.workprec(bits):
            try:
                return _point(t, fmt)
            except _TooWideError:
                bits *= 2


class _TooWideError(Exception):
    """A ball contains a power of two: more bits are needed."""


def _point(t: float, fmt: Format) -> Point:
    exact = flint.arb(t)
    e = (-exact).exp()
    log = e.log1p()
    return Point(t, *(_known(y, fmt) for y in (e, log, e / (1 + e), e / (1 + e) ** 2, exact + log)))


def _far_point(t: float, fmt: Format) -> Point:
    """Return what is known where an exponential is a small part of the least number."""
    none = Exact(fmt.emin, 0.0, math.ulp(0.0), 2.0 ** (fmt.p - 1))
    exponent = math.frexp(t)[1] - 1
    room = 2.0 ** (fmt.p - 1) * (2 - math.ldexp(t, -exponent)) - 0.5
    return Point(t, none, none, none, none, Exact(exponent, t, math.nextafter(t, math.inf), room))


def _known(y: Any, fmt: Format) -> Exact:
    exponent = _exponent(y.upper(), fmt)
    if exponent > fmt.emin and _exponent(y.lower(), fmt) != exponent:
        raise _TooWideError
    two = flint.arb(2)
    room = (two ** (exponent + 1) - y) * two ** (fmt.p - 1 - exponent)
    return Exact(exponent, max(0.0, _down(y)), -_down(-y), max(0.0, _down(room)))


def _exponent(y: Any, fmt: Format) -> int:
    if not y > 0:
        return fmt.emin
    mantissa, power = y.man_exp()
    return max(int(mantissa).bit_length() - 1 + int(power), fmt.emin)


def _down(y: Any) -> float:
    """Return a float64 that is not above any number of a ball."""
    low = float(y.lower())
    while not flint.arb(low) <= y.lower():
        low = math.nextafter(low, -math.inf)
    return low
