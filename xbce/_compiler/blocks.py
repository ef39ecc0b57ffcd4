"""Running a function in blocks that stay in cache, for libraries whose operations are a pass over memory each."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from typing import Any

from .._call.kernel import SumSpec
from .._typing import Array, Namespace
from .cache import Compiled, CompiledCache

Block = tuple[slice, ...]


def sequentially(work: Callable[[Block], None], blocks: Sequence[Block]) -> None:
    """Call `work` on all blocks."""
    for block in blocks:
        work(block)


TEMPORARY = 2**14
"""Arrays of fewer elements are never taken from the system and given back."""
_LEAST_SUMMED = 64
"""A block sums at least so many elements into one, if there are as many: then the sums of all blocks are small."""


@cache
def keep_freed_memory(xp: Namespace) -> None:
    """Have glibc keep the memory of temporaries, as it does in every process that once freed a large array.

    Until then it takes arrays of 2^17 bytes from the system and gives them back, page faults and all: 70000 of them in
    the mean of 10^7 losses in NumPy, and twice its time.
    """
    xp.empty(2**25 - 2**20, dtype=xp.uint8)


def memory_order(shape: Sequence[int], strides: Sequence[int]) -> tuple[int, ...]:
    """Return the axes of an array in the order of memory, the outermost first.

    An axis along which the array is broadcast has no place in memory, and keeps its own.
    """
    placed = [i for i, stride in enumerate(strides) if stride]
    # Of equal strides that of length 1 comes last: a dense array in this order has the strides that were given.
    ordered = iter(sorted(placed, key=lambda i: (-abs(strides[i]), shape[i] == 1)))
    return tuple(next(ordered) if stride else i for i, stride in enumerate(strides))


def sorting(axes: Sequence[int]) -> tuple[int, ...]:
    """Return the permutation that sorts axes; of a permutation it is the inverse."""
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


@dataclass(slots=True)
class Blocks:
    """A run in blocks; the results have the same bits whichever thread computes which block.

    The first array has the full shape; the others broadcast to it. The axes are put into the order of the first
    array's memory, which the results have, too, and those that are contiguous in all arrays are merged. Most arrays are
    one-dimensional then. Others are cut along as many axes as it takes.
    """

    cache: CompiledCache
    function: Callable[..., Any]
    """Takes the namespace and the arrays of a block."""
    arrays: tuple[Any, ...]
    sums: tuple[SumSpec | None, ...]
    size: int
    """How many elements a block has at most."""
    unit: int
    """How many elements are summed at once: `size`, or a part of it, to have the same bits for any `size`."""
    sum: Callable[[Namespace, Array, SumSpec], Array]
    contiguous: Callable[[Array], bool]
    strides: Callable[[Array], Sequence[int]]
    for_each: Callable[[Callable[[Block], None], Sequence[Block]], None] = sequentially
    order: tuple[int, ...] = field(init=False)
    """The axes of the first array, in the order of its memory."""
    shape: tuple[int, ...] = field(init=False)
    """After axes are merged, as are `arrays` and `sums`."""
    lengths: tuple[int, ...] = field(init=False)
    """Of a block."""
    compiled: Compiled = field(init=False)
    outputs: list[Array] = field(init=False)
    """For each result the array that it goes into; for one that is summed, the sums of the blocks in the last axis."""
    idle: list[tuple[list[Array], list[Array]]] = field(init=False, default_factory=list)
    """Free list of scratch, and with it arrays for the results that are summed."""

    def results(self) -> Any:
        """Return what the function does, summed where `sums` says so."""
        first, sums = self.arrays[0], self.sums
        whole = tuple(first.shape)
        if self._is_flat():  # what the general way comes to, sooner
            # Axes of length 1 have strides, too, and PyTorch looks at them.
            self.order = memory_order(whole, self.strides(first)) if 1 in whole else tuple(range(len(whole)))
            self.shape = (math.prod(whole),)
            self.arrays = tuple(a.reshape(-1) if getattr(a, "ndim", 0) else a for a in self.arrays)
            self.sums = tuple(None if spec is None else SumSpec((-1,), spec.dtype) for spec in sums)
        else:
            self._merge_axes()
        self._choose_lengths()
        self.compiled = self.cache.compiled(self.function, self.arrays)
        self.outputs = [
            self._output(dtype, spec) for dtype, spec in zip(self.compiled.quick.outputs, self.sums, strict=True)
        ]
        cuts = [
            [slice(i, i + length) for i in range(0, n, length)]
            for n, length in zip(self.shape, self.lengths, strict=True)
        ]
        self.for_each(self._run, list(product(*cuts)))
        results = tuple(self._result(x, spec, whole) for x, spec in zip(self.outputs, sums, strict=True))
        return results[0] if self.compiled.single else results

    def _is_flat(self) -> bool:
        """Tell whether all arrays are contiguous and of the full shape, and sums run over all axes."""
        shape = self.arrays[0].shape
        return all(a.shape == shape and self.contiguous(a) for a in self.arrays if getattr(a, "ndim", 0)) and all(
            spec is None or len(spec.axes) == len(shape) for spec in self.sums
        )

    def _merge_axes(self) -> None:
        """Put axes into the order of memory, drop those of length 1, and merge those that are one in all arrays."""
        first = self.arrays[0]
        shape, n = first.shape, first.ndim
        self.order = memory_order(shape, self.strides(first))
        known: dict[Any, None] = {}
        for a in self.arrays:
            if getattr(a, "ndim", 0):
                missing = n - a.ndim
                lengths, strides = (1,) * missing + tuple(a.shape), (0,) * missing + tuple(self.strides(a))
                known[lengths, strides] = None
        groups: list[list[int]] = []
        for axis in self.order:
            if shape[axis] == 1:
                continue
            if groups and self._are_one(groups[-1][-1], axis, known):
                groups[-1].append(axis)
            else:
                groups.append([axis])
        self.shape = tuple(math.prod(shape[i] for i in group) for group in groups)
        self.arrays = tuple(self._merged(a, groups) if getattr(a, "ndim", 0) else a for a in self.arrays)
        self.sums = tuple(
            None
            if spec is None
            else SumSpec(
                tuple(j - len(groups) for j, group in enumerate(groups) if group[0] - n in spec.axes), spec.dtype
            )
            for spec in self.sums
        )

    def _are_one(self, outer: int, inner: int, known: Any) -> bool:
        """Tell whether two axes can be merged, in arrays of these lengths and strides."""
        n = len(self.order)
        return all(
            lengths[outer] == lengths[inner] == 1
            if 1 in (lengths[outer], lengths[inner])
            else strides[outer] == strides[inner] * lengths[inner]
            for lengths, strides in known
        ) and all((outer - n in spec.axes) == (inner - n in spec.axes) for spec in self.sums if spec is not None)

    def _merged(self, a: Array, groups: list[list[int]]) -> Array:
        """Return a view of an array with the merged axes."""
        xp, n = self.cache.target.xp, len(self.order)
        if a.ndim < n:
            a = a.reshape((1,) * (n - a.ndim) + tuple(a.shape))
        if self.order != tuple(range(n)):
            a = xp.permute_dims(a, self.order)
        lengths = dict(zip(self.order, a.shape, strict=True))
        return a.reshape(tuple(math.prod(lengths[i] for i in group) for group in groups))

    def _choose_lengths(self) -> None:
        """Choose how long a block is along each axis."""
        specs = [spec for spec in self.sums if spec is not None]
        self.lengths = self._lengths(self.size, specs)
        if self.size > self.unit:
            units = self._lengths(self.unit, specs)
            summed = {axis for spec in specs for axis in spec.axes}
            if all(units[axis] == self.lengths[axis] == self.shape[axis] for axis in summed):
                self.unit = self.size  # no sum depends on it
            elif len(units) > 1:
                self.size, self.lengths = self.unit, units

    def _lengths(self, size: int, specs: list[SumSpec]) -> tuple[int, ...]:
        """Return the lengths of blocks of up to `size` elements: the innermost axes as a whole, as far as they go.

        But where an inner axis is kept and an outer one is summed, the inner one leaves room for the outer one.
        """
        n = len(self.shape)
        if n == 1:
            return (min(size, self.shape[0]),)
        summed = [any(axis - n in spec.axes for spec in specs) for axis in range(n)]
        least = min(_LEAST_SUMMED, math.prod(x for x, s in zip(self.shape, summed, strict=True) if s))
        lengths: list[int] = []
        for length, is_summed in zip(reversed(self.shape), reversed(summed), strict=True):
            room = size // math.prod(lengths)
            if is_summed:
                least = -(-least // min(length, room))
            else:
                room = max(1, room // least)
            # As equal as can be: then outer axes have more room.
            lengths.append(-(-length // -(-length // room)))
        return tuple(reversed(lengths))

    def _output(self, dtype: Any, spec: SumSpec | None) -> Array:
        """Return an array for a result, or for the sums of the blocks."""
        if spec is None:
            return self.cache.target.empty(self.shape, dtype)
        n, count, kept = len(self.shape), 1, []
        for axis, length in enumerate(self.shape):
            if axis - n in spec.axes:
                count *= -(-length // (self.unit if n == 1 else self.lengths[axis]))
            else:
                kept.append(length)
        return self.cache.target.empty((*kept, count), spec.dtype)

    def _run(self, block: Block) -> None:
        """Compute a block; arrays are taken whole along axes that they are broadcast along."""
        arrays = tuple(self._part(a, block) if getattr(a, "ndim", 0) else a for a in self.arrays)
        shape = tuple(arrays[0].shape)
        space = scratch, summands = self._space()
        if shape != self.lengths:
            n = math.prod(shape)
            scratch, summands = ([None if x is None else x.reshape(-1)[:n].reshape(shape) for x in xs] for xs in space)
        outputs = [x[block] if own is None else own for x, own in zip(self.outputs, summands, strict=True)]
        self.compiled.run(arrays, scratch, outputs)
        for x, output, spec in zip(self.outputs, outputs, self.sums, strict=True):
            if spec is not None:
                self._add_up(output, block, spec, x)
        self.idle.append(space)

    def _part(self, a: Array, block: Block) -> Array:
        if a.shape == self.shape:
            return a[block]
        return a[tuple(slice(None) if n == 1 else cut for n, cut in zip(a.shape, block, strict=True))]

    def _space(self) -> tuple[list[Array], list[Array]]:
        """Return arrays to work with that nobody else does."""
        try:
            return self.idle.pop()
        except IndexError:
            summands = [
                None if spec is None else self.cache.target.empty(self.lengths, dtype)
                for dtype, spec in zip(self.compiled.quick.outputs, self.sums, strict=True)
            ]
            return self.compiled.scratch(self.lengths), summands

    def _add_up(self, x: Array, block: Block, spec: SumSpec, sums: Array) -> None:
        """Write the sum of a block into its place; those of its units, where a block has several."""
        xp, n = self.cache.target.xp, len(self.shape)
        if self.size > self.unit:
            position, whole = block[0].start // self.unit, x.shape[0] // self.unit
            if whole:
                units = x[: whole * self.unit].reshape(-1, self.unit)
                sums[position : position + whole] = self.sum(xp, units, spec)
            if whole * self.unit < x.shape[0]:
                sums[position + whole] = self.sum(xp, x[whole * self.unit :], spec)
            return
        position, kept = 0, []
        for axis, (cut, length) in enumerate(zip(block, self.shape, strict=True)):
            if axis - n in spec.axes:
                position = position * -(-length // self.lengths[axis]) + cut.start // self.lengths[axis]
            else:
                kept.append(cut)
        sums[(*kept, position)] = self.sum(xp, x, spec)

    def _result(self, x: Array, spec: SumSpec | None, whole: tuple[int, ...]) -> Array:
        """Return a result with the axes of the first array, or those that a sum keeps."""
        xp, n = self.cache.target.xp, len(whole)
        if spec is not None:
            x = x[..., 0] if x.shape[-1] == 1 and x.ndim > 1 else self.sum(xp, x, SumSpec((-1,), spec.dtype))
        kept = [axis for axis in self.order if spec is None or axis - n not in spec.axes]
        if not kept:
            return x
        x = x.reshape([whole[axis] for axis in kept])
        return x if kept == sorted(kept) else xp.permute_dims(x, sorting(kept))
