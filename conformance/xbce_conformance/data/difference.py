"""Two systems on the same arrays: where they differ, by how much, which one is right, and why."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from xbce_conformance.cases import Quantity
from xbce_conformance.data import causes
from xbce_conformance.data.arrays import BadData, Data
from xbce_conformance.data.measure import PERCENTILES, chosen, share
from xbce_conformance.data.shown import Shown
from xbce_conformance.exact_values.exact import Exact
from xbce_conformance.inputs.formats import FORMATS, Doubles, Floats, Format
from xbce_conformance.measurement.elementwise import errors_of
from xbce_conformance.measurement.trial import Trial
from xbce_conformance.subjects.failure import Failure
from xbce_conformance.subjects.jobs import Job
from xbce_conformance.subjects.model import Subject

ROUNDED = 4.0
"""An error in ULP up to which a result is taken for a rounded one."""
EXAMPLES = 5
"""How many elements are shown."""


@dataclass(frozen=True)
class Side:
    """One of the two systems; of those results in which they differ."""

    system: str
    function: str
    version: str
    nearer: int
    """How many of its results are nearer to the exact one."""
    rounded: int
    """How many are the exact result, rounded."""
    max_ulp: float
    """Its largest error, of all results."""
    mean_off: float
    """The error of the mean of all its results, as a share of the exact one; NaN where one is not finite."""
    causes: dict[str, int]
    """How many errors are of which cause."""


@dataclass(frozen=True)
class Example:
    """One element in which they differ; numbers as `float.hex` writes them."""

    index: int
    inputs: dict[str, str]
    results: tuple[str, str]
    exact: str
    ulp: tuple[float, float]
    """The error of each."""
    causes: tuple[str, str]
    """Why each is wrong; "" if it is right."""


@dataclass(frozen=True)
class Difference:
    """Two systems in one quantity and dtype."""

    dtype: str
    quantity: Quantity
    count: int
    differing: int
    """How many results have other bits."""
    percentiles: dict[str, float]
    """Of the distance of all pairs, in ULP of the exact result."""
    largest: float
    """The largest distance, absolute; infinite where one is not finite."""
    sides: tuple[Side, Side]
    examples: list[Example]

    @property
    def text(self) -> str:
        """Say what came of it in a sentence."""
        if not self.differing:
            return f"{self.quantity} in {self.dtype}: all {self.count:,} results are the same, bit for bit"
        if all(side.max_ulp <= ROUNDED for side in self.sides):
            errors = " and ".join(f"{side.system} {side.max_ulp:.2f}" for side in self.sides)
            return (
                f"{self.quantity} in {self.dtype}: {self.differing:,} of {self.count:,} results differ, by rounding "
                f"alone: {errors} ULP off at most"
            )
        shares = ", ".join(f"{side.system} in {side.nearer / self.differing:.1%}" for side in self.sides)
        return (
            f"{self.quantity} in {self.dtype}: {self.differing:,} of {self.count:,} results differ; nearer to the "
            f"exact one is {shares} of them"
        )


@dataclass(frozen=True)
class Comparison(Shown):
    """Two systems on a data set."""

    data: str
    systems: tuple[str, str]
    case: str
    differences: list[Difference]
    notes: list[str]


def compare_on(
    first: Subject,
    second: Subject,
    data: Data,
    dtypes: Sequence[str] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Compare the losses and gradients of two subjects, in each dtype that both have.

    Raises
    ------
    BadData
        If there is nothing that both compute.
    Failure
        If one cannot be called.
    """
    differences, notes = [], list(data.notes)
    for dtype in tuple(dtypes) or data.dtypes:
        jobs = [
            {job.function.quantities[0]: job for job in reversed(chosen([s], data, [dtype]))} for s in (first, second)
        ]
        there = data.rounded(FORMATS[dtype])
        notes += [f"in {dtype} {note}" for note in there.notes if note not in data.notes]
        trial = there.trial(FORMATS[dtype])
        for quantity in ("value", "gradient"):
            if quantity in jobs[0] and quantity in jobs[1]:
                pair = jobs[0][quantity], jobs[1][quantity]
                progress(f"{quantity} in {dtype}")
                differences.append(_difference(pair, there, trial, quantity))
    systems = system_name(first), system_name(second)
    if not differences:
        msg = f"{systems[0]} and {systems[1]} have no function of {data.case.name} in a dtype that both take"
        raise BadData(msg)
    return Comparison(data.name, systems, data.case.name, differences, notes)


def system_name(subject: Subject) -> str:
    """Return a system with its backend, as the command names it."""
    return f"{subject.name}@{subject.backend.name}"


def _difference(jobs: tuple[Job, Job], data: Data, trial: Trial, quantity: Quantity) -> Difference:
    computed = tuple(_called(job, trial) for job in jobs)
    exact = trial.exact(quantity)
    results = [
        causes.of(trial, quantity, c, errors_of(job, trial, quantity, c, exact))
        for job, c in zip(jobs, computed, strict=True)
    ]
    differ = _bits(computed[0], trial.fmt) != _bits(computed[1], trial.fmt)
    apart = _apart(results[0].got, results[1].got)
    in_ulp = np.where(np.isfinite(apart), apart / trial.fmt.ulp(exact.scale), math.inf)
    reasons = [causes.label_causes(r) for r in results]
    off = [np.where(np.isfinite(r.off), r.off, math.inf) for r in results]
    sides = tuple(
        Side(
            system_name(job.subject),
            job.function.name,
            job.subject.version,
            nearer=int((differ & (off[i] < off[1 - i])).sum()),
            rounded=int((differ & results[i].errors.correctly_rounded).sum()),
            max_ulp=float(results[i].errors.ulp.max()),
            mean_off=_mean_off(results[i].got, exact, data.weights),
            causes=_counted(reasons[i][differ]),
        )
        for i, job in enumerate(jobs)
    )
    order = np.argsort(-in_ulp, kind="stable")[:EXAMPLES]
    levels = np.quantile(in_ulp, [p / 100 for p in PERCENTILES], method="higher").tolist()
    fmt = trial.fmt
    return Difference(
        dtype=fmt.name,
        quantity=quantity,
        count=differ.size,
        differing=int(differ.sum()),
        percentiles={f"{p:g}": level for p, level in zip(PERCENTILES, levels, strict=True)}
        | {"max": float(in_ulp.max())},
        largest=float(apart.max()),
        sides=(sides[0], sides[1]),
        examples=[
            Example(
                data.place(int(i)),
                {name: fmt.hex(array[i]) for name, array in trial.inputs.arrays.items()},
                (fmt.hex(computed[0][i]), fmt.hex(computed[1][i])),
                fmt.hex(exact.high[i]),
                (float(results[0].errors.ulp[i]), float(results[1].errors.ulp[i])),
                (reasons[0][i], reasons[1][i]),
            )
            for i in order
            if differ[i]
        ],
    )


def _mean_off(got: Doubles, exact: Exact, weights: Doubles) -> float:
    with np.errstate(invalid="ignore"):
        error, mean = weights * ((got - exact.high) - exact.low), math.fsum((weights * exact.high).tolist())
    return share(math.fsum(error.tolist()), mean) if np.isfinite(error).all() else math.nan


def _called(job: Job, trial: Trial) -> Floats:
    try:
        (computed,) = job.call(trial.called_with)
    except Failure as failure:
        msg = f"{system_name(job.subject)}: {job.function.name} in {job.dtype}: {failure}"
        raise Failure(failure.name, msg) from failure
    return computed


def _bits(array: Floats, fmt: Format) -> np.ndarray[tuple[int, ...], np.dtype[np.unsignedinteger]]:
    return np.ascontiguousarray(array).view(fmt.bits)


def _apart(a: Doubles, b: Doubles) -> Doubles:
    """Return distances: none where both are the same infinity or NaN."""
    with np.errstate(invalid="ignore"):
        gap = np.abs(a - b)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.where(same, 0.0, np.where(np.isnan(gap), math.inf, gap))


def _counted(reasons: np.ndarray[tuple[int, ...], np.dtype[np.object_]]) -> dict[str, int]:
    names, counts = np.unique(reasons.astype(str), return_counts=True)
    pairs = zip(names.tolist(), counts.tolist(), strict=True)
    order = sorted(pairs, key=lambda pair: (causes.is_rounding(pair[0]), -pair[1]))
    return {name: count for name, count in order if name}
