"""Waivers: violations that are allowed, by name and for a reason; and which of them are not needed any more."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from xbce_conformance.measurement.measured import Violation
from xbce_conformance.results.model import Row

TABLE = ("tool", "xbce-conformance", "waive")
"""The table of a pyproject.toml."""
_FIELDS = {"reason", "until"}


class BadWaiver(ValueError):  # noqa: N818
    """A waiver has no reason, or cannot be read; the message says which."""


@dataclass(frozen=True)
class Waiver:
    """One name of violations, and why they are allowed."""

    name: str
    """Such as "special-values:infinite-logits", or "special-values" for all of these."""
    reason: str
    places: tuple[str, ...] = ()
    """Dtypes, quantities, backends, or subjects that it is for; empty: all."""
    until: date | None = None
    """The last day that it holds."""

    def __str__(self) -> str:
        return "@".join(filter(None, (self.name, ",".join(self.places))))

    def is_for(self, row: Row) -> bool:
        """Tell whether a row may need it."""
        kind = self.name.partition(":")[0]
        if kind == "failure":
            of_kind = True
        elif row.failure:
            return False  # nothing else was tried
        else:
            of_kind = row.kind == kind if kind in ("behaviour", "invariance") else row.of_errors
        return row.judged and of_kind and self._is_at(row)

    def allows(self, violation: Violation, row: Row) -> bool:
        """Tell whether it is for this violation of a row."""
        named = violation.name == self.name or violation.name.startswith(f"{self.name}:")
        return named and self._is_at(row)

    def _is_at(self, row: Row) -> bool:
        return {row.dtype, row.quantity, row.backend, row.subject}.issuperset(self.places)


def waiver(text: str, reason: Any) -> Waiver:
    """Return the waiver of a name, such as "special-values:infinite-logits@float16,gradient".

    Its reason is a text, or a table with `reason` and a date `until`.
    """
    given = reason if isinstance(reason, Mapping) else {"reason": reason}
    unknown = sorted(set(given) - _FIELDS)
    if unknown:
        msg = f"the waiver {text!r} has {', '.join(unknown)}; reason and until are expected"
        raise BadWaiver(msg)
    why, until = given.get("reason"), given.get("until")
    if not isinstance(why, str) or not why.strip():
        msg = f"the waiver {text!r} has no reason; a text is expected"
        raise BadWaiver(msg)
    if until is not None and (not isinstance(until, date) or isinstance(until, datetime)):
        msg = f"the waiver {text!r} holds until {until!r}; a date is expected, such as 2027-01-31"
        raise BadWaiver(msg)
    name, _, places = text.partition("@")
    if not name:
        msg = f"the waiver {text!r} names no violation"
        raise BadWaiver(msg)
    return Waiver(name, why, tuple(filter(None, places.split(","))), until)


def read_waivers(file: Path) -> list[Waiver]:
    """Return the waivers of a TOML file: of its table [tool.xbce-conformance.waive], or of [waive]."""
    try:
        data = tomllib.loads(file.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        msg = f"{file} is no TOML: {error}"
        raise BadWaiver(msg) from error
    table: Any = data.get("waive")
    if table is None:
        table = data
        for key in TABLE:
            table = table.get(key, {})
    if not isinstance(table, dict):
        msg = f"{file}: waive is {type(table).__name__}; a table of names with their reasons is expected"
        raise BadWaiver(msg)
    return [waiver(name, reason) for name, reason in table.items()]


def apply(rows: Iterable[Row], waivers: Iterable[Waiver], today: date | None = None) -> tuple[list[Row], list[str]]:
    """Return the rows after waivers, and what is wrong with these: not needed, or of the past.

    A waiver whose rows were not measured is neither.
    """
    today = today or datetime.now(UTC).date()
    waivers = list(waivers)
    standing = [each for each in waivers if each.until is None or today <= each.until]
    rows = list(rows)
    used: set[Waiver] = set()
    after = [_after(row, standing, used) for row in rows]
    wrong = [
        f"the waiver {each} ({each.reason}) held until {each.until}"
        for each in waivers
        if each not in standing and any(each.is_for(row) for row in rows)
    ]
    wrong += [
        f"the waiver {each} ({each.reason}) is not needed any more: remove it"
        for each in standing
        if each not in used and any(each.is_for(row) for row in rows)
    ]
    return after, wrong


def _after(row: Row, waivers: list[Waiver], used: set[Waiver]) -> Row:
    if row.verdict is None or not row.verdict.violations:
        return row
    violations = []
    for violation in row.verdict.violations:
        mine = [each for each in waivers if each.allows(violation, row)]
        used.update(mine)
        violations.append(replace(violation, waived=mine[0].reason if mine else ""))
    return replace(row, verdict=replace(row.verdict, violations=violations))
