"""Dask: a function runs inside each chunk, by the runner of its library; a sum is a tree reduction of chunk sums."""

import operator
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
from array_api_compat import array_namespace

from .._call.chunks import unchecked
from .._call.kernel import Arguments, Function, Sums, SumSpec
from .._compiler.threads import one_thread
from .._precision import FIELDS, exact_sum, merged, partial_sum, rounded_sum, unpacked
from .._typing import Array, Namespace
from .eager import EagerRunner


class DaskRunner(EagerRunner):
    """Maps functions over chunks: a call computes nothing and creates few tasks."""

    def run(self, xp: Namespace, function: Function, arrays: Arguments, sums: Sums) -> tuple[Array, ...]:
        """Return the lazy results. Each chunk is summed in the task that computes it, by the runner of its library."""
        chunkwise = partial(_run_chunk, function, sums)
        like = chunkwise(*(getattr(a, "_meta", a) for a in arrays))
        if len(sums) == 1:
            parts = [_blockwise(xp, chunkwise, arrays, like, sums[0])]
        else:
            # Each chunk of `together` is a tuple of results, computed once and shared by the arrays that index it.
            together = _blockwise(xp, chunkwise, arrays, None, None)
            parts = [
                _blockwise(xp, operator.itemgetter(k), (together,), part, spec)
                for k, (part, spec) in enumerate(zip(like, sums, strict=True))
            ]
        return tuple(part if spec is None else _sum(part, spec) for part, spec in zip(parts, sums, strict=True))

    def exact_sum(self, xp: Namespace, terms: tuple[Array, ...], spec: SumSpec) -> Array:
        """Return the lazy sum of terms: partial sums of chunks, merged by a tree reduction."""
        if not spec.axes:
            return exact_sum(xp, terms, ())
        ndim = terms[0].ndim
        axes = tuple(ndim + axis for axis in spec.axes)
        indexed = [x for term in terms for x in (term, tuple(range(ndim)))]
        kind = {"dtype": terms[0].dtype, "meta": terms[0]._meta}  # noqa: SLF001
        ones, fields = dict.fromkeys(axes, 1), {ndim: FIELDS}
        part = partial(_partial_sum, axes)
        parts = xp.blockwise(part, tuple(range(ndim + 1)), *indexed, new_axes=fields, adjust_chunks=ones, **kind)
        total = da.reduction(parts, _merged, _merged, axis=axes, concatenate=True, keepdims=True, dtype=terms[0].dtype)
        both = total.map_blocks(_rounded_sum, drop_axis=ndim, new_axis=0, chunks=((2,), *total.chunks[:-1]), **kind)
        return xp.squeeze(both, axis=spec.axes)

    def map(self, xp: Namespace, function: Callable[..., Any], arrays: Arguments) -> Any:
        """Return the lazy result of `function`, a single array."""
        chunkwise = partial(_map_chunk, function)
        return _blockwise(xp, chunkwise, arrays, chunkwise(*(getattr(a, "_meta", a) for a in arrays)), None)


def _blockwise(
    xp: Namespace, function: Callable[..., Any], arrays: tuple[Any, ...], like: Array | None, spec: SumSpec | None
) -> Array:
    """Return `function` mapped over matching chunks; trailing dimensions are aligned, as in broadcasting.

    Chunks of the result have the library and dtype of `like`, or are objects if that is None. `spec` names the axes
    along which the function returns sums, of length 1.
    """
    ndim = max(getattr(a, "ndim", 0) for a in arrays)
    indexed: list[Any] = []
    for a in arrays:
        own = getattr(a, "ndim", None)
        indexed += [a, None if own is None else tuple(range(ndim - own, ndim))]
    summed: Mapping[int, int] = {} if spec is None else dict.fromkeys((ndim + axis for axis in spec.axes), 1)
    # Dask takes library and dtype from the meta array, and adapts its number of dimensions.
    kind = {"dtype": object} if like is None else {"dtype": like.dtype, "meta": like}
    return xp.blockwise(function, tuple(range(ndim)), *indexed, adjust_chunks=summed, **kind)


def _sum(x: Any, spec: SumSpec) -> Any:
    """Return the tree reduction of chunk sums, as `dask.array.sum` does, but without floating-point warnings."""
    return da.reduction(x, _quiet_sum, _quiet_sum, axis=spec.axes, dtype=spec.dtype, concatenate=True)


def _quiet_sum(x: Array, *, axis: tuple[int, ...], keepdims: bool, dtype: Any = None) -> Array:
    with np.errstate(all="ignore"):
        return np.sum(x, axis=axis, keepdims=keepdims, dtype=dtype)


def _partial_sum(axes: tuple[int, ...], *terms: Array) -> Array:
    xp = array_namespace(*terms)
    with np.errstate(all="ignore"):
        return partial_sum(xp, terms, axes).packed(xp)


def _merged(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Array:  # noqa: ARG001
    xp = array_namespace(x)
    with np.errstate(all="ignore"):
        return merged(xp, unpacked(x), axis).packed(xp)


def _rounded_sum(x: Array) -> Array:
    with np.errstate(all="ignore"):
        return rounded_sum(array_namespace(x), unpacked(x))


def _run_chunk(function: Function, sums: Sums, *chunks: Array | float) -> Any:
    """Return the result for one chunk, or a tuple of several; summed axes keep length 1."""
    from . import runner_for

    function, chunks = unchecked(function, chunks)
    xp = array_namespace(*chunks)
    with one_thread():
        results = runner_for(xp).run(xp, function, chunks, sums)
    parts = tuple(x if spec is None else spec.spread(xp, x) for x, spec in zip(results, sums, strict=True))
    return parts if len(parts) > 1 else parts[0]


def _map_chunk(function: Callable[..., Any], *chunks: Array | float | None) -> Any:
    from . import runner_for

    function, chunks = unchecked(function, chunks)
    xp = array_namespace(*chunks)
    with one_thread():
        return runner_for(xp).map(xp, function, chunks)


RUNNER = DaskRunner()
