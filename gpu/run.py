"""Runs the parts, each within its time limit and independently of the others."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from gpu.parts import Part
from xbce_conformance.cli.interrupt import interruptible
from xbce_conformance.storage import write_whole

_GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL."""

DONE = "done"


@dataclass(frozen=True)
class Outcome:
    """The outcome of a part."""

    status: str
    """"done", "cut off" by its limit, "interrupted", or "failed"."""
    code: int
    """Exit code."""
    seconds: float
    """Time of all tries together."""

    @property
    def found_faults(self) -> bool:
        """Whether the part ran to its end and found something wrong."""
        return self.status == DONE and self.code != 0


class Ledger:
    """The outcomes so far, in a file that is written atomically."""

    def __init__(self, file: Path) -> None:
        """Read the outcomes of earlier runs."""
        self._file = file
        data = json.loads(file.read_text("utf-8")) if file.exists() else {}
        self.outcomes = {name: Outcome(**outcome) for name, outcome in data.items()}

    def is_done(self, part: Part) -> bool:
        """Tell whether a part is done and has a result."""
        return part.name in self.outcomes and self.outcomes[part.name].status == DONE and part.result.exists()

    def keep(self, part: Part, status: str, code: int, seconds: float) -> None:
        """Write the outcome of a part."""
        before = self.outcomes[part.name].seconds if part.name in self.outcomes else 0.0
        self.outcomes[part.name] = Outcome(status, code, round(before + seconds, 1))
        data = {name: asdict(outcome) for name, outcome in self.outcomes.items()}
        write_whole(self._file, json.dumps(data, indent=1).encode())


Report = Callable[[Part, str, float], None]
"""Takes a part, its status ("runs" or that of its outcome), and its seconds so far."""


class Runner:
    """Runs parts stage by stage, the parts of one stage in parallel."""

    def __init__(self, ledger: Ledger, logs: Path, environment: dict[str, str], jobs: int, report: Report) -> None:
        self._ledger, self._logs, self._environment, self._jobs, self._report = ledger, logs, environment, jobs, report
        self._running: dict[Part, tuple[subprocess.Popen[bytes], float]] = {}

    def run(self, parts: tuple[Part, ...], share: float = 1.0) -> None:
        """Run the parts that are not done; `share` scales all limits. KeyboardInterrupt stops it without loss."""
        todo = [part for part in parts if not self._ledger.is_done(part)]
        with interruptible():
            try:
                for _, stage in groupby(todo, key=lambda part: part.stage):
                    self._stage(list(stage), share)
            except KeyboardInterrupt:
                for part in list(self._running):
                    self._end(part, "interrupted")
                raise

    def _stage(self, waiting: list[Part], share: float) -> None:
        while waiting or self._running:
            while waiting and len(self._running) < self._jobs:
                self._start(waiting.pop(0))
            time.sleep(0.05)
            for part, (process, begun) in list(self._running.items()):
                seconds = time.monotonic() - begun
                if process.poll() is not None:
                    self._finished(part)
                elif seconds > part.seconds * share:
                    self._end(part, "cut off")
                else:
                    self._report(part, "runs", seconds)

    def _start(self, part: Part) -> None:
        part.result.parent.mkdir(parents=True, exist_ok=True)
        with (self._logs / f"{part.name}.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - a command of our own table
                [sys.executable, *part.arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=self._environment,
                start_new_session=True,
            )
        self._running[part] = process, time.monotonic()
        self._report(part, "runs", 0.0)

    def _end(self, part: Part, status: str) -> None:
        """Stop a part: terminate it, and kill it after the grace period."""
        process, _ = self._running[part]
        process.terminate()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            pass
        else:
            # It may just have ended by itself.
            status = DONE if process.returncode in (0, 1) else status
        # Processes that it has started may outlive it.
        _kill_group(process)
        process.wait()
        self._keep(part, status)

    def _finished(self, part: Part) -> None:
        process, _ = self._running[part]
        _kill_group(process)
        ended = process.returncode in (0, 1) and part.result.exists()
        self._keep(part, DONE if ended else "failed")

    def _keep(self, part: Part, status: str) -> None:
        process, begun = self._running.pop(part)
        seconds = time.monotonic() - begun
        self._ledger.keep(part, status, process.returncode, seconds)
        self._report(part, status, seconds)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
