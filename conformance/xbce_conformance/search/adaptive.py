"""What samples miss of a subject of one's own: a narrow band of logits in which it is wrong, or a peak of its error.

A grid has a logit in every cell of a width, and a climb goes on from where the errors are largest. Errors are estimated
by what is quick; the worst inputs that were found are then measured like all others.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np

from xbce_conformance.cases import PLAIN, Case
from xbce_conformance.exact_values.exact import Exact, Reference
from xbce_conformance.exact_values.plain_loss import ExtendedReference, Float64Reference
from xbce_conformance.inputs.formats import Doubles, Floats, Format, Mask
from xbce_conformance.inputs.input_set import FOUND, InputSet
from xbce_conformance.inputs.regimes import last_nonzero
from xbce_conformance.measurement.culprit import with_input
from xbce_conformance.measurement.elementwise import measure_results
from xbce_conformance.measurement.errors import measure
from xbce_conformance.measurement.measured import Measured
from xbce_conformance.measurement.trial import Trial
from xbce_conformance.search.climb import ascend, explained_by_flushing, moved
from xbce_conformance.subjects.failure import Failure
from xbce_conformance.subjects.jobs import Job
from xbce_conformance.subjects.xbce import function_of

CELLS = {"quick": 2.0**-11, "full": 2.0**-13}
"""Width of the cells of the grid: a band of twice that holds one of them as a whole, such as 10^-3."""
_DENSE = 110.0
"""The grid is as fine as that up to here, where float32 ends and float64 has lost its second term."""
_PER_BINADE = 16
"""Logits in each binade, below the first cells and beyond the last."""

STEPS = {"quick": 200, "full": 2000}
"""Of a climb."""
_KEPT = 64
"""How many of the worst inputs are measured."""
_SEED = 22
_SPANS = ((-np.inf, np.inf), (0.0, 1.0))
"""Of logits and labels."""


def is_searched(case: Case, quantity: str) -> bool:
    """Tell whether there is a quick estimate: of the plain loss, and of values of losses whose options are numbers."""
    return case is PLAIN or (quantity == "value" and case.arguments == PLAIN.arguments)


class _Estimate:
    """The values of xbce in float64: they only choose what is measured, which is compared with certified values."""

    def __init__(self, case: Case, fmt: Format) -> None:
        self._values = function_of(case, **({"precision": "high"} if fmt.name == "float64" else {}))

    def exact(self, quantity: str, arrays: tuple[Floats, ...]) -> dict[str, Exact]:
        values: Doubles = self._values(*(np.float64(x) for x in arrays))
        return {quantity: Exact(values, np.zeros_like(values), values)}


def _estimates(case: Case, fmt: Format) -> Reference:
    if case is not PLAIN:
        return _Estimate(case, fmt)
    return ExtendedReference() if fmt.name == "float64" else Float64Reference()


def add_found(job: Job, trial: Trial, measured: Measured, level: str) -> Measured:
    """Search for inputs with larger errors, and add what is found to the measurement."""
    pairs = _worst_pairs(job, trial, measured, level)
    inputs = InputSet(trial.fmt, {"logits": pairs[0], "labels": pairs[1]}, {FOUND: slice(0, pairs[0].size)})
    there = Trial(trial.case, trial.fmt, level, inputs=inputs)
    (computed,) = job.call(pairs)
    found = measure_results(job, there, measured.quantity, computed, there.exact(measured.quantity))
    a, b = measured.figures, found.figures
    soft = [figure for figure in (a.max_ulp_soft, b.max_ulp_soft) if figure is not None]
    figures = replace(
        a,
        max_ulp=max(a.max_ulp, b.max_ulp),
        max_ulp_soft=max(soft) if soft else None,
        zero_for_normal=a.zero_for_normal + b.zero_for_normal,
        wrong_nonfinite=a.wrong_nonfinite + b.wrong_nonfinite,
    )
    return replace(
        measured,
        figures=figures,
        worst=found.worst if b.max_ulp > a.max_ulp else measured.worst,
        regimes=measured.regimes | found.regimes,
        compared=[
            max((c for c in (*measured.compared, *found.compared) if c.name == name), key=lambda c: c.ulp)
            for name in dict.fromkeys(c.name for c in (*measured.compared, *found.compared))
        ],
    )


def _worst_pairs(job: Job, trial: Trial, measured: Measured, level: str) -> tuple[Floats, Floats]:
    fmt, rng = trial.fmt, np.random.default_rng(_SEED)
    reference = _estimates(trial.case, fmt)
    bounds, flushes = measured.bounds, job.subject.backend.flushes_subnormals(fmt)

    def errors(x: Floats, z: Floats) -> tuple[Doubles, Floats]:
        """Return the ratios of errors to their bounds."""
        try:
            (computed,) = job.call((x, z))
        except Failure as failure:
            raise with_input(failure, job, trial, (x, z)) from None
        exact = reference.exact(measured.quantity, (x, z))[measured.quantity]
        ratio = measure(computed, exact, fmt).ulp / np.where(_hard(z), bounds["hard"], bounds["soft"])
        if flushes:
            ratio = np.where(explained_by_flushing(fmt, x, z, exact.scale), 0.0, ratio)
        return np.asarray(ratio, np.float64), computed

    def near(x: Floats, z: Floats) -> tuple[Floats, ...]:
        new_x, new_z = moved((x, z), _SPANS, fmt, rng)
        return new_x, np.where(job.only.admits(_hard(new_z)), new_z, z)

    x, z = grid(fmt, rng, CELLS[level])
    admitted = job.only.admits(_hard(z))
    x, z = x[admitted], z[admitted]
    ratios = errors(x, z)[0]
    worst = np.argsort(ratios, kind="stable")[::-1][:_KEPT]
    starts = x[worst], z[worst]
    peak = list(islice(ascend(errors, near, starts, rng), STEPS[level]))[-1]
    top = [fmt.round([number]) for number in peak.inputs]
    return np.concatenate([starts[0], top[0]]), np.concatenate([starts[1], top[1]])


def _hard(labels: Floats) -> Mask:
    return np.asarray((labels == 0) | (labels == 1))


def grid(fmt: Format, rng: np.random.Generator, cell: float) -> tuple[Floats, Floats]:
    """Return a logit in every cell, and each with both hard labels and a soft one; of 16 bits all finite logits."""
    x = _all(fmt) if fmt.dtype.itemsize == 2 else fmt.round(np.concatenate(list(_cells(fmt, rng, cell))))
    soft = fmt.round(
        np.where(rng.random(x.size) < 0.5, rng.uniform(0, 1, x.size), np.exp2(rng.uniform(-30, 0, x.size)))
    )
    zero, one = fmt.round(np.zeros(x.size)), fmt.round(np.ones(x.size))
    return np.tile(x, 3), np.concatenate([zero, one, soft])


def _all(fmt: Format) -> Floats:
    every = fmt.from_bits(np.arange(2**16))
    with np.errstate(invalid="ignore"):  # NaN of every kind
        return every[np.isfinite(np.float64(every))]


def _cells(fmt: Format, rng: np.random.Generator, cell: float) -> Iterator[Doubles]:
    """Draw from cells of one width around zero, and from cells of one relative width on both sides of these.

    Besides them the numbers that people write: whole ones, halves and quarters.
    """
    edges = np.arange(-_DENSE, _DENSE, cell)
    yield edges + rng.uniform(0, cell, edges.size)
    yield np.arange(-_DENSE, _DENSE, 0.25)
    for low, high in ((fmt.emin, np.log2(cell)), (np.log2(_DENSE), np.log2(last_nonzero(fmt)) + 2), (8, 2 - fmt.emin)):
        if low < high:
            exponents = np.arange(low, high, 1 / _PER_BINADE)
            x = np.exp2(exponents + rng.uniform(0, 1 / _PER_BINADE, exponents.size))
            x = np.minimum(x, fmt.max)
            yield from (x, -x)
