"""Measures one chunk: a float64 reference and errors in ULP, in the namespace of any array library.

So on a GPU nothing leaves the device but a few sums; libraries on the CPU are measured in NumPy, the fastest there. The
reference shares no code with xbce; the tests certify it against ball arithmetic, and the errors against `measure`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import array_api_compat
import numpy as np

from xbce_conformance.formats import Doubles, Format
from xbce_conformance.sweep.plan import BLOCK, Chunk
from xbce_conformance.sweep.tally import BINS, FIRST_BIN, SHIFT, Tally

Array: TypeAlias = Any


@dataclass(frozen=True)
class Measured:
    """One function of one target, ready to be called."""

    key: str
    quantity: str
    call: Callable[[Array, Array], Array]
    """Logits and labels of `device_arrays` in, results out."""
    flushes: bool


@dataclass(frozen=True)
class Device:
    """Where logits are made and results are measured."""

    xp: Any
    """Namespace of the measuring."""
    logits: Callable[[int, int], Array]
    """Return the numbers with the bit patterns of a range."""
    to_function: Callable[[Array], Array]
    """Turn an array of `xp` into one that the functions take."""
    from_function: Callable[[Array], Array]
    """Turn a result into an array of `xp`, in float64."""
    round: Callable[[Array], Array]
    """Round float64 to the format, and widen again."""


@dataclass(frozen=True)
class Shared:
    """What the exact values of all labels of a block of logits are made of."""

    xp: Any
    x: Array
    log1p: Array
    """log1p(exp(-|x|))"""
    small: Array
    """sigmoid(-|x|)"""
    large: Array
    """sigmoid(|x|)"""

    @classmethod
    def of(cls, xp: Any, x: Array) -> "Shared":
        """Compute them."""
        e = xp.exp(-xp.abs(x))
        large = 1 / (1 + e)
        return cls(xp, x, xp.log1p(e), e * large, large)

    def exact(self, quantity: str, z: float) -> tuple[Array, Array]:
        """Return the exact values for one label, and the scale of their errors."""
        exact: Array = getattr(self, f"_{quantity}")(z)
        if quantity != "gradient" or z in (0.0, 1.0):
            return exact, exact
        xp = self.xp
        up, down = (1 - z) * self._sigmoid(self.x >= 0), z * self._sigmoid(self.x < 0)
        return exact, xp.maximum(up, down)

    def _sigmoid(self, large: Array) -> Array:
        return self.xp.where(large, self.large, self.small)

    def _value(self, z: float) -> Array:
        xp, linear = self.xp, self.log1p
        for share, x in ((1 - z, self.x), (z, -self.x)):
            if share:  # a product of 0 and an infinite logit would be NaN
                linear = linear + share * xp.where(x > 0, x, xp.zeros_like(x))
        return linear

    def _gradient(self, z: float) -> Array:
        positive = self.x >= 0
        if z == 0:
            return self._sigmoid(positive)
        if z == 1:
            return -self._sigmoid(~positive)
        return self.xp.where(positive, (1 - z) - self.small, self.small - z)

    def _hessian(self, z: float) -> Array:  # noqa: ARG002
        return self.small * self.large


def kind(z: float) -> str:
    """Return "0", "1" or "soft"."""
    return f"{z:g}" if z in (0.0, 1.0) else "soft"


def tally_key(function: str, z: float) -> str:
    """Name the tally of a function that a label belongs to."""
    return f"{function}|{kind(z)}"


def measure_chunk(
    chunk: Chunk, fmt: Format, device: Device, functions: list[Measured], edges: Doubles
) -> dict[str, Tally]:
    """Return a tally per function and kind of label."""
    tallies: dict[str, Tally] = {}
    for first in range(chunk.first, chunk.stop, BLOCK):
        logits = device.logits(first, min(first + BLOCK, chunk.stop))
        x = device.from_function(device.to_function(logits))
        shared = Shared.of(device.xp, x)
        segments = list(_segments(np.asarray(array_api_compat.to_device(x, "cpu")), edges))
        for z in chunk.labels:
            # A fresh array for each label: lazy and traced libraries keep no state between calls.
            labels = device.to_function(device.xp.zeros_like(logits) + z)
            given = device.to_function(logits)
            for function in functions:
                got = device.from_function(function.call(given, labels))
                tally = _measure_block(shared, z, function, got, fmt, device, segments)
                tallies.setdefault(tally_key(function.key, z), Tally()).merge(tally)
    return tallies


def _segments(x: Doubles, edges: Doubles) -> Iterator[tuple[int, int, int]]:
    """Yield interval, start and stop of the stretches of logits that lie in one interval; |x| ascends in a block."""
    middle = edges.size // 2
    magnitudes = np.where(np.isnan(x), np.inf, np.abs(x))
    for sign in (1, -1):
        which = np.flatnonzero(np.signbit(x) == (sign < 0))
        if which.size == 0:
            continue
        offset = int(which[0])
        cuts = offset + np.searchsorted(magnitudes[which], edges[middle:])
        for k, (start, stop) in enumerate(pairwise(cuts.tolist())):
            if start < stop:
                yield (middle + k if sign > 0 else middle - 1 - k), start, stop


def _measure_block(
    shared: Shared,
    z: float,
    function: Measured,
    got: Array,
    fmt: Format,
    device: Device,
    segments: list[tuple[int, int, int]],
) -> Tally:
    xp = device.xp
    exact, scale = shared.exact(function.quantity, z)
    rounded = device.round(exact)
    ulp = xp.abs(got - exact) / _ulp(xp, scale, fmt)
    right = got == rounded
    tally = Tally(count=int(ulp.shape[0]))

    # The rest is rare: one look each tells whether there is any of it.
    if bool(xp.any(got == 0)):
        zero = (got == 0) & (rounded != 0)
        normal = xp.abs(exact) >= fmt.tiny
        cancels = scale != exact
        tally.gross = int(xp.sum(zero & normal & ~cancels))
        if function.flushes:
            flushed = zero & ~normal
            tally.flushed = int(xp.sum(flushed))
            ulp = xp.where(flushed, xp.zeros_like(ulp), ulp)
    if not bool(xp.all(ulp < np.inf)):
        same = (got == exact) | (xp.isnan(got) & xp.isnan(exact))
        wrong = ~same & ~(xp.isfinite(got) & xp.isfinite(exact))
        tally.mismatched = int(xp.sum(wrong))
        # What comes out at infinities and NaN is right or wrong; it has no error in ULP.
        none = same | ~xp.isfinite(shared.x)
        ulp = xp.where(none, xp.zeros_like(ulp), xp.where(wrong, xp.full_like(ulp, np.inf), ulp))
        right = right | same
    tally.rounded = int(xp.sum(right))

    i = int(xp.argmax(ulp))
    tally.max_ulp = float(ulp[i])
    tally.worst_logit, tally.worst_label = float(shared.x[i]).hex(), z.hex()
    tally.worst_computed, tally.worst_exact = float(got[i]).hex(), float(exact[i]).hex()
    tally.histogram = _histogram(xp, ulp)
    tally.profile = {interval: float(xp.max(ulp[start:stop])) for interval, start, stop in segments}
    return tally


def _ulp(xp: Any, scale: Array, fmt: Format) -> Array:
    """Return the ULP of each number of float64: its exponent bits are a power of two."""
    powers = (xp.abs(scale).view(xp.int64) & 0x7FF0000000000000).view(xp.float64)
    return xp.maximum(powers, xp.full_like(powers, fmt.tiny)) * 2.0 ** (1 - fmt.p)


def _histogram(xp: Any, ulp: Array) -> list[int]:
    """Count errors by the leading bits of their float32; those that are not finite, or beyond all bins, in none."""
    bins = (xp.astype(ulp, xp.float32).view(xp.int32) >> SHIFT) - FIRST_BIN
    bins = xp.where(bins < 0, xp.zeros_like(bins), bins)
    bins = xp.where(bins > BINS, xp.full_like(bins, BINS), bins)
    counts: list[int] = xp.bincount(bins, minlength=BINS + 1).tolist()
    return counts[:BINS]
