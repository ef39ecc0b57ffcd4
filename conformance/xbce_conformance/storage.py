"""The folder that interrupted work goes on from: its plan, and a file per part that is done.

Files are written atomically, under the number of their part, so a killed process loses or repeats no part. Each holds
{"sha256": digest, "data": ...}: a file that is not as it was written is named, and its part is done again.
"""

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any


class OtherPlan(Exception):  # noqa: N818
    """The folder holds parts of something else, or nobody can tell of what."""


class _Corrupt(Exception):  # noqa: N818
    """A file is not as it was written; the message says why."""


def _to_stderr(text: str) -> None:
    sys.stderr.write(f"{text}\n")


class CheckpointFolder:
    """One folder."""

    def __init__(
        self, folder: Path, plan: dict[str, Any], *, kind: str, part: str, say: Callable[[str], None] = _to_stderr
    ) -> None:
        """Make the folder, or go on with it; `kind` is what the plan is of, and `part` names the files.

        `say` is told the files that are corrupt.
        """
        self._folder = folder
        self._part = part
        self._say = say
        self._said: set[int] = set()
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "plan.json"
        wanted = json.loads(json.dumps(plan))
        self._plan = json.dumps(wanted)
        if not file.exists():
            write_whole(file, _sealed("plan", wanted))
            return
        try:
            found = _opened("plan", file)
        except _Corrupt as reason:
            msg = f"{file} is corrupt ({reason}): what {folder} holds is unknown; name another folder, or remove it"
            raise OtherPlan(msg) from None
        differing = sorted(key for key in wanted | found if wanted.get(key) != found.get(key))
        if differing:
            reasons = "; ".join(f"{key}: {found.get(key)} there, {wanted.get(key)} now" for key in differing)
            msg = f"{folder} holds another {kind} ({reasons}); name another folder, or remove it"
            raise OtherPlan(msg)

    def done(self) -> set[int]:
        """Return the numbers of the parts that are done."""
        return {number for number, _ in self.read()}

    def keep(self, number: int, data: Any) -> None:
        """Write what a part came to: anything that JSON holds, and infinite numbers."""
        write_whole(self._file(number), _sealed(self._seal(number), data))

    def get(self, number: int) -> Any:
        """Return the data of a part; None if it is not done. A file that is corrupt is named once."""
        file = self._file(number)
        try:
            return _opened(self._seal(number), file) if file.exists() else None
        except _Corrupt as reason:
            if number not in self._said:
                self._said.add(number)
                self._say(f"{file} is corrupt ({reason}); its {self._part} is done again")
            return None

    def read(self) -> Iterator[tuple[int, Any]]:
        """Yield number and data of each part that is done, in order."""
        names = re.compile(rf"{self._part}-(\d{{5,}})\.json")
        found = (names.fullmatch(file.name) for file in self._folder.iterdir())
        for number in sorted(int(match[1]) for match in found if match):
            data = self.get(number)
            if data is not None:
                yield number, data

    def _file(self, number: int) -> Path:
        return self._folder / f"{self._part}-{number:05}.json"

    def _seal(self, number: int) -> str:
        """Return what a part's checksum is of, besides its data: a file of another plan or number does not fit."""
        return f"{self._part} {number} of {self._plan}"


def _sealed(of: str, data: Any) -> bytes:
    """Return JSON of data with its checksum."""
    return json.dumps({"sha256": _checksum(of, data), "data": data}).encode()


def _opened(of: str, file: Path) -> Any:
    """Return the data of such a file."""
    try:
        content = json.loads(file.read_bytes())
    except ValueError as error:  # not JSON, or not even text
        reason = f"it is no JSON: {error}"
        raise _Corrupt(reason) from None
    if not isinstance(content, dict) or content.keys() != {"sha256", "data"}:
        reason = "it has no checksum, like those of older versions"
        raise _Corrupt(reason)
    if content["sha256"] != _checksum(of, content["data"]):
        reason = "its checksum is another"
        raise _Corrupt(reason)
    return content["data"]


def _checksum(of: str, data: Any) -> str:
    return hashlib.sha256(f"{of}\n{json.dumps(data)}".encode()).hexdigest()


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
