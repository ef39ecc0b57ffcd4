"""Dask: functions run inside each chunk, on the chunk's own library; sums are Dask's own trees over chunks."""

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

from array_api_compat import array_namespace

from xbce._backends._eager import EagerRunner
from xbce._typing import Array, Namespace


class DaskRunner(EagerRunner):
    """Maps functions over chunks, so that nothing is computed and few tasks are made."""

    def map(self, xp: Namespace, function: Callable[..., Any], arrays: tuple[Array | float, ...]) -> Any:
        """Return the lazy result of `function`."""
        chunkwise = partial(_run_chunk, function)
        like = _run_chunk(function, *(getattr(a, "_meta", a) for a in arrays))
        if not isinstance(like, tuple):
            return xp.map_blocks(chunkwise, *arrays, dtype=like.dtype, meta=like)
        # Each chunk of `both` is a tuple, made once and shared by the arrays that are taken from it.
        both = xp.map_blocks(chunkwise, *arrays, dtype=object, meta=like[0])
        return tuple(
            xp.map_blocks(operator.itemgetter(i), both, dtype=part.dtype, meta=part) for i, part in enumerate(like)
        )


def _run_chunk(function: Callable[..., Any], *chunks: Array | float) -> Any:
    from xbce._backends import runner_for

    xp = array_namespace(*chunks)
    return runner_for(xp).map(xp, function, chunks)
