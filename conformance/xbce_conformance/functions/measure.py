"""Measures one function of a library at every number of a format, or at every n-th one."""

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from xbce_conformance.functions.table import Elementary
from xbce_conformance.inputs.formats import Format
from xbce_conformance.subjects.backend import Backend
from xbce_conformance.sweep.device import Array, device_at, place
from xbce_conformance.sweep.errors import Block, tally
from xbce_conformance.sweep.tally import Tally

_PROBE = 64
"""Elements of a first call: enough for vector instructions."""


class Unmeasured(Exception):  # noqa: N818
    """A library has no such function, or not for the format; the message says why."""


def find_function(function: Elementary, backend: Backend) -> tuple[str, Callable[[Array], Array], str]:
    """Return what a backend's library computes a function by: its path, itself, and the version of its package."""
    library = backend.name.partition(":")[0]
    path = function.paths.get(library)
    if path is None:
        msg = f"{library} has no {function.name} here; those of {', '.join(function.paths)} are known"
        raise Unmeasured(msg)
    module, _, name = path.partition(":")
    package = module.partition(".")[0]
    try:
        call = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        msg = f"{path} cannot be imported: {error}"
        raise Unmeasured(msg) from None
    version = getattr(importlib.import_module(package), "__version__", backend.version)
    return path, _as_used(library, call), version


def _as_used(library: str, call: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Return JAX's functions compiled: traced anew at each call they would take longer."""
    if library != "jax":
        return call
    compiled: Callable[[Array], Array] = importlib.import_module("jax").jit(call)
    return compiled


def _context(library: str) -> AbstractContextManager[Any]:
    """Return what a library records no derivatives in."""
    if library != "torch":
        return nullcontext()
    context: AbstractContextManager[Any] = importlib.import_module("torch").no_grad()
    return context


def measure_function(
    function: Elementary,
    backend: Backend,
    fmt: Format,
    *,
    stride: int = 1,
    progress: Callable[[int], None] = lambda _count: None,
) -> Tally:
    """Return the errors at every `stride`-th bit pattern; `progress` is told how many are done at once."""
    _, call, _ = find_function(function, backend)
    with _context(backend.name.partition(":")[0]), np.errstate(all="ignore"):
        _check(call, backend, fmt)
        name, adapt = place(backend, fmt)
        device, on_device = device_at(name, backend, fmt), adapt(call)
        xp, stop, step = device.xp, 2 ** (8 * fmt.dtype.itemsize), device.block * stride
        total = Tally()
        for first in range(0, stop, step):
            given = device.numbers(first, min(first + step, stop), stride)
            x = device.from_function(given)
            got = device.from_function(on_device(given))
            exact = function.exact(xp, x)
            block = Block(device, fmt, x, segments=[], special=True)
            total.merge(tally(block, exact, exact, got, flushes=True))
            progress(int(x.shape[0]))
    return total


def _check(call: Callable[[Array], Array], backend: Backend, fmt: Format) -> None:
    """Refuse what raises, or returns another dtype."""
    try:
        result = backend.to_numpy(call(backend.from_numpy(np.zeros(_PROBE, fmt.dtype))))
    except Exception as error:  # noqa: BLE001 - whatever a library raises is reported
        msg = f"{type(error).__name__}: {error}"
        raise Unmeasured(msg) from None
    if result.dtype != fmt.dtype:
        msg = f"it returned {result.dtype} for {fmt.name}"
        raise Unmeasured(msg)
