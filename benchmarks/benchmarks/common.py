"""The base class of the benchmarks, whose parameters are backend, dtype and subject in one, and size."""

import contextlib
import importlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from asv_runner.benchmarks.mark import SkipNotImplemented

from .calls import NotMeasured, arrays_of, find_backend, finisher, function_of
from .memory import extra_bytes
from .subjects import SUBJECTS

QUICK = os.environ.get("XBCE_BENCH_QUICK") == "1"
DTYPES = ("float32",) if QUICK else ("float32", "float64")
_DEVICE = Path("/dev/nvidiactl").exists()
"""Whether there may be a GPU; asking a library would start its threads, which a fork does not survive."""
# On a CPU, 10^8 elements tell no more than 10^7.
SIZES = (1, 10**3, 10**5, 10**7) if QUICK else (1, 10**3, 10**4, 10**5, 10**6, 10**7, *([10**8] if _DEVICE else []))
_COMPILED_SIZES = (10**5, 10**7, 10**8)
"""Sizes for subjects that are compiled, which takes seconds for each size."""
PARAMETERS = ("backend dtype subject", "size")
"""Names of the parameters of a benchmark."""

# asv forks a process for each figure, which has the modules that the parent process has imported. CuPy is not safe to
# fork.
for _module in ("torch", "jax", "optax", "dask.array", "sklearn._loss"):
    with contextlib.suppress(ImportError):
        importlib.import_module(_module)


def _measurable() -> tuple[str, ...]:
    """Return everything that can be measured here, as "backend dtype subject"."""
    backends = ["numpy", "torch:cpu", "jax", "dask", *(["torch:cuda", "cupy"] if _DEVICE else [])]
    return tuple(
        f"{backend} {dtype} {name}"
        for backend in backends
        if find_spec(backend.partition(":")[0])
        for dtype in DTYPES
        for name in SUBJECTS[backend.partition(":")[0]]
        # The compiler takes longer than the whole of a quick run.
        if not (QUICK and name.endswith("-compiled"))
    )


class XPBenchmark(ABC):
    """Time and memory of a function of logits and labels, with the device's work finished before the clock stops."""

    param_names = PARAMETERS
    params = (_measurable(), SIZES)

    rounds = 1
    warmup_time = 0.01
    repeat = (3, 100, 0.2) if QUICK else (5, 100, 0.4)
    timeout = 180.0

    _call: Callable[[], Any] | None = None

    @property
    @abstractmethod
    def function(self) -> str:
        """The field of `Subject` that is measured."""

    def setup(self, measured: str, size: int) -> None:
        # asv calls this before every sample, too.
        if self._call is None:
            self._call = _prepare(self.function, *measured.split(), size)
            # The first call compiles, and starts thread pools.
            self._call()

    def time_call(self, *_params: object) -> None:
        self._call()

    def track_extra_bytes(self, measured: str, _size: int) -> int:
        return extra_bytes(measured.split()[0], self._call)

    track_extra_bytes.unit = "bytes"
    # Below this, a process's memory pages are too coarse a measure.
    track_extra_bytes.params = (_measurable(), (10**7,))


def _prepare(function: str, backend_name: str, dtype: str, subject: str, size: int) -> Callable[[], Any]:
    if subject.endswith("-compiled") and size not in _COMPILED_SIZES:
        msg = "the compiler takes too long"
        raise SkipNotImplemented(msg)
    try:
        backend = find_backend(backend_name)
        run = function_of(backend_name, subject, function)
    except NotMeasured as reason:
        raise SkipNotImplemented(str(reason)) from None
    arrays, finish = arrays_of(backend, dtype, size), finisher(backend_name)
    finish(arrays)
    return lambda: finish(run(*arrays))
