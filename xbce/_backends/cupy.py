"""CuPy: `cupy.fuse` compiles a kernel to one CUDA kernel, including the sum of its result if it has only one."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import cupy

from .._call.kernel import Arguments, Function, Kernel, Sums, SumSpec, summed
from .._compiler.hoisting import Hoisted, hoisted
from .._typing import Array, Namespace
from .eager import EagerRunner


class CupyRunner(EagerRunner):
    """Fuses kernels, and calls other functions directly. CuPy raises no floating-point warnings."""

    def run(self, xp: Namespace, function: Function, arrays: Arguments, sums: Sums) -> tuple[Array, ...]:
        """Return the results: the sum of a single result is part of the fused kernel, other sums follow it."""
        first: Any = arrays[0]
        # The fuser knows no tables, and contracts products.
        if not isinstance(function, Kernel) or function.arithmetic != "native":
            return super().run(xp, function, arrays, sums)
        if function.numbers:
            function = hoisted(function, arrays)
            arrays = function.arguments(arrays)
        if len(sums) == 1 and sums[0] is not None and sums[0].axes:
            return (fused(xp, function, sums[0], first.ndim)(*arrays),)
        results = fused(xp, function)(*arrays)
        results = results if isinstance(results, tuple) else (results,)
        return summed(xp, results, sums)


@lru_cache(maxsize=512)
def fused(xp: Namespace, kernel: Kernel | Hoisted, spec: SumSpec | None = None, ndim: int = 0) -> Callable[..., Any]:
    """Return the fused kernel; `spec` sums its only result over axes of arrays with `ndim` dimensions."""

    def elementwise(*arrays: Array) -> Any:
        results = kernel(xp, *arrays)
        return results if len(results) > 1 else results[0]

    def summed(*arrays: Array) -> Any:
        (result,) = kernel(xp, *arrays)
        axes = tuple(axis + ndim for axis in spec.axes) if spec is not None else ()
        # `cupy.fuse` does not support the argument `dtype` of `sum`, so the summands are cast.
        return xp.sum(result if spec is None else xp.astype(result, spec.dtype), axis=axes)

    name = "_".join(("xbce", *(output.method for output in kernel.outputs)))
    fuse: Callable[..., Any] = cupy.fuse(kernel_name=name)(elementwise if spec is None else summed)
    return fuse


RUNNER = CupyRunner()
