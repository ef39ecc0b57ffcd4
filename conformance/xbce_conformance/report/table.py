"""The table in the terminal."""

from itertools import groupby
from operator import attrgetter

from rich.console import Console
from rich.table import Table
from rich.text import Text

from xbce_conformance.cases import PLAIN
from xbce_conformance.report.failures import block
from xbce_conformance.results.figures import share_text, ulp_text
from xbce_conformance.results.model import Results, Row


def summary(results: Results) -> str:
    """Say how many rows pass, in a sentence."""
    judged, failed = results.judged, results.failed
    if failed:
        return f"{len(failed):,} of {len(judged):,} rows fail."
    names = ", ".join(dict.fromkeys(row.subject for row in judged))
    waived = sum(len(row.waived) for row in judged)
    return f"All {len(judged):,} rows of {names} pass{f'; {waived:,} violations are waived' if waived else ''}."


def bounds_text(results: Results) -> str:
    """Say which bounds the value and gradient of the plain loss have, in a sentence; nothing if none is judged."""
    bounds: dict[str, list[float]] = {}
    for row in results.judged:
        if row.verdict and row.case == PLAIN.name and row.quantity in ("value", "gradient"):
            bounds.setdefault(row.subject, []).extend(row.verdict.bound.values())
    texts = [
        f"{max(stated):g} ULP ({subject})" if len(bounds) > 1 else f"{max(stated):g} ULP"
        for subject, stated in bounds.items()
    ]
    return f" Promised of the plain loss: at most {', '.join(texts)}." if texts else ""


def bound_text(row: Row) -> str:
    """Write the bound, one figure or that of hard and of soft labels; nothing for a peer."""
    if row.verdict is None:
        return ""
    hard, soft = row.verdict.bound["hard"], row.verdict.bound["soft"]
    return f"{hard:g}" if hard == soft else f"{hard:g} / {soft:g}"


def verdict(row: Row) -> str:
    """Return "pass" or "FAIL" for a judged row; other systems are reported only."""
    if row.verdict is None:
        return "reported"
    return "FAIL" if row.violations else "pass"


def stated_exceptions(results: Results) -> list[str]:
    """Return the exceptions from the bounds that are stated for the backends of this run, each text once."""
    verdicts = [(row, row.verdict) for row in results.rows if row.verdict]
    where = {
        text: (row.quantity, row.dtype, [r.backend for r, v in verdicts if text in v.exceptions])
        for row, verdict in verdicts
        for text in verdict.exceptions
    }
    return [
        f"{quantity} in {dtype} on {', '.join(dict.fromkeys(backends))}: {text}"
        for text, (quantity, dtype, backends) in where.items()
    ]


def print_results(results: Results, console: Console) -> None:
    """Print one row per function, backend and dtype, xbce last; a summary; what is missing and what fails."""
    console.print(Text(f"Errors in ULP of the exact result. Inputs: {results.level}", style="bold"))
    layout = _Layout(results.rows, console.width)
    console.print(layout.table([], show_header=True))
    for name, group in groupby(sorted(results.rows, key=_order), key=attrgetter("title")):
        console.print(Text(f" {name}", style="bold"))  # Text: names hold square brackets, which would be read as markup
        console.print(layout.table(list(group), show_header=False))
    console.print(layout.legend, style="dim")
    if results.judged:
        console.print(_largest(results.judged))
    for name, reason in results.missing.items():
        console.print(Text(f"absent: {name}: {reason}", style="yellow"), soft_wrap=True)
    for text in stated_exceptions(results):
        console.print(Text(f"stated exception: {text}", style="yellow"), soft_wrap=True)
    for row in results.rows:
        if row.failure and not row.judged:
            console.print(Text(f"not measured: {row.name}: {row.failure}", style="yellow"), soft_wrap=True)
    for row in results.rows:
        for violation in row.waived:
            text = f"waived: {row.name}: {violation.text} [{violation.name}]: {violation.waived}"
            console.print(Text(text, style="yellow"), soft_wrap=True)
    for text in results.waivers:
        console.print(Text(f"FAIL: {text}", style="red"), soft_wrap=True)
    for row in results.failed:
        console.print(Text(block(row), style="red"), soft_wrap=True)  # a command that is copied must be one line


def _largest(rows: list[Row]) -> Table:
    """Return one line per function: the largest error over all backends, and the bound."""
    backends = ", ".join(dict.fromkeys(row.backend for row in rows))
    dtypes = list(dict.fromkeys(row.dtype for row in rows))
    table = Table(
        "function",
        title=f"Largest error / bound over {backends}",
        caption="Worst cases, special values and plots are in report.html.",
        box=None,
    )
    for dtype in dtypes:
        table.add_column(dtype, justify="right", no_wrap=True)
    for name in dict.fromkeys(row.title for row in rows):
        mine = [row for row in rows if row.title == name]
        cells = (_cell([row for row in mine if row.dtype == dtype]) for dtype in dtypes)
        table.add_row(Text(name, overflow="fold"), *cells)
    return table


def _cell(rows: list[Row]) -> Text:
    """Write the largest of errors beside the largest of bounds."""
    if not rows:
        return Text("–")
    error = max(row.figures.max_ulp for row in rows)
    bound = max(max(row.verdict.bound.values()) for row in rows if row.verdict)
    return Text(f"{ulp_text(error)}/{bound:g}", style="bold red" if any(row.violations for row in rows) else "green")


_LEGEND = {
    "max": "“=” over all inputs, else a lower bound",
    "p99.9": "99.9 % of the errors are not larger",
    "rounded": "correctly rounded",
    "zeros": "0 where a normal number is right",
    "FTZ": "subnormal numbers flushed to 0",
    "NaN/inf": "not finite where that is wrong",
    "special": "right ones",
}
_HEADINGS = ("backend", "dtype", "max", "bound", "p99.9", "rounded", "zeros", "FTZ", "NaN/inf", "special", "verdict")
_DROPPED_FIRST = ("FTZ", "zeros", "NaN/inf", "p99.9", "rounded", "special")
"""Columns that a narrow screen does without, in this order: the verdict says what came of them."""


def figures(row: Row) -> list[str]:
    """Return what a table says of a row after its largest error, from the bound to the verdict."""
    figures = row.figures
    return [
        bound_text(row),
        ulp_text(figures.p999_ulp),
        share_text(figures.rounded_share),
        str(figures.zero_for_normal),
        str(figures.flushed),
        str(figures.wrong_nonfinite),
        row.special.right,
        verdict(row),
    ]


def largest_error(row: Row) -> str:
    """Write the largest error; with "=" where all inputs were tried."""
    return f"{'=' * row.exhaustive}{ulp_text(row.figures.max_ulp)}"


class _Layout:
    """The columns that all tables of a run have, so that they line up, on a screen of a width."""

    def __init__(self, rows: list[Row], width: int) -> None:
        cells = [_cells(row) for row in rows]
        self._widths = {name: max(map(len, (name, *(row[name] for row in cells)))) for name in _HEADINGS}
        for name in _DROPPED_FIRST:
            if not self._fits(width):
                del self._widths[name]
        self._narrow = not self._fits(width)

    def _fits(self, width: int) -> bool:
        return sum(self._widths.values()) + len(self._widths) <= width

    @property
    def legend(self) -> str:
        """What the columns are."""
        return ".  ".join(f"{name}: {_LEGEND[name]}" for name in self._widths if name in _LEGEND) + "."

    def table(self, rows: list[Row], *, show_header: bool) -> Table:
        """Return a table; where even the columns that are left do not fit, all but the verdict are folded."""
        table = Table(box=None, show_header=show_header, padding=(0, 0, 0, 1))
        for name, width in self._widths.items():
            table.add_column(
                name,
                justify="left" if name in ("backend", "dtype", "verdict") else "right",
                min_width=None if self._narrow else width,
                no_wrap=not self._narrow or name == "verdict",
                overflow="fold",
            )
        for row in rows:
            cells = _cells(row)
            table.add_row(*(cells[name] for name in self._widths), style=_style(row))
        return table


def _cells(row: Row) -> dict[str, str]:
    return dict(zip(_HEADINGS, (row.backend, row.dtype, largest_error(row), *figures(row)), strict=True))


def _order(row: Row) -> tuple[bool, str, bool]:
    # Stable otherwise: rows keep the order in which they were measured.
    return row.judged, row.title, row.quantity == "gradient"


def _style(row: Row) -> str:
    if row.judged:
        return "bold red" if row.violations else "green"
    figures = row.figures
    return "red" if figures.zero_for_normal or row.special.mismatches or figures.max_ulp > 100 else ""
