"""The group of commands: each is imported when it is asked for, so that help and completion are quick."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from xbce_conformance.cli.exit_codes import CODES, Commands
from xbce_conformance.cli.help import HelpContext, write_codes, write_examples, write_table
from xbce_conformance.subjects.spec import closest


@dataclass(frozen=True)
class _Place:
    """Where a command is, and what the list of commands says of it."""

    module: str
    attribute: str
    help: str


_COMMANDS = {
    "Measure": {
        "list": _Place("list", "list_", "Show what can be measured here, what is missing, and why."),
        "run": _Place("run", "run_", "Measure errors in ULP, and judge them; or measure your own arrays."),
        "diff": _Place("data", "diff_", "Show where two systems differ on your arrays, and why."),
        "sweep": _Place("sweep", "sweep_", "Measure every logit of a format."),
        "search": _Place("search", "search", "Look for the inputs with the largest errors."),
        "functions": _Place("functions", "functions_", "Measure exp, log1p and the like of each library."),
        "hashes": _Place("hashes", "hashes_", 'Compare the bits of precision="high" between libraries.'),
    },
    "Results": {
        "compare": _Place("compare", "compare_", "Show what changed between two results.json: a gate."),
        "explore": _Place("explore", "explore_", "Write a page in which one moves a logit and a label."),
        "report": _Place("report", "report", "Merge results of several runs into one report."),
    },
    "Other": {
        "vectors": _Place("vectors", "vectors", "Write certified test vectors for other languages."),
        "completion": _Place("completion", "completion", "Print the code that completes this command in a shell."),
    },
}
_PLACES = {name: place for commands in _COMMANDS.values() for name, place in commands.items()}
EXAMPLES = {
    "list": "what can be measured here",
    "run --subject my_loss:loss": "judge a loss of your own, the function `loss` in my_loss.py",
    "run --data logits.npz": "what each installed system makes of your own arrays",
    "COMMAND --help": "more examples",
}


class Program(Commands):
    """The command xbce-conformance."""

    context_class = HelpContext

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order of the help."""
        return [*_PLACES]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        place = _PLACES.get(cmd_name)
        if place is None:
            return None
        command = getattr(import_module(f"xbce_conformance.cli.{place.module}"), place.attribute)
        assert isinstance(command, click.Command)  # noqa: S101 - a test asks for each
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is named; suggest the closest name to one that there is not."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            names = closest(args[0], _PLACES)
            if args[0].startswith("-") or not names:
                raise
            msg = f"No such command {args[0]!r}. Did you mean {names[0]!r}?"
            raise click.UsageError(msg, ctx) from error

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command, without importing any."""
        names = [
            CompletionItem(name, help=place.help) for name, place in _PLACES.items() if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, then the options."""
        for title, commands in _COMMANDS.items():
            with formatter.section(title):
                write_table(formatter, [(name, place.help) for name, place in commands.items()])
        records = [param.get_help_record(ctx) for param in self.get_params(ctx)]
        with formatter.section("Options"):
            write_table(formatter, [record for record in records if record])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples and exit codes."""
        write_examples(formatter, EXAMPLES)
        write_codes(formatter, CODES)


def show_version(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
    """Print the version: xbce is imported for nothing else here."""
    if value and not ctx.resilient_parsing:
        from xbce import __version__

        click.echo(f"{ctx.find_root().info_name}, version {__version__}")
        ctx.exit()
