"""The kernels that `cupy.fuse` makes of a function, without a GPU."""

from collections.abc import Callable
from typing import Any

import cupy
import numpy as np
from cupy._core import fusion


def array(shape: tuple[int, ...], dtype: Any) -> cupy.ndarray:
    """Return a CuPy array without memory: the fuser reads only dtypes and shapes."""
    size = max(1, int(np.prod(shape)) * np.dtype(dtype).itemsize)
    memory = cupy.cuda.UnownedMemory(1, size, None, 0)
    return cupy.ndarray(shape, dtype, memptr=cupy.cuda.MemoryPointer(memory, 0))


def trace(function: Callable[..., Any], arrays: tuple[Any, ...]) -> Any:
    """Return the kernel that `cupy.fuse` makes at the first call, before it is compiled."""
    history = fusion._FusionHistory()  # noqa: SLF001
    fusion._thread_local.history, fusion._thread_local.is_old_fusing = history, True  # noqa: SLF001
    try:
        return history.get_fusion(function.func, arrays, function.name)[0]
    finally:
        fusion._thread_local.history, fusion._thread_local.is_old_fusing = None, False  # noqa: SLF001
