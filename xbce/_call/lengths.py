"""Lengths and numbers that are unknown in a call: chunks of Dask, and symbols of PyTorch's tracers and of ONNX."""

import math
import sys
from collections.abc import Sequence
from typing import Any

from .._typing import Array


def may_be(condition: Any) -> bool:
    """Tell whether a comparison of numbers holds; True if PyTorch cannot decide it while it traces."""
    return _decided(condition, "guard_or_true")


def must_be(condition: Any) -> bool:
    """Tell whether a comparison of numbers holds; False if PyTorch cannot decide it while it traces."""
    return _decided(condition, "guard_or_false")


def is_unknown(length: Any) -> bool:
    """Tell whether a length is not known yet: None in ONNX, NaN in Dask."""
    return length is None or (isinstance(length, float) and math.isnan(length))


def same_shape(x: Array, y: Array) -> bool:
    """Compare two shapes; an unknown length agrees with any, and the library checks it later."""
    return len(x.shape) == len(y.shape) and all(map(same_length, x.shape, y.shape))


def fits_into(x: Array, y: Array) -> bool:
    """Tell whether an array broadcasts to the shape of another without enlarging it."""
    return len(x.shape) <= len(y.shape) and all(map(_stretches, reversed(x.shape), reversed(y.shape)))


def same_length(a: Any, b: Any) -> bool:
    """Compare two dimensions; one that is unknown (None, or NaN in Dask) agrees with any."""
    return is_unknown(a) or is_unknown(b) or may_be(a == b)


def _stretches(a: Any, b: Any) -> bool:
    """Tell whether a dimension of length a broadcasts to one of length b."""
    return must_be(a == 1) or same_length(a, b)


def elements_along(x: Array, axes: Sequence[int]) -> Any:
    """Return how many elements an array has along axes; None if they must be counted."""
    if getattr(x, "is_nested", False):
        # A nested tensor of PyTorch: the ragged length is a symbol that stands for several lengths.
        return x.numel() if len(axes) == x.ndim else x.shape[0] if tuple(axes) == (0,) else None
    lengths = [x.shape[i] for i in axes]
    return None if any(map(is_unknown, lengths)) else math.prod(lengths)


def is_in_dynamo() -> bool:
    """Tell whether torch.compile is tracing this code; its symbols are instances of Python's numeric types."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.compiler.is_dynamo_compiling())


def _decided(condition: Any, rule: str) -> bool:
    torch = sys.modules.get("torch")
    if torch is not None and (is_in_dynamo() or isinstance(condition, torch.SymBool)):
        from torch.fx.experimental import symbolic_shapes

        return bool(getattr(symbolic_shapes, rule)(condition))
    return bool(condition)
