"""`vectors export`."""

from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from xbce_conformance.cli.common import check_writable, console
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.vectors import export, exported


@click.group("vectors")
def vectors() -> None:
    """Certified test vectors for other languages."""


@vectors.command("export")
@click.argument("folder", type=click.Path(path_type=Path))
def export_(folder: Path) -> None:
    """Write hexadecimal JSON, correctly rounded by ball arithmetic: a file per function and dtype, and an index."""
    screen = console()
    check_writable(folder, "FOLDER")
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=screen, transient=True) as progress:
        task = progress.add_task("", total=len(exported()) * len(FORMATS))
        paths = export(folder, lambda name: progress.update(task, advance=1, description=name))
    screen.print(Text(f"{len(paths)} files are written to {folder}."), soft_wrap=True)
