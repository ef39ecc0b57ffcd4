"""What `--help` shows: options in groups, examples that can be pasted, exit codes; in colours on a terminal only."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import click

from xbce_conformance.cli.exit_codes import ExitCode
from xbce_conformance.subjects.spec import closest

PROGRAM = "xbce-conformance"

GROUPS = {
    "What is measured": "subject_names backend_names case precisions functions function names dtypes dtype quantities "
    "closed_forms compiled parts",
    "Code of your own": "order gradient bound call_limit",
    "Your own arrays": "path logits probabilities weight where elements",
    "Inputs": "tables level labels which regimes bits samples per_regime seed",
    "Judgement": "same_bits given file required tolerance across_levels renamed",
    "Work": "checkpoint exact_values seconds chunk scheduler workers",
    "Output": "out explore data plots expected_file json",
    "Help": "",
}
"""Titles, and the parameters below each, in the order in which they are shown."""


def _styled(text: str, **style: Any) -> str:
    """Return a text in a style, which click takes away again where the output is no terminal."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain else click.style(text, **style)


class _Formatter(click.HelpFormatter):
    def write_heading(self, heading: str) -> None:
        super().write_heading(_styled(heading, bold=True))


class HelpContext(click.Context):
    """A context whose help is in colours on a terminal."""

    formatter_class = _Formatter


class HelpedCommand(click.Command):
    """A command whose help has options in groups, examples and exit codes.

    Parameters
    ----------
    examples : mapping of str to str
        What each command line, without the name of the program, is for.
    codes : mapping of ExitCode to str
        What each exit code says.
    grouped : mapping of str to str, optional
        Parameters that are in another group here than in `GROUPS`.
    """

    context_class = HelpContext

    def __init__(
        self,
        *args: Any,
        examples: Mapping[str, str],
        codes: Mapping[ExitCode, str],
        grouped: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.examples, self.codes, self._grouped = examples, codes, grouped or {}

    def group_of(self, param: click.Parameter) -> str:
        """Return the title of the group that a parameter is shown in."""
        name = param.name or ""
        groups = {each: title for title, names in GROUPS.items() for each in names.split()}
        return self._grouped.get(name) or groups.get(name, "Help")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, and suggest the option that is closest to one that there is not: click takes "--" for likeness."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise _unknown(error, ctx) from error

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in groups."""
        shown: dict[str, list[tuple[str, str]]] = {title: [] for title in GROUPS}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and not isinstance(param, click.Argument):
                shown[self.group_of(param)].append(record)
        for title, records in shown.items():
            if records:
                with formatter.section(title):
                    write_table(formatter, records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples and the exit codes."""
        write_examples(formatter, self.examples)
        write_codes(formatter, self.codes)


def write_examples(formatter: click.HelpFormatter, examples: Mapping[str, str]) -> None:
    """Write command lines that can be pasted, as they are, each below what it is for."""
    with formatter.section("Examples"):
        for line, purpose in examples.items():
            for text in (_styled(f"# {purpose}", dim=True), f"{PROGRAM} {line}"):
                formatter.write(f"{'':>{formatter.current_indent}}{text}\n")


def write_codes(formatter: click.HelpFormatter, codes: Mapping[ExitCode, str]) -> None:
    """Write what each exit code says."""
    with formatter.section("Exit codes"):
        write_table(formatter, [(f"{code:d}", text) for code, text in codes.items()])


def write_table(formatter: click.HelpFormatter, rows: Sequence[tuple[str, str]]) -> None:
    """Write terms and what they mean, the terms in colour."""
    formatter.write_dl([(_styled(term, fg="cyan"), text) for term, text in rows])


def _unknown(error: click.NoSuchOption, ctx: click.Context) -> click.NoSuchOption:
    known = [name for param in ctx.command.get_params(ctx) for name in (*param.opts, *param.secondary_opts)]
    return click.NoSuchOption(error.option_name, possibilities=closest(error.option_name, known), ctx=ctx)


class OneOf(click.Choice[str]):
    """One of several names: its metavar is what they are names of, and an error suggests the closest one."""

    def __init__(self, names: Sequence[str], noun: str) -> None:
        super().__init__(names)
        self._noun = noun

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        """Return the noun: a dozen names in brackets are no help. The option's text lists them."""
        return self._noun

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """Return the error for a name that is none of them."""
        names = closest(str(value), self.choices)
        question = f" Did you mean {names[0]!r}?" if names else ""
        return super().get_invalid_choice_message(value, ctx) + question


def one_of(names: Sequence[str]) -> str:
    """Return the end of an option's help that lists its names."""
    return f"One of {', '.join(names)}."
