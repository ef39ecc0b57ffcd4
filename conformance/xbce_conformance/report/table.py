"""The table in the terminal."""

from itertools import groupby
from operator import attrgetter

from rich.console import Console
from rich.table import Table
from rich.text import Text

from xbce_conformance.results.figures import ulp_text
from xbce_conformance.results.model import Results, Row


def bound_text(row: Row) -> str:
    """Write the promise: one figure, or that of hard and of soft labels."""
    hard, soft = row.bound["hard"], row.bound["soft"]
    return f"{hard:g}" if hard == soft else f"{hard:g} / {soft:g}"


def verdict(row: Row) -> str:
    """Return "kept" or "BROKEN" for a judged row; other systems are reported only."""
    if not row.judged:
        return "reported"
    return "BROKEN" if row.broken else "kept"


def stated_exceptions(results: Results) -> list[str]:
    """Return what the contract excepts from the promise for the backends of this run, each text once."""
    judged = [row for row in results.rows if row.judged]
    where = {
        text: (row.quantity, row.dtype, [r.backend for r in judged if text in r.exceptions])
        for row in judged
        for text in row.exceptions
    }
    return [
        f"{quantity} in {dtype} on {', '.join(dict.fromkeys(backends))}: {text}"
        for text, (quantity, dtype, backends) in where.items()
    ]


def print_results(results: Results, console: Console) -> None:
    """Print one row per function, backend and dtype, xbce last; a summary; what is missing and what is broken."""
    console.print(Text(f"Errors in ULP of the exact result. Inputs: {results.level}", style="bold"))
    console.print(_table([], show_header=True))
    for name, group in groupby(sorted(results.rows, key=_order), key=attrgetter("title")):
        console.print(Text(f" {name}", style="bold"))  # Text: names hold square brackets, which would be read as markup
        console.print(_table(list(group), show_header=False))
    console.print(
        "max: “=” over all inputs, else a lower bound.  rounded: correctly rounded.  zeros: 0 where a normal number is "
        "right.  FTZ: subnormal numbers flushed to 0.  NaN/inf: not finite where that is wrong.  special: right ones.",
        style="dim",
    )
    judged = [row for row in results.rows if row.judged]
    if judged:
        console.print(_summary(judged))
    for name, reason in results.missing.items():
        console.print(Text(f"absent: {name}: {reason}", style="yellow"))
    for text in stated_exceptions(results):
        console.print(Text(f"stated exception: {text}", style="yellow"))
    for row in results.broken:
        console.print(
            Text(f"BROKEN: {row.title}, {row.backend}, {row.dtype}: {'; '.join(row.broken)}", style="bold red")
        )


def _summary(rows: list[Row]) -> Table:
    """Return one line per function: the largest error over all backends, and what is promised."""
    backends = ", ".join(dict.fromkeys(row.backend for row in rows))
    dtypes = list(dict.fromkeys(row.dtype for row in rows))
    table = Table(
        "function",
        title=f"Largest error / promise over {backends}",
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
    error, promise = max(row.max_ulp for row in rows), max(max(row.bound.values()) for row in rows)
    return Text(f"{ulp_text(error)}/{promise:g}", style="bold red" if any(row.broken for row in rows) else "green")


_COLUMNS = {"max": 8, "promised": 10, "p99.9": 8, "rounded": 7, "zeros": 6, "FTZ": 6, "NaN/inf": 7, "special": 7}
"""Headings with their widths, so that the columns of all tables line up."""


def figures(row: Row) -> list[str]:
    """Return what a table says of a row after its largest error, from the promise to the verdict."""
    return [
        bound_text(row) if row.judged else "",
        ulp_text(row.p999_ulp),
        f"{row.correctly_rounded / row.count:.1%}",
        str(row.zero_for_normal),
        str(row.flushed),
        str(row.wrong_nonfinite),
        f"{row.special_count - len(row.special_mismatches)}/{row.special_count}" if row.special_count else "",
        verdict(row),
    ]


def _table(rows: list[Row], *, show_header: bool) -> Table:
    table = Table(box=None, show_header=show_header)
    table.add_column("backend", no_wrap=True, min_width=18)
    table.add_column("dtype", no_wrap=True, min_width=8)
    for heading, width in _COLUMNS.items():
        table.add_column(heading, justify="right", no_wrap=True, min_width=width)
    table.add_column("promise", no_wrap=True, min_width=8)
    for row in rows:
        table.add_row(
            row.backend,
            row.dtype,
            f"{'=' * row.upper_bound}{ulp_text(row.max_ulp)}",
            *figures(row),
            style=_style(row),
        )
    return table


def _order(row: Row) -> tuple[bool, str, bool]:
    # Stable otherwise: rows keep the order in which they were measured.
    return row.judged, row.title, row.quantity == "gradient"


def _style(row: Row) -> str:
    if row.judged:
        return "bold red" if row.broken else "green"
    return "red" if row.zero_for_normal or row.special_mismatches or row.max_ulp > 100 else ""
