"""Running a function in blocks that stay in cache, for libraries whose operations are a pass over memory each."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from xbce._backends._base import summed
from xbce._backends._prepared import Prepared, Programs
from xbce._kernel import Sum
from xbce._typing import Array, Namespace


def sequentially(work: Callable[[int], None], parts: Sequence[int]) -> None:
    """Call `work` on all parts."""
    for part in parts:
        work(part)


TEMPORARY = 2**14
"""Arrays of fewer elements are never taken from the system and given back."""


@cache
def keep_freed_memory(xp: Namespace) -> None:
    """Have glibc keep the memory of temporaries, as it does in every process that once freed a large array.

    Until then it takes arrays of 2^17 bytes from the system and gives them back, page faults and all: 70000 of them in
    the mean of 10^7 losses in NumPy, and twice its time.
    """
    xp.empty(2**25 - 2**20, dtype=xp.uint8)


def at_once(
    prepared: Prepared,
    arrays: tuple[Any, ...],
    sums: tuple[Sum | None, ...],
    sum: Callable[[Namespace, Array, Sum], Array],  # noqa: A002
) -> Any:
    """Return what `Blocks` do, of arrays that are one block."""
    results = prepared.results(arrays)
    return results[0] if prepared.single else summed(prepared.library.xp, results, sums, sum)


@dataclass(slots=True)
class Blocks:
    """A run in blocks along axis 0, whose results have the same bits whoever works on which block.

    The first array has the full shape; the others broadcast to it.
    """

    programs: Programs
    function: Callable[..., Any]
    """Takes the namespace and the arrays of a block."""
    arrays: tuple[Any, ...]
    sums: tuple[Sum | None, ...]
    size: int
    """About how many elements a block has."""
    unit: int
    """How many elements are summed at once: `size`, or less to have the same bits for any `size`."""
    sum: Callable[[Namespace, Array, Sum], Array]
    contiguous: Callable[[Array], bool]
    for_each: Callable[[Callable[[int], None], Sequence[int]], None] = sequentially
    shape: tuple[int, ...] = field(init=False)
    rows: int = field(init=False)
    """Of a block."""
    prepared: Prepared = field(init=False)
    outputs: list[Any] = field(init=False)
    """For each result the array that it goes into; for one that is summed, the sums of the blocks."""
    idle: list[tuple[list[Array], list[Array]]] = field(init=False, default_factory=list)
    """Scratch that nobody works with, and with it arrays for the results that are summed."""

    def results(self) -> Any:
        """Return what the function does, summed where `sums` says so."""
        whole = tuple(self.arrays[0].shape)
        flat = self._flatten()
        self.shape = tuple(self.arrays[0].shape)
        if not flat:
            # Units are cut along axis 0: only its sums depend on them.
            if any(total is not None and -len(self.shape) in total.axes for total in self.sums):
                self.size = self.unit
            else:
                self.unit = self.size
        self.rows = max(1, self.size // max(1, math.prod(self.shape[1:])))
        self.prepared = self.programs.prepared(self.function, self.arrays)
        blocks = range(0, self.shape[0], self.rows)
        self.outputs = [
            self.programs.library.empty(self.shape, dtype) if total is None else [None] * len(blocks)
            for dtype, total in zip(self.prepared.quick.outputs, self.sums, strict=True)
        ]
        self.for_each(self._run, blocks)
        results = tuple(
            x.reshape(whole) if total is None else self._total(x, total)
            for x, total in zip(self.outputs, self.sums, strict=True)
        )
        return results[0] if self.prepared.single else results

    def _flatten(self) -> bool:
        """Take contiguous arrays as one-dimensional, if no axis is left out of the sums; tell whether that was done."""
        shape = self.arrays[0].shape
        if any(getattr(a, "ndim", 0) and (a.shape != shape or not self.contiguous(a)) for a in self.arrays) or any(
            total is not None and len(total.axes) < len(shape) for total in self.sums
        ):
            return False
        self.arrays = tuple(a.reshape(-1) if getattr(a, "ndim", 0) else a for a in self.arrays)
        self.sums = tuple(None if total is None else Sum((-1,), total.dtype) for total in self.sums)
        return True

    def _run(self, start: int) -> None:
        """Compute the block that begins at a row; what is broadcast along axis 0 is taken whole."""
        rows = slice(start, start + self.rows)
        arrays = tuple(
            a[rows] if getattr(a, "ndim", 0) == len(self.shape) and a.shape[0] == self.shape[0] else a
            for a in self.arrays
        )
        space = scratch, summands = self._space()
        length = arrays[0].shape[0]
        if length < self.rows:
            scratch, summands = ([None if x is None else x[:length] for x in xs] for xs in space)
        outputs = [x[rows] if own is None else own for x, own in zip(self.outputs, summands, strict=True)]
        self.prepared.run(arrays, scratch, outputs)
        for x, output, total in zip(self.outputs, outputs, self.sums, strict=True):
            if total is not None:
                x[start // self.rows] = self._part(output, total)
        self.idle.append(space)

    def _space(self) -> tuple[list[Array], list[Array]]:
        """Return arrays to work with that nobody else does."""
        try:
            return self.idle.pop()
        except IndexError:
            shape = (min(self.rows, self.shape[0]), *self.shape[1:])
            summands = [
                None if total is None else self.programs.library.empty(shape, dtype)
                for dtype, total in zip(self.prepared.quick.outputs, self.sums, strict=True)
            ]
            return self.prepared.scratch(shape), summands

    def _part(self, x: Array, total: Sum) -> Array:
        """Return the sum of a block; those of its units, where a block has several."""
        xp = self.programs.library.xp
        if self.size == self.unit:
            return self.sum(xp, x, total)
        whole = x.shape[0] // self.unit * self.unit
        parts = [self.sum(xp, x[:whole].reshape(-1, self.unit), total)] if whole else []
        if whole < x.shape[0]:
            parts.append(self.sum(xp, x[whole:].reshape(1, -1), total))
        return xp.concat(parts)

    def _total(self, parts: list[Array], total: Sum) -> Array:
        """Return the sum, of which `parts` are those of the blocks."""
        xp = self.programs.library.xp
        if -len(self.shape) not in total.axes:
            return xp.concat(parts)
        stacked = xp.stack(parts) if self.size == self.unit else xp.concat(parts)
        return self.sum(xp, stacked, Sum((-stacked.ndim,), total.dtype))
