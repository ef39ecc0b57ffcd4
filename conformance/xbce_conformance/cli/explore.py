"""`explore`."""

from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from xbce_conformance.cases import FAMILY, Case, case_named
from xbce_conformance.cli.common import (
    console,
    dtypes_option,
    find,
    nothing,
    out_folder,
    reading,
    results_file,
    subject_options,
)
from xbce_conformance.cli.exit_codes import codes
from xbce_conformance.cli.help import HelpedCommand
from xbce_conformance.cli.machine import json_option, print_file
from xbce_conformance.cli.progress import Progress
from xbce_conformance.explore import EXPLORED, measure_tables, read, write, write_page
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.report.html import EXPLORE
from xbce_conformance.subjects.model import Subject
from xbce_conformance.subjects.selection import Choice

_TABLES = "tables.json"


@click.command(
    "explore",
    cls=HelpedCommand,
    examples={
        "explore": "a page of every system that is here",
        "explore --subject xbce --subject my_loss:loss --dtype float32": "a loss of your own beside xbce",
        "explore --tables conformance-report/explore/tables.json --out page": "the page again, of what was measured",
    },
    codes=codes(),
)
@subject_options
@dtypes_option
@click.option("--tables", type=results_file, help=f"Make the page of this {_TABLES}, and measure nothing.")
@out_folder(f"Folder for {_TABLES} and index.html.", str(Path("conformance-report", EXPLORE).parent))
@json_option
def explore_(choice: Choice, dtypes: tuple[str, ...], tables: Path | None, out: Path) -> None:
    """Write a page in which one moves a logit and a label, and sees each system's digits beside the exact ones.

    It holds what each system returned on a grid, works offline, and needs no other file. tables.json has the same as
    data.
    """
    screen = console()
    if tables is not None:
        with reading(tables, "tables of results on a grid"):
            write_page(read(tables), out / "index.html")
        screen.print(Text(f"{out / 'index.html'} is written."), soft_wrap=True)
        print_file(tables)
        return
    cases = explored_cases(choice.case)
    subjects, missing = find(choice)
    if not subjects:
        raise nothing("explore", missing, "no subject is named")
    write_explored(subjects, missing, cases, dtypes, out, screen)
    print_file(out / _TABLES)


def explored_cases(name: str | None, functions: tuple[str, ...] = ()) -> tuple[Case, ...]:
    """Return the losses of the page: those of its own, of the functions that are named, or the case that is."""
    cases = EXPLORED if name is None else (case_named(name),)
    able = [case for case in cases if case.function in FAMILY and case.arguments == ("logits", "labels")]
    chosen = tuple(case for case in able if not functions or case.function in functions)
    if not chosen:
        what = name or ", ".join(functions)
        msg = f"{what} cannot be explored: a loss of logits and labels, with numbers as options, is expected"
        raise click.UsageError(msg)
    return chosen


def write_explored(
    subjects: list[Subject],
    missing: dict[str, str],
    cases: tuple[Case, ...],
    dtypes: tuple[str, ...],
    folder: Path,
    screen: Console,
) -> None:
    """Measure subjects on the grid, and write tables and page to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with Progress(screen, len(cases) + len(subjects), unit="steps") as progress:

        def started(what: str) -> None:
            progress.describe(what)
            progress.advance()

        table = measure_tables(subjects, missing, cases, dtypes or tuple(FORMATS), started)
    write(table, folder / _TABLES)
    write_page(table, folder / "index.html")
    screen.print(Text(f"{folder / _TABLES} and {folder / 'index.html'} are written."), soft_wrap=True)
