"""What a worker does: build the functions once, then measure the chunks that it is given."""

import sys
import time
from collections.abc import Iterator
from functools import cache

import numpy as np

import xbce
from xbce_conformance.cases import PLAIN
from xbce_conformance.measurement.profile import profile_edges
from xbce_conformance.subjects.jobs import jobs
from xbce_conformance.subjects.model import Function, Subject
from xbce_conformance.subjects.selection import Choice
from xbce_conformance.sweep.device import Device, device_at, place
from xbce_conformance.sweep.kernel import Measured, measure_chunk
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
    """Yield what a sweep measures of a target: functions of the plain loss that return one of the quantities.

    None that is compiled: a graph computes all functions of a case in each call, to give one of them.
    """
    for job in jobs([subject_of(target)], (plan.dtype,)):
        function = job.function
        fits = len(function.quantities) == 1 and function.quantities[0] in plan.quantities
        if function.case is PLAIN and fits and not function.compiled and not (plan.closed_forms and function.autodiff):
            yield function


@cache
def _by_device(plan: Plan) -> list[tuple[Device, list[Measured]]]:
    """Return the functions by where they are measured: all on the CPU that take NumPy arrays share a reference."""
    groups: dict[str, tuple[Device, list[Measured]]] = {}
    for target in plan.targets:
        backend = subject_of(target).backend
        device, adapt = place(backend, plan.fmt)
        _, functions = groups.setdefault(device, (device_at(device, backend, plan.fmt), []))
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
