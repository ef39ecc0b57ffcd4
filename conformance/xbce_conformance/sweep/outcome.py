"""What the functions of a target came to in one chunk: tallies, and failures of those that cannot be measured."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from xbce_conformance.sweep.tally import Tally


@dataclass(frozen=True)
class Failed:
    """Why a function cannot be measured, and the pair that shows it: a `Failure` that travels."""

    name: str
    """What a waiver names."""
    reason: str
    logit: str
    """As `float.hex` writes it, like the label."""
    label: str


@dataclass
class Outcome:
    """The tallies by function and kind of label, and the failures by function."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    failures: dict[str, Failed] = field(default_factory=dict)

    def merge(self, other: "Outcome") -> None:
        """Add the outcome of other elements; of several failures of a function the first is kept."""
        for name, tally in other.tallies.items():
            self.tallies.setdefault(name, Tally()).merge(tally)
        self.failures = other.failures | self.failures

    def of(self, functions: Iterable[str]) -> "Outcome":
        """Return that of some functions."""
        chosen = set(functions)
        tallies = {name: tally for name, tally in self.tallies.items() if name.rpartition("|")[0] in chosen}
        return Outcome(tallies, {name: failure for name, failure in self.failures.items() if name in chosen})

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "tallies": {name: tally.to_json() for name, tally in self.tallies.items()},
            "failures": {name: asdict(failure) for name, failure in self.failures.items()},
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Outcome":
        """Return what `to_json` wrote."""
        return cls(
            {name: Tally.from_json(tally) for name, tally in data["tallies"].items()},
            {name: Failed(**failure) for name, failure in data["failures"].items()},
        )
