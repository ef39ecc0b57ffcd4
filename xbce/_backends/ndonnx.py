"""ndonnx: plain calls, which make a graph of ONNX where the arrays have no values.

What is not plain is for onnxruntime, and for lengths that a graph does not know.
"""

from functools import lru_cache
from typing import Any

import ndonnx as ndx

from .._formulas import WithForms
from .._precision import Table
from .._typing import Array, Namespace
from .eager import EagerRunner


class _Namespace(WithForms):
    """`ndonnx`, with lookups and another `tanh`."""

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


NAMESPACE = _Namespace(ndx, {"plus": _plus})


@lru_cache(maxsize=64)
def _doubles(table: Table) -> Array:
    return ndx.asarray(table.numbers, dtype=ndx.float64)


class NdonnxRunner(EagerRunner):
    """Calls functions with the adapter."""

    namespace = NAMESPACE


RUNNER = NdonnxRunner()
