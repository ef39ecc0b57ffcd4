"""The suite in two places: a processor that is played makes the calls of xbce, and this one judges what comes of them.

What the suite does besides is the same on every processor, and takes longer. So each job is run here first, which
tells the arguments that it calls its function with; `python -m platforms.calls`, there, calls it with these; and each
job is run here again, with the results from there.
"""

import argparse
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from xbce_conformance.inputs.formats import FORMATS, Floats
from xbce_conformance.storage import digest, write_whole
from xbce_conformance.subjects.failure import Failure
from xbce_conformance.subjects.jobs import Job, jobs
from xbce_conformance.subjects.selection import Choice

LEVEL = "quick"
_ASKED = "asked.json"
"""For each job the calls that it makes, each a list of the names of its arguments."""


def all_jobs(backend: str, dtypes: Iterable[str] = (), functions: Iterable[str] = ()) -> list[Job]:
    """Return the jobs of the suite's samples: the same ones, in the same order, here and there."""
    subjects, _ = Choice(subjects=("xbce",), backends=(backend,)).find()
    return jobs(subjects, tuple(dtypes) or tuple(FORMATS), tuple(functions), LEVEL)


# --- here -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Asking(Job):
    """A job that notes what it calls its function with."""

    noted: list[tuple[Floats, ...]] = field(default_factory=list)

    def call(self, arrays: tuple[Floats, ...]) -> list[Floats]:
        """Call the function on its backend."""
        self.noted.append(arrays)
        return super().call(arrays)


@dataclass(frozen=True)
class Answered(Job):
    """A job whose function has been called elsewhere."""

    asked: list[str] = field(default_factory=list)
    answers: list[list[Floats] | Failure] = field(default_factory=list)

    def call(self, arrays: tuple[Floats, ...]) -> list[Floats]:
        """Return what came of the call with these arguments; raise what it raised."""
        key = _key(arrays)
        if key not in self.asked:
            msg = "it was not called with these arguments on the processor that is played"
            raise Failure("absent", msg)
        answer = self.answers[self.asked.index(key)]
        if isinstance(answer, Failure):
            raise answer
        return answer


def ask(todo: list[Job], folder: Path, run: Callable[[Job], object]) -> None:
    """Write what the jobs call their functions with, found by running them here; nothing where it is written."""
    if (folder / _ASKED).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    asked: list[list[list[str]]] = []
    for job in todo:
        asking = _Asking(**_fields(job))
        run(asking)
        asked.append([[_given(folder, array) for array in arrays] for arrays in asking.noted])
    write_whole(folder / _ASKED, json.dumps(asked).encode())


def answered(todo: list[Job], asked: Path, answers: Path) -> list[Answered]:
    """Return the jobs with what came of their calls."""
    calls: list[list[list[str]]] = json.loads((asked / _ASKED).read_text("utf-8"))
    return [
        Answered(
            **_fields(job),
            asked=["-".join(names) for names in calls[number]],
            answers=_answers(answers, number, job),
        )
        for number, job in enumerate(todo)
    ]


def undone(todo: list[Job], answers: Path) -> list[int]:
    """Return the numbers of the jobs whose calls have not been made, or not been written as a whole."""
    return [number for number, job in enumerate(todo) if not _is_whole(answers, number, job)]


def _is_whole(answers: Path, number: int, job: Job) -> bool:
    try:
        _answers(answers, number, job)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return False
    return True


def _fields(job: Job) -> dict[str, Any]:
    return {each.name: getattr(job, each.name) for each in fields(Job)}


def _key(arrays: tuple[Floats, ...]) -> str:
    return "-".join(map(_name, arrays))


def _name(array: Floats) -> str:
    return digest([f"{array.dtype} {array.shape}".encode(), array.tobytes()])


def _given(folder: Path, array: Floats) -> str:
    """Write an argument, once; return its name."""
    name = _name(array)
    if not (folder / f"{name}.npy").exists():
        packed = io.BytesIO()
        np.save(packed, array)
        write_whole(folder / f"{name}.npy", packed.getvalue())
    return name


def _answers(folder: Path, number: int, job: Job) -> list[list[Floats] | Failure]:
    """Read what came of the calls of a job."""
    found: list[list[Floats] | Failure] = []
    with _file(folder, number).open("rb") as file, np.load(file, allow_pickle=False) as packed:
        for name, text, count in json.loads(str(packed["calls"])):
            arrays = [packed[f"{len(found)}-{i}"] for i in range(count)]
            found.append(Failure(name, text) if name else [_read(array, job) for array in arrays])
    return found


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:05}.npz"


def _read(array: Floats, job: Job) -> Floats:
    """Return an array as it was: NumPy's files have no bfloat16."""
    return array.view(FORMATS[job.dtype].dtype) if array.dtype.kind == "V" else array


# --- there ----------------------------------------------------------------------------------------------------------


def answer(todo: list[Job], numbers: Iterable[int], asked: Path, answers: Path) -> None:
    """Make the calls of some of the jobs, and write what comes of each job."""
    calls: list[list[list[str]]] = json.loads((asked / _ASKED).read_text("utf-8"))
    answers.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        job = todo[number]
        arrays: dict[str, Floats] = {}
        heads: list[tuple[str, str, int]] = []
        for names in calls[number]:
            given = tuple(_read(np.load(asked / f"{name}.npy", allow_pickle=False), job) for name in names)
            try:
                results = job.call(given)
            except Failure as failure:
                heads.append((failure.name, str(failure), 0))
                continue
            arrays |= {f"{len(heads)}-{i}": array for i, array in enumerate(results)}
            heads.append(("", "", len(results)))
        packed = io.BytesIO()
        np.savez(packed, allow_pickle=False, calls=np.array(json.dumps(heads)), **arrays)
        write_whole(_file(answers, number), packed.getvalue())


def main() -> None:
    """Answer."""
    parser = argparse.ArgumentParser(prog="python -m platforms.calls")
    parser.add_argument("backend")
    parser.add_argument("asked", type=Path)
    parser.add_argument("answers", type=Path)
    parser.add_argument("--dtype", action="append", default=[])
    parser.add_argument("--function", action="append", default=[])
    parser.add_argument("--without", type=int, action="append", default=[], help="number of a job that is done")
    arguments = parser.parse_args()
    todo = all_jobs(arguments.backend, arguments.dtype, arguments.function)
    numbers = [number for number in range(len(todo)) if number not in arguments.without]
    answer(todo, numbers, arguments.asked, arguments.answers)


if __name__ == "__main__":
    main()
