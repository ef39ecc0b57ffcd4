"""Turns what was measured into a row: errors above their bounds and wrong special values break the promise."""

import math
from dataclasses import asdict
from typing import Any

from xbce_conformance import contract
from xbce_conformance.cases import Quantity
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.measurement.measured import Measured, Specials
from xbce_conformance.results.model import Row, SpecialMismatch
from xbce_conformance.subjects.expressions import reproducer
from xbce_conformance.subjects.jobs import Job


def row_of(job: Job, measured: Measured) -> Row:
    """Return the row of one quantity."""
    subject, function, quantity = job.subject, job.function, measured.quantity
    special = measured.special
    mismatches = [] if special is None else _special_mismatches(job, quantity, special)
    return Row(
        subject=subject.name,
        version=subject.version,
        case=function.case.name,
        function=function.name,
        quantity=quantity,
        backend=subject.backend.name,
        dtype=job.dtype,
        **asdict(measured.figures),
        max_ulp_soft=measured.max_ulp_soft,
        upper_bound=measured.exhaustive,
        special_count=0 if special is None else _special_count(job, quantity),
        special_mismatches=mismatches,
        worst=measured.worst,
        parts=measured.parts,
        bound=measured.bounds,
        judged=subject.judged,
        broken=_violations(measured, len(mismatches)),
        exceptions=[
            f"up to {exception['ulp']:g} ULP{_where(exception)}: {exception['reason']}"
            for exception in job.exceptions(quantity)
        ],
        sha256=measured.sha256,
        reproducer=reproducer(function, subject.backend, job.dtype, measured.worst.inputs),
        profile=measured.profile,
        label_profile=measured.label_profile,
    )


def _violations(measured: Measured, wrong_special_values: int) -> list[str]:
    """Say what breaks the promise."""
    figures = measured.figures
    said = [f"{c.ulp:.4g} ULP {c.where}; {c.bound:g} are promised" for c in measured.compared if c.ulp > c.bound]
    if figures.zero_for_normal:
        said.append(f"{figures.zero_for_normal} results are zero where a normal number is right")
    if figures.wrong_nonfinite:
        said.append(f"{figures.wrong_nonfinite} results are NaN or infinite where that is wrong, or the reverse")
    if wrong_special_values:
        said.append(f"{wrong_special_values} special values are wrong")
    return said


def _where(exception: dict[str, Any]) -> str:
    """Say which part of the inputs, or which labels, an exception is for; nothing where it is for all."""
    if "part" in exception:
        return f" for {exception['part']!r}"
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
            limit = job.bound(quantity, hard=hard, excepted=False) * float(fmt.ulp(expected))
            right = abs(float(got) - expected) <= (limit if expected else 0.0)
        else:
            right = float(got) == expected or (math.isnan(got) and math.isnan(expected))
        if not right:
            mismatches.append(SpecialMismatch(row.arguments, str(got), text))
    return mismatches
