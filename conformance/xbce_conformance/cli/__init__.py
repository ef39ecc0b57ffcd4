"""The command xbce-conformance."""

import click

import xbce
from xbce_conformance.cli.compare import compare_
from xbce_conformance.cli.data import diff_
from xbce_conformance.cli.exit_codes import CODES, Commands
from xbce_conformance.cli.explore import explore_
from xbce_conformance.cli.functions import functions_
from xbce_conformance.cli.hashes import hashes_
from xbce_conformance.cli.report import report
from xbce_conformance.cli.run import list_, run_
from xbce_conformance.cli.search import search
from xbce_conformance.cli.sweep import sweep_
from xbce_conformance.cli.vectors import vectors


@click.group(cls=Commands, epilog=CODES)
@click.version_option(xbce.__version__)
def main() -> None:
    """Measure binary cross-entropy in ULP: xbce on every backend, other systems beside it, and code of your own."""


for command in (list_, run_, diff_, sweep_, functions_, hashes_, search, compare_, vectors, explore_, report):
    main.add_command(command)
