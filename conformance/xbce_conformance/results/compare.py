"""What got worse between two runs."""

from dataclasses import dataclass

from xbce_conformance.results.figures import ulp_text
from xbce_conformance.results.model import Results, Row

_RELATIVE = 1e-9
"""Errors that differ by less are the same: figures are written in decimal."""


@dataclass(frozen=True)
class Change:
    """One figure of one row that differs."""

    row: str
    what: str
    worse: bool


def compare(old: Results, new: Results) -> list[Change]:
    """Return all changes; a missing row is a regression."""
    before, after = ({row.key: row for row in results.rows} for results in (old, new))
    changes = [
        Change(row.name, "is not measured any more", worse=True) for key, row in before.items() if key not in after
    ]
    for key, row in after.items():
        if key in before:
            changes += _of_row(before[key], row)
        else:
            changes.append(Change(row.name, f"is new: {ulp_text(row.figures.max_ulp)} ULP", worse=bool(row.violations)))
    return changes


def _of_row(old: Row, new: Row) -> list[Change]:
    name, changes = new.name, []
    for what in ("max_ulp", "p999_ulp"):
        a, b = getattr(old.figures, what), getattr(new.figures, what)
        if a != b and not abs(a - b) <= _RELATIVE * abs(a):
            label = {"max_ulp": "largest error", "p999_ulp": "99.9th percentile"}[what]
            changes.append(Change(name, f"{label}: {ulp_text(a)} -> {ulp_text(b)} ULP", worse=b > a))
    for what, label in {
        "zero_for_normal": "zeros for normal numbers",
        "flushed": "flushed",
        "wrong_nonfinite": "NaN or inf",
    }.items():
        a, b = getattr(old.figures, what), getattr(new.figures, what)
        if a != b:
            changes.append(Change(name, f"{label}: {a} -> {b}", worse=b > a))
    if old.sha256 and new.sha256 and old.sha256 != new.sha256:
        changes.append(Change(name, "other bits", worse=False))
    a, b = len(old.special.mismatches), len(new.special.mismatches)
    if a != b:
        changes.append(Change(name, f"wrong special values: {a} -> {b}", worse=b > a))
    if new.judged and bool(old.violations) != bool(new.violations):
        says = f"fails: {'; '.join(new.violations)}" if new.violations else "passes"
        changes.append(Change(name, says, worse=bool(new.violations)))
    if not new.judged and new.failure != old.failure:
        changes.append(Change(name, f"is not measured: {new.failure}", worse=bool(new.failure)))
    return changes
