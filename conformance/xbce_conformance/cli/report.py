"""`report`."""

from pathlib import Path

import click

from xbce_conformance.cli.common import console, out_option, read_results, results_file
from xbce_conformance.report import write_plots, write_reports
from xbce_conformance.results.model import Results


@click.command("report")
@click.argument("files", nargs=-1, required=True, type=results_file)
@out_option
@click.option("--plots", is_flag=True, help="Write the plots as SVG files, too.")
def report(files: tuple[Path, ...], out: Path, *, plots: bool) -> None:
    """Merge results, of several environments or sweeps, into one report; of two same rows the last file's counts."""
    results = Results.merged([read_results(file) for file in files])
    write_reports(results, out, console())
    if plots:
        write_plots(results, out)
