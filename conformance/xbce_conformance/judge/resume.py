"""What each job of a run came to, kept as soon as it is done, so that the same run goes on from there."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from xbce_conformance.results.model import Row, row_from_json
from xbce_conformance.storage import CheckpointFolder, digest
from xbce_conformance.subjects.jobs import Job
from xbce_conformance.subjects.selection import Choice
from xbce_conformance.subjects.source import digest_of_modules, digest_of_packages, own_modules


class RunCheckpoint:
    """The folder of a run; raises `OtherPlan` where it holds another one."""

    def __init__(self, folder: Path, plan: dict[str, Any]) -> None:
        self.path = folder
        self._folder = CheckpointFolder(folder, plan, kind="run", part="job")

    def keep(self, number: int, rows: list[Row]) -> None:
        """Write the rows of a job; not those of a judged one that could not be measured, so that it is tried again."""
        if not any(row.failure and row.judged for row in rows):
            self._folder.keep(number, [asdict(row) for row in rows])

    def rows(self) -> dict[int, list[Row]]:
        """Return the rows of the jobs that are done, by number."""
        return {number: [row_from_json(row) for row in rows] for number, rows in self._folder.read()}


def plan(todo: list[Job], level: str, choice: Choice, environment: dict[str, str]) -> dict[str, Any]:
    """Return what tells a run from another: rows of one must not be taken for the other's."""
    names = [f"{job} {job.parts} {job.limit} {job.same_bits}" for job in todo]
    options = asdict(choice)
    return {
        **{name: text for name, text in environment.items() if name != "date"},
        "sources": digest_of_packages("xbce", "xbce_conformance"),
        "level": level if not todo else todo[0].only.level(level),
        "subjects": _once(_described(job) for job in todo),
        "own code": _own_code(todo, choice),
        "dtypes": _once(job.dtype for job in todo),
        "functions": _once(job.function.case.function for job in todo),
        "jobs": f"{len(todo)} ({digest(name.encode() for name in names)})",
        **{name: options[name] for name in ("order", "gradient", "case", "bound")},
    }


def _described(job: Job) -> str:
    subject, backend = job.subject, job.subject.backend
    return f"{subject.name} {subject.version} on {backend.name} {backend.version}, {backend.device}"


def _own_code(todo: list[Job], choice: Choice) -> list[str]:
    """Return each subject of the user's own with the digest of its source."""
    modules = {name: own_modules(name, choice.gradient) for name in _once(job.subject.name for job in todo)}
    return [f"{name} {digest_of_modules(own)}" for name, own in modules.items() if own]


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
