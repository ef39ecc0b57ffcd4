"""The base class of the benchmarks, whose parameters are backend, dtype and subject in one, and size."""

import contextlib
import importlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from asv_runner.benchmarks.mark import SkipNotImplemented

from xbce_conformance.subjects.backend import Backend

from .accuracy import Errors, errors
from .calls import NotMeasured, arrays_of, find_backend, finisher, function_of
from .memory import extra_bytes
from .subjects import CASES, TABLES, Table

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


def _measurable(table: Table) -> tuple[str, ...]:
    """Return everything that can be measured here, as "backend dtype subject"."""
    backends = ["numpy", "torch:cpu", "jax", "dask", *(["torch:cuda", "cupy"] if _DEVICE else [])]
    return tuple(
        f"{backend} {dtype} {name}"
        for backend in backends
        if find_spec(backend.partition(":")[0])
        for dtype in DTYPES
        for name in table.get(backend.partition(":")[0], ())
        # The compiler takes longer than the whole of a quick run.
        if not (QUICK and name.endswith("-compiled"))
    )


class XPBenchmark(ABC):
    """Time, memory and errors of a function of logits and labels.

    The device's work is finished before the clock stops.
    """

    param_names = PARAMETERS
    loss = ""
    """The prefix of the loss in `TABLES`."""

    rounds = 1
    warmup_time = 0.01
    repeat = (3, 100, 0.2) if QUICK else (5, 100, 0.4)
    timeout = 180.0

    _call: Callable[[], Any] | None = None

    @property
    @abstractmethod
    def function(self) -> str:
        """The field of `Subject` that is measured."""

    def __init_subclass__(cls, *, loss: str = "") -> None:
        cls.loss = loss
        measurable = _measurable(TABLES[loss])
        cls.params = (measurable, SIZES)
        # Below 10^7, a process's memory pages are too coarse a measure; errors do not depend on a size.
        cls.track_extra_bytes = _tracked(XPBenchmark.track_extra_bytes, (measurable, (10**7,)), "bytes")
        cls.track_max_ulp = _tracked(XPBenchmark.track_max_ulp, (measurable, (0,)), "ULP")
        # A quick run leaves it out: each figure takes a process, and most of a second.
        cls.track_mean_ulp = _tracked(XPBenchmark.track_mean_ulp, (() if QUICK else measurable, (0,)), "ULP")

    def setup(self, measured: str, size: int) -> None:
        # asv calls this before every sample, too.
        if self._call is None and size:
            self._call = _prepare(self.loss, self.function, *measured.split(), size)
            # The first call compiles, and starts thread pools.
            self._call()

    def time_call(self, *_params: object) -> None:
        self._call()

    def track_extra_bytes(self, measured: str, _size: int) -> int:
        return extra_bytes(measured.split()[0], self._call)

    def track_max_ulp(self, measured: str, _size: int) -> float:
        return float(self._errors(measured).max())

    def track_mean_ulp(self, measured: str, _size: int) -> float:
        return float(self._errors(measured).mean())

    def _errors(self, measured: str) -> Errors:
        backend_name, dtype, subject = measured.split()
        if subject.startswith("traffic"):
            msg = "traffic computes no loss"
            raise SkipNotImplemented(msg)
        backend, run = _found(self.loss, self.function, backend_name, subject)
        with np.errstate(all="ignore"):
            return errors(backend, run, self.function, CASES[self.loss], dtype)


def _tracked(method: Callable[..., Any], params: tuple[tuple[Any, ...], ...], unit: str) -> Callable[..., Any]:
    """Return a copy of a method, with what asv reads from it: each class has its own parameters."""

    def tracked(self: XPBenchmark, measured: str, size: int) -> Any:
        return method(self, measured, size)

    tracked.params, tracked.unit = params, unit  # type: ignore[attr-defined]
    return tracked


def _found(loss: str, function: str, backend_name: str, subject: str) -> tuple[Backend, Callable[..., Any]]:
    try:
        return find_backend(backend_name), function_of(backend_name, subject, function, TABLES[loss])
    except NotMeasured as reason:
        raise SkipNotImplemented(str(reason)) from None


def _prepare(loss: str, function: str, backend_name: str, dtype: str, subject: str, size: int) -> Callable[[], Any]:
    if subject.endswith("-compiled") and size not in _COMPILED_SIZES:
        msg = "the compiler takes too long"
        raise SkipNotImplemented(msg)
    backend, run = _found(loss, function, backend_name, subject)
    arrays, finish = arrays_of(backend, dtype, size), finisher(backend_name)
    finish(arrays)
    return lambda: finish(run(*arrays))
