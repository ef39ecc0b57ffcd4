"""`compare`."""

import sys
from dataclasses import asdict
from pathlib import Path

import click
from rich.text import Text

from xbce_conformance.cli.common import console, read_results, results_file
from xbce_conformance.cli.exit_codes import ExitCode, FileProblem, codes
from xbce_conformance.cli.help import HelpedCommand
from xbce_conformance.cli.machine import json_option, print_json, wants_json
from xbce_conformance.results.circumstances import Difference, differences, same_level
from xbce_conformance.results.compare import Change, compare, under_one_name

_STYLES = {"worse": "bold red", "better": "green", "other": ""}


class _Names(click.ParamType[tuple[str, str]]):
    """Names of a subject in two files, OLD=NEW."""

    name = "old=new"

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Parse them."""
        if isinstance(value, tuple):
            return value
        old, _, new = value.partition("=")
        if not old or not new:
            self.fail(f"{value!r} is not OLD=NEW, such as mine:f=mine:g", param, ctx)
        return old, new


@click.command(
    "compare",
    cls=HelpedCommand,
    examples={
        "compare old/results.json new/results.json": "what changed; exits with 1 if anything got worse",
        "compare old.json new.json --tolerance 0.05": "errors may grow by 5 %",
        "compare old.json new.json --as mine:f=mine:g": "two candidates: mine:f of the old file, mine:g of the new one",
        "compare old.json new.json --json | jq .changes": "the changes, for a program",
    },
    codes=codes("something is worse", "nothing is worse"),
)
@click.argument("old", type=results_file)
@click.argument("new", type=results_file)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    metavar="REL",
    help="Let an error grow by this share, and so the share of results that are not correctly rounded: 0.05 is 5 %.",
)
@click.option("--across-levels", is_flag=True, help="Compare runs of other inputs all the same.")
@click.option(
    "--as",
    "renamed",
    multiple=True,
    type=_Names(),
    metavar="OLD=NEW",
    help="Compare subject OLD of the old file with subject NEW of the new one. More than once.",
)
@json_option
def compare_(
    old: Path, new: Path, tolerance: float, renamed: tuple[tuple[str, str], ...], *, across_levels: bool
) -> None:
    """Show what changed between two results.json; exit with 1 if anything got worse.

    What is written the same is the same. Runs of other levels are refused: they have other inputs.
    """
    before, after = read_results(old), read_results(new)
    if not before.rows:
        msg = f"{old} has no rows: nothing can be compared with it"
        raise FileProblem(msg)
    if not same_level(before, after) and not across_levels:
        msg = (
            f"the inputs are others: {before.level} in {old}, {after.level} in {new}; their largest errors say nothing "
            "of each other. --across-levels compares them all the same"
        )
        raise click.UsageError(msg)
    if renamed:
        try:
            before, after = under_one_name(before, after, dict(renamed))
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--as") from error
    circumstances, changes = differences(before, after), compare(before, after, tolerance)
    if wants_json():
        print_json({"circumstances": [*map(asdict, circumstances)], "changes": [*map(asdict, changes)]})
    else:
        _print(circumstances, changes)
    if any(change.worse for change in changes):
        sys.exit(ExitCode.FAILED)


def _print(circumstances: list[Difference], changes: list[Change]) -> None:
    """Print the circumstances and the changes, the worst last: that is what a reader sees of a long list."""
    screen = console()
    for difference in circumstances:
        screen.print(Text(f"not the same: {difference}", style="yellow"), soft_wrap=True)
    if not circumstances:
        screen.print(Text("Inputs, processor and versions are the same."), soft_wrap=True)
    order = [*_STYLES][::-1]
    for change in sorted(changes, key=lambda change: order.index(change.direction)):
        text = Text(f"{change.direction}: {change.row}: {change.what}", style=_STYLES[change.direction])
        screen.print(text, soft_wrap=True)
    counts = [sum(change.direction == name for change in changes) for name in _STYLES]
    screen.print(Text("{} for the worse, {} for the better, {} other changes.".format(*counts)), soft_wrap=True)
