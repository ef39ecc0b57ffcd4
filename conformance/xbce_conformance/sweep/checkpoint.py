"""The folder that a sweep can be resumed from: its plan, and one file per chunk that is done."""

from collections.abc import Iterator
from pathlib import Path

from xbce_conformance.storage import CheckpointFolder
from xbce_conformance.sweep.plan import Plan
from xbce_conformance.sweep.tally import Tally


class Checkpoint:
    """One folder; raises `OtherPlan` where it holds another sweep."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._folder = CheckpointFolder(folder, plan.to_json(), kind="sweep", part="chunk")

    def done(self) -> set[int]:
        """Return the numbers of the chunks that are done."""
        return self._folder.done()

    def keep(self, number: int, tallies: dict[str, Tally], seconds: float) -> None:
        """Write what a chunk came to."""
        data = {"seconds": seconds, "tallies": {key: tally.to_json() for key, tally in tallies.items()}}
        self._folder.keep(number, data)

    def chunks(self) -> Iterator[tuple[float, dict[str, Tally]]]:
        """Yield seconds and tallies of all chunks that are done."""
        for _, data in self._folder.read():
            yield data["seconds"], {key: Tally.from_json(tally) for key, tally in data["tallies"].items()}
