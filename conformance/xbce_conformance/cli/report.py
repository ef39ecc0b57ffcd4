"""`report` and `compare`: what is done with results that are there."""

import sys
from pathlib import Path

import click
from rich.text import Text

from xbce_conformance.cli.common import console, out_option
from xbce_conformance.cli.exit_codes import ExitCode, FileProblem
from xbce_conformance.report import write_plots, write_reports
from xbce_conformance.results.compare import compare
from xbce_conformance.results.model import Results

_File = click.Path(path_type=Path)


def _read(path: Path) -> Results:
    try:
        return Results.read(path)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise FileProblem(msg) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:  # whatever JSON it holds
        msg = f"{path} does not hold results: {error}"
        raise FileProblem(msg) from error


@click.command("report")
@click.argument("files", nargs=-1, required=True, type=_File)
@out_option
@click.option("--plots", is_flag=True, help="Write the plots as SVG files, too.")
def report(files: tuple[Path, ...], out: Path, *, plots: bool) -> None:
    """Merge results, of several environments or sweeps, into one report; of two same rows the last file's counts."""
    results = Results.merged([_read(file) for file in files])
    write_reports(results, out, console())
    if plots:
        write_plots(results, out)


@click.command("compare")
@click.argument("old", type=_File)
@click.argument("new", type=_File)
def compare_(old: Path, new: Path) -> None:
    """Show what changed between two results.json; exit with 1 if anything got worse."""
    screen = console()
    changes = compare(_read(old), _read(new))
    for change in sorted(changes, key=lambda change: change.worse):
        style = "bold red" if change.worse else "green"
        screen.print(Text(f"{'worse' if change.worse else 'other'}: {change.row}: {change.what}", style=style))
    worse = sum(change.worse for change in changes)
    screen.print(Text(f"{worse} for the worse, {len(changes) - worse} other changes."))
    if worse:
        sys.exit(ExitCode.FAILED)
