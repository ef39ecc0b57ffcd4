"""What a worker does: build the functions once, then measure the chunks that it is given."""

import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import array_api_compat
import array_api_compat.numpy
import ml_dtypes
import numpy as np

import xbce
from xbce_conformance.backends import Backend
from xbce_conformance.cases import PLAIN
from xbce_conformance.choice import Choice
from xbce_conformance.engine import jobs
from xbce_conformance.formats import Floats, Format
from xbce_conformance.profile import profile_edges
from xbce_conformance.subject import Function, Subject
from xbce_conformance.sweep.kernel import Device, Measured, measure_chunk
from xbce_conformance.sweep.plan import Plan, Target
from xbce_conformance.sweep.tally import Tally


def measure(plan: Plan, number: int, folder: str) -> tuple[int, float, dict[str, Tally]]:
    """Measure one chunk; `folder` is where modules of the user's are imported from."""
    if folder not in sys.path:
        sys.path.insert(0, folder)
    devices = _by_device(plan)
    _use_one_thread()
    start = time.perf_counter()
    chunk, edges = plan.chunks[number], profile_edges(plan.fmt)
    tallies: dict[str, Tally] = {}
    with np.errstate(all="ignore"):
        for device, functions in devices:
            tallies |= measure_chunk(chunk, plan.fmt, device, functions, edges)
    return number, time.perf_counter() - start, tallies


@cache
def _use_one_thread() -> None:
    """Leave the processor to the other workers: there is one for each core."""
    xbce.set_num_threads(1)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def key(target: Target, function: Function) -> str:
    """Name the tally of one function."""
    return f"{target.subject}|{target.backend}|{function.name}"


@cache
def subject_of(target: Target) -> Subject:
    """Return the subject that a target names."""
    choice = Choice((target.subject,), (target.backend,), target.order, target.gradient, bound=target.bound)
    return choice.find()[0][0]


def swept_functions(plan: Plan, target: Target) -> Iterator[Function]:
    """Yield what a sweep measures of a target: functions of the plain loss that return one of the quantities."""
    for job in jobs([subject_of(target)], (plan.dtype,)):
        function = job.function
        if function.case is PLAIN and len(function.quantities) == 1 and function.quantities[0] in plan.quantities:
            yield function


@cache
def _by_device(plan: Plan) -> list[tuple[Device, list[Measured]]]:
    """Return the functions by where they are measured: all on the CPU that take NumPy arrays share a reference."""
    groups: dict[str, tuple[Device, list[Measured]]] = {}
    for target in plan.targets:
        backend = subject_of(target).backend
        device, adapt = _place(backend, plan.fmt)
        _, functions = groups.setdefault(device, (_device(backend, plan.fmt, device), []))
        functions += [
            Measured(
                key(target, function),
                function.quantities[0],
                adapt(function.call),
                backend.flushes_subnormals(plan.fmt),
            )
            for function in swept_functions(plan, target)
        ]
    return list(groups.values())


_Adapt = Callable[[Callable[..., Any]], Callable[[Any, Any], Any]]


def _place(backend: Backend, fmt: Format) -> tuple[str, _Adapt]:
    """Return where a backend is measured, and what turns its functions into ones of that place's arrays."""
    if backend.name in ON_DEVICE:
        return backend.name, lambda call: call

    def adapt(call: Callable[..., Any]) -> Callable[[Floats, Floats], Floats]:
        def on_numpy(x: Floats, z: Floats) -> Floats:
            result = backend.to_numpy(call(backend.from_numpy(x), backend.from_numpy(z)))
            if result.dtype != fmt.dtype:
                msg = f"{backend.name}: {result.dtype} came for {fmt.name}"
                raise TypeError(msg)
            return result

        return on_numpy

    return "numpy", adapt


ON_DEVICE = ("torch:cuda", "cupy")
"""Backends whose results are measured where they are."""


def _device(backend: Backend, fmt: Format, name: str) -> Device:
    return numpy_device(fmt) if name == "numpy" else array_device(backend, fmt)


def numpy_device(fmt: Format) -> Device:
    """Return the device of everything on the CPU."""
    return Device(
        xp=array_api_compat.numpy,
        logits=lambda first, stop: fmt.from_bits(np.arange(first, stop, dtype=np.uint32)),
        to_function=lambda x: x.astype(fmt.dtype),
        from_function=lambda x: x.astype(np.float64),
        round=lambda x: x.astype(fmt.dtype).astype(np.float64),
    )


def array_device(backend: Backend, fmt: Format) -> Device:
    """Return a device that measures in the backend's own namespace."""
    sample = backend.from_numpy(np.zeros(1, np.float32 if fmt.dtype == ml_dtypes.bfloat16 else fmt.dtype))
    xp: Any = array_api_compat.array_namespace(sample)
    own = array_api_compat.device(sample)
    dtype = backend.dtype_of(fmt.name)
    integers = {2: xp.int16, 4: xp.int32}[fmt.dtype.itemsize]

    def logits(first: int, stop: int) -> Any:
        return xp.astype(xp.arange(first, stop, dtype=xp.int64, device=own), integers).view(dtype)

    return Device(
        xp=xp,
        logits=logits,
        to_function=lambda x: xp.astype(x, dtype),
        from_function=lambda x: xp.astype(x, xp.float64),
        round=lambda x: xp.astype(xp.astype(x, dtype), xp.float64),
    )
