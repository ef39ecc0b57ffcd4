"""The jobs of a run whose inputs are restricted: one without inputs must not look like one that passes."""

from functools import lru_cache

from xbce_conformance.cases import Case
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.inputs.input_set import InputSet
from xbce_conformance.inputs.restriction import ALL_INPUTS, Restriction
from xbce_conformance.measurement.reductions import reduced_regimes
from xbce_conformance.measurement.trial import Trial
from xbce_conformance.subjects.jobs import Job
from xbce_conformance.subjects.spec import BadOption, did_you_mean


def with_inputs(todo: list[Job], level: str, only: Restriction) -> tuple[list[Job], dict[str, str]]:
    """Return the jobs that have inputs under a restriction, and what is left out, and why.

    Raises
    ------
    BadOption
        If no job has a regime that is asked for.
    """
    if only == ALL_INPUTS:
        return todo, {}
    known = dict.fromkeys(name for job in todo for name in _inputs(job.function.case, job.dtype, level).regimes)
    for name in only.regimes if todo else ():
        if name not in known:
            msg = f"{name!r} is no regime of what is measured; one of {', '.join(map(repr, known))} is expected"
            raise BadOption(msg + did_you_mean(name, known))
    kept, missing = [], {}
    for job in todo:
        lacks = _lacks(job, level, only)
        if lacks:
            missing[f"{lacks} in {job.dtype}"] = f"no inputs of it are tried: {only.text}"
        else:
            kept.append(job)
    return kept, missing


@lru_cache(maxsize=256)
def _inputs(case: Case, dtype: str, level: str) -> InputSet:
    return case.inputs(FORMATS[dtype], level)


def _lacks(job: Job, level: str, only: Restriction) -> str:
    """Return the case, or the function, that has no inputs; empty if it has."""
    function = job.function
    if not only.of(_inputs(function.case, job.dtype, level)).regimes:
        return function.case.name
    if function.hard_labels_only and only.labels == "soft":
        return function.name
    if function.reduces and only.regimes:
        trial = Trial(function.case, FORMATS[job.dtype], level, only=only)
        return "" if reduced_regimes(job, trial) else function.name
    return ""
