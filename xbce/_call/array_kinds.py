"""Refuses arrays that hold more than numbers (masks, units), which would be ignored, and arrays that are not dense.

The checks look at the array itself, not at its namespace, so that they apply to the chunks of a Dask array, too.
"""

import sys
from typing import Any

import array_api_compat as compat

from .._typing import Array
from .texts import type_name


def plain(name: str, x: Any) -> Array:
    """Return an array in its library's own class; refuse a subclass that holds more than numbers."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if torch is not None and isinstance(x, torch.Tensor):
        _require_dense(name, x, torch)
        return x
    if numpy is not None and isinstance(x, (numpy.ndarray, numpy.generic)):
        if type(x) is numpy.ndarray:
            return x
        _require_only_numbers(name, x)
        if isinstance(x, numpy.ndarray):
            _require_own_operations(name, x, numpy)
        return numpy.asarray(x)  # numpy.matrix has another meaning of `*`; a NumPy scalar becomes a 0-d array
    if compat.is_dask_array(x):
        plain_chunk(name, x._meta)  # noqa: SLF001
    return x


def plain_chunk(name: str, chunk: Any) -> Array:
    """Return a chunk of the argument `name` as a plain array. Dask's own operations support these two libraries."""
    numpy = sys.modules["numpy"]  # imported by Dask
    if not isinstance(chunk, (numpy.ndarray, numpy.generic)) and not compat.is_cupy_array(chunk):
        msg = f"{name} must have chunks that are NumPy or CuPy arrays, got chunks of type {type_name(chunk)}"
        raise TypeError(msg)
    return plain(name, chunk)


def is_distributed(x: Any) -> bool:
    """Tell whether an array is a DTensor of PyTorch, of which each process has a part."""
    # Another thread may be importing the module.
    sharded = getattr(sys.modules.get("torch.distributed.tensor"), "DTensor", None)
    return sharded is not None and isinstance(x, sharded)


def require_local(name: str, x: Any) -> None:
    """Refuse a tensor of several processes, of which PyTorch would read what this one has."""
    if is_distributed(x):
        msg = f"{name} must be a tensor of this process, got a DTensor: pass what its method to_local returns"
        raise TypeError(msg)


def _require_only_numbers(name: str, x: Any) -> None:
    if hasattr(x, "mask") and hasattr(x, "filled"):
        msg = f"{name} must not be a masked array: its mask would be ignored"
        raise TypeError(msg)
    _require_no_unit(name, x)


def _require_no_unit(name: str, x: Any) -> None:
    # `unit`: Astropy and pymatgen; `units`: unyt and quantities.
    if getattr(x, "unit", None) is not None or getattr(x, "units", None) is not None:
        msg = f"{name} must not carry a unit, which would be ignored: pass its numbers; got {type_name(x)}"
        raise TypeError(msg)


def _require_own_operations(name: str, x: Any, numpy: Any) -> None:
    """Refuse a subclass that redefines NumPy's functions; subclasses that only add attributes are harmless."""
    cls = type(x)
    for method in ("__array_ufunc__", "__array_function__"):
        if getattr(cls, method) is not getattr(numpy.ndarray, method):
            msg = (
                f"{name} must not redefine NumPy's functions, as that would be ignored: pass its numbers; "
                f"{type_name(x)} has its own {method}"
            )
            raise TypeError(msg)


def _require_dense(name: str, x: Any, torch: Any) -> None:
    layout = x.layout
    if x.is_nested and layout is not torch.jagged:
        msg = f"{name} must not be a nested tensor of layout {layout}: make it with layout=torch.jagged"
        raise TypeError(msg)
    if layout is not torch.strided and layout is not torch.jagged:
        msg = f"{name} must be a dense tensor, got one of layout {layout}: call its method to_dense first"
        raise TypeError(msg)
    if isinstance(x, torch.masked.MaskedTensor):
        msg = f"{name} must not be a masked array: its mask would be ignored"
        raise TypeError(msg)
    if type(x) is not torch.Tensor and type(x) is not torch.nn.Parameter:
        _require_no_unit(name, x)
