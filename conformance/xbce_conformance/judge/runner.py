"""Runs jobs: measures each function on the inputs of its case, and judges what was measured."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from xbce_conformance.behaviour.invariance import measure_invariance
from xbce_conformance.behaviour.measure import measure_behaviour
from xbce_conformance.cases import Case
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.inputs.restriction import Restriction
from xbce_conformance.judge.verdict import failed_row, row_of
from xbce_conformance.measurement.culprit import with_input
from xbce_conformance.measurement.elementwise import measure_elementwise
from xbce_conformance.measurement.hints import with_hint
from xbce_conformance.measurement.measured import Measured
from xbce_conformance.measurement.reductions import measure_mean_derivative, measure_reduction
from xbce_conformance.measurement.trial import Trial
from xbce_conformance.results.model import Row
from xbce_conformance.search.adaptive import add_found, is_searched
from xbce_conformance.subjects.failure import Failure
from xbce_conformance.subjects.jobs import Job, Part

_PROBED = 1000
"""Elements: what multiplies all with all shows in few of them, and fills the memory with many."""


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
    return [row for rows in rows_by_part(job, level, exact_values, raised) for row in rows]


def rows_by_part(
    job: Job,
    level: str,
    exact_values: Path | None = None,
    raised: Callable[[Failure], None] = lambda _failure: None,
) -> Iterator[list[Row]]:
    """Yield the rows of each part of a job, as soon as it is measured."""
    trial = _trial(job.function.case, job.dtype, level, exact_values, job.only)
    failed: Failure | None = None
    for part in job.parts:
        try:
            if failed is not None:  # what fails at the samples need not be tried, nor waited for, again
                raise failed
            rows = [row_of(job, measured) for measured in _PARTS[part](job, trial, level)]
        except Failure as failure:
            if failed is None:
                if job.judges(part):
                    raised(failure)
                failed = with_input(failure, job, trial) if job.subject.judged else failure
            rows = [failed_row(job, quantity, failed, part) for quantity in job.function.quantities]
        yield rows


@lru_cache(maxsize=1)
def _trial(case: Case, dtype: str, level: str, exact_values: Path | None, only: Restriction) -> Trial:
    """Keep the last trial: jobs are sorted so that those with the same one follow each other."""
    return Trial(case, FORMATS[dtype], level, exact_values, only=only)


def _samples(job: Job, trial: Trial, level: str) -> list[Measured]:
    if job.function.of_weighted_mean:
        return [measure_mean_derivative(job, trial)]
    if job.function.reduces:
        return [measure_reduction(job, trial)]
    if job.subject.own:
        _probe(job, trial)
    measured = measure_elementwise(job, trial)
    if not job.subject.own:
        return measured
    if not job.only.regimes:
        case = job.function.case
        measured = [
            add_found(job, trial, each, level) if is_searched(case, each.quantity) else each for each in measured
        ]
    return [with_hint(job, trial, each) for each in measured]


def _probe(job: Job, trial: Trial) -> None:
    arrays = tuple(array[:_PROBED] for array in trial.called_with)
    try:
        job.call(arrays)
    except Failure as failure:
        raise with_input(failure, job, trial, arrays) from None


_PARTS: dict[Part, Callable[[Job, Trial, str], list[Measured]]] = {
    "samples": _samples,
    "behaviour": lambda job, trial, _: [measure_behaviour(job, trial)],
    "invariance": lambda job, trial, _: [measure_invariance(job, trial)],
}
