"""Threads for large NumPy arrays. They are optional: a call that gets none does all work itself."""

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from threading import Condition, RLock, local
from typing import Any

from .._call.checks import count_of

_lock = RLock()
_chosen: int | None = None
_pool: Any = None
_local = local()


def get_num_threads() -> int:
    """Return the number of threads that compute large NumPy arrays.

    Returns
    -------
    int
        The last argument of :func:`set_num_threads`; by default the environment variable ``XBCE_NUM_THREADS``, else
        ``OMP_NUM_THREADS``, else the number of CPUs that this process may use.

    Notes
    -----
    This is an upper limit. If threadpoolctl is imported, a call uses no more threads than BLAS may, so
    ``threadpoolctl.threadpool_limits(1)`` limits it to one thread. It uses one thread inside a chunk of a Dask array,
    and whenever Python cannot start another, as when the interpreter ends.

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
    """Set the number of threads that compute large NumPy arrays; small arrays use one.

    The results have the same bits for any number.

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
    """Limit calls in this context to the calling thread, which is one of several already."""
    before = getattr(_local, "held", False)
    _local.held = True
    try:
        yield
    finally:
        _local.held = before


def usable_threads() -> int:
    """Return the number of threads that a call in this thread may use, itself included."""
    if getattr(_local, "held", False):
        return 1
    threads = get_num_threads()
    # Only a module that the user has imported can have set a limit.
    threadpoolctl = sys.modules.get("threadpoolctl")
    if threads == 1 or not hasattr(threadpoolctl, "ThreadpoolController"):
        return threads
    # num_threads is None for a BLAS library that cannot tell it.
    limits: list[int] = [library.num_threads or threads for library in _blas_libraries(threadpoolctl)]
    return min([threads, *limits])


@cache
def _blas_libraries(threadpoolctl: Any) -> list[Any]:
    """Return threadpoolctl's controllers of the BLAS libraries: asking one takes 1 µs, finding them up to 2 ms.

    The search is not repeated: NumPy's library is loaded by now, and a limit for BLAS is set in all libraries.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of incompatible OpenMP libraries
        controllers = threadpoolctl.ThreadpoolController().lib_controllers
    return [x for x in controllers if x.user_api == "blas"]


def in_threads(work: Callable[[Any], None], parts: Sequence[Any], threads: int) -> None:
    """Call `work` on all parts, on up to `threads` threads, this one among them; raise its first exception."""
    shared = _SharedWork(work, parts)
    helpers = min(len(parts), threads) - 1
    if helpers > 0:
        _ask_for_help(shared.take_parts, helpers)
    shared.take_parts()
    shared.finish()


class _SharedWork:
    """A queue of parts, which threads take one by one.

    The caller waits only for threads that have started. A thread that starts when no part is left has nothing to do,
    so the work is complete even if a requested thread never starts.
    """

    def __init__(self, work: Callable[[Any], None], parts: Iterable[Any]) -> None:
        self._work, self._rest = work, iter(parts)
        self._changed = Condition()
        self._working = 0
        self._error: BaseException | None = None

    def take_parts(self) -> None:
        """Work on parts until none is left."""
        with self._changed:
            self._working += 1
        try:
            while (part := self._next()) is not None:
                self._work(part)
        except BaseException as error:  # noqa: BLE001  # raised by `finish`, in the caller's thread
            self._stop(error)
        finally:
            with self._changed:
                self._working -= 1
                self._changed.notify_all()

    def finish(self) -> None:
        """Wait for the threads that have started; raise the first exception."""
        with self._changed:
            self._changed.wait_for(lambda: self._working == 0)
            error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback holds this frame, and so the arrays

    def _next(self) -> Any:
        with self._changed:
            return next(self._rest, None)

    def _stop(self, error: BaseException) -> None:
        """Keep the first exception, and leave the other parts undone."""
        with self._changed:
            self._rest = iter(())
            self._error = self._error or error


def _ask_for_help(help: Callable[[], None], threads: int) -> None:  # noqa: A002
    """Submit `help` to the thread pool, `threads` times; do nothing if no thread can be started."""
    global _pool
    try:
        # This import registers an exit handler, and raises RuntimeError while the interpreter is shutting down:
        # https://github.com/python/cpython/issues/113060
        from concurrent.futures.thread import ThreadPoolExecutor

        with _lock:
            if _pool is None:
                _pool = ThreadPoolExecutor(get_num_threads(), thread_name_prefix="xbce")
            pool = _pool
        for _ in range(threads):
            pool.submit(help)
    except RuntimeError:  # the interpreter ends, or the system starts no more threads
        with _lock:
            _pool = None  # its pending tasks may wait for ever


def _forget_pool() -> None:
    """Reset pool and lock in a forked process: its threads are gone, and one of them may have held the lock."""
    global _lock, _pool
    _lock, _pool = RLock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
