"""Rows of behaviour and of invariance as tables: a column per form, or per company that numbers are called in."""

from dataclasses import dataclass

from xbce_conformance.results.figures import ulp_text
from xbce_conformance.results.model import Results, Row
from xbce_conformance.subjects.jobs import Kind

SAME, RIGHT, FAILS, NONE = "=", "right", "fails", "–"
TITLES: dict[Kind, str] = {
    "behaviour": "Errors in every form",
    "invariance": "Distance of the same numbers in other company",
}
TEXTS: dict[Kind, str] = {
    "behaviour": "The largest error in ULP with arrays of this form, or labels of this dtype; “–”: the library has "
    "none, or they are refused. “fails”: no result, one of another dtype or shape, a changed argument, or -0.0 "
    "where nothing is negative.",
    "invariance": "“=”: the same bits as in one call with all numbers; otherwise how many ULP apart at most. “–”: the "
    "library has no such call.",
}


@dataclass(frozen=True)
class Matrix:
    """The rows of one kind."""

    title: str
    text: str
    columns: list[str]
    lines: list[tuple[Row, list[str]]]
    """Each row with its cells."""


def matrices(results: Results) -> list[Matrix]:
    """Return the tables of the kinds that were measured."""
    found = []
    for kind, title in TITLES.items():
        rows = [row for row in results.rows if row.kind == kind]
        if rows:
            columns = list(dict.fromkeys(name for row in rows for name in row.regimes))
            lines = [(row, [_cell(row, name) for name in columns]) for row in rows]
            found.append(Matrix(title, TEXTS[kind], columns, lines))
    return found


def _cell(row: Row, column: str) -> str:
    if column not in row.regimes:
        return FAILS if row.failure else NONE
    error = row.regimes[column]
    if error == float("inf"):
        return FAILS
    if error == 0:
        return SAME if row.kind == "invariance" else RIGHT
    return ulp_text(error)
