"""The company that numbers are called in: alone, in slices, in another order or layout, with more threads, compiled."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

import xbce
from xbce_conformance.behaviour.forms import Unavailable
from xbce_conformance.inputs.formats import Floats
from xbce_conformance.subjects.jobs import Job

Arrays: TypeAlias = tuple[Floats, ...]
Way: TypeAlias = Callable[[Job, Arrays], tuple[Floats, Floats | slice]]
"""Returns results, and which of the inputs they are of."""

ALONE = 48
SLICES = (1, 2, 3, 5, 8, 13, 17, 33, 64, 129)
"""Lengths of the first slices; what is left is cut in two."""
_SEED = 4


def alone(job: Job, arrays: Arrays) -> tuple[Floats, Floats | slice]:
    """Call some of the elements one by one."""
    places = np.linspace(0, len(arrays[0]) - 1, ALONE).astype(np.intp)
    return np.concatenate([_call(job, tuple(a[i : i + 1] for a in arrays)) for i in places]), places


def slices(job: Job, arrays: Arrays) -> tuple[Floats, Floats | slice]:
    """Call slice after slice."""
    ends = np.cumsum((0, *SLICES))
    ends = np.append(ends, [(ends[-1] + len(arrays[0])) // 2, len(arrays[0])])
    parts = [_call(job, tuple(a[i:j] for a in arrays)) for i, j in pairwise(ends)]
    return np.concatenate(parts), slice(None)


def order(job: Job, arrays: Arrays) -> tuple[Floats, Floats | slice]:
    """Call them in another order."""
    order = np.random.default_rng(_SEED).permutation(len(arrays[0]))
    return _call(job, tuple(a[order] for a in arrays)), order


def c_order(job: Job, arrays: Arrays) -> tuple[Floats, Floats | slice]:
    """Call them as rows of an array."""
    return _call(job, tuple(a.reshape(_ROWS, -1) for a in arrays)).reshape(-1), slice(None)


def f_order(job: Job, arrays: Arrays) -> tuple[Floats, Floats | slice]:
    """Call them as rows of an array whose columns lie together."""
    try:
        there = tuple(job.subject.backend.from_numpy(np.ascontiguousarray(a.reshape(_ROWS, -1).T)).T for a in arrays)
    except Exception as error:
        raise Unavailable(f"{type(error).__name__}: {error}") from error
    (computed,) = job.called_with(there, arrays[0].reshape(_ROWS, -1))
    return computed.reshape(-1), slice(None)


_ROWS = 8
LENGTH = 2**17 + 8
"""How many numbers are called: some threads' worth, in rows."""


def one_thread(job: Job, arrays: Arrays) -> tuple[Floats, Floats | slice]:
    """Call them with one thread."""
    with _threads(job, 1):
        return _call(job, arrays), slice(None)


def three_threads(job: Job, arrays: Arrays) -> tuple[Floats, Floats | slice]:
    """Call them with three threads, which no processor divides a power of two by."""
    with _threads(job, 3):
        return _call(job, arrays), slice(None)


@contextmanager
def _threads(job: Job, count: int) -> Iterator[None]:
    """Have the library that computes use so many threads."""
    library = job.subject.backend.name.partition(":")[0]
    if library == "torch":
        of_torch = sys.modules["torch"]
        get, put = of_torch.get_num_threads, of_torch.set_num_threads
    elif library == "numpy" and job.subject.judged and not job.subject.own:  # xbce
        get, put = xbce.get_num_threads, xbce.set_num_threads
    else:
        raise Unavailable(f"{library} has no way to set its threads while it runs")
    before = get()
    put(count)
    try:
        yield
    finally:
        put(before)


def compiled(job: Job, arrays: Arrays) -> tuple[Floats, Floats | slice]:
    """Compile the function, and call that."""
    library = job.subject.backend.name.partition(":")[0]
    compilers = {"jax": lambda: sys.modules["jax"].jit, "torch": lambda: sys.modules["torch"].compile}
    if library not in compilers:
        raise Unavailable(f"{library} compiles nothing")
    call: Any = compilers[library]()(job.function.call)
    return _call(replace(job, function=replace(job.function, call=call, compiled=True)), arrays), slice(None)


def _call(job: Job, arrays: Arrays) -> Floats:
    (computed,) = job.call(arrays)
    return computed


WAYS: dict[str, Way] = {
    "alone": alone,
    "slices": slices,
    "order": order,
    "C order": c_order,
    "F order": f_order,
    "one thread": one_thread,
    "three threads": three_threads,
    "compiled": compiled,
}
OF_REDUCTIONS = ("order", "C order", "F order", "one thread", "three threads", "compiled")
"""Those in which all numbers are called together: a sum of a slice is another sum."""
