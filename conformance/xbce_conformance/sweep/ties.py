"""Exact values that float64 cannot tell from the middle of two float32 numbers, all of which are known."""

from functools import cache
from typing import Any

import array_api_compat
import numpy as np
import numpy.typing as npt

from xbce_conformance.inputs.formats import Floats, Format
from xbce_conformance.inputs.hard_cases import FUNCTIONS, hard_cases
from xbce_conformance.sweep.device import Array


def decided(xp: Any, exact: Array, first: int, fmt: Format, quantity: str, z: float) -> Array:
    """Return exact values of the numbers from a bit pattern on, moved off such middles towards the right result."""
    if fmt.name != "float32" or quantity not in FUNCTIONS or z not in (0.0, 1.0):
        return exact
    patterns, right = _sorted(quantity, z)
    start, stop = np.searchsorted(patterns, [first, first + exact.shape[0]])
    if start == stop:
        return exact
    places = xp.arange(exact.shape[0], device=array_api_compat.device(exact))
    for pattern, result in zip(patterns[start:stop].tolist(), right[start:stop], strict=True):
        index = pattern - first
        near = float(exact[index])
        other = np.nextafter(result, np.float32(np.sign(near - float(result)) * np.inf))
        middle = (float(result) + float(other)) / 2
        exact = xp.where(places == index, float(np.nextafter(middle, float(result))), exact)
    return exact


@cache
def _sorted(quantity: str, z: float) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return the bit patterns of the hard cases of a label, in order, and their right results."""
    logits, labels, right = hard_cases(quantity)
    own = labels == z
    patterns = logits[own].view(np.uint32).astype(np.int64)
    order = np.argsort(patterns)
    return patterns[order], right[own][order]
