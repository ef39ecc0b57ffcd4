"""What the commands share: the console, the environment, and the options that name a subject."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem
from rich.console import Console

from xbce_conformance.cases import FUNCTIONS, BadCase, case_named
from xbce_conformance.cases.named import EXAMPLE
from xbce_conformance.cli.completion import SubjectName
from xbce_conformance.cli.exit_codes import ExitCode, FileProblem, NotLoaded
from xbce_conformance.cli.help import OneOf, one_of
from xbce_conformance.cli.machine import wants_json
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.results.model import Results
from xbce_conformance.subjects.model import Subject
from xbce_conformance.subjects.selection import ALL_BACKEND_NAMES, Choice
from xbce_conformance.subjects.spec import BadOption, BadSubject
from xbce_conformance.subjects.user import Refusal
from xbce_conformance.subjects.xbce import PRECISIONS

_FILE_WIDTH = 120
"""Columns of the table where the output is not a terminal."""


quantity_option = click.option(
    "--quantity",
    "quantities",
    multiple=True,
    type=click.Choice(["value", "gradient", "hessian"]),
    default=("value", "gradient"),
    show_default=True,
    help="Measure this only. More than once.",
)

_Command = Callable[..., None]


def out_folder(description: str, default: str = "conformance-report") -> Callable[[_Command], _Command]:
    """Return the option of the folder that a command writes to; it is tried before any work is done."""
    option = click.option(
        "--out",
        type=click.Path(path_type=Path),
        default=Path(default),
        show_default=True,
        help=description,
    )

    def decorate(command: _Command) -> _Command:
        @wraps(command)
        def with_folder(*, out: Path, **rest: Any) -> None:
            check_writable(out, "--out")
            command(out=out, **rest)

        return option(with_folder)

    return decorate


dtypes_option = click.option(
    "--dtype",
    "dtypes",
    multiple=True,
    type=click.Choice(list(FORMATS)),
    help="Measure this dtype only. More than once.",
)
exact_values_option = click.option(
    "--exact-values",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="XBCE_EXACT_VALUES",
    show_envvar=True,
    help="Folder that exact values are kept in for later commands, and for others at the same time.",
)
results_file = click.Path(path_type=Path)
out_option = out_folder("Folder for results.json, report.html, report.md and systems/.")


def check_writable(folder: Path, option: str) -> None:
    """Make a folder, and write a file in it; refuse one where that fails, before there is work to lose."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        msg = f"{option}: nothing can be written to {folder}: {error.strerror}"
        raise FileProblem(msg) from error


class _Screen(Console):
    def on_broken_pipe(self) -> None:
        """End where nobody reads any more, but not with 1, as Rich does: that would be a row that failed."""
        try:
            super().on_broken_pipe()
        except SystemExit:
            raise SystemExit(ExitCode.INPUT_OUTPUT) from None


def console() -> Console:
    """Return the console of the command: off a terminal it has the columns that COLUMNS says, or many.

    It is the standard output, or with `--json` the standard error.
    """
    other = wants_json()
    console = _Screen(stderr=other)
    return console if console.is_terminal or os.environ.get("COLUMNS") else _Screen(stderr=other, width=_FILE_WIDTH)


@contextmanager
def reading(file: Path, content: str) -> Iterator[None]:
    """Refuse a file that cannot be read within the block, or that holds something else than `content`."""
    try:
        yield
    except OSError as error:
        msg = f"{file} cannot be read: {error.strerror}"
        raise FileProblem(msg) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:  # whatever JSON it holds
        msg = f"{file} does not hold {content}: {error}"
        raise FileProblem(msg) from error


def read_results(file: Path) -> Results:
    """Read results.json."""
    with reading(file, "results"):
        return Results.read(file)


class CaseText(click.ParamType[str]):
    """A case as a text; its name is what comes."""

    name = "case"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name of the case, which is one for all texts of it."""
        try:
            return case_named(value).name
        except BadCase as error:
            self.fail(str(error), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the functions whose names begin so."""
        return [CompletionItem(name) for name in FUNCTIONS if name.startswith(incomplete)]


def subject_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose subjects and backends; the command takes them as one `choice`."""
    options = (
        click.option(
            "--subject",
            "subject_names",
            multiple=True,
            type=SubjectName(),
            metavar="NAME|MODULE:CALLABLE",
            help="Measure this subject only: a name that `list` shows, module:callable or folder/module.py:callable. "
            "More than once.",
        ),
        click.option(
            "--backend",
            "backend_names",
            multiple=True,
            type=OneOf(ALL_BACKEND_NAMES, "BACKEND"),
            help="Measure on this backend only; for module:callable the arrays that it takes. More than once. "
            + one_of(ALL_BACKEND_NAMES),
        ),
        click.option(
            "--order",
            default="",
            metavar="NAMES",
            help="Arguments of module:callable as it takes them: labels,logits or y_true=labels,y_pred=logits.",
        ),
        click.option(
            "--gradient",
            metavar="MODULE:CALLABLE",
            help="Its gradient, where the subject is module:callable.",
        ),
        click.option(
            "--case",
            type=CaseText(),
            help="Measure all subjects in this alone: a function of xbce with any options, such as "
            f'"{EXAMPLE}", where bare names are arrays. By default module:callable should compute '
            "binary_cross_entropy_with_logits, and xbce and its peers are measured in the cases of the tables.",
        ),
        click.option(
            "--bound", type=click.FloatRange(min=0.5), help="Judge your subject by this bound in ULP, not by xbce's."
        ),
        click.option(
            "--precision",
            "precisions",
            multiple=True,
            type=click.Choice(list(PRECISIONS)),
            default=("native",),
            show_default=True,
            help="Call xbce in this precision, and judge it by its bounds. More than once.",
        ),
    )

    @wraps(command)
    def with_choice(
        *,
        subject_names: tuple[str, ...],
        backend_names: tuple[str, ...],
        order: str,
        gradient: str | None,
        case: str | None,
        bound: float | None,
        precisions: tuple[str, ...],
        **rest: Any,
    ) -> None:
        names = tuple(entry.strip() for entry in order.split(",")) if order else ()
        command(choice=Choice(subject_names, backend_names, names, gradient, case, bound, precisions), **rest)

    for option in reversed(options):
        with_choice = option(with_choice)
    return with_choice


def find(choice: Choice, refusal: Refusal | None = None) -> tuple[list[Subject], dict[str, str]]:
    """Return the chosen subjects, and what is missing, and why; `refusal` as in `Choice.find`."""
    try:
        return choice.find(refusal)
    except BadOption as error:
        raise click.UsageError(str(error)) from error
    except BadSubject as error:
        raise NotLoaded(str(error)) from error


def nothing(task: str, missing: dict[str, str], otherwise: str) -> click.ClickException:
    """Return the error of a command with nothing to do: what is missing and why, or `otherwise` the options' fault."""
    msg = f"nothing to {task} ({reasons(missing) or otherwise})"
    return NotLoaded(msg) if missing else click.UsageError(msg)


def reasons(missing: dict[str, str]) -> str:
    """Return in one line what is missing, and why."""
    return "; ".join(f"{name}: {reason}" for name, reason in missing.items())
