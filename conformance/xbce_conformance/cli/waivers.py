"""The options that name waivers."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from xbce_conformance.cli.exit_codes import FileProblem
from xbce_conformance.judge.waivers import TABLE, BadWaiver, Waiver, read_waivers, waiver

_PROJECT = Path("pyproject.toml")
"""Read where no file is named."""


def waiver_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that name waivers; the command takes them as one list `waivers`."""

    @click.option(
        "--waive",
        "given",
        multiple=True,
        metavar="NAME=REASON",
        help="Allow a violation that is known, by the name in square brackets behind it; NAME@float16,gradient allows "
        "it there alone. A waiver that is not needed fails the run. More than once.",
    )
    @click.option(
        "--waivers",
        "file",
        type=click.Path(path_type=Path),
        help=f"TOML file with a table [waive] of names and reasons.  [default: [{'.'.join(TABLE)}] of {_PROJECT}]",
    )
    @wraps(command)
    def with_waivers(*, given: tuple[str, ...], file: Path | None, **rest: Any) -> None:
        command(waivers=[*_of_file(file), *map(_of_option, given)], **rest)

    return with_waivers


def _of_file(file: Path | None) -> list[Waiver]:
    if file is None and not _PROJECT.is_file():
        return []
    try:
        return read_waivers(file or _PROJECT)
    except OSError as error:
        msg = f"{file or _PROJECT} cannot be read: {error.strerror}"
        raise FileProblem(msg) from error
    except BadWaiver as error:
        raise click.BadParameter(str(error), param_hint="--waivers") from error


def _of_option(text: str) -> Waiver:
    name, _, reason = text.partition("=")
    try:
        return waiver(name, reason)
    except BadWaiver as error:
        raise click.BadParameter(f"{error}: NAME=REASON", param_hint="--waive") from error
