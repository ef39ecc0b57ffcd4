"""Measures one chunk of logits: a float64 reference of the losses, in the namespace of any array library.

So on a GPU nothing leaves the device but a few sums; libraries on the CPU are measured in NumPy, the fastest there. The
reference shares no code with xbce; the tests certify it against ball arithmetic, and the errors against `measure`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xbce_conformance.formats import Doubles, Format
from xbce_conformance.sweep.device import Array, Device
from xbce_conformance.sweep.errors import Block, segments, tally
from xbce_conformance.sweep.plan import Chunk
from xbce_conformance.sweep.tally import Tally


@dataclass(frozen=True)
class Measured:
    """One function of one target, ready to be called."""

    key: str
    quantity: str
    call: Callable[[Array, Array], Array]
    """Arrays of `Device.to_function` in, logits and labels; results out."""
    flushes: bool


def tails(xp: Any, x: Array) -> tuple[Array, Array, Array]:
    """Return exp(-|x|), sigmoid(-|x|) and sigmoid(|x|), without loss of digits."""
    e = xp.exp(-xp.abs(x))
    large = 1 / (1 + e)
    return e, e * large, large


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
        e, small, large = tails(xp, x)
        return cls(xp, x, xp.log1p(e), small, large)

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
    for first in range(chunk.first, chunk.stop, device.block):
        stop = min(first + device.block, chunk.stop)
        logits = device.numbers(first, stop)
        x = device.from_function(device.to_function(logits))
        shared = Shared.of(device.xp, x)
        block = Block(device, fmt, x, segments(first, stop, fmt, edges))
        for z in chunk.labels:
            # A fresh array for each label: lazy and traced libraries keep no state between calls.
            labels = device.to_function(device.xp.zeros_like(logits) + z)
            given = device.to_function(logits)
            for function in functions:
                got = device.from_function(function.call(given, labels))
                exact, scale = shared.exact(function.quantity, z)
                errors = tally(block, exact, scale, got, flushes=function.flushes, label=z.hex())
                tallies.setdefault(tally_key(function.key, z), Tally()).merge(errors)
    return tallies
