"""Measures sums, means, and derivatives of means, over each part of the inputs."""

from fractions import Fraction

import numpy as np

from xbce_conformance.inputs.input_set import SEARCHED
from xbce_conformance.measurement.elementwise import measure_results
from xbce_conformance.measurement.errors import Figures, allow_flushing, measure
from xbce_conformance.measurement.measured import Compared, Measured, Worst, digest_of
from xbce_conformance.measurement.trial import Trial
from xbce_conformance.reference.exact import Exact
from xbce_conformance.reference.reductions import exact_denominator, exact_quotient, exact_reduction
from xbce_conformance.subjects.jobs import Job
from xbce_conformance.subjects.model import Function


def measure_reduction(job: Job, trial: Trial) -> Measured:
    """Measure one sum or mean per part of the inputs."""
    quantity, fmt = job.function.quantities[0], trial.fmt
    parts = {name: trial.inputs.parts[name] for name in _reduced_parts(job, trial)}
    computed = np.concatenate(
        [job.call(tuple(a[part] for a in trial.called_with))[0].reshape(1) for part in parts.values()]
    )
    exact = _exact_reductions(job, trial, list(parts.values()))
    errors = measure(computed, exact, fmt)

    bound = np.array([job.bound(quantity, hard=True, regime=name) for name in parts])
    promised = job.bound(quantity, hard=True, excepted=False)
    if job.subject.backend.flushes_subnormals(fmt):
        terms = np.array([_flushed_terms(job, trial, part) for part in parts.values()])
        errors = allow_flushing(errors, computed, fmt, bound, (exact,), terms)
    i = int(np.argmax(errors.ulp))
    return Measured(
        quantity=quantity,
        figures=Figures.of(errors),
        worst=Worst(list(parts)[i], {}, fmt.hex(computed[i]), fmt.hex(exact.high[i])),
        parts=dict(zip(parts, errors.ulp.tolist(), strict=True)),
        bounds={"hard": promised, "soft": promised},
        compared=[
            Compared(f"on {name!r}", error, limit)
            for name, error, limit in zip(parts, errors.ulp.tolist(), bound.tolist(), strict=True)
        ],
        sha256=digest_of(computed),
    )


def _reduced_parts(job: Job, trial: Trial) -> list[str]:
    names = trial.hard_parts if job.function.hard_labels_only else list(trial.inputs.parts)
    # The bound for sums assumes that errors average out; inputs selected for large errors violate that.
    names = [name for name in names if name != SEARCHED]
    if job.dtype != "float64":
        return names
    # The sum of numbers near the largest one is inf in float64, in every library; nothing wider is at hand.
    with np.errstate(over="ignore"):
        return [name for name in names if np.isfinite(trial.exact("value").high[trial.inputs.parts[name]].sum())]


def _exact_reductions(job: Job, trial: Trial, parts: list[slice]) -> Exact:
    quantity = job.function.quantities[0]
    rows = []
    for part in parts:
        denominator = _denominator(job.function, trial, part)
        high, low = exact_reduction(quantity, trial.exact("value")[part][trial.where[part]], denominator)
        # As in each loss, a weight multiplies the spacing of subnormal numbers.
        least = trial.factor[part].max() * trial.fmt.tiny / (float(denominator) if quantity == "mean" else 1.0)
        rows.append((high, low, max(high, least) if trial.factor[part].max() > 1 else high))
    return Exact(*np.array(rows).T)


def _flushed_terms(job: Job, trial: Trial, part: slice) -> float:
    """Return how many smallest normal numbers a sum or mean may lose."""
    total = float(trial.factor[part].sum())
    if job.function.quantities[0] == "sum":
        return total
    return total / float(_denominator(job.function, trial, part))


def _denominator(function: Function, trial: Trial, part: slice) -> Fraction:
    arrays = {name: array[part] for name, array in trial.inputs.arrays.items()}
    return exact_denominator(function.denominator, arrays, trial.where[part])


def measure_mean_derivative(job: Job, trial: Trial) -> Measured:
    """Measure a derivative of the mean over each part."""
    parts = trial.inputs.parts.values()
    (quantity,) = job.function.quantities
    computed = np.concatenate([job.call(tuple(a[part] for a in trial.called_with))[0] for part in parts])
    derivative = trial.exact(quantity)
    # A product with the weight that overflows float64 has no exact value at hand: such an element is left out.
    finite = np.isfinite(derivative.high)
    computed = np.where(finite, computed, computed.dtype.type(0))
    kept = trial.where & finite
    quotients = [
        exact_quotient(derivative[part], _denominator(job.function, trial, part), kept[part]) for part in parts
    ]
    exact = Exact(*(np.concatenate([getattr(q, name) for q in quotients]) for name in ("high", "low", "scale")))
    return measure_results(job, trial, quantity, computed, exact)
