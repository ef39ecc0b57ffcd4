"""The base class: one library on one device, one dtype, size and implementation, in a process of its own."""

import contextlib
import importlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from asv_runner.benchmarks.mark import SkipNotImplemented

from xbce_conformance.backends import BACKEND_NAMES, find_backends
from xbce_conformance.formats import FORMATS

from .implementations import IMPLEMENTATION_NAMES, find_implementation
from .memory import extra_bytes

QUICK = os.environ.get("XBCE_BENCH_QUICK") == "1"
DTYPES = ("float32", "float64")
SIZES = (10**3, 10**6) if QUICK else (10**3, 10**5, 10**7)

# asv forks a process for each figure; what its parent has imported is there already. CuPy is not safe to fork.
for _module in ("torch", "jax", "optax", "dask.array", "array_api_strict", "sklearn._loss"):
    with contextlib.suppress(ImportError):
        importlib.import_module(_module)


class XPBenchmark(ABC):
    """Time and memory of a function of logits and labels, with the device's work finished before the clock stops."""

    param_names = ("backend", "dtype", "size", "implementation")
    params = (BACKEND_NAMES, DTYPES, SIZES, IMPLEMENTATION_NAMES)

    rounds = 1
    warmup_time = 0.01
    repeat = (3, 100, 0.1) if QUICK else (5, 500, 2.0)
    timeout = 120.0

    _call: Callable[[], Any] | None = None

    @property
    @abstractmethod
    def function(self) -> str:
        """The field of `Implementation` that is measured."""

    def setup(self, backend: str, dtype: str, size: int, implementation: str) -> None:
        # asv calls this again before every sample.
        if self._call is None:
            self._call = _prepare(self.function, backend, dtype, size, implementation)
            # Compiles what is compiled at the first call and starts thread pools.
            self._call()

    def time_call(self, *_params: object) -> None:
        self._call()

    def track_extra_bytes(self, backend: str, *_params: object) -> int:
        return extra_bytes(backend, self._call)

    track_extra_bytes.unit = "bytes"
    # Below this, a process's memory pages are too coarse a measure.
    track_extra_bytes.params = (BACKEND_NAMES, DTYPES, SIZES[-1:], IMPLEMENTATION_NAMES)


def _prepare(function: str, backend_name: str, dtype: str, size: int, implementation: str) -> Callable[[], Any]:
    run = getattr(find_implementation(implementation, backend_name.partition(":")[0]), function)
    found, missing = find_backends((backend_name,))
    if backend_name in missing:
        raise SkipNotImplemented(missing[backend_name])
    backend = found[backend_name]
    if dtype not in backend.dtypes:
        msg = f"{backend_name} has no {dtype}"
        raise SkipNotImplemented(msg)
    rng = np.random.default_rng(0)
    # Their pages are touched by being written, and small enough logits keep the textbook finite.
    x = backend.from_numpy(FORMATS[dtype].round(rng.normal(scale=2.0, size=size)))
    z = backend.from_numpy(FORMATS[dtype].round(rng.integers(0, 2, size)))
    finish = _finisher(backend_name)
    finish((x, z))
    return lambda: finish(run(x, z))


def _finisher(backend: str) -> Callable[[Any], Any]:
    """Return a function that waits until arrays are there and returns them."""
    if backend == "jax":
        from jax import block_until_ready

        return block_until_ready
    if backend == "dask":
        from dask import persist

        # Unlike `compute`, it does not copy the chunks together afterwards.
        return persist
    if backend == "torch:cuda":
        from torch.cuda import synchronize

        return lambda arrays: (arrays, synchronize())
    if backend == "cupy":
        from cupy.cuda import get_current_stream

        return lambda arrays: (arrays, get_current_stream().synchronize())
    return lambda arrays: arrays
