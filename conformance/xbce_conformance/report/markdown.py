"""The report as Markdown: for a pull request, an issue or a repository."""

from pathlib import Path

from xbce_conformance.report.league import Entry, leagues
from xbce_conformance.report.matrices import matrices
from xbce_conformance.report.systems import systems
from xbce_conformance.report.table import figures, largest_error, stated_exceptions, summary
from xbce_conformance.results.figures import ulp_text
from xbce_conformance.results.model import Results, Row


def write_markdown(results: Results, path: Path) -> None:
    """Write verdict, a sentence per system, league tables, what fails, all rows and the environment."""
    lines = ["# Conformance report", "", f"Errors in ULP of the exact result. Inputs: {results.level}.", ""]
    if results.judged:
        lines += [f"**{summary(results)}**", ""]
    for row in results.failed:
        lines.append(f"- {row.name}: {'; '.join(row.violations)}")
        lines += [f"  `{row.reproducer}`"] * bool(row.reproducer)
    if results.failed:
        lines.append("")
    waived = [(row, violation) for row in results.rows for violation in row.waived]
    lines += [f"- waived: {row.name}: {v.text} [{v.name}]: {v.waived}" for row, v in waived]
    lines += [f"- {text}" for text in results.waivers]
    if waived or results.waivers:
        lines.append("")
    lines += [f"Stated exception: {text}." for text in stated_exceptions(results)]
    lines += ["", "## By system", "", *(f"- **{s.name}**: {s.sentence}" for s in systems(results))]
    dtypes = list(dict.fromkeys(row.dtype for row in results.rows))
    for quantity, entries in leagues(results).items():
        lines += ["", f"## Largest error of the {quantity}", ""]
        lines += table(
            ["subject", *dtypes, "special values"],
            [[e.name, *(league_cell(e, dtype) for dtype in dtypes), e.special] for e in entries],
        )
    lines += ["", "“=”: over all inputs; otherwise a lower bound, found among samples.", "", "## All rows", ""]
    lines += table(
        [
            "function",
            "backend",
            "dtype",
            "max",
            "bound",
            "99.9 %",
            "rounded",
            "zeros",
            "FTZ",
            "NaN/inf",
            "special",
            "",
        ],
        [_cells(row) for row in results.rows if row.of_errors],
    )
    for matrix in matrices(results):
        lines += ["", f"## {matrix.title}", "", matrix.text, ""]
        lines += table(
            ["function", "backend", "dtype", *matrix.columns],
            [[row.called, row.backend, row.dtype, *cells] for row, cells in matrix.lines],
        )
    lines += ["", "## Where it ran", ""]
    lines += [f"- {name}: {text}" for name, text in results.environment.items()]
    for name, facts in results.backends.items():
        lines.append(f"- {name}: {'; '.join(f'{key}: {text}' for key, text in facts.items())}")
    lines += [f"- {name}: absent: {reason}" for name, reason in results.missing.items()]
    lines += [f"- {row.name}: not measured: {row.failure}" for row in results.rows if row.failure]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def league_cell(entry: Entry, dtype: str) -> str:
    """Write the largest error of a subject in a dtype; with "=" where all inputs were tried."""
    if dtype not in entry.rows:
        return "–"
    return f"{'= ' * entry.exhaustive[dtype]}{ulp_text(entry.rows[dtype].figures.max_ulp)}"


def _cells(row: Row) -> list[str]:
    return [
        row.title,
        row.backend,
        row.dtype,
        largest_error(row),
        *figures(row),
    ]


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a table."""
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in (head, *rows)]
    lines = [f"| {' | '.join(row)} |" for row in escaped]
    return [lines[0], f"|{'---|' * len(head)}", *lines[1:]]
