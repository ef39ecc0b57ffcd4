"""Under which circumstances two runs were made, as far as these differ: their figures may differ for that alone."""

from collections.abc import Iterator
from dataclasses import dataclass

from xbce_conformance.results.model import Results


@dataclass(frozen=True)
class Difference:
    """One circumstance."""

    what: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.what}: {self.old} -> {self.new}"


def same_level(old: Results, new: Results) -> bool:
    """Tell whether the inputs are the same: the largest errors among others say nothing of each other."""
    return {*old.level.split("; ")} == {*new.level.split("; ")}  # a merged run has several


def differences(old: Results, new: Results) -> list[Difference]:
    """Return level, processor, and versions of Python, xbce, backends and subjects, where they are not the same."""
    return [Difference(what, a, b) for what, a, b in _facts(old, new) if a != b]


def _facts(old: Results, new: Results) -> Iterator[tuple[str, str, str]]:
    if not same_level(old, new):
        yield "level", old.level, new.level
    for what in dict.fromkeys((*old.environment, *new.environment)):
        if what != "date":
            yield what, old.environment.get(what, "unknown"), new.environment.get(what, "unknown")
    for name, facts in new.backends.items():
        before = old.backends.get(name, {})
        for what in before.keys() & facts.keys():
            yield f"{name}, {what}", before[what], facts[what]
    before, after = ({row.subject: row.version or "unknown" for row in results.rows} for results in (old, new))
    for subject in after:
        if subject in before:
            yield f"version of {subject}", before[subject], after[subject]
