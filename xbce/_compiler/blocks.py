"""Runs a function block by block, in cache, for libraries whose operations each make a pass over memory."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from typing import Any

from .._call.kernel import Sums, SumSpec
from .._typing import Array, Namespace
from .cache import Compiled, CompiledCache
from .layout import Layout, laid_out, sorting

Block = tuple[slice, ...]


def sequentially(work: Callable[[Block], None], blocks: Sequence[Block]) -> None:
    """Call `work` on all blocks."""
    for block in blocks:
        work(block)


TEMPORARY = 2**14
"""Arrays of fewer elements are below malloc's mmap threshold."""


@cache
def keep_freed_memory(xp: Namespace) -> None:
    """Raise the mmap threshold of glibc's malloc, by freeing a large array: memory of temporaries is then reused.

    Before, each array of at least 2^17 bytes is mapped anew and causes page faults: 70000 in the mean of 10^7 losses in
    NumPy, which takes twice the time. https://github.com/numpy/numpy/pull/8783
    """
    xp.empty(2**25 - 2**20, dtype=xp.uint8)


def run_in_blocks(
    cache: CompiledCache,
    function: Callable[..., Any],
    arrays: tuple[Any, ...],
    sums: Sums,
    size: int,
    unit: int,
    sum: Callable[[Namespace, Array, SumSpec], Array],  # noqa: A002
    contiguous: Callable[[Array], bool],
    strides: Callable[[Array], Sequence[int]],
    for_each: Callable[[Callable[[Block], None], Sequence[Block]], None] = sequentially,
) -> Any:
    """Return `function(xp, *arrays)`, computed block by block, with results summed where `sums` says so.

    The first array has the full shape; the others broadcast to it. A block has up to `size` elements, and `unit` of
    them are summed at once. Results are bitwise independent of the assignment of blocks to threads.
    """
    xp = cache.target.xp
    layout, parts = laid_out(xp, arrays, sums, size, unit, contiguous, strides)
    compiled = cache.compiled(function, parts)
    outputs = [
        cache.target.empty(layout.shape, dtype)
        if spec is None
        else cache.target.empty((*layout.kept(spec), layout.count(spec)), spec.dtype)
        for dtype, spec in zip(compiled.quick.outputs, layout.sums, strict=True)
    ]
    copy = cache.target.copy_backwards if min(strides(parts[0])) < 0 else None
    run = _Run(layout, compiled, parts, outputs, sum, any(layout.sums), copy)
    cuts = [
        [slice(i, i + length) for i in range(0, n, length)]
        for n, length in zip(layout.shape, layout.lengths, strict=True)
    ]
    for_each(run, list(product(*cuts)))
    whole = tuple(arrays[0].shape)
    results = tuple(_result(xp, x, spec, whole, layout, sum) for x, spec in zip(outputs, sums, strict=True))
    return results[0] if compiled.graph.single else results


@dataclass(frozen=True, slots=True)
class _Run:
    """A function that computes one block."""

    layout: Layout
    compiled: Compiled
    arrays: tuple[Any, ...]
    outputs: list[Array]
    """For each result the array that it is written into; for a summed one, the sums of blocks, along the last axis."""
    sum: Callable[[Namespace, Array, SumSpec], Array]
    adds_up: bool
    """Whether a result is summed."""
    copy: Callable[[Array], Array] | None
    """Copies a block of the first array, if that is necessary."""
    idle: list[tuple[list[Array], list[Array]]] = field(default_factory=list)
    """Free list of scratch buffers, each with buffers for the results that are summed."""

    def __call__(self, block: Block) -> None:
        """Compute a block; an array is not cut along axes that it is broadcast along."""
        whole = self.layout.shape
        arrays = tuple(
            [
                a if not hasattr(a, "ndim") else a[block] if a.shape == whole else self._part(a, block)
                for a in self.arrays
            ]
        )
        if self.copy is not None:
            arrays = (self.copy(arrays[0]), *arrays[1:])
        shape = arrays[0].shape
        space = scratch, summands = self._space()
        if shape != self.layout.lengths:
            n = math.prod(shape)
            scratch, summands = ([None if x is None else x.reshape(-1)[:n].reshape(shape) for x in xs] for xs in space)
        if not self.adds_up:
            self.compiled.run(arrays, scratch, [x[block] for x in self.outputs])
        else:
            outputs = [x[block] if own is None else own for x, own in zip(self.outputs, summands, strict=True)]
            self.compiled.run(arrays, scratch, outputs)
            for x, output, spec in zip(self.outputs, outputs, self.layout.sums, strict=True):
                if spec is not None:
                    self._add_up(output, block, spec, x)
        self.idle.append(space)

    def _part(self, a: Array, block: Block) -> Array:
        """Return the part of an array, which may be a number, that a block has; it is broadcast along some axes."""
        if not a.ndim:
            return a
        return a[tuple(slice(None) if n == 1 else cut for n, cut in zip(a.shape, block, strict=True))]

    def _space(self) -> tuple[list[Array], list[Array]]:
        """Return buffers from the free list, or new ones."""
        try:
            return self.idle.pop()
        except IndexError:
            empty, lengths = self.compiled.target.empty, self.layout.lengths
            summands = [
                None if spec is None else empty(lengths, dtype)
                for dtype, spec in zip(self.compiled.quick.outputs, self.layout.sums, strict=True)
            ]
            return self.compiled.scratch(lengths), summands

    def _add_up(self, x: Array, block: Block, spec: SumSpec, sums: Array) -> None:
        """Write the sum of a block into its place, or the sums of its units if it has several."""
        xp, unit, n = self.compiled.target.xp, self.layout.unit, len(self.layout.shape)
        if self.layout.size > unit:
            position, whole = block[0].start // unit, x.shape[0] // unit
            if whole:
                units = x[: whole * unit].reshape(-1, unit)
                sums[position : position + whole] = self.sum(xp, units, spec)
            if whole * unit < x.shape[0]:
                sums[position + whole] = self.sum(xp, x[whole * unit :], spec)
            return
        position, kept = 0, []
        for axis, (cut, length) in enumerate(zip(block, self.layout.shape, strict=True)):
            if axis - n in spec.axes:
                step = self.layout.lengths[axis]
                position = position * -(-length // step) + cut.start // step
            else:
                kept.append(cut)
        sums[(*kept, position)] = self.sum(xp, x, spec)


def _result(
    xp: Namespace,
    x: Array,
    spec: SumSpec | None,
    whole: tuple[int, ...],
    layout: Layout,
    sum: Callable[[Namespace, Array, SumSpec], Array],  # noqa: A002
) -> Array:
    """Return a result with the axes of the first array, or with those of them that a sum keeps."""
    n = len(whole)
    if spec is not None:
        x = x[..., 0] if x.shape[-1] == 1 and x.ndim > 1 else sum(xp, x, SumSpec((-1,), spec.dtype))
    kept = [axis for axis in layout.order if spec is None or axis - n not in spec.axes]
    if not kept:
        return x
    x = x.reshape([whole[axis] for axis in kept])
    return x if kept == sorted(kept) else xp.permute_dims(x, sorting(kept))
