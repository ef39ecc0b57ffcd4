"""What the commands share: the console, the environment, and the options that name a subject."""

import platform
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

import xbce
from xbce_conformance.backends import BACKEND_NAMES, PEER_BACKEND_NAMES, find_backends
from xbce_conformance.cases import CASES
from xbce_conformance.named import BadSubject, build, entry_points, is_spec, load
from xbce_conformance.subject import Subject
from xbce_conformance.subjects import SUBJECT_NAMES, find_subjects

_FILE_WIDTH = 120
"""Columns of the table where the output is not a terminal."""


def console() -> Console:
    """Return the console of the command."""
    console = Console()
    return console if console.is_terminal else Console(width=_FILE_WIDTH)


class SubjectName(click.ParamType):
    """A name of the table of subjects, or `module:callable`."""

    name = "name|module:callable"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check the name."""
        text = str(value)
        if not is_spec(text) and text not in SUBJECT_NAMES:
            self.fail(f"{text!r} is neither module:callable nor one of {', '.join(SUBJECT_NAMES)}", param, ctx)
        return text


def subject_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose subjects and backends, and say how a subject of the user's is called."""
    options = (
        click.option(
            "--subject",
            "subject_names",
            multiple=True,
            type=SubjectName(),
            help="Measure this subject only: a name that `list` shows, or module:callable. More than once.",
        ),
        click.option(
            "--backend",
            "backend_names",
            multiple=True,
            type=click.Choice((*BACKEND_NAMES, *PEER_BACKEND_NAMES)),
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
    )
    for option in reversed(options):
        command = option(command)
    return command


def choose_subjects(
    subject_names: tuple[str, ...],
    backend_names: tuple[str, ...],
    *,
    order: str,
    gradient: str | None,
    case: str | None,
    bound: float | None,
) -> tuple[list[Subject], dict[str, str]]:
    """Return the subjects that the options name, and what is missing, and why."""
    yours = [name for name in subject_names if is_spec(name) or name in entry_points()]
    if not yours and (order or gradient or case or bound is not None):
        msg = "--order, --gradient, --case and --bound are for a subject of your own: name one by --subject"
        raise click.UsageError(msg)
    default = (*BACKEND_NAMES, *PEER_BACKEND_NAMES)
    names = tuple(name for name in subject_names if name not in yours) or (() if yours else SUBJECT_NAMES)
    backends, missing = find_backends(backend_names or default) if names else ({}, {})
    subjects, missing_subjects = find_subjects(names, backends)
    missing |= missing_subjects
    options = {"order": tuple(order.split(",")) if order else (), "case": case}
    for name in yours:
        try:
            loaded = load(entry_points().get(name, name), gradient=gradient, **options)
            found, absent = find_backends(backend_names or (loaded.adapter.backend,))
            missing |= absent
            for backend in found.values():
                subject, refused = build(loaded, backend, judged=True, bound=bound)
                missing |= refused
                subjects += [subject] if subject.dtypes else []
        except BadSubject as error:
            raise click.ClickException(str(error)) from error
    return subjects, missing


def environment() -> dict[str, str]:
    """Return what a result depends on, besides the backends."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "xbce": xbce.__version__,
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
    }


def _processor() -> str:
    """Return the model of the processor: the accuracy of NumPy's exp and log1p depends on it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
