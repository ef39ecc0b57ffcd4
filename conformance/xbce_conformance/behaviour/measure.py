"""Rows of behaviour: errors in every form, and what a function must not do, or return."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from xbce_conformance.behaviour.forms import FORMS, Form, Places, Unavailable, calls
from xbce_conformance.cases import Quantity
from xbce_conformance.inputs.formats import Doubles, Floats
from xbce_conformance.measurement.elementwise import bound_of, bounds_by_labels, errors_of
from xbce_conformance.measurement.errors import Errors, Figures
from xbce_conformance.measurement.measured import Compared, Measured, Violation, Worst, slug
from xbce_conformance.measurement.trial import Trial
from xbce_conformance.subjects.expressions import ONE_DIMENSION, Written
from xbce_conformance.subjects.failure import Failure
from xbce_conformance.subjects.jobs import Job

_SEED = 21
_LABELS = {"labels of bool": np.bool_, "labels of uint8": np.uint8, "labels of int64": np.int64}
_ELEMENTS = 999
"""For all but forms."""

_NOT_NEGATIVE: tuple[Quantity, ...] = ("value", "hessian")


@dataclass
class _Found:
    """What the calls of a job came to, form by form."""

    job: Job
    trial: Trial
    errors: list[Errors] = field(default_factory=list)
    computed: list[Floats] = field(default_factory=list)
    places: list[Places] = field(default_factory=list)
    codes: list[Written | None] = field(default_factory=list)
    """The form of each of these in code; None where no code makes it."""
    regimes: dict[str, float] = field(default_factory=dict)
    compared: list[Compared] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    ratio: float = -1.0
    """The largest one of error and bound."""
    worst: Worst = field(default_factory=lambda: Worst("", {}, "", ""))
    """Where that is."""
    code: Written | None = ONE_DIMENSION
    """Its form in code."""

    @property
    def quantity(self) -> Quantity:
        return self.job.function.quantities[0]

    def measure(self, name: str, computed: Floats, places: Places, code: Written | None) -> None:
        """Take the results for some of the inputs."""
        flat, which = computed.reshape(-1), places.reshape(-1)
        self.regimes.setdefault(name, 0.0)
        if not flat.size:
            return
        errors = errors_of(self.job, self.trial, self.quantity, flat, self.trial.exact(self.quantity), which)
        bound = self._allowed[which]
        with np.errstate(invalid="ignore"):
            ratios = np.nan_to_num(errors.ulp / bound, nan=1.0, posinf=np.inf)  # inf / inf: as in the other call
        i = int(np.argmax(ratios))
        ulp, allowed = float(errors.ulp[i]), float(bound[i])
        self.regimes[name] = max(self.regimes[name], float(errors.ulp.max()))
        self.compared.append(Compared(f"behaviour:{slug(name)}", f"in the form {name!r}", ulp, allowed))
        self.errors.append(errors)
        self.computed.append(flat)
        self.places.append(which)
        self.codes.append(code)
        if ratios[i] > self.ratio:
            fmt, exact = self.trial.fmt, self.trial.exact(self.quantity).high[which[i]]
            self.ratio, self.code = float(ratios[i]), code
            self.worst = Worst(name, self._inputs(int(which[i])), fmt.hex(flat[i]), fmt.hex(exact))

    @cached_property
    def _allowed(self) -> Doubles:
        """The bound, or the error that the same input has in one call with all inputs: a row of samples says so."""
        (computed,) = self.job.call(self.trial.called_with)
        errors = errors_of(self.job, self.trial, self.quantity, computed, self.trial.exact(self.quantity))
        return np.asarray(np.maximum(errors.ulp, bound_of(self.job, self.trial, self.quantity)))

    def _inputs(self, place: int) -> dict[str, str]:
        """Return one of the inputs, as a reproducer takes it."""
        fmt = self.trial.fmt
        return {n: fmt.hex(a[place]) for n, a in zip(self.trial.inputs.arrays, self.trial.called_with, strict=True)}

    def fails(self, name: str, text: str, place: int, code: Written | None = None) -> None:
        """Note what breaks a promise; of several that are alike the first one."""
        self.regimes[name] = np.inf
        if any(violation.name == f"behaviour:{slug(name)}" for violation in self.violations):
            return
        self.violations.append(Violation(f"behaviour:{slug(name)}", f"{name}: {text}"))
        if self.ratio < np.inf:
            self.ratio, self.code, self.worst = np.inf, code, Worst(name, self._inputs(place), "", "")


def measure_behaviour(job: Job, trial: Trial) -> Measured:
    """Measure an elementwise function in every form, and try what it must not do."""
    found = _Found(job, trial)
    order = np.random.default_rng(_SEED).permutation(len(trial.called_with[0]))
    for name, form in FORMS.items():
        _try_form(found, name, form, order)
    _try_again(found, order[:_ELEMENTS])
    for name, dtype in _LABELS.items():
        if "labels" in trial.inputs.arrays:
            _try_labels(found, name, dtype, order)
    _look_at_zeros(found)
    errors = [_joined(found.errors)] if found.errors else []
    return Measured(
        quantity=found.quantity,
        figures=Figures.of(errors[0]) if errors else Figures.none(),
        worst=found.worst,
        regimes=found.regimes,
        bounds=bounds_by_labels(job, found.quantity),
        compared=_largest(found.compared),
        kind="behaviour",
        violations=found.violations,
        form=found.code,
        remarks=found.remarks,
    )


def _try_form(found: _Found, name: str, form: Form, order: Places) -> None:
    job, arrays = found.job, found.trial.called_with
    try:
        for there, places in calls(form, job.subject.backend, arrays, order):
            like = np.asarray(arrays[0][places])
            first = int(places.reshape(-1)[0]) if places.size else 0
            try:
                (computed,) = job.called_with(there, like)
            except Failure as failure:
                found.fails(name, f"{failure} (arguments of the shape {places.shape})", first, form.code)
                return
            found.measure(name, computed, places, form.code)
            for changed in _changed(job, there, arrays, places):
                found.fails("arguments", f"the call changes {changed} (in the form {name!r})", first)
                return
    except Unavailable as reason:
        found.remarks.append(f"{name}: {job.subject.backend.name} has no such array: {reason}")


def _changed(job: Job, there: tuple[Any, ...], arrays: tuple[Floats, ...], places: Places) -> Iterator[str]:
    """Yield the names of the arguments that are not what they were."""
    for name, array, now in zip(job.function.case.arguments, arrays, there, strict=True):
        if np.asarray(job.subject.backend.to_numpy(now)).tobytes() != np.asarray(array[places]).tobytes():
            yield name


def _try_again(found: _Found, places: Places) -> None:
    """Call it twice with the same numbers."""
    arrays = tuple(array[places] for array in found.trial.called_with)
    try:
        (first,) = found.job.call(arrays)
        once = first.copy()
        (twice,) = found.job.call(arrays)
    except Failure as failure:
        found.fails("repeated", str(failure), int(places[0]))
        return
    differ = np.flatnonzero(~((once == twice) | (np.isnan(once) & np.isnan(twice))))
    found.regimes["repeated"] = 0.0
    if first.tobytes() != once.tobytes():
        found.fails("repeated", "the second call changes the result of the first one", int(places[0]))
    if differ.size:
        i, fmt = int(differ[0]), found.trial.fmt
        text = f"{differ.size} results differ from one call to the next: {fmt.hex(once[i])}, {fmt.hex(twice[i])}"
        found.fails("repeated", text, int(places[i]))


def _try_labels(found: _Found, name: str, dtype: type[np.generic], order: Places) -> None:
    """Call it with labels of another dtype; it may refuse them, or return the dtype that its library promotes to."""
    job, trial = found.job, found.trial
    names = list(trial.inputs.arrays)
    places = order[trial.inputs.hard[order]][:_ELEMENTS]
    if not places.size:
        found.remarks.append(f"{name}: none are tried: no input has a hard label")
        return
    arrays = [array[places] for array in trial.called_with]
    try:
        there = [job.subject.backend.from_numpy(array) for array in arrays]
        i = names.index("labels")
        there[i] = job.subject.backend.from_numpy(np.asarray(arrays[i]).astype(dtype))
    except Exception as error:  # noqa: BLE001 - a library without such a dtype
        found.remarks.append(f"{name}: {job.subject.backend.name} has none: {type(error).__name__}: {error}")
        return
    try:
        (computed, *_) = job.results(tuple(there))
    except Failure as failure:
        if failure.name == "raised":
            found.remarks.append(f"{name} are refused: {failure}")
        else:
            found.fails(name, str(failure), int(places[0]))
        return
    if computed.shape != places.shape:
        found.fails(
            name, f"the shape of the result is {computed.shape}; {places.shape} is expected", int(places[0]), None
        )
        return
    if computed.dtype != trial.fmt.dtype:
        found.remarks.append(f"{name}: the result is {computed.dtype}")
        computed = trial.fmt.round(computed)
    found.measure(name, computed, places, None)


def _look_at_zeros(found: _Found) -> None:
    """Look for -0.0 where nothing is negative, as in a loss and its second derivative."""
    if found.quantity not in _NOT_NEGATIVE or not found.computed:
        return
    found.regimes["zeros"] = 0.0
    negative = [np.flatnonzero((computed == 0) & np.signbit(computed)) for computed in found.computed]
    count = sum(each.size for each in negative)
    if count:
        # One that a reproducer shows, if there is any.
        _, i = min((found.codes[i] is None, i) for i, each in enumerate(negative) if each.size)
        place = int(found.places[i][negative[i][0]])
        text = f"{count} results are -0.0, and no {found.quantity} is negative"
        found.fails("zeros", text, place, found.codes[i])


def _joined(errors: list[Errors]) -> Errors:
    return Errors(*(np.concatenate([getattr(e, name) for e in errors]) for name in Errors.__dataclass_fields__))


def _largest(compared: list[Compared]) -> list[Compared]:
    """Return the worst of each form."""
    names = dict.fromkeys(each.name for each in compared)
    return [max((c for c in compared if c.name == name), key=lambda c: (c.ulp > c.bound, c.ulp)) for name in names]
