"""NumPy: in blocks on threads where arrays are large; without warnings; with sums accurate along any axis."""

import math
from collections.abc import Callable
from typing import Any

from xbce._backends._blocks import Blocks, keep_freed_memory, sequentially
from xbce._backends._threads import get_num_threads, in_threads
from xbce._kernel import Sum
from xbce._typing import Array, Namespace

_BLOCK_BYTES = 2**17
"""Of one array in a block, on one thread: its temporaries stay in cache, and a NumPy call costs little beside it."""
_SHARED_BLOCK_BYTES = 2**20
"""The same on several threads. They take turns between their calls, and wait long for it where the calls are short."""
_SMALL = 2**16
"""Arrays of fewer elements are not cut into blocks."""
_SHARED = 2**19
"""Arrays of fewer elements are worked on by one thread: to wake others would cost more than they save."""


class NumpyRunner:
    """Floating-point warnings are off: infinities and NaN have defined results here."""

    def run(
        self,
        xp: Namespace,
        function: Callable[..., tuple[Array, ...]],
        arrays: tuple[Array | float, ...],
        sums: tuple[Sum | None, ...],
    ) -> tuple[Array, ...]:
        """Return the results, summed by NumPy's pairwise sum. The first array has the full shape."""
        first: Any = arrays[0]
        if first.size < _SMALL:
            with xp.errstate(all="ignore"):
                results = function(xp, *arrays)
                return tuple(x if total is None else _sum(xp, x, total) for x, total in zip(results, sums, strict=True))

        def call(xp: Namespace, *block: Any) -> tuple[Array, ...]:
            with xp.errstate(all="ignore"):  # of the thread that it is called on
                return function(xp, *block)

        keep_freed_memory(xp)
        item = max(4, first.dtype.itemsize)
        unit = size = _BLOCK_BYTES // item
        threads = get_num_threads() if first.size >= _SHARED else 1
        if threads > 1:  # though `in_threads` may use but one of them, where the caller is one of several
            share = -(-first.size // threads)
            size = min(_SHARED_BLOCK_BYTES // item, -(-share // unit) * unit)
        each = in_threads if threads > 1 else sequentially
        return Blocks(xp, call, arrays, sums, size, unit, _sum, _is_contiguous, each).results()

    def map(self, xp: Namespace, function: Callable[..., Any], arrays: tuple[Array | float | None, ...]) -> Any:
        """Return `function(xp, *arrays)`, a single array, block by block where that is large."""
        shapes = [tuple(getattr(a, "shape", ())) for a in arrays]
        shape = shapes[0] if len(shapes) == 1 else xp.broadcast_shapes(*shapes)
        if math.prod(shape) < _SMALL:
            with xp.errstate(all="ignore"):
                return function(xp, *arrays)
        full: tuple[Any, ...] = (xp.broadcast_to(arrays[0], shape), *arrays[1:])
        return self.run(xp, lambda xp, *block: (function(xp, *block),), full, (None,))[0]


def _is_contiguous(x: Array) -> bool:
    return bool(x.flags.c_contiguous)


def _sum(xp: Namespace, x: Array, total: Sum) -> Array:
    """Return the sum.

    NumPy sums pairwise only along memory that is contiguous; along any other axis its error grows with the length
    (2e5 ULP of a float64 mean at 10^7 elements). So the summed axes are brought together at the end first.
    """
    with xp.errstate(all="ignore"):
        if len(total.axes) == x.ndim:
            return xp.add.reduce(x.reshape(-1), dtype=total.dtype)
        kept = tuple(i for i in range(x.ndim) if i - x.ndim not in total.axes)
        shape = (*(x.shape[i] for i in kept), math.prod(x.shape[i] for i in total.axes))
        flat = x.transpose(kept + total.axes).reshape(shape)
        return xp.add.reduce(xp.ascontiguousarray(flat), axis=-1, dtype=total.dtype)


RUNNER = NumpyRunner()
