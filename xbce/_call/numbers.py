"""What is taken as a number: Python's and NumPy's numbers whatever their width, 0-d NumPy arrays, PyTorch's symbols."""

import sys
from typing import Any

from .._formulas.exponents import QUICK
from .._typing import Array, Device, DType, Namespace
from .lengths import is_in_dynamo


def as_number(x: Any) -> Any:
    """Return a number as Python's, or as what stands for it while PyTorch traces; None for anything else.

    An instance of a subclass of NumPy's arrays is none: it may have a unit or a mask.
    """
    if is_from_numpy(x):
        numpy = sys.modules["numpy"]
        if x.ndim or not (isinstance(x, numpy.generic) or type(x) is numpy.ndarray):
            return None
        if is_in_dynamo():  # which knows neither the dtype nor the value
            return sys.modules["torch"].as_tensor(x)
        return x.item() if _is_real(x.dtype) else None
    if isinstance(x, (bool, int, float)):
        return x
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(x, (torch.SymInt, torch.SymFloat, torch.SymBool)):
        return x
    return None


def is_from_numpy(x: Any) -> bool:
    """Tell whether this is an array or a scalar of NumPy."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and bool(isinstance(x, (numpy.ndarray, numpy.generic)))


def value_of(x: Any) -> Any:
    """Return the value of a scalar, of Python or NumPy; None for an array, whose values are not looked at."""
    numpy = sys.modules.get("numpy")
    return None if numpy is not None and isinstance(x, numpy.ndarray) else as_number(x)


def as_argument(number: Any) -> Any:
    """Return a number, or None, as a kernel takes it.

    What torch.compile takes for a number that changes becomes an array. Of a number it would compile each value anew
    where it meets an operation that takes no symbol, such as a power; and Dekker's splitting of a symbol cancels.
    """
    if number is None or not is_in_dynamo():
        return number
    import torch
    from torch.fx.experimental import symbolic_shapes

    if symbolic_shapes.has_static_value(number):
        return number
    for quick in QUICK:  # 0, too, chooses operations
        if number == quick:
            return quick
    return torch.zeros((), dtype=torch.float64) + number


def array_of(xp: Namespace, number: Any, dtype: DType, device: Device) -> Array:
    """Return a 0-d array of what `as_number` returned."""
    if is_in_dynamo():
        if isinstance(number, sys.modules["torch"].Tensor):
            return xp.asarray(number, dtype=dtype, device=device)
    elif isinstance(number, int):
        number = float(number)  # PyTorch takes none beyond int64
    return xp.full((), number, dtype=dtype, device=new_device(xp, device))


def new_device(xp: Namespace, device: Device) -> Device:
    """Return where to make a number that meets arrays on a device.

    In JAX nowhere in particular: it goes then to any device, and to all of those that an array is sharded over.
    """
    return None if is_jax(xp) else device


def is_numpy(xp: Namespace) -> bool:
    """Tell whether a namespace is that of NumPy; torch.compile warns of the caches of array-api-compat."""
    return bool(xp.__name__ == "array_api_compat.numpy")


def is_jax(xp: Namespace) -> bool:
    """Tell whether a namespace is that of JAX."""
    return bool(xp.__name__ == "jax.numpy")


def _is_real(dtype: Any) -> bool:
    """Tell whether a NumPy dtype is boolean, integer, or floating of at most 64 bits."""
    return bool((dtype.kind in "biuf" and dtype.itemsize <= 8) or dtype.name == "bfloat16")
