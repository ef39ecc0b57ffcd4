"""`vectors export`."""

from pathlib import Path

import click
from rich.text import Text

from xbce_conformance.cli.common import check_writable, console
from xbce_conformance.cli.progress import Progress
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
    with Progress(screen, len(exported()) * len(FORMATS), unit="files") as progress:

        def written(name: str) -> None:
            progress.describe(name)
            progress.advance()

        paths = export(folder, written)
    screen.print(Text(f"{len(paths)} files are written to {folder}."), soft_wrap=True)
