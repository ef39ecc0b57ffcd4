"""Dask: functions run inside each chunk, on the chunk's own library; sums are Dask's own trees over chunks."""

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

from array_api_compat import array_namespace

from xbce._backends._eager import EagerRunner
from xbce._typing import Array, DType, Namespace


class DaskRunner(EagerRunner):
    """Maps functions over chunks, so that nothing is computed and few tasks are made."""

    def map(self, xp: Namespace, function: Callable[..., Any], arrays: tuple[Array | float | None, ...]) -> Any:
        """Return the lazy result of `function`."""
        chunkwise = partial(_run_chunk, function)
        like = _run_chunk(function, *(getattr(a, "_meta", a) for a in arrays))
        if not isinstance(like, tuple):
            return _blockwise(xp, chunkwise, arrays, like.dtype, like)
        # Each chunk of `both` is a tuple, made once and shared by the arrays that are taken from it.
        both = _blockwise(xp, chunkwise, arrays, object, like[0])
        return tuple(_blockwise(xp, operator.itemgetter(i), (both,), part.dtype, part) for i, part in enumerate(like))


def _blockwise(
    xp: Namespace, function: Callable[..., Any], arrays: tuple[Array | float | None, ...], dtype: DType, meta: Array
) -> Array:
    """Call the function on chunks that belong together: trailing dimensions are aligned, as in broadcasting."""
    ndim = max(getattr(a, "ndim", 0) for a in arrays)
    indexed: list[Any] = []
    for a in arrays:
        own = getattr(a, "ndim", None)
        indexed += [a, None if own is None else tuple(range(ndim - own, ndim))]
    # The meta has the chunks' library and dtype; only its number of dimensions must be that of the result.
    return xp.blockwise(function, tuple(range(ndim)), *indexed, dtype=dtype, meta=meta)


def _run_chunk(function: Callable[..., Any], *chunks: Array | float) -> Any:
    from xbce._backends import runner_for

    xp = array_namespace(*chunks)
    return runner_for(xp).map(xp, function, chunks)


RUNNER = DaskRunner()
