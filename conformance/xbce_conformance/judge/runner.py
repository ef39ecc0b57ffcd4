"""Runs jobs: measures each function on the inputs of its case, and judges what was measured."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

from xbce_conformance.cases import Case
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.judge.verdict import row_of
from xbce_conformance.measurement.elementwise import measure_elementwise
from xbce_conformance.measurement.measured import Measured
from xbce_conformance.measurement.reductions import measure_mean_derivative, measure_reduction
from xbce_conformance.measurement.trial import Trial
from xbce_conformance.results.model import Row
from xbce_conformance.subjects.jobs import Job


def run(
    todo: list[Job],
    level: str,
    refused: Callable[[Job, str], None] = lambda _job, _reason: None,
    exact_values: Path | None = None,
) -> Iterator[list[Row]]:
    """Yield the rows of each job; `refused` is told when a peer cannot do it, and why.

    `exact_values` is a folder that exact values are kept in.
    """
    for job in todo:
        trial = _trial(job.function.case, job.dtype, level, exact_values)
        try:
            rows = [row_of(job, measured) for measured in _measured(job, trial)]
        except Exception as error:
            if job.subject.judged:
                raise
            refused(job, f"{type(error).__name__}: {error}")
        else:
            yield rows


@lru_cache(maxsize=1)
def _trial(case: Case, dtype: str, level: str, exact_values: Path | None) -> Trial:
    """Keep the last trial: jobs are sorted so that those with the same one follow each other."""
    return Trial(case, FORMATS[dtype], level, exact_values)


def _measured(job: Job, trial: Trial) -> list[Measured]:
    if job.function.of_mean:
        return [measure_mean_derivative(job, trial)]
    if job.function.quantities[0] in ("sum", "mean"):
        return [measure_reduction(job, trial)]
    return measure_elementwise(job, trial)
