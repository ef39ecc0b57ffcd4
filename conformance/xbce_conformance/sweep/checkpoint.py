"""The folder that a sweep can be resumed from: its plan, and one file per chunk that is done.

A file appears whole or not at all, under the number of its chunk: so a chunk counts once, whoever was killed when.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from xbce_conformance.sweep.plan import Plan
from xbce_conformance.sweep.tally import Tally


class OtherSweep(Exception):  # noqa: N818
    """The folder holds chunks of a sweep of something else."""


class Checkpoint:
    """One folder."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "plan.json"
        wanted = json.loads(json.dumps(plan.to_json()))
        if file.exists():
            found = json.loads(file.read_text("utf-8"))
            differing = sorted(key for key in wanted if wanted[key] != found.get(key))
            if differing:
                reasons = "; ".join(f"{key}: {found.get(key)} there, {wanted[key]} now" for key in differing)
                msg = f"{folder} holds another sweep ({reasons}); name another folder, or remove it"
                raise OtherSweep(msg)
        else:
            write_atomically(file, json.dumps(wanted))

    def done(self) -> set[int]:
        """Return the numbers of the chunks that are done."""
        return {int(file.stem.removeprefix("chunk-")) for file in self._folder.glob("chunk-*.json")}

    def keep(self, number: int, tallies: dict[str, Tally], seconds: float) -> None:
        """Write what a chunk came to."""
        data = {"seconds": seconds, "tallies": {key: tally.to_json() for key, tally in tallies.items()}}
        write_atomically(self._folder / f"chunk-{number:05}.json", json.dumps(data))

    def chunks(self) -> Iterator[tuple[float, dict[str, Tally]]]:
        """Yield seconds and tallies of all chunks that are done."""
        for number in sorted(self.done()):
            data = json.loads((self._folder / f"chunk-{number:05}.json").read_text("utf-8"))
            yield data["seconds"], {key: Tally.from_json(tally) for key, tally in data["tallies"].items()}


def write_atomically(file: Path, text: str) -> None:
    """Write a file that is there as a whole or not at all, whenever the process is killed."""
    part = file.with_suffix(".part")
    with part.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)
