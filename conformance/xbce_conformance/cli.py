"""The command xbce-conformance."""

import platform
import sys
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

import xbce
from xbce_conformance.backends import BACKEND_NAMES, find_backends
from xbce_conformance.cases import FUNCTIONS
from xbce_conformance.engine import Job, backend_facts, jobs, profile_edges, run
from xbce_conformance.formats import FORMATS
from xbce_conformance.inputs import LEVELS, descriptions
from xbce_conformance.report import print_results, write_html
from xbce_conformance.results import Results, Row
from xbce_conformance.subjects import SUBJECT_NAMES, find_subjects

_FILE_WIDTH = 120
"""Columns of the table where the output is not a terminal."""


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_FILE_WIDTH)


@click.group()
@click.version_option(xbce.__version__)
def main() -> None:
    """Measure binary cross-entropy in ULP: xbce on every backend, and other systems beside it."""


@main.command("list")
def list_() -> None:
    """Show what can be measured here, what is missing, and why."""
    console = _console()
    backends, missing = find_backends()
    subjects, missing_subjects = find_subjects(SUBJECT_NAMES, backends)
    table = Table("backend", "version", "device", "dtypes", "flushes subnormal numbers in", title="Backends")
    for name, facts in backend_facts(backends).items():
        table.add_row(name, *facts.values())
    console.print(table)
    table = Table("subject", "version", "backends", "functions", title="Subjects")
    for (name, version), group in groupby(subjects, key=lambda subject: (subject.name, subject.version)):
        several = list(group)
        functions = Text("\n".join(dict.fromkeys(function.name for function in several[0].functions)))
        table.add_row(name, version, "\n".join(subject.backend.name for subject in several), functions)
    console.print(table)
    for name, reason in (missing | missing_subjects).items():
        console.print(Text(f"absent: {name}: {reason}", style="yellow"))


@main.command("run")
@click.option(
    "--function",
    "functions",
    multiple=True,
    type=click.Choice(FUNCTIONS),
    help="Measure this function of xbce, and the peers of it, only; may be given more than once.",
)
@click.option(
    "--backend",
    "backend_names",
    multiple=True,
    type=click.Choice(BACKEND_NAMES),
    help="Measure on this backend only; may be given more than once.",
)
@click.option("--dtype", "dtypes", multiple=True, type=click.Choice(list(FORMATS)), help="Measure this dtype only.")
@click.option(
    "--subject", "subject_names", multiple=True, type=click.Choice(SUBJECT_NAMES), help="Measure this subject only."
)
@click.option(
    "--level",
    type=click.Choice(list(LEVELS)),
    default="quick",
    show_default=True,
    help=f"Pairs per regime: {', '.join(f'{n} ({name})' for name, n in LEVELS.items())}.",
)
@click.option(
    "--require",
    "required",
    multiple=True,
    type=click.Choice(BACKEND_NAMES),
    help="Fail if this backend is absent; without it an absent backend is only named.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("conformance-report"),
    show_default=True,
    help="Folder for results.json and report.html.",
)
def run_(
    functions: tuple[str, ...],
    backend_names: tuple[str, ...],
    dtypes: tuple[str, ...],
    subject_names: tuple[str, ...],
    level: str,
    required: tuple[str, ...],
    out: Path,
) -> None:
    """Measure, print a table, write results.json and report.html; exit 1 if xbce breaks its promise."""
    console = _console()
    backends, missing = find_backends(backend_names or BACKEND_NAMES)
    subjects, missing_subjects = find_subjects(subject_names or SUBJECT_NAMES, backends)
    absent = [name for name in required if name not in backends]
    if absent:
        reasons = "; ".join(f"{name}: {missing.get(name, 'not asked for')}" for name in absent)
        msg = f"required backends are absent: {reasons}"
        raise click.ClickException(msg)
    todo = jobs(subjects, dtypes or tuple(FORMATS), functions)
    if not todo:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in (missing | missing_subjects).items())
        msg = f"nothing to measure ({reasons or 'no subject has the chosen function and dtype'})"
        raise click.ClickException(msg)

    results = Results(
        environment=_environment(),
        level=level,
        backends=backend_facts(backends),
        missing=missing | missing_subjects,
        parts=descriptions(),
        profile_edges={
            name: profile_edges(FORMATS[name]).tolist() for name in dict.fromkeys(job.dtype for job in todo)
        },
        rows=_measure(todo, level, console),
    )
    out.mkdir(parents=True, exist_ok=True)
    results.write(out / "results.json")
    write_html(results, out / "report.html")
    print_results(results, console)
    console.print(Text(f"{out / 'results.json'} and {out / 'report.html'} are written."))
    if results.broken:
        sys.exit(1)
    judged = sum(row.judged for row in results.rows)
    console.print(Text(f"The promise is kept in all {judged} rows of xbce.", style="bold green"))


def _measure(todo: list[Job], level: str, console: Console) -> list[Row]:
    rows: list[Row] = []
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(todo))
        for found in run(todo, level, started=lambda job: progress.update(task, description=str(job))):
            rows += found
            progress.advance(task)
    return rows


def _environment() -> dict[str, str]:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "xbce": xbce.__version__,
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
    }


def _processor() -> str:
    """Return the model of the processor: the accuracy of NumPy's exp and log1p depends on it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
