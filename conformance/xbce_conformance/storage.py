"""The folder that interrupted work goes on from: its plan, and a file per part that is done.

Files are written atomically, under the number of their part, so a killed process loses or repeats no part.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


class OtherPlan(Exception):  # noqa: N818
    """The folder holds parts of something else."""


class CheckpointFolder:
    """One folder."""

    def __init__(self, folder: Path, plan: dict[str, Any], *, kind: str, part: str) -> None:
        """Make the folder, or go on with it; `kind` is what the plan is of, and `part` names the files."""
        self._folder = folder
        self._part = part
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "plan.json"
        wanted = json.loads(json.dumps(plan))
        if file.exists():
            found = json.loads(file.read_text("utf-8"))
            differing = sorted(key for key in wanted | found if wanted.get(key) != found.get(key))
            if differing:
                reasons = "; ".join(f"{key}: {found.get(key)} there, {wanted.get(key)} now" for key in differing)
                msg = f"{folder} holds another {kind} ({reasons}); name another folder, or remove it"
                raise OtherPlan(msg)
        else:
            write_whole(file, json.dumps(wanted).encode())

    def done(self) -> set[int]:
        """Return the numbers of the parts that are done."""
        return {int(file.stem.rpartition("-")[2]) for file in self._folder.glob(f"{self._part}-*.json")}

    def keep(self, number: int, data: Any) -> None:
        """Write what a part came to: anything that JSON holds, and infinite numbers."""
        write_whole(self._file(number), json.dumps(data).encode())

    def read(self) -> Iterator[tuple[int, Any]]:
        """Yield number and data of each part that is done, in order."""
        for number in sorted(self.done()):
            yield number, json.loads(self._file(number).read_text("utf-8"))

    def _file(self, number: int) -> Path:
        return self._folder / f"{self._part}-{number:05}.json"


def write_whole(file: Path, data: bytes) -> None:
    """Write a file that appears whole or not at all, also where several processes write the same one."""
    part = file.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)


def digest(parts: Iterable[bytes]) -> str:
    """Return a short text that tells contents from others."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()[:16]
