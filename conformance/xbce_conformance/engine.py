"""Runs subjects on inputs, measures them against the reference, and judges xbce by the contract."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from xbce_conformance import contract
from xbce_conformance.backends import Backend
from xbce_conformance.formats import FORMATS, Doubles, Floats, Format, Mask
from xbce_conformance.inputs import InputSet, input_set
from xbce_conformance.measure import Errors, Measurement, allow_flushing, measure
from xbce_conformance.reference import BallReference, Exact, Float64Reference, Reference
from xbce_conformance.results import Row, SpecialMismatch, Worst
from xbce_conformance.subjects import Function, Quantity, Subject

_PROFILE_INTERVALS = 160


def profile_edges(fmt: Format) -> Doubles:
    """Return the ends of the intervals of the logit that profiles use: a little beyond where exp(-|x|) is zero."""
    limit = 1.05 * (fmt.p - fmt.emin) * math.log(2)
    return np.linspace(-limit, limit, _PROFILE_INTERVALS + 1)


class Trial:
    """The inputs of one format with their exact results; the same for every subject."""

    def __init__(self, fmt: Format, level: str) -> None:
        self.fmt = fmt
        self.inputs: InputSet = input_set(fmt, level)
        self._reference: Reference = BallReference() if fmt.name == "float64" else Float64Reference()
        self._exact: dict[str, Exact] = {}
        self._exact_of_flushed: dict[str, Exact] = {}

    def exact(self, quantity: Quantity) -> Exact:
        """Return the exact values of an elementwise quantity."""
        if quantity not in self._exact:
            self._exact[quantity] = getattr(self._reference, quantity)(self.inputs.logits, self.inputs.labels)
        return self._exact[quantity]

    def exact_of_flushed(self, quantity: Quantity) -> Exact:
        """Return the same for inputs whose subnormal numbers are replaced by zero."""
        if quantity not in self._exact_of_flushed:
            x, z = self.inputs.logits, self.inputs.labels
            subnormal = [(np.abs(np.float64(a)) < self.fmt.tiny) & (a != 0) for a in (x, z)]
            changed = np.flatnonzero(subnormal[0] | subnormal[1])
            flushed = [np.where(s, a.dtype.type(0), a)[changed] for s, a in zip(subnormal, (x, z), strict=True)]
            part: Exact = getattr(self._reference, quantity)(*flushed)
            whole = self.exact(quantity)
            copies = [array.copy() for array in (whole.high, whole.low, whole.scale)]
            for copy, array in zip(copies, (part.high, part.low, part.scale), strict=True):
                copy[changed] = array
            self._exact_of_flushed[quantity] = Exact(*copies)
        return self._exact_of_flushed[quantity]

    @cached_property
    def hard_parts(self) -> list[str]:
        """The parts in which every label is 0 or 1."""
        return [name for name, part in self.inputs.parts.items() if bool(self.inputs.hard[part].all())]

    @cached_property
    def special(self) -> tuple[Floats, Floats]:
        """The logits and labels of the table of special values."""
        table = contract.special_values()
        return (
            self.fmt.round([contract.number(row.logits, self.fmt) for row in table]),
            self.fmt.round([contract.number(row.labels, self.fmt) for row in table]),
        )


@dataclass(frozen=True)
class Job:
    """One function of one subject in one dtype: one or more rows."""

    subject: Subject
    function: Function
    dtype: str

    def __str__(self) -> str:
        return f"{self.subject.name} {self.subject.backend.name} {self.dtype} {self.function.name}"


def jobs(subjects: list[Subject], dtypes: tuple[str, ...]) -> list[Job]:
    """Return everything there is to do, dtype by dtype."""
    return [
        Job(subject, function, dtype)
        for dtype in dtypes
        for subject in subjects
        if dtype in subject.dtypes
        for function in subject.functions
    ]


def run(todo: list[Job], level: str, started: Callable[[Job], None] = lambda _: None) -> Iterator[list[Row]]:
    """Yield the rows of each job; `started` is told when one begins."""
    trials: dict[str, Trial] = {}
    for job in todo:
        started(job)
        if job.dtype not in trials:
            trials[job.dtype] = Trial(FORMATS[job.dtype], level)
        measured = _reduction_rows if job.function.quantities[0] in ("sum", "mean") else _elementwise_rows
        yield measured(job, trials[job.dtype])


def _call(job: Job, logits: Floats, labels: Floats) -> list[Floats]:
    """Call the function on its backend; return its results in NumPy."""
    backend = job.subject.backend
    results = job.function.call(backend.from_numpy(logits), backend.from_numpy(labels))
    if not isinstance(results, tuple):
        results = (results,)
    arrays = [backend.to_numpy(result) for result in results]
    for array in arrays:
        if array.dtype != logits.dtype:
            msg = f"{job} returned {array.dtype} for {logits.dtype}"
            raise TypeError(msg)
    return arrays


# --- elementwise functions ------------------------------------------------------------------------------------------


def _elementwise_rows(job: Job, trial: Trial) -> list[Row]:
    quantities = job.function.quantities
    computed = _call(job, trial.inputs.logits, trial.inputs.labels)
    special = _call(job, *trial.special)
    flushes = job.subject.backend.flushes_subnormals(trial.fmt)
    return [
        _elementwise_row(job, trial, quantity, results, special_results, flushes=flushes)
        for quantity, results, special_results in zip(quantities, computed, special, strict=True)
    ]


def _elementwise_row(
    job: Job, trial: Trial, quantity: Quantity, computed: Floats, special: Floats, *, flushes: bool
) -> Row:
    hard = trial.inputs.hard
    backend = job.subject.backend.name
    bounds = {
        kind: contract.bound(quantity, job.dtype, hard=kind == "hard", backend=backend) for kind in ("hard", "soft")
    }
    bound = np.where(hard, bounds["hard"], bounds["soft"])
    exact = trial.exact(quantity)
    errors = measure(computed, exact, trial.fmt)
    if flushes:
        errors = allow_flushing(errors, computed, trial.fmt, bound, (exact, trial.exact_of_flushed(quantity)))
    mismatches = _special_mismatches(trial, quantity, special)

    broken = []
    for kind, which in (("hard", hard), ("soft", ~hard)):
        if (worst := float(errors.ulp[which].max())) > bounds[kind]:
            broken.append(f"{worst:.4g} ULP for {kind} labels; {bounds[kind]:g} are promised")
    if (gross := int(errors.gross.sum())) > 0:
        broken.append(f"{gross} results are zero where a normal number is right")
    if mismatches:
        broken.append(f"{len(mismatches)} special values are wrong")
    parts = trial.inputs.parts
    return _row(
        job,
        quantity,
        Measurement.of(errors),
        trial,
        computed,
        exact,
        max_ulp_soft=float(errors.ulp[~hard].max()),
        special_count=_special_count(quantity),
        special_mismatches=mismatches,
        parts={name: float(errors.ulp[part].max()) for name, part in parts.items()},
        bound=bounds,
        broken=broken,
        profile=_profile(trial, errors),
    )


def _special_count(quantity: Quantity) -> int:
    return sum(getattr(row, quantity) is not None for row in contract.special_values())


def _special_mismatches(trial: Trial, quantity: Quantity, computed: Floats) -> list[SpecialMismatch]:
    """Compare with the table: same NaN, same infinities, and finite numbers within the bound."""
    mismatches = []
    fmt = trial.fmt
    for row, logit, label, got in zip(contract.special_values(), *trial.special, computed, strict=True):
        text = getattr(row, quantity)
        if text is None:
            continue
        expected = contract.number(text, fmt)
        if math.isfinite(expected):
            hard = float(label) in (0.0, 1.0)
            limit = contract.bound(quantity, fmt.name, hard=hard) * float(fmt.ulp(expected))
            right = abs(float(got) - expected) <= (limit if expected else 0.0)
        else:
            right = float(got) == expected or (math.isnan(got) and math.isnan(expected))
        if not right:
            mismatches.append(SpecialMismatch(str(logit), str(label), str(got), text))
    return mismatches


def _profile(trial: Trial, errors: Errors) -> dict[str, list[float | None]]:
    """Return the largest error per interval of the logit, apart for the two hard labels and the soft ones."""
    edges = profile_edges(trial.fmt)
    interval = np.asarray(np.digitize(np.asarray(trial.inputs.logits, np.float64), edges) - 1)
    inside = (interval >= 0) & (interval < _PROFILE_INTERVALS)
    labels = trial.inputs.labels
    which: dict[str, Mask] = {"0": labels == 0, "1": labels == 1, "soft": ~trial.inputs.hard}
    profile = {}
    for name, mask in which.items():
        largest = np.full(_PROFILE_INTERVALS, -1.0)
        chosen = inside & mask
        np.maximum.at(largest, interval[chosen], errors.ulp[chosen])
        profile[name] = [None if e < 0 else float(f"{e:.3g}") for e in largest.tolist()]
    return profile


# --- reductions -----------------------------------------------------------------------------------------------------


def _reduction_rows(job: Job, trial: Trial) -> list[Row]:
    """Measure one sum or mean per part of the inputs."""
    quantity = job.function.quantities[0]
    parts = {name: trial.inputs.parts[name] for name in _reduced_parts(job, trial)}
    computed = np.concatenate(
        [_call(job, trial.inputs.logits[part], trial.inputs.labels[part])[0].reshape(1) for part in parts.values()]
    )
    exact = _exact_reductions(quantity, [trial.exact("value")[part] for part in parts.values()])
    errors = measure(computed, exact, trial.fmt)

    backend = job.subject.backend.name
    bound = np.array([contract.bound(quantity, job.dtype, hard=True, backend=backend, part=name) for name in parts])
    promised = contract.bound(quantity, job.dtype, hard=True)
    if job.subject.backend.flushes_subnormals(trial.fmt):
        terms = np.array([1.0 if quantity == "mean" else part.stop - part.start for part in parts.values()])
        errors = allow_flushing(errors, computed, trial.fmt, bound, (exact,), terms)
    row = _row(
        job,
        quantity,
        Measurement.of(errors),
        trial,
        computed,
        exact,
        max_ulp_soft=None,
        special_count=0,
        special_mismatches=[],
        parts=dict(zip(parts, errors.ulp.tolist(), strict=True)),
        bound={"hard": promised, "soft": promised},
        broken=[
            f"{error:.4g} ULP on {name!r}; {limit:g} are promised"
            for name, error, limit in zip(parts, errors.ulp.tolist(), bound.tolist(), strict=True)
            if error > limit
        ],
    )
    return [row]


def _reduced_parts(job: Job, trial: Trial) -> list[str]:
    names = trial.hard_parts if job.function.hard_labels_only else list(trial.inputs.parts)
    if job.dtype != "float64":
        return names
    # The sum of numbers near the largest one is inf in float64, in every library; nothing wider is at hand.
    with np.errstate(over="ignore"):
        return [name for name in names if np.isfinite(trial.exact("value").high[trial.inputs.parts[name]].sum())]


def _exact_reductions(quantity: Quantity, losses: list[Exact]) -> Exact:
    high, low = (
        np.array(column) for column in zip(*(_exact_reduction(quantity, part) for part in losses), strict=True)
    )
    return Exact(high, low, high)


def _exact_reduction(quantity: Quantity, losses: Exact) -> tuple[float, float]:
    """Return the sum or mean of exact losses as a pair of doubles."""
    terms = losses.high.tolist() + losses.low.tolist()
    total = math.fsum(terms)
    rest = math.fsum([*terms, -total])
    if quantity == "sum":
        return total, rest
    n = losses.high.size
    mean = total / n
    # total - n mean, exactly, from integers: what the division rounded off.
    left = _difference(total, mean, n)
    correction = (left + rest) / n
    high = mean + correction
    return high, (mean - high) + correction


def _difference(total: float, mean: float, n: int) -> float:
    (a, b), (c, d) = total.as_integer_ratio(), mean.as_integer_ratio()
    return (a * d - n * c * b) / (b * d)


def _row(
    job: Job,
    quantity: Quantity,
    measurement: Measurement,
    trial: Trial,
    computed: Floats,
    exact: Exact,
    **rest: Any,
) -> Row:
    subject, backend, fmt = job.subject, job.subject.backend, trial.fmt
    i = measurement.worst
    if quantity in ("sum", "mean"):
        place = {"part": list(rest["parts"])[i], "logit": "", "label": ""}
    else:
        place = {
            "part": next(name for name, part in trial.inputs.parts.items() if part.start <= i < part.stop),
            "logit": fmt.hex(trial.inputs.logits[i]),
            "label": fmt.hex(trial.inputs.labels[i]),
        }
    return Row(
        subject=subject.name,
        version=subject.version,
        function=job.function.name,
        quantity=quantity,
        backend=backend.name,
        dtype=job.dtype,
        count=measurement.count,
        max_ulp=measurement.max_ulp,
        p999_ulp=measurement.p999_ulp,
        rounded=measurement.rounded,
        gross=measurement.gross,
        flushed=measurement.flushed,
        worst=Worst(computed=fmt.hex(computed[i]), exact=fmt.hex(exact.high[i]), **place),
        judged=subject.judged,
        exceptions=[
            f"up to {row['ulp']:g} ULP for {row.get('part', row.get('labels'))!r}: {row['reason']}"
            for row in contract.exceptions(quantity, job.dtype, backend.name)
        ],
        **rest,
    )


def backend_facts(backends: dict[str, Backend]) -> dict[str, dict[str, str]]:
    """Return version, device and which dtypes lose subnormal numbers, per backend."""
    facts = {}
    for name, backend in backends.items():
        flushed = [dtype for dtype in backend.dtypes if backend.flushes_subnormals(FORMATS[dtype])]
        facts[name] = {
            "version": backend.version,
            "device": backend.device,
            "dtypes": ", ".join(backend.dtypes),
            "flushes subnormal numbers in": ", ".join(flushed) or "none",
        }
    return facts
