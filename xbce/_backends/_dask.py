"""Dask: a formula runs inside each chunk, on the chunk's own library; sums are Dask's own trees over chunks."""

import operator
from functools import partial
from typing import Any

from array_api_compat import array_namespace

from xbce._backends._eager import EagerRunner
from xbce._formulas import Formula
from xbce._typing import Array, Namespace


class DaskRunner(EagerRunner):
    """Maps the formula over chunks, so that nothing is computed and few tasks are made."""

    def run(self, xp: Namespace, formula: Formula, method: str, arrays: tuple[Array, ...]) -> Any:
        """Return the lazy result of `formula.<method>`."""
        chunkwise = partial(_run_chunk, formula, method)
        like = _run_chunk(formula, method, *(a._meta for a in arrays))  # noqa: SLF001
        if not isinstance(like, tuple):
            return xp.map_blocks(chunkwise, *arrays, dtype=like.dtype, meta=like)
        # Each chunk of `both` is a tuple, made once and shared by the arrays that are taken from it.
        both = xp.map_blocks(chunkwise, *arrays, dtype=object, meta=like[0])
        return tuple(
            xp.map_blocks(operator.itemgetter(i), both, dtype=part.dtype, meta=part) for i, part in enumerate(like)
        )

    def divide(self, xp: Namespace, x: Array, denominator: Array | float) -> Array:
        """Return the lazy quotient."""
        return xp.map_blocks(_divide_chunk, x, denominator, dtype=x.dtype, meta=x._meta)  # noqa: SLF001


def _run_chunk(formula: Formula, method: str, *chunks: Array) -> Any:
    from xbce._backends import runner_for

    xp = array_namespace(*chunks)
    return runner_for(xp).run(xp, formula, method, chunks)


def _divide_chunk(chunk: Array, denominator: Array | float) -> Array:
    from xbce._backends import runner_for

    xp = array_namespace(chunk)
    return runner_for(xp).divide(xp, chunk, denominator)
