"""The command xbce-conformance."""

import click

from xbce_conformance.cli.program import Program, show_version


@click.group(cls=Program, context_settings={"max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Measure binary cross-entropy in ULP: xbce on every backend, other systems beside it, and code of your own."""
