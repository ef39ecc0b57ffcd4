"""Calls are drawn for some minutes, library by library and mode by mode; each finding is made as small as it gets."""

import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzz.calls import Call, source
from tests.fuzz.check import Finding, judge
from tests.fuzz.kinds import kind_of
from tests.fuzz.strategies import calls

Runner = tuple[str, str]
"""A library and a mode."""

Key = tuple[tuple[str, ...], int]
"""The signature of a finding, and its kind: what tells it from another."""

_EXAMPLES = {"compile": 2, "graph": 40, "trace": 6, "export": 15, "export, backward": 15, "large": 60}
_EXAMPLES_OF = {"jax": 25, "dask": 120, "ndonnx": 20}
_EXAMPLES_OF_RUNNER = {("mlx", "jit"): 4}  # a C++ compiler takes seconds for each
_USUAL_EXAMPLES = 150
_SHARES = {"jit": 4, "lazy": 3, "compile": 2, "graph": 2}
"""Of the time: what is dear is tried as often."""


def _examples(runner: Runner) -> int:
    library, mode = runner
    usual = _EXAMPLES.get(mode, _EXAMPLES_OF.get(library, _USUAL_EXAMPLES))
    return _EXAMPLES_OF_RUNNER.get(runner, usual)


class _Wrong(Exception):  # noqa: N818 - a call, not this code, is wrong
    """Tells Hypothesis that a call is interesting."""


@cache
def _wrong_as(_key: Key) -> type[_Wrong]:
    """Return a class for findings of one key: Hypothesis shrinks those of one class together."""
    return type("Wrong", (_Wrong,), {})


class _Enough(BaseException):
    """Ends a round: Hypothesis lets through what is no Exception."""


@dataclass
class Tally:
    """What one runner did."""

    rounds: int = 0
    seconds: float = 0.0
    calls: int = 0
    findings: int = 0


@dataclass
class Classified:
    """A finding, its kind, and when the first of its kind came."""

    finding: Finding
    kind: int
    seconds: float
    calls: int


class _Round:
    """One run of Hypothesis on one runner."""

    def __init__(self, known: set[Key], until: float, shrinking: float) -> None:
        self.smallest: dict[Key, Finding] = {}
        self.first: dict[Key, tuple[float, int]] = {}
        self.calls = 0
        self._known = known
        self._until = until
        self._shrinking = shrinking
        self._judged: dict[Call, tuple[Key, Finding] | None] = {}

    def attempt(self, call: Call) -> None:
        """Judge a call; raise if it is wrong in a way that is not known."""
        if time.monotonic() > self._until:
            raise _Enough
        if call not in self._judged:
            self.calls += 1
            finding = judge(call)
            self._judged[call] = None if finding is None else ((finding.signature, kind_of(finding)), finding)
        judged = self._judged[call]
        if judged is None or judged[0] in self._known:
            return
        key, finding = judged
        if key not in self.first:
            self.first[key] = time.monotonic(), self.calls
            self._until = min(self._until, time.monotonic() + self._shrinking)
        if key not in self.smallest or _size(finding) < _size(self.smallest[key]):
            self.smallest[key] = finding
        raise _wrong_as(key)


def _size(finding: Finding) -> int:
    return len(source(finding.call))


@dataclass
class Hunt:
    """A search of some seconds."""

    runners: tuple[Runner, ...]
    seconds: float
    seed: int
    shrinking: float = 10.0
    """Seconds for which what one round found is made smaller."""
    found: list[Classified] = field(default_factory=list)
    tallies: dict[Runner, Tally] = field(default_factory=dict)
    start: float = field(default_factory=time.monotonic)
    stopped: bool = False
    """By Ctrl-C."""

    def __post_init__(self) -> None:
        self.tallies = {runner: Tally() for runner in self.runners}
        self._random = random.Random(self.seed)  # noqa: S311 - no secret
        self._known: set[Key] = set()

    def know(self, calls: Iterable[Call]) -> None:
        """Pass over what is wrong with these calls, whatever call shows it."""
        for finding in filter(None, map(judge, calls)):
            self._known.add((finding.signature, kind_of(finding)))

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.start

    @property
    def calls(self) -> int:
        """How many calls were judged."""
        return sum(tally.calls for tally in self.tallies.values())

    def rounds(self) -> Iterator[tuple[Runner, list[Classified]]]:
        """Yield each runner whose turn it was, with what it found, until the time is over."""
        while self.elapsed < self.seconds and not self.stopped:
            # Each runner gets its share of the time; those with the least so far come first, in a drawn order.
            used = {
                (library, mode): self.tallies[library, mode].seconds / _SHARES.get(mode, 1)
                for library, mode in self.runners
            }
            least = min(used.values())
            runner = self._random.choice([runner for runner in self.runners if used[runner] <= least + 1.0])
            yield runner, self._round(runner)

    def _round(self, runner: Runner) -> list[Classified]:
        library, mode = runner
        tally, before, begun = self.tallies[runner], self.calls, time.monotonic()
        this = _Round(self._known, self.start + self.seconds, self.shrinking)

        # Of the mode alone, so that a search of one mode draws what it drew among others.
        @hypothesis.seed(f"{self.seed}, {library}, {mode}, {tally.rounds}")
        @settings(
            max_examples=_examples(runner),
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(calls(library, mode))
        def attempt(call: Call) -> None:
            this.attempt(call)

        try:
            attempt()
        except* (_Wrong, _Enough):
            pass
        except* KeyboardInterrupt:  # what this round found is not lost
            self.stopped = True
        tally.rounds += 1
        tally.seconds += time.monotonic() - begun
        tally.calls += this.calls
        tally.findings += len(this.smallest)
        self._known |= this.smallest.keys()
        new = [
            Classified(finding, key[1], this.first[key][0] - self.start, before + this.first[key][1])
            for key, finding in this.smallest.items()
        ]
        self.found += new
        return new
