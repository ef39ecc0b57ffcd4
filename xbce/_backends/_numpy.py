"""NumPy: in blocks that stay in cache, on threads; without warnings; with sums accurate along any axis."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from xbce._backends._eager import EagerRunner
from xbce._backends._threads import in_threads
from xbce._kernel import Sum
from xbce._typing import Array, Namespace

_BLOCK = 32768
"""Elements of a block: its temporaries fit into the second-level cache, and a NumPy call costs little beside it."""


class NumpyRunner(EagerRunner):
    """Floating-point warnings are off: infinities and NaN have defined results here."""

    def map(self, xp: Namespace, function: Callable[..., Any], arrays: tuple[Any, ...]) -> Any:
        """Return `function(xp, *arrays)`, block by block where the arrays are large."""
        shape = xp.broadcast_shapes(*(getattr(a, "shape", ()) for a in arrays))
        if math.prod(shape) < 2 * _BLOCK:
            return _quietly(xp, function, arrays)
        whole = [a for a in arrays if getattr(a, "ndim", 0)]
        if all(a.shape == shape and a.flags.c_contiguous for a in whole):
            flat = tuple(a.reshape(-1) if getattr(a, "ndim", 0) else a for a in arrays)
            result = _in_blocks(xp, function, flat, (math.prod(shape),))
            if isinstance(result, tuple):
                return tuple(part.reshape(shape) for part in result)
            return result.reshape(shape)
        return _in_blocks(xp, function, arrays, shape)

    def sum(self, xp: Namespace, x: Array, total: Sum) -> Array:
        """Return the sum.

        NumPy sums pairwise only along memory that is contiguous; along any other axis its error grows with the length
        (2e5 ULP of a float64 mean at 10^7 elements). So the summed axes are brought together at the end first.
        """
        kept = tuple(i for i in range(x.ndim) if i - x.ndim not in total.axes)
        shape = (*(x.shape[i] for i in kept), math.prod(x.shape[i] for i in total.axes))
        flat = xp.reshape(xp.permute_dims(x, kept + total.axes), shape)
        with xp.errstate(all="ignore"):
            return xp.sum(xp.ascontiguousarray(flat), axis=-1, dtype=total.dtype)


def _quietly(xp: Namespace, function: Callable[..., Any], arrays: tuple[Any, ...]) -> Any:
    with xp.errstate(all="ignore"):
        return function(xp, *arrays)


def _in_blocks(xp: Namespace, function: Callable[..., Any], arrays: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    """Call the function on blocks along axis 0, the same blocks for any number of threads."""
    rows = max(1, _BLOCK // max(1, math.prod(shape[1:])))
    blocks = [slice(start, start + rows) for start in range(0, shape[0], rows)]
    take = partial(_block, arrays=arrays, shape=shape)
    first = _quietly(xp, function, take(blocks[0]))
    several = isinstance(first, tuple)
    outputs = tuple(xp.empty(shape, dtype=part.dtype) for part in (first if several else (first,)))

    def store(block: slice, parts: Any) -> None:
        for output, part in zip(outputs, parts if several else (parts,), strict=True):
            output[block] = part

    store(blocks[0], first)
    in_threads(lambda block: store(block, _quietly(xp, function, take(block))), blocks[1:])
    return outputs if several else outputs[0]


def _block(block: slice, *, arrays: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Return the parts of arrays that belong to a block; what is broadcast along axis 0 is taken whole."""
    return tuple(a[block] if getattr(a, "ndim", 0) == len(shape) and a.shape[0] == shape[0] else a for a in arrays)


RUNNER = NumpyRunner()
