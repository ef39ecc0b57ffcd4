"""ndonnx: plain calls, which make a graph of ONNX where the arrays have no values.

What is not plain is for onnxruntime, and for lengths that a graph does not know.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import ndonnx as ndx
import numpy as np

from .._call.denominator import Counts
from .._call.kernel import Arguments, Kernel
from .._formulas import WithForms
from .._formulas.series import log1p_unit_by_series
from .._precision import Table
from .._typing import Array, Namespace
from .eager import EagerRunner


class _Namespace(WithForms):
    """`ndonnx`, with lookups and another `tanh`.

    log(1 + exp(-|x|)) is the series that others have. ONNX has no log1p: by log(1 + e) the loss is off by up to 4.1 ULP
    in float32.
    """

    def tanh(self, x: Array) -> Array:
        """Return tanh(x), which is x next to 0: onnxruntime's is off by up to 75 ULP for subnormal numbers."""
        return ndx.where(abs(x) < _LEAST_TANH, x, ndx.tanh(x))

    def lookup(self, table: Table, index: Array) -> Array:
        """Return the doubles of a table at an index."""
        flat = ndx.take(_doubles(table), ndx.reshape(index, (-1,)), axis=0)
        return ndx.reshape(flat, index.dynamic_shape)


_LEAST_TANH = 2.0**-27


def _plus(_xp: Namespace, x: Array, number: Any) -> Array:
    """Add an array: onnxruntime leaves out the addition of a constant that float32 takes for 0."""
    return x + ndx.where(x == x, number, x)


NAMESPACE = _Namespace(ndx, {"plus": _plus, "log1p_unit": log1p_unit_by_series})


@lru_cache(maxsize=64)
def _doubles(table: Table) -> Array:
    return ndx.asarray(table.numbers, dtype=ndx.float64)


class NdonnxRunner(EagerRunner):
    """Calls functions with the adapter."""

    namespace = NAMESPACE

    def map(self, xp: Namespace, function: Callable[..., Any], arrays: Arguments) -> Any:
        """Return `function(xp, *arrays)`, with no constants that onnxruntime would take for 0 or 1.

        Its optimizer, NoopElimination, compares a constant of float64 as float32 does, also one that a formula derives:
        gamma - 1 of gamma = 2 + 1e-9.
        """
        if isinstance(function, (Kernel, Counts)) and getattr(function, "computing", ndx.float64) == ndx.float64:
            arrays = tuple(_variable(arrays[0], x) if _has_more_digits(x) else x for x in arrays)
        return function(xp, *arrays)


def _variable(first: Array, x: Any) -> Any:
    """Return a constant as what depends on an array."""
    constant = x if isinstance(x, ndx.Array) else ndx.asarray(x, dtype=ndx.float64)
    return ndx.where(first == first, constant, constant)


def _has_more_digits(x: Any) -> bool:
    """Tell whether a constant of one element, or 1 without it, has digits that float32 has not."""
    if isinstance(x, ndx.Array):
        try:
            x = x.unwrap_numpy().item() if x.ndim == 0 or set(x.shape) == {1} else 0.0
        except ValueError:  # an argument of the graph
            return False
    number = float(x)
    return number != 0 and (abs(number) <= _LEAST or abs(number) > _LARGEST or float(np.float32(number)) != number)


_LEAST, _LARGEST = 2.0**-24, float(np.finfo(np.float32).max)
"""A number up to the first one is lost in 1 + x; one beyond the second one is infinite."""


RUNNER = NdonnxRunner()
