"""Cuts arrays into blocks: sorts their axes in the order of memory, merges them, and chooses the lengths of a block."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .._call.kernel import Sums, SumSpec
from .._typing import Array, Namespace

_LEAST_SUMMED = 64
"""A block sums at least this many elements into one, if there are as many, so that block sums take little memory."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How arrays, and the sums over them, are cut into blocks."""

    order: tuple[int, ...]
    """The axes of the first array, in the order of its memory."""
    shape: tuple[int, ...]
    """The full shape, with merged axes."""
    sums: Sums
    """The sums, over merged axes."""
    lengths: tuple[int, ...]
    """Lengths of a block."""
    size: int
    """Number of elements of the largest block."""
    unit: int
    """Number of elements summed at once: `size`, or a part of it, so that sums have the same bits for any `size`."""

    def count(self, spec: SumSpec) -> int:
        """Return the number of block sums, or of unit sums, in one sum."""
        n = len(self.shape)
        lengths = (self.unit,) if n == 1 else self.lengths
        return math.prod(-(-self.shape[axis] // lengths[axis]) for axis in range(n) if axis - n in spec.axes)

    def kept(self, spec: SumSpec | None) -> tuple[int, ...]:
        """Return the lengths of the axes that are not summed."""
        n = len(self.shape)
        return tuple(x for axis, x in enumerate(self.shape) if spec is None or axis - n not in spec.axes)


def laid_out(
    xp: Namespace,
    arrays: tuple[Any, ...],
    sums: Sums,
    size: int,
    unit: int,
    contiguous: Callable[[Array], bool],
    strides: Callable[[Array], Sequence[int]],
) -> tuple[Layout, tuple[Any, ...]]:
    """Return how arrays are cut, and views of them with merged axes. The first one has the full shape.

    The axes are put into the order of the first array's memory, which the results have, too, and those that are
    contiguous in all arrays are merged. Most arrays are one-dimensional then. Others are cut along as many axes as
    necessary.
    """
    first = arrays[0]
    whole = tuple(first.shape)
    if _is_flat(arrays, sums, contiguous):  # the same as below, but faster
        # Axes of length 1 have strides, too, and PyTorch looks at them.
        order = memory_order(whole, strides(first)) if 1 in whole else tuple(range(len(whole)))
        shape: tuple[int, ...] = (math.prod(whole),)
        arrays = tuple(a.reshape(-1) if getattr(a, "ndim", 0) else a for a in arrays)
        sums = tuple(None if spec is None else SumSpec((-1,), spec.dtype) for spec in sums)
    else:
        order = memory_order(whole, strides(first))
        groups = _groups(arrays, sums, order, strides)
        shape = tuple(math.prod(whole[i] for i in group) for group in groups)
        arrays = tuple(_merged(xp, a, order, groups) if getattr(a, "ndim", 0) else a for a in arrays)
        sums = tuple(None if spec is None else _merged_sum(spec, groups, len(whole)) for spec in sums)
    lengths, size, unit = _block(shape, [spec for spec in sums if spec is not None], size, unit)
    return Layout(order, shape, sums, lengths, size, unit), arrays


def memory_order(shape: Sequence[int], strides: Sequence[int]) -> tuple[int, ...]:
    """Return the axes of an array in the order of memory, the outermost first.

    An axis along which the array is broadcast has stride 0, and keeps its position.
    """
    placed = [i for i, stride in enumerate(strides) if stride]
    # Among equal strides an axis of length 1 comes last: a dense array in this order has the given strides.
    ordered = iter(sorted(placed, key=lambda i: (-abs(strides[i]), shape[i] == 1)))
    return tuple(next(ordered) if stride else i for i, stride in enumerate(strides))


def sorting(axes: Sequence[int]) -> tuple[int, ...]:
    """Return the permutation that sorts axes; for a permutation, this is its inverse."""
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


def _is_flat(arrays: tuple[Any, ...], sums: Sums, contiguous: Callable[[Array], bool]) -> bool:
    """Tell whether all arrays are contiguous and of the full shape, and sums run over all axes."""
    shape = arrays[0].shape
    for a in arrays:
        if hasattr(a, "ndim") and a.ndim and not (a.shape == shape and contiguous(a)):
            return False
    return all(spec is None or len(spec.axes) == len(shape) for spec in sums)


def _groups(
    arrays: tuple[Any, ...],
    sums: Sums,
    order: tuple[int, ...],
    strides: Callable[[Array], Sequence[int]],
) -> list[list[int]]:
    """Return groups of axes, in the order of memory and without length 1, that can be merged in all arrays."""
    shape, n = arrays[0].shape, len(order)
    known: dict[Any, None] = {}
    for a in arrays:
        if getattr(a, "ndim", 0):
            missing = n - a.ndim
            known[(1,) * missing + tuple(a.shape), (0,) * missing + tuple(strides(a))] = None

    def are_one(outer: int, inner: int) -> bool:
        return all(
            lengths[outer] == lengths[inner] == 1
            if 1 in (lengths[outer], lengths[inner])
            else steps[outer] == steps[inner] * lengths[inner]
            for lengths, steps in known
        ) and all((outer - n in spec.axes) == (inner - n in spec.axes) for spec in sums if spec is not None)

    groups: list[list[int]] = []
    for axis in order:
        if shape[axis] == 1:
            continue
        if groups and are_one(groups[-1][-1], axis):
            groups[-1].append(axis)
        else:
            groups.append([axis])
    return groups


def _merged(xp: Namespace, a: Array, order: tuple[int, ...], groups: list[list[int]]) -> Array:
    """Return a view of an array with the merged axes."""
    n = len(order)
    if a.ndim < n:
        a = a.reshape((1,) * (n - a.ndim) + tuple(a.shape))
    if order != tuple(range(n)):
        a = xp.permute_dims(a, order)
    lengths = dict(zip(order, a.shape, strict=True))
    return a.reshape(tuple(math.prod(lengths[i] for i in group) for group in groups))


def _merged_sum(spec: SumSpec, groups: list[list[int]], n: int) -> SumSpec:
    axes = tuple(j - len(groups) for j, group in enumerate(groups) if group[0] - n in spec.axes)
    return SumSpec(axes, spec.dtype)


def _block(shape: tuple[int, ...], specs: list[SumSpec], size: int, unit: int) -> tuple[tuple[int, ...], int, int]:
    """Return how long a block is along each axis, how many elements it has at most, and how many are summed at once."""
    lengths = _lengths(shape, size, specs)
    if size > unit:
        units = _lengths(shape, unit, specs)
        summed = {axis for spec in specs for axis in spec.axes}
        if all(units[axis] == lengths[axis] == shape[axis] for axis in summed):
            unit = size  # no sum depends on it
        elif len(units) > 1:
            size, lengths = unit, units
    return lengths, size, unit


def _lengths(shape: tuple[int, ...], size: int, specs: list[SumSpec]) -> tuple[int, ...]:
    """Return the lengths of blocks of up to `size` elements: whole axes from the innermost outwards, while they fit.

    But if an inner axis is kept and an outer one is summed, the block is shorter along the inner axis, so that it can
    be longer along the outer one.
    """
    n = len(shape)
    if n == 1:
        return (min(size, shape[0]),)
    summed = [any(axis - n in spec.axes for spec in specs) for axis in range(n)]
    least = min(_LEAST_SUMMED, math.prod(x for x, s in zip(shape, summed, strict=True) if s))
    lengths: list[int] = []
    for length, is_summed in zip(reversed(shape), reversed(summed), strict=True):
        room = size // math.prod(lengths)
        if is_summed:
            least = -(-least // min(length, room))
        else:
            room = max(1, room // least)
        # Blocks of nearly equal length along an axis leave more elements for the outer axes.
        lengths.append(-(-length // -(-length // room)))
    return tuple(reversed(lengths))
