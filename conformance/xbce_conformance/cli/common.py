"""What the commands share: the console, the environment, and the options that name a subject."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from xbce_conformance.cases import CASES
from xbce_conformance.subjects.model import Subject
from xbce_conformance.subjects.selection import ALL_BACKEND_NAMES, Choice
from xbce_conformance.subjects.user import BadSubject
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
)

out_option = click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("conformance-report"),
    show_default=True,
    help="Folder for results.json, report.html and report.md.",
)


def console() -> Console:
    """Return the console of the command."""
    console = Console()
    return console if console.is_terminal else Console(width=_FILE_WIDTH)


def subject_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose subjects and backends; the command takes them as one `choice`."""
    options = (
        click.option(
            "--subject",
            "subject_names",
            multiple=True,
            metavar="NAME|MODULE:CALLABLE",
            help="Measure this subject only: a name that `list` shows, or module:callable. More than once.",
        ),
        click.option(
            "--backend",
            "backend_names",
            multiple=True,
            type=click.Choice(ALL_BACKEND_NAMES),
            help="Measure on this backend only; for module:callable the arrays that it takes. More than once.",
        ),
        click.option(
            "--order",
            default="",
            help="Arguments of module:callable as it takes them: labels,logits or y_true=labels,y_pred=logits.",
        ),
        click.option("--gradient", help="module:callable of the gradient of a subject given as module:callable."),
        click.option(
            "--case",
            type=click.Choice([case.name for case in CASES]),
            help="What module:callable should compute; by default binary_cross_entropy_with_logits.",
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
        names = tuple(filter(None, order.split(",")))
        command(choice=Choice(subject_names, backend_names, names, gradient, case, bound, precisions), **rest)

    for option in reversed(options):
        with_choice = option(with_choice)
    return with_choice


def find(choice: Choice) -> tuple[list[Subject], dict[str, str]]:
    """Return the chosen subjects, and what is missing, and why."""
    try:
        return choice.find()
    except BadSubject as error:
        raise click.ClickException(str(error)) from error
