"""Measures one function of a library: at every number of a format, or at draws and at inputs that are hard."""

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from xbce_conformance.functions.inputs import Inputs, drawn, further
from xbce_conformance.functions.reference import Exact, double_blocks, exact_values
from xbce_conformance.functions.table import Elementary
from xbce_conformance.inputs.formats import Doubles, Floats, Format
from xbce_conformance.inputs.regimes import rng_of
from xbce_conformance.search.climb import CLIMBERS, ascend, step
from xbce_conformance.storage import CheckpointFolder
from xbce_conformance.subjects.backend import Backend
from xbce_conformance.sweep.device import Array, device_at, numpy_device, place
from xbce_conformance.sweep.errors import Block, Compared, compare, segments, summary
from xbce_conformance.sweep.tally import Tally

CHUNK = 2**25
"""Numbers between two checkpoints where every one is tried: seconds of work."""
SAMPLES = 2**24
"""Inputs that are drawn for a function of two numbers."""
DOUBLE_SAMPLES = 2**17
"""The same in float64, at most: ball arithmetic takes 10 microseconds for each."""
CLIMB = 1200
"""Steps of the search for larger errors than those of samples."""
_STARTS = 16
"""Worst inputs of each block that the search starts from."""
_PROBE = 64
"""Elements of a first call: enough for vector instructions."""
BINADES = range(-40, 16)
"""Exponents of the inputs that the largest errors are kept of, apart for each sign; the first and the last one also
stand for all below, and above."""

Progress = Callable[[int], None]


class Unmeasured(Exception):  # noqa: N818
    """A library has no such function, or not for the format; the message says why."""


@dataclass
class Found:
    """The errors of a function."""

    tally: Tally = field(default_factory=Tally)
    """Its counts of faults and its largest error are of all inputs that were tried; the rest is of those drawn."""
    further: int = 0
    """Inputs that were tried besides."""

    def beyond(self, other: Tally) -> None:
        """Add inputs that were chosen to be hard: of them faults and the largest error count, no share or mean."""
        self.further += other.count
        faults = Tally(
            max_ulp=other.max_ulp,
            worst_logit=other.worst_logit,
            worst_label=other.worst_label,
            worst_computed=other.worst_computed,
            worst_exact=other.worst_exact,
            zero_for_normal=other.zero_for_normal,
            flushed=other.flushed,
            wrong_nonfinite=other.wrong_nonfinite,
            profile=other.profile,
        )
        self.tally.merge(faults)


def samples_for(function: Elementary, fmt: Format, wanted: int) -> int:
    """Return how many inputs are drawn; 0 where every number is tried. `wanted` is 0 for as many as there are."""
    if function.arguments == 1 and (fmt.dtype.itemsize == 2 or (fmt.dtype.itemsize == 4 and not wanted)):
        return 0
    return min(wanted or SAMPLES, DOUBLE_SAMPLES if fmt.name == "float64" else 2**32)


def find_function(function: Elementary, backend: Backend) -> tuple[str, Callable[..., Array], str]:
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


def _as_used(library: str, call: Callable[..., Array]) -> Callable[..., Array]:
    """Return JAX's functions compiled: traced anew at each call they would take longer."""
    if library != "jax":
        return call
    compiled: Callable[..., Array] = importlib.import_module("jax").jit(call)
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
    samples: int = 0,
    checkpoint: CheckpointFolder | None = None,
    progress: Progress = lambda _count: None,
) -> Found:
    """Return the errors at every number, or at as many draws as `samples_for` says, and at hard inputs.

    `progress` is told how many inputs are done at once. Where every number is tried, what the folder holds is not
    measured again.
    """
    _, call, _ = find_function(function, backend)
    count = samples_for(function, fmt, samples)
    with _context(backend.name.partition(":")[0]), np.errstate(all="ignore"):
        _check(function, call, backend, fmt)
        if count:
            return _Sampled(function, backend, fmt, call, count).measure(progress)
        return Found(_at_every_number(function, backend, fmt, call, checkpoint, progress))


def _check(function: Elementary, call: Callable[..., Array], backend: Backend, fmt: Format) -> None:
    """Refuse what raises, or returns another dtype."""
    given = [backend.from_numpy(np.full(_PROBE, 0.5, fmt.dtype)) for _ in range(function.arguments)]
    try:
        result = backend.to_numpy(call(*given))
    except Exception as error:  # noqa: BLE001 - whatever a library raises is reported
        msg = f"{type(error).__name__}: {error}"
        raise Unmeasured(msg) from None
    if result.dtype != fmt.dtype:
        msg = f"it returned {result.dtype} for {fmt.name}"
        raise Unmeasured(msg)


# --- every number ---------------------------------------------------------------------------------------------------


def chunks(fmt: Format) -> list[range]:
    """Return all bit patterns, in chunks."""
    stop = 2 ** (8 * fmt.dtype.itemsize)
    return [range(first, min(first + CHUNK, stop)) for first in range(0, stop, CHUNK)]


def _at_every_number(
    function: Elementary,
    backend: Backend,
    fmt: Format,
    call: Callable[..., Array],
    checkpoint: CheckpointFolder | None,
    progress: Progress,
) -> Tally:
    total = Tally()
    done = dict(checkpoint.read()) if checkpoint else {}
    for number, chunk in enumerate(chunks(fmt)):
        if number in done:
            tally = Tally.from_json(done[number])
            progress(len(chunk))
        else:
            tally = _chunk(function, backend, fmt, call, chunk, progress)
            if checkpoint:
                checkpoint.keep(number, tally.to_json())
        total.merge(tally)
    return total


def _chunk(
    function: Elementary, backend: Backend, fmt: Format, call: Callable[..., Array], chunk: range, progress: Progress
) -> Tally:
    name, adapt = place(backend, fmt)
    device, on_device = device_at(name, backend, fmt), adapt(call)
    xp, total, edges = device.xp, Tally(), binade_edges()
    for first in range(chunk.start, chunk.stop, device.block):
        stop = min(first + device.block, chunk.stop)
        given = device.numbers(first, stop)
        x = device.from_function(given)
        block = Block(device, fmt, x, segments(first, stop, fmt, edges), special=True)
        without = None
        if _has_subnormals(fmt, first, stop):
            without = function.exact(xp, xp.where(xp.abs(x) < fmt.tiny, 0 * x, x))
        got = device.from_function(on_device(given))
        compared = compare(block, function.exact(xp, x), got, without_subnormals=without, flushes=True)
        total.merge(summary(block, compared))
        progress(stop - first)
    return total


def _has_subnormals(fmt: Format, first: int, stop: int) -> bool:
    """Tell whether subnormal numbers are among those with consecutive bit patterns."""
    signs = (0, 1 << (8 * fmt.dtype.itemsize - 1))
    return any(first < sign + (1 << (fmt.p - 1)) and stop > sign + 1 for sign in signs)


def binade_edges() -> Doubles:
    """Return the ends of the intervals that `BINADES` are."""
    positive = np.array([0.0, *(2.0**k for k in BINADES[1:]), np.inf])
    return np.concatenate([-positive[:0:-1], positive])


# --- samples --------------------------------------------------------------------------------------------------------


@dataclass
class _Sampled:
    """One function at draws, at inputs that are hard, and at what a search finds from there; compared in NumPy."""

    function: Elementary
    backend: Backend
    fmt: Format
    call: Callable[..., Array]
    samples: int
    found: Found = field(default_factory=Found)
    worst: list[Inputs] = field(default_factory=list)
    """Where the search starts."""

    def __post_init__(self) -> None:
        self.device = numpy_device(self.fmt)

    def measure(self, progress: Progress) -> Found:
        """Return what there is to find."""
        for part, inputs, exact in self._blocks():
            block, compared = self._compared(inputs, exact)
            tally = summary(block, compared)
            tally.profile = _by_binade(block.x, compared.ulp) if self.function.arguments == 1 else {}
            if part == "drawn":
                self.found.tally.merge(tally)
                progress(inputs[0].size)
            else:
                self.found.beyond(tally)
            finite = np.where(np.isfinite(compared.ulp), compared.ulp, 0.0)
            chosen = np.argpartition(finite, -_STARTS)[-_STARTS:]
            self.worst.append(tuple(x[chosen] for x in inputs))
        self._search()
        return self.found

    def _blocks(self) -> Iterator[tuple[str, Inputs, Exact]]:
        """Yield inputs and exact values, first drawn ones, then further ones."""
        function, fmt, size = self.function, self.fmt, self.device.block
        if fmt.name == "float64":
            parts = double_blocks(function.name, self.samples, size)
            for part, blocks in zip(("drawn", "further"), parts, strict=True):
                yield from ((part, inputs, exact) for inputs, exact in blocks)
            return
        for inputs in drawn(function, fmt, self.samples, size):
            yield "drawn", inputs, exact_values(function, fmt, inputs)
        for inputs in further(function, fmt, size):
            yield "further", inputs, exact_values(function, fmt, inputs)

    def _compared(self, inputs: Inputs, exact: Exact) -> tuple[Block, Compared]:
        got = self.backend.to_numpy(self.call(*map(self.backend.from_numpy, inputs)))
        doubles = [x.astype(np.float64) for x in inputs]
        block = Block(self.device, self.fmt, doubles[0], [], special=True, second=(*doubles, None)[1])
        small = [np.abs(x) < self.fmt.tiny for x in doubles]
        without = None
        if any(np.any(part & (x != 0)) for part, x in zip(small, doubles, strict=True)):
            zeros = [np.where(part, 0 * x, x) for part, x in zip(small, doubles, strict=True)]  # of the same sign
            without = self.function.exact(self.device.xp, *zeros)
        high, low = exact
        scale = self.function.scale(*doubles, high) if self.function.scale else None
        compared = compare(
            block, high, np.asarray(got, np.float64), scale=scale, rest=low, without_subnormals=without, flushes=True
        )
        return block, compared

    def _search(self) -> None:
        """Climb from the worst inputs; only what is finite counts, for what is not needs no search."""
        if not self.found.tally.max_ulp < 2.0 ** (self.fmt.p - 1):
            return  # all digits are lost already
        rng = rng_of(f"{self.function.name} search", self.fmt)

        def errors(*inputs: Floats) -> tuple[Doubles, Floats]:
            _, compared = self._compared(inputs, exact_values(self.function, self.fmt, inputs))
            return np.where(np.isfinite(compared.ulp), compared.ulp, 0.0), compared.got

        def move(*inputs: Floats) -> tuple[Floats, ...]:
            return tuple(step(x, self.fmt, rng) for x in inputs)

        starts = tuple(map(np.concatenate, zip(*self.worst, strict=True)))
        *_, peak = islice(ascend(errors, move, starts, rng), CLIMB)
        high, _ = exact_values(self.function, self.fmt, tuple(self.fmt.round([x]) for x in peak.inputs))
        first, second = (*(x.hex() for x in peak.inputs), "")[:2]
        self.found.beyond(
            Tally(
                count=CLIMB * CLIMBERS,
                max_ulp=peak.ulp,
                worst_logit=first,
                worst_label=second,
                worst_computed=peak.computed.hex(),
                worst_exact=float(high[0]).hex(),
            )
        )


def _by_binade(x: Doubles, ulp: Doubles) -> dict[int, float]:
    """Return the largest error per interval of `binade_edges`."""
    exponent = np.clip(np.frexp(x)[1] - 1, BINADES[0], BINADES[-1]) - BINADES[0]
    exponent[x == 0] = 0
    interval = np.where(np.signbit(x), len(BINADES) - 1 - exponent, len(BINADES) + exponent)
    largest = np.full(2 * len(BINADES), -1.0)
    finite = np.isfinite(x)
    np.maximum.at(largest, interval[finite], ulp[finite])
    return {i: float(error) for i, error in enumerate(largest) if error >= 0}
