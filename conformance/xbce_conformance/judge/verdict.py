"""Turns what was measured into a row: errors above their bounds and wrong special values are violations."""

import math
from collections import Counter
from typing import Any

from xbce_conformance import contract
from xbce_conformance.cases import Quantity
from xbce_conformance.inputs.formats import FORMATS, Format
from xbce_conformance.measurement.errors import Figures
from xbce_conformance.measurement.measured import Measured, Specials, Violation, Worst
from xbce_conformance.results.model import Row, SpecialMismatch, SpecialValues, Verdict
from xbce_conformance.subjects.expressions import ONE_DIMENSION, Written, reproducer
from xbce_conformance.subjects.failure import Failure
from xbce_conformance.subjects.jobs import Job, Kind


def row_of(job: Job, measured: Measured) -> Row:
    """Return the row of one quantity."""
    quantity, special = measured.quantity, SpecialValues()
    if measured.special is not None:
        special = SpecialValues(_special_count(job, quantity), _special_mismatches(job, quantity, measured.special))
    violations = _of_errors(measured)
    worst = measured.worst
    if special.mismatches and not violations:  # then another input is right, and these are what is to be seen
        worst = _worst_of(special.mismatches[0], FORMATS[job.dtype])
    # Where nothing is promised, what would break a promise is told all the same.
    told = [] if job.judges(measured.kind) else [violation.text for violation in measured.violations]
    return _row(
        job,
        quantity,
        measured.kind,
        figures=measured.figures,
        special=special,
        worst=worst,
        form=measured.form,
        regimes=measured.regimes,
        verdict=_verdict(
            job, measured.kind, quantity, violations + _of_special_values(special.mismatches), measured.bounds
        ),
        sha256=measured.sha256,
        profiles=measured.profiles,
        remarks=told + measured.remarks,
    )


def failed_row(job: Job, quantity: Quantity, failure: Failure, kind: Kind = "samples") -> Row:
    """Return the row of a quantity that cannot be measured."""
    bounds = {labels: job.bound(quantity, hard=labels == "hard") for labels in ("hard", "soft")}
    text = str(failure)
    return _row(
        job,
        quantity,
        kind,
        figures=Figures.none(),
        special=SpecialValues(),
        worst=Worst("", failure.inputs, "", ""),
        regimes={},
        verdict=_verdict(job, kind, quantity, [Violation(f"failure:{failure.name}", text)], bounds),
        failure=text,
    )


def _row(
    job: Job, quantity: Quantity, kind: Kind, *, worst: Worst, form: Written | None = ONE_DIMENSION, **rest: Any
) -> Row:
    subject = job.subject
    again = "" if kind == "invariance" else reproducer(job.function, subject.backend, job.dtype, worst.inputs, form)
    return Row(
        subject=subject.name,
        version=subject.version,
        case=job.function.case.name,
        function=job.function.name,
        quantity=quantity,
        backend=subject.backend.name,
        dtype=job.dtype,
        kind=kind,
        worst=worst,
        reproducer=again,
        **rest,
    )


def _verdict(
    job: Job, kind: Kind, quantity: Quantity, violations: list[Violation], bounds: dict[str, float]
) -> Verdict | None:
    """Return the verdict on a row; None for a peer, which is held to nothing."""
    if not job.judges(kind):
        return None
    exceptions = [
        f"up to {exception['ulp']:g} ULP{_where(exception)}: {exception['reason']}"
        for exception in job.exceptions(quantity)
    ]
    return Verdict(bounds, violations, exceptions)


def _of_errors(measured: Measured) -> list[Violation]:
    """Return what violates the contract where errors are measured."""
    figures = measured.figures
    found = [
        Violation(c.name, f"{c.ulp:.4g} ULP {c.where}; the bound is {c.bound:g}")
        for c in measured.compared
        if c.ulp > c.bound
    ]
    if measured.kind == "behaviour":  # such results are far beyond their bounds, and among these
        return found + measured.violations
    if figures.zero_for_normal:
        text = f"{figures.zero_for_normal} results are zero where a normal number is right"
        found.append(Violation("zero-for-normal", text))
    if figures.wrong_nonfinite:
        text = f"{figures.wrong_nonfinite} results are NaN or infinite where that is wrong, or the reverse"
        found.append(Violation("nonfinite", text))
    return found + measured.violations


def _where(exception: dict[str, Any]) -> str:
    """Say which regime, or which labels, an exception is for; nothing where it is for all."""
    if "regime" in exception:
        return f" for {exception['regime']!r}"
    return f" for {exception['labels']} labels" if "labels" in exception else ""


# --- special values -------------------------------------------------------------------------------------------------


def _of_special_values(mismatches: list[SpecialMismatch]) -> list[Violation]:
    """Return a violation for each class of special values that are wrong."""
    counts = Counter(special_class(mismatch.inputs) for mismatch in mismatches)
    return [
        Violation(f"special-values:{name}", f"{count} special values are wrong ({name.replace('-', ' ')})")
        for name, count in counts.items()
    ]


def special_class(arguments: dict[str, str]) -> str:
    """Name what is special of arguments: the first that is NaN, infinite, or else the first one."""
    for name, text in arguments.items():
        if text == "nan":
            return f"nan-{name}"
    for name, text in arguments.items():
        if text.removeprefix("-") == "inf":
            return f"infinite-{name}"
    name, text = next(iter(arguments.items()))
    return {"0": f"zero-{name}", "-0.0": f"negative-zero-{name}"}.get(text, f"other-{name}")


def _worst_of(mismatch: SpecialMismatch, fmt: Format) -> Worst:
    inputs = {name: contract.number(text, fmt).hex() for name, text in mismatch.inputs.items()}
    return Worst("special values", inputs, mismatch.computed, mismatch.expected)


def _special_count(job: Job, quantity: Quantity) -> int:
    return sum(getattr(row, quantity) is not None for row in job.special_values)


def _special_mismatches(job: Job, quantity: Quantity, computed: Specials) -> list[SpecialMismatch]:
    """Compare with the table: same NaN, same infinities, and finite numbers within the bound."""
    mismatches = []
    fmt = FORMATS[job.dtype]
    for row, got in zip(job.special_values, computed, strict=False):
        text = getattr(row, quantity)
        if text is None:
            continue
        expected = contract.number(text, fmt)
        if isinstance(got, str):
            right = False
        elif math.isfinite(expected):
            hard = row.arguments.get("labels", "0") in ("0", "1")
            allowed = job.bound(quantity, hard=hard, excepted=False) * float(fmt.ulp(expected))
            right = abs(float(got) - expected) <= (allowed if expected else 0.0)
        else:
            right = float(got) == expected or (math.isnan(got) and math.isnan(expected))
        if not right:
            mismatches.append(SpecialMismatch(row.arguments, str(got), text))
    return mismatches
