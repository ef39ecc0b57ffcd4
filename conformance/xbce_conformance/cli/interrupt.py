"""Stops work soon and in order: on Ctrl-C, on SIGTERM, and when its time is over."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruptible(seconds: float | None = None) -> Iterator[Callable[[], None]]:
    """Have SIGINT, SIGTERM and the end of `seconds` raise KeyboardInterrupt within the block.

    Yields a function that raises it again, to be called between two steps of the work: a library may have turned the
    first one into an error of its own.
    """
    asked = False
    end = None if seconds is None else time.monotonic() + seconds

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        raise KeyboardInterrupt

    def stop_if_asked() -> None:
        if asked or (end is not None and time.monotonic() >= end):
            raise KeyboardInterrupt

    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32" and seconds is not None:
        numbers.append(signal.SIGALRM)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        if sys.platform != "win32" and seconds is not None:
            signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))  # 0 would be never
        yield stop_if_asked
    finally:
        if sys.platform != "win32" and seconds is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
