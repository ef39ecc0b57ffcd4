"""What a worker does: build the functions once, then measure the chunks that it is given."""

import os
import sys
import time
from collections.abc import Iterator
from functools import cache
from threading import Lock

import numpy as np

import xbce
from xbce_conformance.cases import PLAIN
from xbce_conformance.measurement.profile import profile_edges
from xbce_conformance.subjects.failure import end_process_where_calls_hang
from xbce_conformance.subjects.jobs import jobs
from xbce_conformance.subjects.model import Function, Subject
from xbce_conformance.subjects.selection import Choice
from xbce_conformance.subjects.source import import_anew, own_modules
from xbce_conformance.subjects.spec import BadSubject
from xbce_conformance.sweep.device import Device, device_at, place
from xbce_conformance.sweep.facts import check, check_source, facts_of
from xbce_conformance.sweep.kernel import Measured, measure_chunk
from xbce_conformance.sweep.outcome import Failed, Outcome
from xbce_conformance.sweep.plan import Plan, Target

_ONE_AT_A_TIME = Lock()
"""Of the threads that a worker may have: one imports modules, the others wait for them."""


def measure(
    plan: Plan, number: int, folder: str, call_limit: float, failed: dict[str, Failed], only: str
) -> tuple[int, float, dict[Target, Outcome]]:
    """Measure one chunk: of all functions that have not `failed` for good, or only of the named one, if any is.

    `folder` is where modules of the user's are imported from, before all others. This process ends where a call takes
    longer than the limit, in seconds.
    """
    if sys.path[:1] != [folder]:
        sys.path.insert(0, folder)
    end_process_where_calls_hang(call_limit, _nowhere())
    with _ONE_AT_A_TIME:
        devices = _by_device(plan)
    _use_one_thread()
    start = time.perf_counter()
    chunk, edges = plan.chunks[number], profile_edges(plan.fmt)
    whole = Outcome(failures=dict(failed))
    with np.errstate(all="ignore"):
        for device, functions in devices:
            chosen = [f for f in functions if f.key not in failed and only in ("", f.key)]
            whole.merge(measure_chunk(chunk, plan.fmt, device, chosen, edges))
    seconds = time.perf_counter() - start
    names = {target: [key(target, function) for function in swept_functions(plan, target)] for target in plan.targets}
    return number, seconds, {target: whole.of(functions) for target, functions in names.items()}


@cache
def _nowhere() -> int:
    """Return a file that the traceback of a call that hangs is written to: the command may be on another machine."""
    return os.open(os.devnull, os.O_WRONLY)


@cache
def _use_one_thread() -> None:
    """Leave the processor to the other workers: there is one for each core."""
    xbce.set_num_threads(1)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def key(target: Target, function: Function) -> str:
    """Name the tallies of one function."""
    return f"{target.name}|{function.name}"


@cache
def subject_of(target: Target) -> Subject:
    """Return the subject that a target names."""
    choice = Choice((target.subject,), (target.backend,), target.order, target.gradient, bound=target.bound)
    subjects, missing = choice.find()
    if not subjects:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
        msg = f"{target} cannot be measured here ({reasons})"
        raise BadSubject(msg)
    return subjects[0]


def _imported_now(target: Target) -> Subject:
    """Return the subject with the code that the sweep was started with; raise `OtherCode` where it is not here."""
    modules = own_modules(target.subject, target.gradient)
    check_source(target)
    if modules and import_anew(modules, dict(target.facts)["source"]):
        subject_of.cache_clear()
        _by_device.cache_clear()
    subject = subject_of(target)
    check(target, facts_of(subject, target.gradient))
    return subject


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
        backend = _imported_now(target).backend
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
