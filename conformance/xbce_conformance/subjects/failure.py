"""Calls that fail: what was wrong, and with which input."""

import faulthandler
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple

CALL_LIMIT = 30.0
"""Seconds that one call of a subject may take."""


class Failure(Exception):  # noqa: N818
    """A call of a subject came to nothing that can be measured."""

    def __init__(self, name: str, text: str, inputs: dict[str, str] | None = None, *, located: bool = False) -> None:
        super().__init__(text)
        self.name = name
        """What a waiver names: raised, time-limit, ended, nothing, device, dtype, shape or absent."""
        self.inputs = inputs or {}
        """An input that shows it, in hexadecimal, by the name of its argument; empty if none is known."""
        self.located = located
        """Whether such an input was looked for."""


class _OutOfTime(BaseException):
    """Raised within a call; no `except Exception` of the subject swallows it."""


class _LastLimit(NamedTuple):
    seconds: float
    file: int
    parent: int


_last: _LastLimit | None = None


def end_process_where_calls_hang(seconds: float, file: int) -> None:
    """End this process, from now on, where a block of `time_limit` takes `seconds`, whatever its limit.

    A thread in C writes the traceback to the file, and exits: a loop in C that holds the interpreter's lock cannot be
    interrupted. Where the process that has started this one ends, this one makes no further call.
    """
    global _last  # there is one such thread in a process
    _last = _LastLimit(min(seconds, threading.TIMEOUT_MAX), file, os.getppid())


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `Failure` where the block takes longer, if it is interpreted: a library's own loop ends first.

    There is a limit in the main thread of systems that have SIGALRM. An alarm that is due earlier stays as it is.
    What the block ends or hangs is its process: `judge.apart` has one for that.
    """
    with _last_limit(), _alarm(seconds):
        yield


@contextmanager
def _last_limit() -> Iterator[None]:
    if _last is None:
        yield
        return
    if os.getppid() != _last.parent:
        os._exit(1)
    faulthandler.dump_traceback_later(_last.seconds, exit=True, file=_last.file)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    main = threading.current_thread() is threading.main_thread()
    if sys.platform == "win32" or not main or not math.isfinite(seconds):
        yield
        return
    due, _ = signal.getitimer(signal.ITIMER_REAL)
    if 0 < due <= seconds:
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _OutOfTime

    start, before = time.monotonic(), signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    except _OutOfTime:
        msg = f"it did not return within {seconds:g} s"
        raise Failure("time-limit", msg) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, max(due - (time.monotonic() - start), 1e-3) if due else 0)
        signal.signal(signal.SIGALRM, before)
