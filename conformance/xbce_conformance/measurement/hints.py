"""What a wrong result is likely to come from: a reduction by default, or arguments in another order."""

from dataclasses import replace

import numpy as np

from xbce_conformance.inputs.formats import Floats
from xbce_conformance.measurement.errors import measure
from xbce_conformance.measurement.measured import Measured
from xbce_conformance.measurement.trial import Trial
from xbce_conformance.subjects.failure import Failure
from xbce_conformance.subjects.jobs import Job

_ELEMENTS = 1000
"""How many show it."""


def reduces_by_default(job: Job, trial: Trial) -> str:
    """Say which number a function returns for all elements together, and how it is measured; "" if none."""
    arrays = _some(trial)
    try:
        (result,) = replace(job, function=replace(job.function, quantities=("mean",))).call(arrays)
    except Failure:
        return ""
    exact = trial.exact(job.function.quantities[0]).high[:_ELEMENTS]
    with np.errstate(all="ignore"):
        for name, reduced in (("mean", exact.mean()), ("sum", exact.sum())):
            if abs(float(result) - reduced) <= 1e-2 * abs(reduced):
                return (
                    f": this is the {name} of all elements. Name a callable that returns each loss "
                    f"(reduction='none'), or give the {name} as `Adapter(..., {name}=...)`"
                )
    return ""


def with_hint(job: Job, trial: Trial, measured: Measured) -> Measured:
    """Add a remark where results have no correct digit, and have them with the first two arguments swapped."""
    names = job.function.case.arguments
    if measured.figures.max_ulp < 2.0**trial.fmt.p or len(names) < 2:
        return measured
    first, second, *rest = _some(trial)
    exact = trial.exact(measured.quantity)[:_ELEMENTS]
    try:
        given, swapped = ((job.call(arrays))[0] for arrays in ((first, second, *rest), (second, first, *rest)))
    except Failure:
        return measured
    few = [float(np.mean(measure(results, exact, trial.fmt).ulp < 100)) for results in (given, swapped)]
    if few[1] < 0.9 or few[0] > 0.5:
        return measured
    order = ",".join((names[1], names[0], *names[2:]))
    text = f"the arguments are probably swapped: with --order {order} {few[1]:.0%} of {_ELEMENTS} results are right"
    return replace(measured, remarks=[*measured.remarks, text])


def _some(trial: Trial) -> tuple[Floats, ...]:
    return tuple(array[:_ELEMENTS] for array in trial.called_with)
