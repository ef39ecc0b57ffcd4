"""Measures sums, means, and derivatives of means, over each regime of the inputs."""

from fractions import Fraction

import numpy as np

from xbce_conformance.exact_values.exact import Exact
from xbce_conformance.exact_values.reductions import exact_denominator, exact_quotient, exact_reduction
from xbce_conformance.inputs.input_set import SEARCHED
from xbce_conformance.measurement.elementwise import measure_results
from xbce_conformance.measurement.errors import Figures, allow_flushing, measure
from xbce_conformance.measurement.measured import Compared, Measured, Worst, digest_of, slug
from xbce_conformance.measurement.trial import Trial
from xbce_conformance.subjects.jobs import Job
from xbce_conformance.subjects.model import Function


def measure_reduction(job: Job, trial: Trial) -> Measured:
    """Measure one sum or mean per regime of the inputs."""
    quantity, fmt = job.function.quantities[0], trial.fmt
    regimes = {name: trial.inputs.regimes[name] for name in reduced_regimes(job, trial)}
    computed = np.concatenate(
        [job.call(tuple(a[regime] for a in trial.called_with))[0].reshape(1) for regime in regimes.values()]
    )
    exact = _exact_reductions(job, trial, list(regimes.values()))
    errors = measure(computed, exact, fmt)

    bound = np.array([job.bound(quantity, hard=True, regime=name) for name in regimes])
    stated = job.bound(quantity, hard=True, excepted=False)
    if job.subject.backend.flushes_subnormals(fmt):
        terms = np.array([_flushed_terms(job, trial, regime) for regime in regimes.values()])
        errors = allow_flushing(errors, computed, fmt, bound, (exact,), terms)
    i = int(np.argmax(errors.ulp))
    return Measured(
        quantity=quantity,
        figures=Figures.of(errors),
        worst=Worst(list(regimes)[i], {}, fmt.hex(computed[i]), fmt.hex(exact.high[i])),
        regimes=dict(zip(regimes, errors.ulp.tolist(), strict=True)),
        bounds={"hard": stated, "soft": stated},
        compared=[
            Compared(f"accuracy:{slug(name)}", f"on {name!r}", error, allowed)
            for name, error, allowed in zip(regimes, errors.ulp.tolist(), bound.tolist(), strict=True)
        ],
        sha256=digest_of(computed),
    )


def reduced_regimes(job: Job, trial: Trial) -> list[str]:
    """Return the regimes that are reduced."""
    names = trial.hard_regimes if job.function.hard_labels_only else list(trial.inputs.regimes)
    # The bound for sums assumes that errors average out; inputs selected for large errors violate that.
    names = [name for name in names if name != SEARCHED]
    if job.dtype != "float64":
        return names
    # The sum of numbers near the largest one is inf in float64, in every library; nothing wider is at hand.
    with np.errstate(over="ignore"):
        return [name for name in names if np.isfinite(trial.exact("value").high[trial.inputs.regimes[name]].sum())]


def _exact_reductions(job: Job, trial: Trial, regimes: list[slice]) -> Exact:
    quantity = job.function.quantities[0]
    rows = []
    for regime in regimes:
        denominator = _denominator(job.function, trial, regime)
        high, low = exact_reduction(quantity, trial.exact("value")[regime][trial.where[regime]], denominator)
        # As in each loss, a weight multiplies the spacing of subnormal numbers.
        least = trial.factor[regime].max() * trial.fmt.tiny / (float(denominator) if quantity == "mean" else 1.0)
        rows.append((high, low, max(high, least) if trial.factor[regime].max() > 1 else high))
    return Exact(*np.array(rows).T)


def _flushed_terms(job: Job, trial: Trial, regime: slice) -> float:
    """Return how many smallest normal numbers a sum or mean may lose."""
    total = float(trial.factor[regime].sum())
    if job.function.quantities[0] == "sum":
        return total
    return total / float(_denominator(job.function, trial, regime))


def _denominator(function: Function, trial: Trial, regime: slice) -> Fraction:
    arrays = {name: array[regime] for name, array in trial.inputs.arrays.items()}
    return exact_denominator(function.denominator, arrays, trial.where[regime])


def measure_mean_derivative(job: Job, trial: Trial) -> Measured:
    """Measure a derivative of the mean over each regime."""
    regimes = trial.inputs.regimes.values()
    (quantity,) = job.function.quantities
    computed = np.concatenate([job.call(tuple(a[regime] for a in trial.called_with))[0] for regime in regimes])
    derivative = trial.exact(quantity)
    # A product with the weight that overflows float64 has no exact value at hand: such an element is left out.
    finite = np.isfinite(derivative.high)
    computed = np.where(finite, computed, computed.dtype.type(0))
    kept = trial.where & finite
    quotients = [
        exact_quotient(derivative[regime], _denominator(job.function, trial, regime), kept[regime])
        for regime in regimes
    ]
    exact = Exact(*(np.concatenate([getattr(q, name) for q in quotients]) for name in ("high", "low", "scale")))
    return measure_results(job, trial, quantity, computed, exact)
