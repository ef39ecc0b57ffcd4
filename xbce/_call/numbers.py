"""Arguments that count as numbers: Python and NumPy numbers, 0-d NumPy arrays, and symbols of PyTorch's tracers."""

import sys
from typing import Any

from .._formulas.exponents import QUICK
from .._typing import Array, Device, DType, Namespace
from .lengths import is_in_dynamo


def as_number(x: Any) -> Any:
    """Return a Python number, or its symbol or tensor while PyTorch traces; None for anything else.

    An instance of a subclass of numpy.ndarray does not count as a number: it may have a unit or a mask.
    """
    if is_from_numpy(x):
        numpy = sys.modules["numpy"]
        if x.ndim or not (isinstance(x, numpy.generic) or type(x) is numpy.ndarray):
            return None
        if is_in_dynamo():
            # Dynamo makes a tensor of it, without dtype and value: https://github.com/pytorch/pytorch/issues/141258
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
    """Return the value of a Python or NumPy scalar; None for an array, whose values are not read."""
    numpy = sys.modules.get("numpy")
    return None if numpy is not None and isinstance(x, numpy.ndarray) else as_number(x)


def as_argument(number: Any) -> Any:
    """Return a number, an array or None, in the form that kernels take.

    A symbol of torch.compile becomes a 0-d array. A symbol that meets an operation for arrays only, such as a power,
    makes it compile for each value (https://github.com/pytorch/pytorch/pull/179395), and it cancels Dekker's splitting.
    """
    if not isinstance(number, (int, float)) or not is_in_dynamo():
        return number
    import torch
    from torch.fx.experimental import symbolic_shapes

    if symbolic_shapes.has_static_value(number):
        return number
    for quick in QUICK:  # these values choose operations
        if number == quick:
            return quick
    return torch.zeros((), dtype=torch.float64) + number


def array_of(xp: Namespace, number: Any, dtype: DType, device: Device) -> Array:
    """Return a 0-d array of what `as_number` returned."""
    if is_in_dynamo():
        if isinstance(number, sys.modules["torch"].Tensor):
            return xp.asarray(number, dtype=dtype, device=device)
    elif isinstance(number, int):
        number = float(number)  # PyTorch accepts no int beyond int64
    if is_jax(xp):  # JAX would make it on its default device, and copy it from there to that of the arrays
        return sys.modules["numpy"].full((), number, dtype=dtype)
    return xp.full((), number, dtype=dtype, device=new_device(xp, device))


def new_device(xp: Namespace, device: Device) -> Device:
    """Return the device argument for a new 0-d array that is combined with arrays on `device`.

    In JAX it is None: JAX moves an uncommitted array to any device, and to all devices of a sharded array.
    """
    return None if is_jax(xp) else device


def is_numpy(xp: Namespace) -> bool:
    """Tell whether a namespace is that of NumPy; by name, for the reason given in `namespace_of`."""
    return bool(xp.__name__ == "array_api_compat.numpy")


def is_jax(xp: Namespace) -> bool:
    """Tell whether a namespace is that of JAX."""
    return bool(xp.__name__ == "jax.numpy")


def _is_real(dtype: Any) -> bool:
    """Tell whether a NumPy dtype is boolean, integer, or floating of at most 64 bits."""
    return bool((dtype.kind in "biuf" and dtype.itemsize <= 8) or dtype.name == "bfloat16")
