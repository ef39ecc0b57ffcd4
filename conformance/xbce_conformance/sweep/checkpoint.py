"""The folder that a sweep can be resumed from: its plan, and one file per chunk that is done.

A file has what each target came to, with the facts that this depends on. Where these are others now, the target is
measured again in that chunk.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from xbce_conformance.storage import CheckpointFolder
from xbce_conformance.sweep.facts import changed
from xbce_conformance.sweep.outcome import Outcome
from xbce_conformance.sweep.plan import Plan, Target


class Checkpoint:
    """One folder; raises `OtherPlan` where it holds another sweep."""

    def __init__(self, folder: Path, plan: Plan, say: Callable[[str], None] = lambda _text: None) -> None:
        """Make the folder, or go on with it; `say` is told what is done again, and why."""
        self._plan = plan
        self._say = say
        self._folder = CheckpointFolder(folder, plan.to_json(), kind="sweep", part="chunk", say=say)

    def todo(self) -> dict[int, tuple[Target, ...]]:
        """Return which targets of which chunks are to be measured, and say why again, if so."""
        kept = {number: data["targets"] for number, data in self._folder.read()}
        todo = {}
        again: Counter[tuple[Target, str]] = Counter()
        for number in range(len(self._plan.chunks)):
            reasons = {target: _reason(kept.get(number, {}).get(target.name), target) for target in self._plan.targets}
            targets = tuple(target for target, reason in reasons.items() if reason is not None)
            if targets:
                todo[number] = targets
            again.update((target, reason) for target, reason in reasons.items() if reason)
        for (target, reason), count in again.items():
            chunks = "1 chunk is" if count == 1 else f"{count} chunks are"
            self._say(f"{self._plan.dtype} sweep of {target}: {reason}; {chunks} done again")
        return todo

    def keep(self, number: int, outcomes: dict[Target, Outcome], seconds: float) -> None:
        """Write what targets came to in a chunk, beside what others came to before."""
        kept = self._folder.get(number) or {"seconds": 0.0, "targets": {}}
        new = {target.name: {"facts": dict(target.facts), **o.to_json()} for target, o in outcomes.items()}
        self._folder.keep(number, {"seconds": kept["seconds"] + seconds, "targets": kept["targets"] | new})

    def chunks(self) -> Iterator[tuple[float, Outcome]]:
        """Yield seconds and outcome of all chunks in which every target was measured as it is now."""
        for _, data in self._folder.read():
            entries = [data["targets"].get(target.name) for target in self._plan.targets]
            if not any(map(_is_other, entries, self._plan.targets)):
                whole = Outcome()
                for entry in entries:
                    whole.merge(_outcome(entry))
                yield data["seconds"], whole


def _reason(entry: dict[str, Any] | None, target: Target) -> str | None:
    """Say why a target is measured again; "" where it was not yet, None where it is done."""
    if entry is None:
        return ""
    if _is_other(entry, target):
        return f"{changed(tuple(entry['facts'].items()), target.facts)} changed since the checkpoint"
    return "it failed" if entry["failures"] else None  # as for want of memory: perhaps not this time


def _is_other(entry: dict[str, Any] | None, target: Target) -> bool:
    return entry is None or entry["facts"] != dict(target.facts)


def _outcome(entry: dict[str, Any]) -> Outcome:
    return Outcome.from_json({name: entry[name] for name in ("tallies", "failures")})
