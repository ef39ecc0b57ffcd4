"""The ways in which results come about: each library eager, and as its compiler has it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xbce_conformance.inputs.formats import Floats
from xbce_conformance.invariance.functions import Call
from xbce_conformance.invariance.grid import POINTS
from xbce_conformance.subjects.backend import Backend
from xbce_conformance.subjects.compiled import OnnxGraph

Results = Callable[..., Sequence[Any]]
"""Takes arrays of the backend, and returns the results of a group of functions."""


@dataclass(frozen=True)
class Mode:
    """One backend, with or without its compiler."""

    name: str
    backend: Backend
    together: Callable[[Sequence[Call]], Results]
    """Make one function of several."""
    accumulates: bool = False
    """Whether sums are those of `SumAccumulator`, with one for each shard; nothing else is computed."""

    def enter(self, x: Floats, shards: int = 0) -> Any:
        """Copy an array to the backend; Dask spreads it over this many chunks, or over odd ones."""
        if self.backend.name != "dask":
            return self.backend.from_numpy(x)
        import dask.array

        return dask.array.from_array(x, chunks=(_even_chunks(x.size, shards) if shards else _ODD_CHUNKS,))


_ODD_CHUNKS = (1, 1501, 3, 777, 64, 1213, POINTS - 3559)


def _even_chunks(n: int, shards: int) -> tuple[int, ...]:
    return tuple(len(part) for part in np.array_split(np.arange(n), shards))


def modes_of(backend: Backend, *, compiled: bool = True) -> Iterator[Mode]:
    """Yield the modes of a backend, without its compiler if that is not asked for."""
    if backend.makes_graphs:  # of which its own calls make one for each operation
        yield Mode(f"{backend.name}, onnxruntime", backend, _onnx)
        return
    yield Mode(backend.name, backend, _all)
    library = backend.name.partition(":")[0]
    if library in ("numpy", "torch"):  # JAX would compile for every length of a shard
        yield Mode(f"{backend.name}, SumAccumulator", backend, _all, accumulates=True)
    if compiled and library == "jax":
        yield Mode(f"{backend.name}, jax.jit", backend, _jitted)
    if compiled and library == "torch":
        yield Mode(f"{backend.name}, torch.compile", backend, _torch_compiled)


def _all(calls: Sequence[Call]) -> Results:
    return lambda *arrays: tuple(call(*arrays) for call in calls)


def _jitted(calls: Sequence[Call]) -> Results:
    import jax

    compiled: Results = jax.jit(_all(calls))
    return compiled


def _onnx(calls: Sequence[Call]) -> Results:
    return OnnxGraph(_all(calls))


def _torch_compiled(calls: Sequence[Call]) -> Results:
    import torch

    torch.compiler.reset()  # all graphs have one code object, which PyTorch compiles eight times and no more
    compiled: Results = torch.compile(_all(calls), fullgraph=True, dynamic=False)
    return compiled
