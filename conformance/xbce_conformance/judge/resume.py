"""What each job of a run came to, kept as soon as it is done, so that the same run goes on from there."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from xbce_conformance.judge.runner import run
from xbce_conformance.results.model import Row, row_from_json
from xbce_conformance.storage import CheckpointFolder, digest
from xbce_conformance.subjects.jobs import Job
from xbce_conformance.subjects.selection import Choice


@dataclass(frozen=True)
class Outcome:
    """What one job came to: rows, or why there are none."""

    rows: list[Row] = field(default_factory=list)
    refused: str = ""
    """Why a peer cannot do it."""


def outcome_of(job: Job, level: str, exact_values: Path | None = None) -> Outcome:
    """Measure one job; `exact_values` is a folder that exact values are kept in."""
    refused = ""

    def refuse(_job: Job, reason: str) -> None:
        nonlocal refused
        refused = reason

    rows = [row for rows in run([job], level, refuse, exact_values) for row in rows]
    return Outcome(rows, refused)


class RunCheckpoint:
    """The folder of a run; raises `OtherPlan` where it holds another one."""

    def __init__(self, folder: Path, plan: dict[str, Any]) -> None:
        self.path = folder
        self._folder = CheckpointFolder(folder, plan, kind="run", part="job")

    def keep(self, number: int, outcome: Outcome) -> None:
        """Write what a job came to."""
        self._folder.keep(number, asdict(outcome))

    def outcomes(self) -> dict[int, Outcome]:
        """Return what the jobs that are done came to, by number."""
        return {
            number: Outcome([row_from_json(row) for row in data["rows"]], data["refused"])
            for number, data in self._folder.read()
        }


def plan(todo: list[Job], level: str, choice: Choice, environment: dict[str, str]) -> dict[str, Any]:
    """Return what tells a run from another: rows of one must not be taken for the other's."""
    names = [str(job) for job in todo]
    options = asdict(choice)
    return {
        **{name: text for name, text in environment.items() if name != "date"},
        "sources": _sources(),
        "level": level,
        "subjects": _once(_described(job) for job in todo),
        "dtypes": _once(job.dtype for job in todo),
        "functions": _once(job.function.case.function for job in todo),
        "jobs": f"{len(todo)} ({digest(name.encode() for name in names)})",
        **{name: options[name] for name in ("order", "gradient", "case", "bound")},
    }


def _described(job: Job) -> str:
    subject, backend = job.subject, job.subject.backend
    return f"{subject.name} {subject.version} on {backend.name} {backend.version}, {backend.device}"


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _sources() -> str:
    """Return the digest of all code of xbce and of this package: a version stands for many states of it."""
    folders = [Path(str(files(name))) for name in ("xbce", "xbce_conformance")]
    found = sorted(file for folder in folders for kind in ("*.py", "*.json") for file in folder.rglob(kind))
    return digest(file.read_bytes() for file in found)
