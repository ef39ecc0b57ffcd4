"""Measures the series of one backend in this process; prints a line of JSON for each figure.

    python benchmarks/pairs.py BACKEND SECONDS [--quick]

A ratio is the median over pairs of calls, one of the other and one of xbce right after it, so that other work on the
machine hits both. `targets.py` runs this for each backend.
"""

import functools
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from benchmarks.calls import arrays_of, find_backend, finisher, function_of
from benchmarks.subjects import TABLES
from series import BY_NAME, KNOWN, PROBABILITIES, SERIES, Key, Series

import xbce

Call = Callable[[], Any]
_BATCH = 1e-3
"""Short calls are timed in batches of this many seconds."""
_TICK = 1e-7
"""Seconds that a call takes at least: a clock may not have moved."""
_MOST = {True: 0.8, False: 1.5}
"""Seconds for the pairs of a figure, quickly or not."""
_LEAST_PAIRS = 5
_COMPILATION = 10
"""A figure that torch.compile takes part in counts as this many others."""


def _seconds(call: Call, clock: Callable[[], float] = time.perf_counter, calls: int = 1) -> float:
    begin = clock()
    for _ in range(calls):
        call()
    return (clock() - begin) / calls


def ratios(first: Call, second: Call, seconds: float, clock: Callable[[], float], least: int) -> list[float]:
    """Return how many times as long the first takes, over at least so many pairs of calls by a clock in seconds."""

    for call in (first, second, first):  # the first compiles and starts threads
        once = _seconds(call, clock)
    calls = max(1, int(_BATCH / max(once, _TICK)))
    found: list[float] = []
    end = clock() + seconds
    while len(found) < least or clock() < end:
        time_of_first = _seconds(first, clock, calls)
        found.append(time_of_first / _seconds(second, clock, calls))
    return found


def ratio(other: Call, ours: Call, seconds: float) -> float:
    """Return how many times as long the other takes, as the median over pairs of calls."""
    return statistics.median(ratios(other, ours, seconds, time.perf_counter, _LEAST_PAIRS))


@functools.cache
def _arrays(backend: str, dtype: str, size: int, *, probabilities: bool = False) -> tuple[Any, Any]:
    x, z = arrays_of(find_backend(backend), dtype, size, probabilities=probabilities)
    return x, z


def _ratio(series: Series, dtype: str, size: int, seconds: float) -> float:
    if series.compiled:
        import torch

        # What was compiled for another size would be compiled anew for any size.
        torch.compiler.reset()
    arrays = _arrays(series.backend, dtype, size, probabilities=series.loss == PROBABILITIES)
    finish = finisher(series.backend)

    def call(subject: str) -> Call:
        run = function_of(series.backend, subject, series.function, TABLES[series.loss])
        return lambda: finish(run(*arrays))

    return ratio(call(series.other), call(series.ours), seconds)


def _over_known(call: Call) -> float:
    """Return the ms that the first call takes beyond those after it."""
    first = _seconds(call)
    return 1e3 * (first - statistics.median(_seconds(call) for _ in range(5)))


def _first_calls(backend: str, dtype: str) -> float:
    """Return the delay of the first call of a kind, as the median over the losses, and these with their gradients."""
    found = find_backend(backend)
    rng = np.random.default_rng(0)
    # Probabilities, which are logits, too.
    host = rng.uniform(0.1, 0.9, KNOWN), rng.integers(0, 2, KNOWN)
    known, x, z = (tuple(found.from_numpy(a.astype(t)) for a in host) for t in ("float16", dtype, dtype))
    x, z = x[0], z[1]
    losses = (
        xbce.binary_cross_entropy_with_logits,
        xbce.binary_cross_entropy,
        xbce.sigmoid_focal_loss,
        xbce.asymmetric_loss,
    )
    losses[0](*known)  # imports what the library needs
    runs = [run for loss in losses for run in (loss, loss.value_and_gradient)]
    return statistics.median(_over_known(functools.partial(run, x, z)) for run in runs)


def _new_shapes(backend: str, dtype: str) -> float:
    """Return the delay of a call with a new shape, as the median over shapes."""
    x, z = _arrays(backend, dtype, 2 * KNOWN)
    loss = xbce.binary_cross_entropy_with_logits
    loss(x, z)
    return statistics.median(
        _over_known(functools.partial(loss, x[:size], z[:size])) for size in range(KNOWN + 1, KNOWN + 50)
    )


def _set_threads(series: Series) -> None:
    xbce.set_num_threads(series.threads)
    if series.backend.startswith("torch"):
        import torch

        torch.set_num_threads(series.threads)


def figure(key: Key, seconds: float) -> float:
    """Return a figure, to three digits."""
    name, dtype, size = key
    series = BY_NAME[name]
    _set_threads(series)
    match series.measure:
        case "kind":
            found = _first_calls(series.backend, dtype)
        case "shape":
            found = _new_shapes(series.backend, dtype)
        case "ratio":
            found = _ratio(series, dtype, size, seconds)
    return float(f"{found:.3g}")


def weights(keys: list[Key]) -> int:
    """Return how many parts of the time these figures get."""
    return sum(_COMPILATION if BY_NAME[name].compiled else 1 for name, _, _ in keys)


def measured(backend: str, seconds: float, *, quick: bool) -> Iterator[dict[str, Any]]:
    """Yield the figures of a backend within about so many seconds, and the reasons for those that lack."""
    end = time.perf_counter() + seconds
    keys = [key for series in SERIES if series.backend == backend for key in series.figures(quick=quick)]
    for i, key in enumerate(keys):
        left = end - time.perf_counter()
        line: dict[str, Any] = {"key": key}
        if left < 0:
            line["reason"] = "out of time"
        else:
            share = left / weights(keys[i:])
            try:
                # Half of a share is for arrays, and for what compiles.
                line["figure"] = figure(key, min(_MOST[quick], share / 2))
            except Exception as error:  # noqa: BLE001 - one that fails costs no other
                line["reason"] = f"{type(error).__name__}: {error}".partition("\n")[0]
        yield line


if __name__ == "__main__":
    for found in measured(sys.argv[1], float(sys.argv[2]), quick="--quick" in sys.argv):
        sys.stdout.write(f"{json.dumps(found)}\n")
        sys.stdout.flush()
