"""The exact values that functions are measured against.

For formats of at most 32 bits they are those of float64 in a form that loses no digits. NumPy and the GPU libraries
state at most 4 ULP of float64 for what these are made of, and the forms add less than that: 8 ULP of float64 are 2^-26
ULP of float32. JAX's own float64, which is used for JAX on a GPU alone, is off by up to 129 ULP, 2^-22 ULP of float32.
logaddexp crosses zero: where it is below 1/32 of its terms its values come from ball arithmetic. float64 itself is
measured against ball arithmetic, high and low part. The tests certify the former against the latter.
"""

import math
from functools import lru_cache

import array_api_compat.numpy
import flint
import numpy as np

from xbce_conformance.exact_values.rounding import rounded
from xbce_conformance.exact_values.signed_series import PRECISION_LIMIT, more_precise
from xbce_conformance.functions.inputs import Inputs, drawn, further
from xbce_conformance.functions.table import ELEMENTARY, Elementary
from xbce_conformance.inputs.formats import FORMATS, Doubles, Format

Exact = tuple[Doubles, Doubles]
"""The nearest doubles, and what is left."""


def exact_values(function: Elementary, fmt: Format, inputs: Inputs) -> Exact:
    """Return the exact values of any inputs, NaN and infinities among them."""
    doubles = [x.astype(np.float64) for x in inputs]
    with np.errstate(all="ignore"):
        high = np.asarray(function.exact(array_api_compat.numpy, *doubles))
    low = np.zeros_like(high)
    if fmt.name == "float64":
        by_balls = np.ones(high.shape, np.bool_)
    elif function.cancels:
        with np.errstate(invalid="ignore"):
            by_balls = function.cancels(doubles[0], doubles[1], high)
    else:
        return high, low
    for x in doubles:
        by_balls &= np.isfinite(x)
    places = np.flatnonzero(by_balls)
    for i, numbers in zip(places.tolist(), zip(*(x[places].tolist() for x in doubles), strict=True), strict=True):
        pair = _enclosed(function, numbers)
        if pair is not None:
            high[i], low[i] = pair
    return high, low


def _enclosed(function: Elementary, numbers: tuple[float, ...]) -> tuple[float, float] | None:
    """Return the nearest double and the rest; None where there is no finite value, or one far beyond all doubles."""
    precision = 128
    while True:
        with flint.ctx.workprec(precision):
            ball = function.ball(*map(flint.arb, numbers))
            if not ball.is_finite():
                return None
            pair = _at_once(ball) or rounded(ball, at_any_width=precision > PRECISION_LIMIT)
        if pair is not None:
            return pair
        precision = more_precise(precision)


def _at_once(ball: flint.arb) -> tuple[float, float] | None:
    """Return the nearest double and the rest where it is plain which one that is: in a quarter of the time."""
    high = float(ball.mid())
    if not _ORDINARY[0] < abs(high) < _ORDINARY[1] or abs(math.frexp(high)[0]) == 0.5:
        return None  # subnormal numbers, or a power of two, whose neighbours are at different distances
    low = float((ball - high).mid())
    plain = abs(low) < 0.499999 * math.ulp(high) and float(ball.rad()) < 2.0**-80 * abs(high)
    return (high, low) if plain else None


_ORDINARY = 1e-290, 1e290


@lru_cache(maxsize=16)
def double_blocks(name: str, samples: int, block: int) -> tuple[list[tuple[Inputs, Exact]], list[tuple[Inputs, Exact]]]:
    """Return the inputs of float64 with their exact values, drawn and further ones: all libraries share them."""
    function, fmt = ELEMENTARY[name], FORMATS["float64"]
    found = drawn(function, fmt, samples, block), further(function, fmt, block)
    parts = [[(inputs, exact_values(function, fmt, inputs)) for inputs in part] for part in found]
    return parts[0], parts[1]
