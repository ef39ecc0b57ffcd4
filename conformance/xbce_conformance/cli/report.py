"""`report`."""

from pathlib import Path

import click

from xbce_conformance.cli.common import console, out_option, read_results, results_file
from xbce_conformance.cli.exit_codes import codes
from xbce_conformance.cli.help import HelpedCommand
from xbce_conformance.cli.machine import json_option, print_file
from xbce_conformance.report import write_plots, write_reports
from xbce_conformance.results.model import Results


@click.command(
    "report",
    cls=HelpedCommand,
    examples={
        "report here/results.json there/results.json --out all": "one report of two machines",
        "report conformance-report/results.json --plots": "the same report again, with plots as files",
    },
    codes=codes(),
)
@click.argument("files", nargs=-1, required=True, type=results_file)
@out_option
@click.option("--plots", is_flag=True, help="Write the plots as SVG files, too.")
@json_option
def report(files: tuple[Path, ...], out: Path, *, plots: bool) -> None:
    """Merge results, of several environments or sweeps, into one report; of two same rows the last file's counts."""
    results = Results.merged([read_results(file) for file in files])
    write_reports(results, out, console())
    if plots:
        write_plots(results, out)
    print_file(out / "results.json")
