"""`vectors export`."""

from pathlib import Path

import click
from rich.text import Text

from xbce_conformance.cli.common import check_writable, console, exact_values_option
from xbce_conformance.cli.exit_codes import codes
from xbce_conformance.cli.help import HelpedCommand
from xbce_conformance.cli.machine import json_option, print_json
from xbce_conformance.cli.progress import Progress
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.vectors import PER_REGIME, export, exported


@click.group("vectors")
def vectors() -> None:
    """Certified test vectors for other languages."""


@vectors.command(
    "export",
    cls=HelpedCommand,
    examples={
        "vectors export vectors": "all of them, into the folder `vectors`",
        "vectors export few --per-regime 8": "fewer, for a quick test",
    },
    codes=codes(),
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--per-regime",
    type=click.IntRange(min=8),
    default=PER_REGIME,
    show_default=True,
    help="Vectors of each regime of inputs. Other numbers make other vectors, which the version of the files says.",
)
@exact_values_option
@json_option
def export_(folder: Path, per_regime: int, exact_values: Path | None) -> None:
    """Write hexadecimal JSON, correctly rounded by ball arithmetic: a file per function and dtype, and an index."""
    screen = console()
    check_writable(folder, "FOLDER")
    if exact_values:
        check_writable(exact_values, "--exact-values")
    with Progress(screen, len(exported()) * len(FORMATS), unit="files") as progress:

        def written(name: str) -> None:
            progress.describe(name)
            progress.advance()

        paths = export(folder, per_regime, exact_values, written)
    screen.print(Text(f"{len(paths)} files are written to {folder}."), soft_wrap=True)
    print_json({"files": [str(path) for path in paths]})
