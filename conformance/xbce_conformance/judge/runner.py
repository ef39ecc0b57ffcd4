"""Runs jobs: measures each function on the inputs of its case, and judges what was measured."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from xbce_conformance.behaviour.measure import measure_behaviour
from xbce_conformance.behaviour.invariance import measure_invariance
from xbce_conformance.cases import Case
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.judge.verdict import failed_row, row_of
from xbce_conformance.measurement.culprit import with_input
from xbce_conformance.measurement.elementwise import measure_elementwise
from xbce_conformance.measurement.measured import Measured
from xbce_conformance.measurement.reductions import measure_mean_derivative, measure_reduction
from xbce_conformance.measurement.trial import Trial
from xbce_conformance.results.model import Row
from xbce_conformance.subjects.failure import Failure
from xbce_conformance.subjects.jobs import Job


def run(todo: Iterable[Job], level: str, exact_values: Path | None = None) -> Iterator[list[Row]]:
    """Yield the rows of each job; `exact_values` is a folder that exact values are kept in."""
    for job in todo:
        yield rows_of(job, level, exact_values)


def rows_of(
    job: Job,
    level: str,
    exact_values: Path | None = None,
    raised: Callable[[Failure], None] = lambda _failure: None,
) -> list[Row]:
    """Return a row per quantity of a job; where its function fails, rows that say so.

    `raised` is told the failure of a subject that is judged: its author looks for the fault, which is its cause.
    """
    trial = _trial(job.function.case, job.dtype, level, exact_values)
    try:
        return [row_of(job, measured) for measured in _measured(job, trial)]
    except Failure as failure:
        if job.judged:
            raised(failure)
        found = with_input(failure, job, trial)
        return [failed_row(job, quantity, found) for quantity in job.function.quantities]


@lru_cache(maxsize=1)
def _trial(case: Case, dtype: str, level: str, exact_values: Path | None) -> Trial:
    """Keep the last trial: jobs are sorted so that those with the same one follow each other."""
    return Trial(case, FORMATS[dtype], level, exact_values)


def _measured(job: Job, trial: Trial) -> list[Measured]:
    if job.kind == "behaviour":
        return [measure_behaviour(job, trial)]
    if job.kind == "invariance":
        return [measure_invariance(job, trial)]
    if job.function.of_weighted_mean:
        return [measure_mean_derivative(job, trial)]
    if job.function.reduces:
        return [measure_reduction(job, trial)]
    return measure_elementwise(job, trial)
