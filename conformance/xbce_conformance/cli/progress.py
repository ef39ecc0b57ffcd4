"""Shows how far work is: a bar on a terminal; elsewhere a line every ten seconds, for the log of a machine."""

import time
from collections.abc import Sequence
from threading import Event, Thread
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.text import Text

SECONDS = 10.0
"""Between two lines where there is no terminal."""


class Progress:
    """Progress of work that has so many steps; a context manager.

    Parameters
    ----------
    screen : Console
        Where it is shown.
    total : float, optional
        How many steps there are; None where nobody knows.
    unit : str, default "steps"
        What they are, in the plural.
    columns : sequence of ProgressColumn, default count of the steps and time
        What a terminal shows beside the bar and the text.
    seconds : float, default 10
        Between two lines where there is no terminal.

    Examples
    --------
    >>> with Progress(Console(), 3, unit="chunks", seconds=1) as progress:
    ...     for number in range(3):
    ...         progress.describe(f"chunk {number}")
    ...         progress.advance()
    """

    def __init__(
        self,
        screen: Console,
        total: float | None = None,
        *,
        unit: str = "steps",
        columns: Sequence[ProgressColumn] = (MofNCompleteColumn(), TimeElapsedColumn()),
        seconds: float = SECONDS,
    ) -> None:
        self._screen, self._total, self._unit, self._seconds = screen, total, unit, seconds
        self._text, self._done, self._before, self._start = "", 0.0, 0.0, time.monotonic()
        self._bar = Bar(
            BarColumn(), *columns, TextColumn("{task.description}", markup=False), console=screen, transient=True
        )
        self._task = self._bar.add_task("", total=total)
        self._end = Event()
        self._lines = Thread(target=self._write_lines, daemon=True)

    def __enter__(self) -> Self:
        self._start = time.monotonic()
        if self._screen.is_terminal:
            self._bar.start()
        else:
            self._lines.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        if self._screen.is_terminal:
            self._bar.stop()
        else:
            self._lines.join()

    def advance(self, steps: float = 1) -> None:
        """Count steps that are done."""
        self._done += steps
        self._bar.advance(self._task, steps)

    def reach(self, steps: float) -> None:
        """Say how many steps are done in all."""
        self.advance(steps - self._done)

    def skip(self, steps: float) -> None:
        """Count steps that were done before: they do not tell how long the others take."""
        self._done += steps
        self._before += steps
        self._bar.reset(self._task, total=self._total, completed=int(self._done))

    def describe(self, text: str) -> None:
        """Say what is being done."""
        self._text = text
        self._bar.update(self._task, description=text)

    def line(self) -> str:
        """Return the progress in a line: "float32: 12 of 256 chunks, 4 %, 1,234 s left"."""
        passed = time.monotonic() - self._start
        parts = [f"{passed:,.0f} s"]
        if self._total:
            parts = [f"{self._done:,.0f} of {self._total:,.0f} {self._unit}", f"{self._done / self._total:.0%}"]
            if self._done > self._before:
                left = passed * (self._total - self._done) / (self._done - self._before)
                parts.append(f"{left:,.0f} s left")
        line = ", ".join(parts).replace("%", " %")
        return f"{self._text}: {line}" if self._text else line

    def _write_lines(self) -> None:
        while not self._end.wait(self._seconds):
            self._screen.print(Text(self.line()))
