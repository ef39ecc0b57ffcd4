"""The input that a failing call fails with."""

import math
import time
from collections.abc import Callable
from dataclasses import replace

from xbce_conformance.inputs.formats import Floats
from xbce_conformance.measurement.hints import reduces_by_default
from xbce_conformance.measurement.trial import Trial
from xbce_conformance.subjects.failure import Failure
from xbce_conformance.subjects.jobs import Job

_SHARE = 0.05
"""Of the limit of a call, for each smaller call that looks for the input of one that took too long."""
_SEARCH = 5.0
"""Seconds that the search for an input may take at least; otherwise as long as a call."""


def with_input(failure: Failure, job: Job, trial: Trial, arrays: tuple[Floats, ...] | None = None) -> Failure:
    """Return the failure with an input that shows it, if one element does, and with a hint where there is one.

    The call that failed was with `arrays`; by default with all inputs of the trial.
    """
    arrays = trial.called_with if arrays is None else arrays
    if failure.located or job.function.reduces or job.function.of_weighted_mean:
        return failure
    text = f"{failure}{reduces_by_default(job, trial) if failure.name == 'shape' else ''}"
    tried = replace(job, limit=max(_SHARE * job.limit, 0.1)) if failure.name == "time-limit" else job

    def fails(first: int, stop: int) -> bool:
        try:
            tried.call(tuple(array[first:stop] for array in arrays))
        except Failure as found:
            return found.name == failure.name
        return False

    first, stop = narrowed(fails, len(arrays[0]), time.monotonic() + max(job.limit, _SEARCH))
    if stop - first > 1:
        return Failure(failure.name, f"{text} (for {stop - first} elements together)", located=True)
    inputs = {name: trial.fmt.hex(array[first]) for name, array in zip(trial.inputs.arrays, arrays, strict=True)}
    return Failure(failure.name, text, inputs, located=True)


def narrowed(fails: Callable[[int, int], bool], count: int, end: float = math.inf) -> tuple[int, int]:
    """Return the smallest slice of `count` elements, halved again and again until `end`, that fails as all do."""
    first, stop = 0, count
    while stop - first > 1 and time.monotonic() < end:
        middle = (first + stop) // 2
        if fails(first, middle):
            stop = middle
        elif fails(middle, stop):
            first = middle
        else:
            break
    return first, stop
