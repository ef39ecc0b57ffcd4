"""Runs subjects on inputs, measures them against the reference, and judges xbce by the contract."""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from xbce_conformance import contract
from xbce_conformance.cases import PLAIN, Case, Quantity
from xbce_conformance.inputs.formats import FORMATS, Floats
from xbce_conformance.inputs.input_set import SEARCHED
from xbce_conformance.measurement.errors import Measurement, allow_flushing, measure
from xbce_conformance.measurement.profile import label_profile, profile
from xbce_conformance.measurement.trial import Trial
from xbce_conformance.reference.exact import Exact
from xbce_conformance.reference.reductions import exact_denominator, exact_quotient, exact_reduction
from xbce_conformance.results.model import Row, SpecialMismatch, Worst
from xbce_conformance.subjects.backends import Backend
from xbce_conformance.subjects.expressions import reproducer
from xbce_conformance.subjects.model import Function, Subject

Specials: TypeAlias = Sequence[Any]
"""Results at special arguments: numbers, or texts where the function raises."""


@dataclass(frozen=True)
class Job:
    """One function of one subject in one dtype: one or more rows."""

    subject: Subject
    function: Function
    dtype: str

    def __str__(self) -> str:
        return f"{self.subject.name} {self.subject.backend.name} {self.dtype} {self.function.name}"


def jobs(
    subjects: list[Subject], dtypes: tuple[str, ...], functions: tuple[str, ...] = (), level: str = "full"
) -> list[Job]:
    """Return what a level has to do, case by case and dtype by dtype; only for the named functions, if any."""
    todo = [
        Job(subject, function, dtype)
        for dtype in dtypes
        for subject in subjects
        if dtype in subject.dtypes
        for function in subject.functions
        if not functions or function.case.function in functions
        if not function.dtypes or dtype in function.dtypes
        if level != "quick" or function.quick is None or dtype in function.quick
    ]
    order = {name: i for i, name in enumerate(dict.fromkeys(job.function.case.name for job in todo))}
    return sorted(todo, key=lambda job: order[job.function.case.name])


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
            rows = _rows(job, trial)
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


def _rows(job: Job, trial: Trial) -> list[Row]:
    if job.function.of_mean:
        return _mean_derivative_rows(job, trial)
    if job.function.quantities[0] in ("sum", "mean"):
        return _reduction_rows(job, trial)
    return _elementwise_rows(job, trial)


def _call(job: Job, arrays: tuple[Floats, ...]) -> list[Floats]:
    """Call the function on its backend; return its results in NumPy."""
    backend = job.subject.backend
    results = job.function.call(*map(backend.from_numpy, arrays))
    if not isinstance(results, tuple):
        results = (results,)
    back = [backend.to_numpy(result) for result in results]
    for array in back:
        if array.dtype != arrays[0].dtype:
            msg = f"{job} returned {array.dtype} for {arrays[0].dtype}"
            raise TypeError(msg)
    return back


def _bound(job: Job, quantity: Quantity, *, hard: bool, part: str = "", excepted: bool = True) -> float:
    case = job.function.case
    if job.subject.bound is not None:
        return job.subject.bound
    return contract.bound(
        quantity,
        job.dtype,
        hard=hard,
        case=case.name,
        exponent=case.exponent,
        backend=job.subject.backend.name if excepted else "",
        part=part,
        of_mean=job.function.of_mean,
        compiled=job.function.compiled,
    )


# --- elementwise functions ------------------------------------------------------------------------------------------


def _elementwise_rows(job: Job, trial: Trial) -> list[Row]:
    quantities = job.function.quantities
    computed = _call(job, trial.called_with)
    special = _special(job, trial) if trial.special else [None] * len(computed)
    return [
        _elementwise_row(job, trial, quantity, results, trial.exact(quantity), special_results)
        for quantity, results, special_results in zip(quantities, computed, special, strict=True)
    ]


def _elementwise_row(
    job: Job, trial: Trial, quantity: Quantity, computed: Floats, exact: Exact, special: Specials | None
) -> Row:
    hard = trial.inputs.hard
    bounds = {kind: _bound(job, quantity, hard=kind == "hard") for kind in ("hard", "soft")}
    bound = np.where(hard, bounds["hard"], bounds["soft"])
    errors = measure(computed, exact, trial.fmt)
    if job.subject.backend.flushes_subnormals(trial.fmt):
        candidates = (exact,) if job.function.of_mean else (exact, trial.exact_of_flushed(quantity))
        errors = allow_flushing(errors, computed, trial.fmt, bound, candidates, trial.may_flush(quantity))
    mismatches = [] if special is None else _special_mismatches(job, trial, quantity, special)

    broken = []
    for kind, which in (("hard", hard), ("soft", ~hard)):
        if which.any() and (worst := float(errors.ulp[which].max())) > bounds[kind]:
            broken.append(f"{worst:.4g} ULP for {kind} labels; {bounds[kind]:g} are promised")
    if (gross := int(errors.gross.sum())) > 0:
        broken.append(f"{gross} results are zero where a normal number is right")
    if mismatches:
        broken.append(f"{len(mismatches)} special values are wrong")
    return _row(
        job,
        quantity,
        Measurement.of(errors),
        trial,
        computed,
        exact,
        max_ulp_soft=None if hard.all() else float(errors.ulp[~hard].max()),
        special_count=0 if special is None else _special_count(trial, quantity),
        special_mismatches=mismatches,
        parts={name: float(errors.ulp[part].max()) for name, part in trial.inputs.parts.items()},
        bound=bounds,
        broken=broken,
        profile=profile(trial, errors) if trial.case is PLAIN else {},
        label_profile=label_profile(trial, errors) if trial.case is PLAIN else [],
    )


def _special(job: Job, trial: Trial) -> Sequence[Specials]:
    """Return the results at the special arguments; for one that the function refuses, the name of the error."""
    try:
        return [list(results) for results in _call(job, _special_arguments(job, trial))]
    except Exception:
        if job.subject.name == "xbce":
            raise
    rows: list[list[Any]] = []
    for i in range(len(trial.special[0])):
        try:
            # As many elements as in a call with all of them: each length is compiled anew by some libraries.
            row = [results[i] for results in _call(job, tuple(np.full_like(a, a[i]) for a in trial.special))]
        except Exception as error:  # noqa: BLE001 - whatever a stranger's function raises is reported
            row = [f"raises {type(error).__name__}"] * len(job.function.quantities)
        rows.append(row)
    return list(zip(*rows, strict=True))


def _special_arguments(job: Job, trial: Trial) -> tuple[Floats, ...]:
    """Return the special arguments; in the shape of the inputs where each shape is compiled anew."""
    if not job.function.compiled:
        return trial.special
    missing = trial.inputs.hard.size - trial.special[0].size
    return tuple(np.concatenate([a, np.repeat(a[-1:], max(missing, 0))]) for a in trial.special)


def _special_count(trial: Trial, quantity: Quantity) -> int:
    return sum(getattr(row, quantity) is not None for row in contract.special_values(trial.case.name))


def _special_mismatches(job: Job, trial: Trial, quantity: Quantity, computed: Specials) -> list[SpecialMismatch]:
    """Compare with the table: same NaN, same infinities, and finite numbers within the bound."""
    mismatches = []
    fmt = trial.fmt
    for row, got in zip(contract.special_values(trial.case.name), computed, strict=False):
        text = getattr(row, quantity)
        if text is None:
            continue
        expected = contract.number(text, fmt)
        if isinstance(got, str):
            right = False
        elif math.isfinite(expected):
            hard = row.arguments.get("labels", "0") in ("0", "1")
            limit = _bound(job, quantity, hard=hard, excepted=False) * float(fmt.ulp(expected))
            right = abs(float(got) - expected) <= (limit if expected else 0.0)
        else:
            right = float(got) == expected or (math.isnan(got) and math.isnan(expected))
        if not right:
            mismatches.append(SpecialMismatch(row.arguments, str(got), text))
    return mismatches


# --- reductions -----------------------------------------------------------------------------------------------------


def _reduction_rows(job: Job, trial: Trial) -> list[Row]:
    """Measure one sum or mean per part of the inputs."""
    quantity = job.function.quantities[0]
    parts = {name: trial.inputs.parts[name] for name in _reduced_parts(job, trial)}
    computed = np.concatenate(
        [_call(job, tuple(a[part] for a in trial.called_with))[0].reshape(1) for part in parts.values()]
    )
    exact = _exact_reductions(job, trial, list(parts.values()))
    errors = measure(computed, exact, trial.fmt)

    bound = np.array([_bound(job, quantity, hard=True, part=name) for name in parts])
    promised = _bound(job, quantity, hard=True, excepted=False)
    if job.subject.backend.flushes_subnormals(trial.fmt):
        terms = np.array([_flushed_terms(job, trial, part) for part in parts.values()])
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
    # Worst cases have nothing in common but large errors; a sum is promised that those of many terms vanish in it.
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


def _mean_derivative_rows(job: Job, trial: Trial) -> list[Row]:
    """Measure a derivative of the mean over each part."""
    parts = trial.inputs.parts.values()
    (quantity,) = job.function.quantities
    computed = np.concatenate([_call(job, tuple(a[part] for a in trial.called_with))[0] for part in parts])
    derivative = trial.exact(quantity)
    # A product with the weight that overflows float64 has no exact value at hand: such an element is left out.
    finite = np.isfinite(derivative.high)
    computed = np.where(finite, computed, computed.dtype.type(0))
    kept = trial.where & finite
    quotients = [
        exact_quotient(derivative[part], _denominator(job.function, trial, part), kept[part]) for part in parts
    ]
    exact = Exact(*(np.concatenate([getattr(q, name) for q in quotients]) for name in ("high", "low", "scale")))
    return [_elementwise_row(job, trial, quantity, computed, exact, None)]


# --- rows -----------------------------------------------------------------------------------------------------------


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
        part, arguments = list(rest["parts"])[i], {}
    else:
        part = next(name for name, part in trial.inputs.parts.items() if part.start <= i < part.stop)
        arguments = {name: fmt.hex(array[i]) for name, array in trial.inputs.arrays.items()}
    return Row(
        subject=subject.name,
        version=subject.version,
        case=job.function.case.name,
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
        mismatched=measurement.mismatched,
        upper_bound=trial.inputs.exhaustive,
        worst=Worst(part, arguments, fmt.hex(computed[i]), fmt.hex(exact.high[i])),
        judged=subject.judged,
        sha256=hashlib.sha256(np.ascontiguousarray(computed).tobytes()).hexdigest(),
        reproducer=reproducer(job.function, backend, job.dtype, arguments),
        exceptions=[
            f"up to {row['ulp']:g} ULP{_where(row)}: {row['reason']}"
            for row in contract.exceptions(
                quantity, job.dtype, backend.name, job.function.case.name, compiled=job.function.compiled
            )
            if subject.bound is None
        ],
        **rest,
    )


def _where(exception: dict[str, Any]) -> str:
    """Say which part of the inputs, or which labels, an exception is for; nothing where it is for all."""
    if "part" in exception:
        return f" for {exception['part']!r}"
    return f" for {exception['labels']} labels" if "labels" in exception else ""


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
