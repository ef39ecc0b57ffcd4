"""What a system makes of a data set: errors of its results, of their mean and of the gradient."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from xbce_conformance.cases import Quantity
from xbce_conformance.data.arrays import Data
from xbce_conformance.data.shown import Shown
from xbce_conformance.exact_values.exact import Exact
from xbce_conformance.exact_values.reductions import exact_reduction
from xbce_conformance.inputs.formats import FORMATS, Doubles, Floats
from xbce_conformance.measurement.elementwise import bound_of, errors_of
from xbce_conformance.measurement.trial import Trial
from xbce_conformance.subjects.failure import CALL_LIMIT, Failure
from xbce_conformance.subjects.jobs import Job
from xbce_conformance.subjects.model import Function, Subject

PERCENTILES = (50.0, 90.0, 99.0, 99.9)
WORST = 5
"""How many elements are shown, of the largest errors in ULP."""
QUANTITIES: tuple[Quantity, ...] = ("value", "gradient", "mean")


@dataclass(frozen=True)
class Element:
    """One element of the data; numbers as `float.hex` writes them."""

    index: int
    """Its place in the arrays as they came, flat."""
    inputs: dict[str, str]
    computed: str
    exact: str
    ulp: float
    error: float
    """Absolute."""


@dataclass(frozen=True)
class Figures:
    """The errors of one array of results. Sums are weighted as the data are."""

    count: int
    percentiles: dict[str, float]
    """Of the errors in ULP: "50", ..., "max"."""
    max_error: float
    """The largest absolute error."""
    beyond_4_ulp: int
    beyond_bound: int | None
    """How many are beyond the bound that the subject is judged by; None for one that is only reported."""
    zeros: int
    """0 where a normal number is right."""
    flushed: int
    infinite: int
    """Infinite where a finite number is right."""
    nan: int
    mean: float
    """The exact mean."""
    mean_error: float
    """Of the mean of the results, as they are: what adding them up costs is not in it."""
    l1: float
    """The sum of absolute errors, as a share of the sum of absolute exact values."""
    l2: float
    """The same with squares: the length of the error vector, as a share of that of the exact one."""
    lost: float
    """The share of the sum of absolute exact values in results that are 0."""
    worst: list[Element]

    @property
    def mean_off(self) -> float:
        """The error of the mean, as a share of it; below 0 where it is too low."""
        return share(self.mean_error, self.mean)

    @property
    def broken(self) -> int:
        """How many results are not finite where that is wrong."""
        return self.infinite + self.nan


@dataclass(frozen=True)
class Outcome:
    """What one function of one system made of the data in one dtype."""

    subject: str
    version: str
    backend: str
    dtype: str
    function: str
    quantity: Quantity
    judged: bool
    """Whether it is xbce, or code of its user's own."""
    figures: Figures | None = None
    mean_off: float | None = None
    """Of a mean of the system's own: its error as a share of the exact mean."""
    failure: str = ""
    """Why there is nothing to measure."""

    @property
    def failed(self) -> bool:
        """Whether it is judged, and could not be called or broke a bound."""
        return self.judged and bool(self.failure or (self.figures and self.figures.beyond_bound))

    @property
    def system(self) -> tuple[str, str, str]:
        """Which system it is of, in which dtype."""
        return self.subject, self.backend, self.dtype


@dataclass(frozen=True)
class OnData(Shown):
    """What systems made of one data set."""

    data: str
    size: int
    dtype: str
    """That the first argument came in."""
    case: str
    notes: list[str]
    outcomes: list[Outcome]
    rounding: dict[str, float] = field(default_factory=dict)
    """By dtype: what rounding the inputs to it does to the exact mean, as a share of it."""


def chosen(subjects: Sequence[Subject], data: Data, dtypes: Sequence[str]) -> list[Job]:
    """Return what is called: losses, gradients in the first argument, and means where no weight is given."""
    quantities = QUANTITIES if data.weight is None else QUANTITIES[:2]
    return [
        Job(subject, function, dtype, limit=CALL_LIMIT if subject.own else math.inf)
        for dtype in dtypes
        for subject in subjects
        if dtype in subject.dtypes
        for function in subject.functions
        if _fits(function, subject, data) and (not function.dtypes or dtype in function.dtypes)
        if function.quantities[0] in quantities
    ]


def _fits(function: Function, subject: Subject, data: Data) -> bool:
    """Tell whether it is the plain call: xbce's compiled and differentiated functions are the same formulas."""
    if function.case.key != data.case.key or len(function.quantities) > 1 or function.of_weighted_mean:
        return False
    if function.compiled or (function.autodiff and subject.judged and not subject.own):
        return False
    labels = data.arrays.get("labels")
    hard = labels is None or bool(np.isin(np.asarray(labels, np.float64), (0.0, 1.0)).all())
    return hard or not function.hard_labels_only


def on_data(
    subjects: Sequence[Subject],
    data: Data,
    dtypes: Sequence[str] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> OnData:
    """Call every function of the subjects that computes the case of the data, and measure what comes."""
    dtypes = tuple(dtypes) or data.dtypes
    notes, rounding, outcomes = list(data.notes), {}, []
    jobs = chosen(subjects, data, dtypes)
    for dtype in dict.fromkeys(job.dtype for job in jobs):
        there = data.rounded(FORMATS[dtype])
        notes += [f"in {dtype} {note}" for note in there.notes if note not in data.notes]
        trial = there.trial(FORMATS[dtype])
        if there.size == data.size and _changed(data, there):
            progress(f"exact values of {data.dtype}")
            rounding[dtype] = _moved(data, trial)
        for job in jobs:
            if job.dtype == dtype:
                progress(str(job))
                outcomes.append(_outcome(job, there, trial))
    return OnData(data.name, data.size, data.dtype, data.case.name, notes, outcomes, rounding)


def _changed(data: Data, rounded: Data) -> bool:
    pairs = zip(data.arrays.values(), rounded.arrays.values(), strict=True)
    return not all(np.array_equal(np.asarray(a, np.float64), np.asarray(b, np.float64)) for a, b in pairs)


def _moved(data: Data, rounded: Trial) -> float:
    """Return how much the exact mean changes where the inputs are rounded, as a share."""
    original = data.trial(FORMATS[data.dtype]).exact("value").high
    mean = math.fsum(data.weights * original)
    return share(math.fsum(data.weights * rounded.exact("value").high) - mean, mean)


def _outcome(job: Job, data: Data, trial: Trial) -> Outcome:
    subject, (quantity,) = job.subject, job.function.quantities
    who = (subject.name, subject.version, subject.backend.name, job.dtype, job.function.name, quantity, subject.judged)
    try:
        (computed,) = job.call(trial.called_with)
    except Failure as failure:
        return Outcome(*who, failure=str(failure))
    if quantity == "mean":
        high, low = exact_reduction("mean", trial.exact("value"))
        return Outcome(*who, mean_off=share(float(computed) - high - low, high))
    return Outcome(*who, figures=figures_of(job, data, trial, quantity, computed))


def figures_of(job: Job, data: Data, trial: Trial, quantity: Quantity, computed: Floats) -> Figures:
    """Measure an array of results."""
    exact = trial.exact(quantity)
    errors = errors_of(job, trial, quantity, computed, exact)
    got, weights = np.asarray(computed, np.float64), data.weights
    with np.errstate(invalid="ignore", over="ignore"):
        error = (got - exact.high) - exact.low
        finite = np.isfinite(got)
        kept = np.where(finite, error, math.nan)
    levels = np.quantile(errors.ulp, [p / 100 for p in PERCENTILES], method="higher").tolist()
    zero = (got == 0) & (exact.high != 0)
    whole, squares = _sum(weights * np.abs(exact.high)), _sum((weights * exact.high) ** 2)
    broken = np.isinf(errors.ulp)
    return Figures(
        count=got.size,
        percentiles={
            **{f"{p:g}": level for p, level in zip(PERCENTILES, levels, strict=True)},
            "max": float(errors.ulp.max()),
        },
        max_error=float(np.max(np.abs(error))) if finite.all() else math.inf,
        beyond_4_ulp=int((errors.ulp > 4).sum()),
        beyond_bound=int((errors.ulp > bound_of(job, trial, quantity)).sum()) if job.subject.judged else None,
        zeros=int(errors.zero_for_normal.sum()),
        flushed=int(errors.flushed.sum()),
        infinite=int((broken & np.isinf(got)).sum()),
        nan=int((broken & np.isnan(got)).sum()),
        mean=_sum(weights * exact.high) / float(weights.sum()),
        mean_error=_sum(weights * kept) / float(weights.sum()),
        l1=share(_sum(weights * np.abs(kept)), whole),
        l2=share(math.sqrt(_sum((weights * kept) ** 2)), math.sqrt(squares)),
        lost=share(_sum((weights * np.abs(exact.high))[zero]), whole),
        worst=[_element(data.place(i), trial, i, computed, exact, errors.ulp) for i in _largest(errors.ulp)],
    )


def _element(place: int, trial: Trial, index: int, computed: Floats, exact: Exact, ulp: Doubles) -> Element:
    """Return one element."""
    fmt, got = trial.fmt, float(computed[index])
    return Element(
        place,
        {name: fmt.hex(array[index]) for name, array in trial.inputs.arrays.items()},
        fmt.hex(got),
        fmt.hex(exact.high[index]),
        float(ulp[index]),
        abs((got - float(exact.high[index])) - float(exact.low[index])),
    )


def _largest(ulp: Doubles) -> Iterator[int]:
    """Yield the places of the largest errors, the first of equal ones first."""
    order: npt.NDArray[np.intp] = np.argsort(-ulp, kind="stable")[:WORST]
    yield from (int(i) for i in order if ulp[i] > 0)


def _sum(array: Doubles) -> float:
    """Add up exactly; not finite where a term is not."""
    return math.fsum(array.tolist()) if np.isfinite(array).all() else math.nan


def share(error: float, whole: float) -> float:
    """Return an error as a share of the magnitude of what is right; infinite where that is 0 and the error is not."""
    if whole:
        return error / abs(whole)
    return math.copysign(math.inf, error) if error else 0.0
