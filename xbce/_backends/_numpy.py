"""NumPy: in blocks that stay in cache, on threads; without warnings; with sums accurate along any axis."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from xbce._backends._threads import in_threads
from xbce._kernel import Sum
from xbce._typing import Array, Namespace

_BLOCK_BYTES = 2**17
"""Of one array in a block: its temporaries fit into the second-level cache, and a NumPy call costs little beside it."""
_SMALL = 2**16
"""Arrays of fewer elements are not cut into blocks: threads would cost more than they save."""


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
        if first.size >= _SMALL:
            return _Blocks(xp, function, arrays, sums).results()
        with xp.errstate(all="ignore"):
            results = function(xp, *arrays)
            return tuple(x if total is None else _sum(xp, x, total) for x, total in zip(results, sums, strict=True))

    def map(self, xp: Namespace, function: Callable[..., Any], arrays: tuple[Array | float | None, ...]) -> Any:
        """Return `function(xp, *arrays)`, a single array, block by block where that is large."""
        shapes = [tuple(getattr(a, "shape", ())) for a in arrays]
        shape = shapes[0] if len(shapes) == 1 else xp.broadcast_shapes(*shapes)
        if math.prod(shape) < _SMALL:
            with xp.errstate(all="ignore"):
                return function(xp, *arrays)
        full = (xp.broadcast_to(arrays[0], shape), *arrays[1:])
        return _Blocks(xp, lambda xp, *block: (function(xp, *block),), full, (None,)).results()[0]


@dataclass(slots=True)
class _Blocks:
    """A run in blocks along axis 0: the same blocks, and so the same bits, for any number of threads."""

    xp: Namespace
    function: Callable[..., tuple[Array, ...]]
    arrays: tuple[Any, ...]
    sums: tuple[Sum | None, ...]
    shape: tuple[int, ...] = field(init=False)
    blocks: list[slice] = field(init=False)
    outputs: list[Any] = field(init=False)
    """For each result the array that it goes into; for one that is summed, the sums of the blocks."""

    def results(self) -> tuple[Array, ...]:
        """Return the results."""
        whole = self.arrays[0].shape
        self._flatten()
        self.shape = self.arrays[0].shape
        size = _BLOCK_BYTES // max(4, self.arrays[0].dtype.itemsize)
        rows = max(1, size // max(1, math.prod(self.shape[1:])))
        self.blocks = [slice(start, start + rows) for start in range(0, self.shape[0], rows)]
        first = self._run(self.blocks[0])
        self.outputs = [
            self.xp.empty(self.shape, dtype=part.dtype) if total is None else [None] * len(self.blocks)
            for part, total in zip(first, self.sums, strict=True)
        ]
        self._store(0, first)
        in_threads(self._run_and_store, range(1, len(self.blocks)))
        return tuple(
            x.reshape(whole) if total is None else self._total(x, total)
            for x, total in zip(self.outputs, self.sums, strict=True)
        )

    def _flatten(self) -> None:
        """Take contiguous arrays as one-dimensional, if no axis is left out of the sums."""
        shape = self.arrays[0].shape
        full = [a for a in self.arrays if getattr(a, "ndim", 0)]
        sums = [total for total in self.sums if total is not None]
        if all(a.shape == shape and a.flags.c_contiguous for a in full) and all(
            len(total.axes) == len(shape) for total in sums
        ):
            self.arrays = tuple(a.reshape(-1) if getattr(a, "ndim", 0) else a for a in self.arrays)
            self.sums = tuple(None if total is None else Sum((-1,), total.dtype) for total in self.sums)

    def _run(self, block: slice) -> tuple[Array, ...]:
        """Return the results for one block; what is broadcast along axis 0 is taken whole."""
        parts = [
            a[block] if getattr(a, "ndim", 0) == len(self.shape) and a.shape[0] == self.shape[0] else a
            for a in self.arrays
        ]
        with self.xp.errstate(all="ignore"):
            results = self.function(self.xp, *parts)
            return tuple(
                x if total is None else _sum(self.xp, x, total) for x, total in zip(results, self.sums, strict=True)
            )

    def _run_and_store(self, i: int) -> None:
        self._store(i, self._run(self.blocks[i]))

    def _store(self, i: int, results: tuple[Array, ...]) -> None:
        for output, part, total in zip(self.outputs, results, self.sums, strict=True):
            output[self.blocks[i] if total is None else i] = part

    def _total(self, parts: list[Array], total: Sum) -> Array:
        """Return the sum, of which `parts` are those of the blocks."""
        if -len(self.shape) not in total.axes:
            return self.xp.concatenate(parts)
        with self.xp.errstate(all="ignore"):
            return _sum(self.xp, self.xp.stack(parts), Sum((-self.xp.ndim(parts[0]) - 1,), total.dtype))


def _sum(xp: Namespace, x: Array, total: Sum) -> Array:
    """Return the sum.

    NumPy sums pairwise only along memory that is contiguous; along any other axis its error grows with the length
    (2e5 ULP of a float64 mean at 10^7 elements). So the summed axes are brought together at the end first.
    """
    if len(total.axes) == x.ndim:
        return xp.add.reduce(x.reshape(-1), dtype=total.dtype)
    kept = tuple(i for i in range(x.ndim) if i - x.ndim not in total.axes)
    shape = (*(x.shape[i] for i in kept), math.prod(x.shape[i] for i in total.axes))
    flat = x.transpose(kept + total.axes).reshape(shape)
    return xp.add.reduce(xp.ascontiguousarray(flat), axis=-1, dtype=total.dtype)


RUNNER = NumpyRunner()
