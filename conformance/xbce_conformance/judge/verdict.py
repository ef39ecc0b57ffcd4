"""Turns what was measured into a row: errors above their bounds and wrong special values are violations."""

import math
from typing import Any

from xbce_conformance import contract
from xbce_conformance.cases import Quantity
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.measurement.errors import Figures
from xbce_conformance.measurement.measured import Measured, Specials, Worst
from xbce_conformance.results.model import Row, SpecialMismatch, SpecialValues, Verdict
from xbce_conformance.subjects.expressions import reproducer
from xbce_conformance.subjects.jobs import Job


def row_of(job: Job, measured: Measured) -> Row:
    """Return the row of one quantity."""
    quantity, special = measured.quantity, SpecialValues()
    if measured.special is not None:
        special = SpecialValues(_special_count(job, quantity), _special_mismatches(job, quantity, measured.special))
    return Row(
        **_identity(job, quantity),
        exhaustive=measured.exhaustive,
        figures=measured.figures,
        special=special,
        worst=measured.worst,
        regimes=measured.regimes,
        verdict=_verdict(job, quantity, _violations(measured, len(special.mismatches)), measured.bounds),
        sha256=measured.sha256,
        reproducer=reproducer(job.function, job.subject.backend, job.dtype, measured.worst.inputs),
        profiles=measured.profiles,
    )


def failed_row(job: Job, quantity: Quantity, failure: str) -> Row:
    """Return the row of a quantity that cannot be measured, for the reason that `failure` says."""
    bounds = {labels: job.bound(quantity, hard=labels == "hard") for labels in ("hard", "soft")}
    return Row(
        **_identity(job, quantity),
        exhaustive=False,
        figures=Figures.none(),
        special=SpecialValues(),
        worst=Worst("", {}, "", ""),
        regimes={},
        verdict=_verdict(job, quantity, [failure], bounds),
        failure=failure,
    )


def _identity(job: Job, quantity: Quantity) -> dict[str, Any]:
    subject = job.subject
    return {
        "subject": subject.name,
        "version": subject.version,
        "case": job.function.case.name,
        "function": job.function.name,
        "quantity": quantity,
        "backend": subject.backend.name,
        "dtype": job.dtype,
    }


def _verdict(job: Job, quantity: Quantity, violations: list[str], bounds: dict[str, float]) -> Verdict | None:
    """Return the verdict on a row; None for a peer, which is held to nothing."""
    if not job.subject.judged:
        return None
    exceptions = [
        f"up to {exception['ulp']:g} ULP{_where(exception)}: {exception['reason']}"
        for exception in job.exceptions(quantity)
    ]
    return Verdict(bounds, violations, exceptions)


def _violations(measured: Measured, wrong_special_values: int) -> list[str]:
    """Say what violates the contract."""
    figures = measured.figures
    said = [f"{c.ulp:.4g} ULP {c.where}; the bound is {c.bound:g}" for c in measured.compared if c.ulp > c.bound]
    if figures.zero_for_normal:
        said.append(f"{figures.zero_for_normal} results are zero where a normal number is right")
    if figures.wrong_nonfinite:
        said.append(f"{figures.wrong_nonfinite} results are NaN or infinite where that is wrong, or the reverse")
    if wrong_special_values:
        said.append(f"{wrong_special_values} special values are wrong")
    return said


def _where(exception: dict[str, Any]) -> str:
    """Say which regime, or which labels, an exception is for; nothing where it is for all."""
    if "regime" in exception:
        return f" for {exception['regime']!r}"
    return f" for {exception['labels']} labels" if "labels" in exception else ""


def _special_count(job: Job, quantity: Quantity) -> int:
    return sum(getattr(row, quantity) is not None for row in contract.special_values(job.function.case.name))


def _special_mismatches(job: Job, quantity: Quantity, computed: Specials) -> list[SpecialMismatch]:
    """Compare with the table: same NaN, same infinities, and finite numbers within the bound."""
    mismatches = []
    fmt = FORMATS[job.dtype]
    for row, got in zip(contract.special_values(job.function.case.name), computed, strict=False):
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
