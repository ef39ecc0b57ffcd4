"""The league table: each subject on each backend, its largest error per dtype, the best first."""

from dataclasses import dataclass

from xbce_conformance.cases import PLAIN
from xbce_conformance.results.model import Results, Row, SpecialValues

QUANTITIES = ("value", "gradient", "hessian")
"""Those of the plain loss that tables and pictures show."""


@dataclass(frozen=True)
class Entry:
    """One line of the table."""

    name: str
    rows: dict[str, Row]
    """The row with the largest error, per dtype."""
    exhaustive: dict[str, bool]
    """Whether nothing but exhaustive rows is behind it: then the error is no lower bound."""
    special: str
    """How many special values are right, over all dtypes."""

    @property
    def worst(self) -> float:
        """The largest error of all."""
        return max(row.figures.max_ulp for row in self.rows.values())


def league(results: Results, quantity: str) -> list[Entry]:
    """Return the table of one quantity of the plain loss, elementwise."""
    chosen = [row for row in results.rows if (row.case, row.quantity) == (PLAIN.name, quantity) and row.profiles.logit]
    entries = []
    for name in dict.fromkeys(map(_name, chosen)):
        mine = [row for row in chosen if _name(row) == name]
        rows = {
            row.dtype: max((r for r in mine if r.dtype == row.dtype), key=lambda r: r.figures.max_ulp) for row in mine
        }
        exhaustive = {dtype: all(r.exhaustive for r in mine if r.dtype == dtype) for dtype in rows}
        special = SpecialValues(
            sum(row.special.count for row in mine), [wrong for row in mine for wrong in row.special.mismatches]
        )
        entries.append(Entry(name, rows, exhaustive, special.right or "–"))
    return sorted(entries, key=lambda entry: entry.worst)


def leagues(results: Results) -> dict[str, list[Entry]]:
    """Return the tables that have entries, by quantity."""
    tables = {quantity: league(results, quantity) for quantity in QUANTITIES}
    return {quantity: table for quantity, table in tables.items() if table}


def _name(row: Row) -> str:
    """Name the subject and its backend; and the way of differentiating, where there are several."""
    way = row.function.rpartition(", ")[2] if row.function.endswith((" mode",)) else ""
    if row.function.endswith(("weighted_cross_entropy_with_logits(pos_weight=1)", "(pos_weight=1), reverse mode")):
        way = f"weighted, {way}" if way else "weighted"
    return f"{row.subject} on {row.backend}" + (f" ({way})" if way else "")
