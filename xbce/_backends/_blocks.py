"""Running a function in blocks that stay in cache, for libraries whose operations are a pass over memory each."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from xbce._kernel import Sum
from xbce._typing import Array, Namespace


def sequentially(work: Callable[[int], None], parts: Sequence[int]) -> None:
    """Call `work` on all parts."""
    for part in parts:
        work(part)


@cache
def keep_freed_memory(xp: Namespace) -> None:
    """Have glibc keep the memory of temporaries, as it does in every process that once freed a large array.

    Until then it takes arrays of 2^17 bytes from the system and gives them back, page faults and all: 70000 of them in
    the mean of 10^7 losses in NumPy, and twice its time.
    """
    xp.empty(2**25 - 2**20, dtype=xp.uint8)


@dataclass(slots=True)
class Blocks:
    """A run in blocks along axis 0, whose results have the same bits whoever works on which block.

    The first array has the full shape; the others broadcast to it.
    """

    xp: Namespace
    call: Callable[..., tuple[Array, ...]]
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
    blocks: list[slice] = field(init=False)
    outputs: list[Any] = field(init=False)
    """For each result the array that it goes into; for one that is summed, the sums of the blocks."""

    def results(self) -> tuple[Array, ...]:
        """Return the results, summed where `sums` says so."""
        whole = tuple(self.arrays[0].shape)
        flat = self._flatten()
        self.shape = tuple(self.arrays[0].shape)
        if not flat:
            # Units are cut along axis 0: only its sums depend on them.
            if any(total is not None and -len(self.shape) in total.axes for total in self.sums):
                self.size = self.unit
            else:
                self.unit = self.size
        rows = max(1, self.size // max(1, math.prod(self.shape[1:])))
        self.blocks = [slice(start, start + rows) for start in range(0, self.shape[0], rows)]
        first = self._run(0)
        self.outputs = [
            self.xp.empty(self.shape, dtype=part.dtype) if total is None else [None] * len(self.blocks)
            for part, total in zip(first, self.sums, strict=True)
        ]
        self._store(0, first)
        self.for_each(lambda i: self._store(i, self._run(i)), range(1, len(self.blocks)))
        return tuple(
            x.reshape(whole) if total is None else self._total(x, total)
            for x, total in zip(self.outputs, self.sums, strict=True)
        )

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

    def _run(self, i: int) -> tuple[Array, ...]:
        """Return the results for one block; what is broadcast along axis 0 is taken whole."""
        parts = [
            a[self.blocks[i]] if getattr(a, "ndim", 0) == len(self.shape) and a.shape[0] == self.shape[0] else a
            for a in self.arrays
        ]
        return tuple(
            x if total is None else self._part(x, total)
            for x, total in zip(self.call(self.xp, *parts), self.sums, strict=True)
        )

    def _part(self, x: Array, total: Sum) -> Array:
        """Return the sum of a block; those of its units, where a block has several."""
        if self.size == self.unit:
            return self.sum(self.xp, x, total)
        whole = x.shape[0] // self.unit * self.unit
        parts = [self.sum(self.xp, x[:whole].reshape(-1, self.unit), total)] if whole else []
        if whole < x.shape[0]:
            parts.append(self.sum(self.xp, x[whole:].reshape(1, -1), total))
        return self.xp.concat(parts)

    def _store(self, i: int, results: tuple[Array, ...]) -> None:
        for output, part, total in zip(self.outputs, results, self.sums, strict=True):
            output[self.blocks[i] if total is None else i] = part

    def _total(self, parts: list[Array], total: Sum) -> Array:
        """Return the sum, of which `parts` are those of the blocks."""
        if -len(self.shape) not in total.axes:
            return self.xp.concat(parts)
        stacked = self.xp.stack(parts) if self.size == self.unit else self.xp.concat(parts)
        return self.sum(self.xp, stacked, Sum((-stacked.ndim,), total.dtype))
