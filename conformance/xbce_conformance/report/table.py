"""The table in the terminal."""

from itertools import groupby
from operator import attrgetter

from rich.console import Console
from rich.table import Table
from rich.text import Text

from xbce_conformance.results.figures import share_text, ulp_text
from xbce_conformance.results.model import Results, Row


def summary(results: Results) -> str:
    """Say how many rows pass, in a sentence."""
    judged, failed = results.judged, results.failed
    if failed:
        return f"{len(failed):,} of {len(judged):,} rows fail."
    names = ", ".join(dict.fromkeys(row.subject for row in judged))
    return f"All {len(judged):,} rows of {names} pass."


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
    console.print(_table([], show_header=True))
    for name, group in groupby(sorted(results.rows, key=_order), key=attrgetter("title")):
        console.print(Text(f" {name}", style="bold"))  # Text: names hold square brackets, which would be read as markup
        console.print(_table(list(group), show_header=False))
    console.print(
        "max: “=” over all inputs, else a lower bound.  rounded: correctly rounded.  zeros: 0 where a normal number is "
        "right.  FTZ: subnormal numbers flushed to 0.  NaN/inf: not finite where that is wrong.  special: right ones.",
        style="dim",
    )
    if results.judged:
        console.print(_largest(results.judged))
    for name, reason in results.missing.items():
        console.print(Text(f"absent: {name}: {reason}", style="yellow"))
    for text in stated_exceptions(results):
        console.print(Text(f"stated exception: {text}", style="yellow"))
    for row in results.rows:
        if row.failure and not row.judged:
            console.print(Text(f"not measured: {row.name}: {row.failure}", style="yellow"))
    for row in results.failed:
        console.print(Text(f"FAIL: {row.name}: {'; '.join(row.violations)}", style="bold red"))


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


_COLUMNS = {"max": 8, "bound": 10, "p99.9": 8, "rounded": 7, "zeros": 6, "FTZ": 6, "NaN/inf": 7, "special": 7}
"""Headings with their widths, so that the columns of all tables line up."""


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


def _table(rows: list[Row], *, show_header: bool) -> Table:
    table = Table(box=None, show_header=show_header)
    table.add_column("backend", no_wrap=True, min_width=18)
    table.add_column("dtype", no_wrap=True, min_width=8)
    for heading, width in _COLUMNS.items():
        table.add_column(heading, justify="right", no_wrap=True, min_width=width)
    table.add_column("verdict", no_wrap=True, min_width=8)
    for row in rows:
        table.add_row(row.backend, row.dtype, largest_error(row), *figures(row), style=_style(row))
    return table


def _order(row: Row) -> tuple[bool, str, bool]:
    # Stable otherwise: rows keep the order in which they were measured.
    return row.judged, row.title, row.quantity == "gradient"


def _style(row: Row) -> str:
    if row.judged:
        return "bold red" if row.violations else "green"
    figures = row.figures
    return "red" if figures.zero_for_normal or row.special.mismatches or figures.max_ulp > 100 else ""
