"""ndonnx: plain calls, which make a graph of ONNX where the arrays have no values.

What is not plain is for onnxruntime, and for lengths that a graph does not know.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import ndonnx as ndx

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
        """Return `function(xp, *arrays)`, with no constants that onnxruntime would take for 0 or 1."""
        if isinstance(function, (Kernel, Counts)):
            wide = getattr(function, "computing", None) == ndx.float64
            arrays = tuple(_variable(arrays[0], x, wide=wide) if _is_mistaken(x) else x for x in arrays)
        return function(xp, *arrays)


def _variable(first: Array, x: Any, *, wide: bool) -> Any:
    """Return a constant as what depends on an array; a number of a computation in float32 is 0 or 1 there."""
    if not isinstance(x, ndx.Array):
        if not wide:
            return x
        x = ndx.asarray(x, dtype=ndx.float64)
    return ndx.where(first == first, x, x)


def _is_mistaken(x: Any) -> bool:
    """Tell whether float32 takes a constant of one element, or 1 without it, for 1: so does `NoopElimination`."""
    if isinstance(x, ndx.Array):
        try:
            x = x.unwrap_numpy().item() if x.ndim == 0 or set(x.shape) == {1} else 0.0
        except ValueError:  # an argument of the graph
            return False
    return any(0 < abs(float(x) - whole) <= _LEAST_OF_FLOAT32 for whole in (0, 1))


_LEAST_OF_FLOAT32 = 2.0**-24
"""Of what changes 1 at all."""


RUNNER = NdonnxRunner()
