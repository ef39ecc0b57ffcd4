"""`--json`: JSON and nothing else on the standard output; what people read, and what libraries print, on the other."""

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

import click

_KEY = "xbce_conformance.json"
"""Where the context of a command keeps the stream that its JSON goes to."""


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json`; the command calls `print_json` or `print_file` in any case."""
    return click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=_begin,
        help="Print JSON to the standard output, and all else to the standard error.",
    )(command)


def wants_json() -> bool:
    """Tell whether the command that runs was called with `--json`."""
    return _stream() is not None


def print_json(data: Any) -> None:
    """Print data, if the command was called with `--json`."""
    if (stream := _stream()) is not None:
        stream.write(json.dumps(data, indent=1, allow_nan=False) + "\n")
        stream.flush()


def print_file(path: Path) -> None:
    """Print a file of JSON that the command has written, if it was called with `--json`."""
    if (stream := _stream()) is not None:
        stream.write(path.read_text("utf-8"))
        stream.flush()


def _stream() -> TextIO | None:
    context = click.get_current_context(silent=True)
    return context.meta.get(_KEY) if context else None


def _begin(context: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        context.meta[_KEY] = context.with_resource(_alone())


@contextmanager
def _alone() -> Iterator[TextIO]:
    """Have all that is written to the standard output go to the standard error, but by the stream that is yielded."""
    out = sys.stdout
    out.flush()
    with redirect_stdout(sys.stderr):
        try:
            number, other = out.fileno(), sys.stderr.fileno()
        except io.UnsupportedOperation:  # no file: nothing but Python writes to it
            yield out
            return
        kept = os.dup(number)  # other processes, and libraries in C, write to the number
        os.dup2(other, number)
        try:
            with open(kept, "w", encoding="utf-8", closefd=False) as stream:
                yield stream
        finally:
            os.dup2(kept, number)
            os.close(kept)
