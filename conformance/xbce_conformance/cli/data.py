"""`run --data` and `diff`: what systems make of a user's own arrays."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from xbce_conformance.cases import PLAIN, Case, case_named
from xbce_conformance.cli.common import CaseText, console, find, nothing, out_folder
from xbce_conformance.cli.completion import SubjectName
from xbce_conformance.cli.exit_codes import ExitCode, FileProblem, NotLoaded, codes
from xbce_conformance.cli.help import HelpedCommand
from xbce_conformance.cli.machine import json_option, print_file
from xbce_conformance.cli.progress import Progress
from xbce_conformance.data.arrays import MOST, BadData, Data
from xbce_conformance.data.difference import compare_on, system_name
from xbce_conformance.data.measure import on_data
from xbce_conformance.data.page import write_page
from xbce_conformance.data.read import KINDS, read_data
from xbce_conformance.data.recording import Recording, is_recording
from xbce_conformance.data.replay import replay
from xbce_conformance.data.shown import Shown
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.results.environment import environment
from xbce_conformance.subjects.failure import Failure
from xbce_conformance.subjects.model import Subject
from xbce_conformance.subjects.selection import Choice, split_backend
from xbce_conformance.subjects.spec import BadOption

_SAID = {
    "logits": "the logits",
    "probabilities": "the probabilities, for losses of such",
    "labels": "the labels",
    "weight": "weights",
    "where": "the mask of elements that count",
}
_COLUMNS = tuple(_SAID)
_BUT_LABELS = tuple(name for name in _COLUMNS if name != "labels")
DATA_PARAMETERS = ("path", "elements", *_COLUMNS)
"""The parameters that `data_options` adds to a command."""


@dataclass(frozen=True)
class DataFile:
    """A file of arrays, and which of them are what."""

    path: Path
    columns: dict[str, str | None]
    elements: int | None
    """How many are tried, if it is said."""

    def with_labels(self, column: str) -> "DataFile":
        """Return it with another column of labels."""
        return replace(self, columns={**self.columns, "labels": column})

    def read(self, case: Case) -> tuple[list[Data], Recording | None]:
        """Return its data set; of a recording one per call, and the recording."""
        try:
            recording = Recording.read(self.path) if is_recording(self.path) else None
            named = [f"--{name}" for name, column in self.columns.items() if column is not None]
            if recording and (named or case is not PLAIN):
                msg = f"{', '.join(named) or '--case'}: not with a recording, which has the arguments of its losses"
                raise click.UsageError(msg)
            sets = recording.data() if recording else [read_data(self.path, self.columns, case)]
            return [data.sampled(self.elements or data.most) for data in sets], recording
        except BadData as error:
            raise FileProblem(str(error)) from error
        except OSError as error:
            msg = f"--data: {self.path} cannot be read: {error.strerror or error}"
            raise FileProblem(msg) from error


def data_options(*, optional: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return the options of a file of arrays; the command takes them as one `data`.

    Where a file is optional, the command has --labels itself, as it means something else without one.
    """
    names = _BUT_LABELS if optional else _COLUMNS
    options = [
        click.option(
            "--data",
            "path",
            type=click.Path(path_type=Path),
            required=not optional,
            help=f"File of your own arrays ({', '.join(KINDS)}), or a recording.",
        ),
        *(
            click.option(
                f"--{name}", metavar="NAME", help=f"Column of {_SAID[name]}: its name, its position, or another file."
            )
            for name in names
        ),
        click.option(
            "--elements",
            type=click.IntRange(min=1),
            help=f"Try so many elements, evenly over all; by default all, and {MOST:,} where an exact value takes a "
            "millisecond.",
        ),
    ]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def with_data(*, path: Path | None, elements: int | None, **rest: Any) -> None:
            columns = {name: rest.pop(name) for name in names}
            given = [f"--{name}" for name, column in (*columns.items(), ("elements", elements)) if column is not None]
            if path is None and given:
                msg = f"{', '.join(given)}: of a file; --data FILE names it"
                raise click.UsageError(msg)
            command(data=None if path is None else DataFile(path, columns, elements), **rest)

        for option in reversed(options):
            with_data = option(with_data)
        return with_data

    return decorate


def run_on_data(file: DataFile, choice: Choice, dtypes: tuple[str, ...], out: Path) -> None:
    """Measure every chosen system on a file, print what it comes to, write data.json and data.html."""
    screen = console()
    sets, recording = file.read(_case(choice.case))
    subjects, missing = find(choice)
    results: list[Any] = []
    with Progress(screen, len(sets), unit="data sets") as progress:
        for data in sets:
            results.append(on_data(subjects, data, dtypes or ((data.dtype,) if recording else ()), progress.describe))
            progress.advance()
    outcomes = [outcome for result in results for outcome in result.outcomes]
    if not outcomes:
        raise nothing("measure", missing, f"no subject has a function of {sets[0].case.name} in the chosen dtypes")
    if recording:
        try:
            results.insert(0, replay(recording))
        except BadData as error:
            raise NotLoaded(str(error)) from error
    for name, reason in missing.items():
        screen.print(Text(f"absent: {name}: {reason}", style="yellow"), soft_wrap=True)
    for result in results:
        screen.print(result)
    _write(file.path.name, results, out)
    failed = [outcome for outcome in outcomes if outcome.failed]
    for outcome in failed:
        beyond = (
            f"{outcome.figures.beyond_bound:,} results are beyond its bound" if outcome.figures else outcome.failure
        )
        text = f"FAIL: {outcome.subject}@{outcome.backend} {outcome.quantity} in {outcome.dtype}: {beyond}"
        screen.print(Text(text, style="red"), soft_wrap=True)
    if failed:
        sys.exit(ExitCode.FAILED)


def _case(text: str | None) -> Case:
    return case_named(text) if text else PLAIN


def _write(title: str, results: Sequence[Shown], out: Path) -> None:
    found = {"schema_version": 1, "environment": environment(), "results": [_entry(result) for result in results]}
    (out / "data.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    write_page(title, results, out / "data.html")
    print_file(out / "data.json")


def _entry(result: Shown) -> dict[str, Any]:
    return {"kind": type(result).__name__, **result.to_dict()}


@click.command(
    "diff",
    cls=HelpedCommand,
    examples={
        "diff torch optax --data logits.npz": "two systems on the arrays `logits` and `labels` of a file",
        "diff xbce@jax my_loss:loss --data logits.npz --dtype bfloat16": "xbce on JAX beside a loss of your own",
        "diff torch xbce --data step.safetensors --logits head.out --labels target": "columns of other names",
    },
    codes=codes("a system could not be called"),
    grouped={"labels": "Your own arrays"},
)
@click.argument("first", type=SubjectName(backends=True))
@click.argument("second", type=SubjectName(backends=True))
@data_options()
@click.option("--dtype", "dtypes", multiple=True, type=click.Choice(list(FORMATS)), help="In this dtype only.")
@click.option(
    "--order", default="", metavar="NAMES", help="Arguments of module:callable as it takes them: labels,logits."
)
@click.option("--case", type=CaseText(), help="What both compute; by default binary_cross_entropy_with_logits.")
@out_folder("Folder for data.json and data.html.", "conformance-diff")
@json_option
def diff_(
    first: str, second: str, data: DataFile, dtypes: tuple[str, ...], order: str, case: str | None, out: Path
) -> None:
    """Show where two systems differ on your arrays, which one is right, and why.

    FIRST and SECOND are names that `list` shows, with @BACKEND where there are several, or module:callable.
    """
    screen = console()
    names = tuple(entry.strip() for entry in order.split(",")) if order else ()
    subjects = _subject(first, names, case), _subject(second, names, case)
    sets, _ = data.read(_case(case))
    try:
        with Progress(screen, 1, unit="data sets") as progress:
            results = [compare_on(*subjects, data=each, dtypes=dtypes, progress=progress.describe) for each in sets]
    except BadData as error:
        raise click.UsageError(str(error)) from error
    except Failure as failure:
        screen.print(Text(f"FAIL: {failure}", style="red"), soft_wrap=True)
        sys.exit(ExitCode.FAILED)
    for result in results:
        screen.print(result)
    _write(f"{system_name(subjects[0])} and {system_name(subjects[1])}", results, out)


def _subject(text: str, order: tuple[str, ...], case: str | None) -> Subject:
    try:
        name, backends = split_backend(text)
    except BadOption as error:
        raise click.UsageError(str(error)) from error
    choice = Choice((name,), backends, case=case)
    subjects, missing = find(replace(choice, order=order) if choice.own else choice)
    if not subjects:
        msg = f"{text} is not here: {'; '.join(missing.values())}"
        raise NotLoaded(msg)
    return subjects[0]
