"""The threads that NumPy arrays are worked on with."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Lock, local
from typing import Any

from xbce._inputs import count_of

_lock = Lock()
_chosen: int | None = None
_pool: ThreadPoolExecutor | None = None
_local = local()


def get_num_threads() -> int:
    """Return the number of threads that large NumPy arrays are worked on with.

    Returns
    -------
    int
        What :func:`set_num_threads` was given last; by default the environment variable ``XBCE_NUM_THREADS``, else
        ``OMP_NUM_THREADS``, else the number of CPUs that this process may use.

    Examples
    --------
    >>> import xbce
    >>> xbce.set_num_threads(2)
    >>> xbce.get_num_threads()
    2
    """
    if _chosen is not None:
        return _chosen
    for name in ("XBCE_NUM_THREADS", "OMP_NUM_THREADS"):
        # OMP_NUM_THREADS may be a list, one number per level of nesting.
        text = os.environ.get(name, "").partition(",")[0].strip()
        if text.isdecimal() and int(text) > 0:
            return int(text)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_num_threads(n: int, /) -> None:
    """Set the number of threads that large NumPy arrays are worked on with; small ones use one.

    The results have the same bits whatever the number.

    Parameters
    ----------
    n : int
        At least 1.

    Raises
    ------
    TypeError
        If `n` is not an integer.
    ValueError
        If `n` is less than 1.

    Examples
    --------
    >>> import xbce
    >>> xbce.set_num_threads(0)
    Traceback (most recent call last):
    ...
    ValueError: n must be at least 1, got 0
    """
    global _chosen, _pool
    n = count_of("n", n)
    with _lock:
        _chosen, _pool = n, None  # a pool in use lives until its work is done


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold what is called here to the calling thread, which is one of several already."""
    before = getattr(_local, "held", False)
    _local.held = True
    try:
        yield
    finally:
        _local.held = before


def in_threads(work: Callable[[Any], None], parts: Sequence[Any]) -> None:
    """Call `work` on all parts, on as many threads as there are to be, this one among them; raise what it raises."""
    threads = 1 if getattr(_local, "held", False) else min(len(parts), get_num_threads())
    if threads <= 1:
        for part in parts:
            work(part)
        return
    rest, lock = iter(parts), Lock()

    def work_off() -> None:
        while True:
            with lock:
                part = next(rest, None)
            if part is None:
                return
            work(part)

    helpers = [_shared_pool().submit(work_off) for _ in range(threads - 1)]
    try:
        work_off()
    finally:
        wait(helpers)
    for helper in helpers:
        helper.result()


def _shared_pool() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(get_num_threads(), thread_name_prefix="xbce")
        return _pool


def _forget_pool() -> None:
    """After a fork the threads are gone, and the lock may be held by one of them."""
    global _lock, _pool
    _lock, _pool = Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
