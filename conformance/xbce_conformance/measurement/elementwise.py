"""Measures what a function returns for each element, and at special arguments."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from xbce_conformance.cases import PLAIN, Quantity
from xbce_conformance.exact_values.exact import Exact
from xbce_conformance.inputs.formats import Doubles, Floats, Mask
from xbce_conformance.measurement.errors import Errors, Figures, allow_flushing, measure
from xbce_conformance.measurement.measured import Compared, Measured, Profiles, Specials, Worst, digest_of
from xbce_conformance.measurement.profile import profiles
from xbce_conformance.measurement.trial import Trial
from xbce_conformance.subjects.failure import Failure
from xbce_conformance.subjects.jobs import Job


def measure_elementwise(job: Job, trial: Trial) -> list[Measured]:
    """Measure each quantity that the function of a job returns."""
    quantities = job.function.quantities
    computed = job.call(trial.called_with)
    special = _special(job, trial) if trial.special else [None] * len(computed)
    return [
        measure_results(job, trial, quantity, results, trial.exact(quantity), special_results)
        for quantity, results, special_results in zip(quantities, computed, special, strict=True)
    ]


def measure_results(
    job: Job, trial: Trial, quantity: Quantity, computed: Floats, exact: Exact, special: Specials | None = None
) -> Measured:
    """Measure the results of one quantity, an element for each of the inputs."""
    hard, fmt, inputs = trial.inputs.hard, trial.fmt, trial.inputs
    bounds = bounds_by_labels(job, quantity)
    by_exponent = _bounds_by_exponent(job, trial, quantity)
    errors = errors_of(job, trial, quantity, computed, exact)
    largest = {kind: float(errors.ulp[which].max()) for kind, which in (("hard", hard), ("soft", ~hard)) if which.any()}
    i = int(np.argmax(errors.ulp))
    regime = next(name for name, regime in inputs.regimes.items() if regime.start <= i < regime.stop)
    arguments = {name: fmt.hex(array[i]) for name, array in inputs.arrays.items()}
    return Measured(
        quantity=quantity,
        figures=replace(Figures.of(errors), max_ulp_soft=largest.get("soft")),
        worst=Worst(regime, arguments, fmt.hex(computed[i]), fmt.hex(exact.high[i])),
        regimes={name: float(errors.ulp[regime].max()) for name, regime in inputs.regimes.items()},
        bounds=bounds,
        compared=[
            *(
                Compared(f"accuracy:{kind}-labels", f"for {kind} labels", ulp, bounds[kind])
                for kind, ulp in largest.items()
            ),
            *(
                Compared(
                    f"accuracy:exponents-to-{exponent:g}",
                    f"for exponents up to {exponent:g}",
                    float(errors.ulp[which].max()),
                    of_exponent,
                )
                for exponent, (which, of_exponent) in by_exponent.items()
            ),
        ],
        special=special,
        sha256=digest_of(computed),
        profiles=profiles(trial, errors) if trial.case is PLAIN else Profiles(),
    )


def bounds_by_labels(job: Job, quantity: Quantity) -> dict[str, float]:
    """Return the bounds for hard and for soft labels."""
    return {kind: job.bound(quantity, hard=kind == "hard") for kind in ("hard", "soft")}


def bound_of(job: Job, trial: Trial, quantity: Quantity) -> Doubles:
    """Return the bound for each of the inputs."""
    bounds = bounds_by_labels(job, quantity)
    bound = np.where(trial.inputs.hard, bounds["hard"], bounds["soft"])
    for which, of_exponent in _bounds_by_exponent(job, trial, quantity).values():
        bound[which] = of_exponent
    return bound


def errors_of(
    job: Job,
    trial: Trial,
    quantity: Quantity,
    computed: Floats,
    exact: Exact,
    which: slice | npt.NDArray[np.intp] = slice(None),
) -> Errors:
    """Measure results for some of the inputs, and count apart what flushing of subnormal numbers explains.

    `exact` is of all inputs.
    """
    fmt = trial.fmt
    errors = measure(computed, exact[which], fmt)
    if not job.subject.backend.flushes_subnormals(fmt):
        return errors
    candidates = [exact[which]]
    if not job.function.of_weighted_mean:
        candidates.append(trial.exact_of_flushed(quantity)[which])
    bound, may_flush = bound_of(job, trial, quantity)[which], trial.may_flush(quantity)[which]
    return allow_flushing(errors, computed, fmt, bound, tuple(candidates), may_flush)


def _bounds_by_exponent(job: Job, trial: Trial, quantity: Quantity) -> dict[float, tuple[Mask, float]]:
    """Return the elements of each exponent with a bound of its own, where exponents are an array, and that bound.

    It grows with the exponent in float32 and float64, where it is the same for hard and soft labels.
    """
    if not trial.case.exponents:
        return {}
    arrays = [np.float64(trial.inputs.arrays[name]) for name in trial.case.exponents]
    largest = np.maximum(np.max(arrays, axis=0), trial.case.least_exponent)
    bounds = {float(e): job.bound(quantity, hard=True, exponent=float(e)) for e in np.unique(largest)}
    of_case = job.bound(quantity, hard=True)
    return {e: (largest == e, bound) for e, bound in bounds.items() if bound != of_case}


def _special(job: Job, trial: Trial) -> Sequence[Specials]:
    """Return the results at the special arguments; for one that the function refuses, the name of the error."""
    try:
        return [list(results) for results in job.call(_special_arguments(job, trial))]
    except Failure as failure:
        if failure.name != "raised":
            raise
    # One argument after the other shows which ones it refuses.
    rows: list[list[Any]] = []
    for i in range(len(trial.special[0])):
        try:
            # As many elements as in a call with all of them: each length is compiled anew by some libraries.
            row = [results[i] for results in job.call(tuple(np.full_like(a, a[i]) for a in trial.special))]
        except Failure as failure:
            row = [f"raises {str(failure).partition(':')[0]}"] * len(job.function.quantities)
        rows.append(row)
    return list(zip(*rows, strict=True))


def _special_arguments(job: Job, trial: Trial) -> tuple[Floats, ...]:
    """Return the special arguments; in the shape of the inputs where each shape is compiled anew."""
    if not job.function.compiled:
        return trial.special
    missing = trial.inputs.hard.size - trial.special[0].size
    return tuple(np.concatenate([a, np.repeat(a[-1:], max(missing, 0))]) for a in trial.special)
