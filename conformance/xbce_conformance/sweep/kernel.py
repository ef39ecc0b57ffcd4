"""Measures one chunk of logits in the namespace of any array library.

So on a GPU nothing leaves the device but a few sums; libraries on the CPU are measured in NumPy, the fastest there. The
tests certify the reference against ball arithmetic, and the errors against `measure`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from xbce_conformance.inputs.formats import Doubles, Format
from xbce_conformance.reference.plain_loss import ArrayReference
from xbce_conformance.sweep.device import Array, Device
from xbce_conformance.sweep.errors import Block, segments, tally
from xbce_conformance.sweep.plan import Chunk
from xbce_conformance.sweep.tally import Tally
from xbce_conformance.sweep.ties import decided


@dataclass(frozen=True)
class Measured:
    """One function of one target, ready to be called."""

    key: str
    quantity: str
    call: Callable[[Array, Array], Array]
    """Arrays of `Device.to_function` in, logits and labels; results out."""
    flushes: bool


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
        shared = ArrayReference.of(device.xp, x)
        block = Block(device, fmt, x, segments(first, stop, fmt, edges))
        for z in chunk.labels:
            # A fresh array for each label: lazy and traced libraries keep no state between calls.
            labels = device.to_function(device.xp.zeros_like(logits) + z)
            given = device.to_function(logits)
            for function in functions:
                got = device.from_function(function.call(given, labels))
                exact, scale = shared.exact(function.quantity, z)
                if scale is exact:
                    exact = scale = decided(device.xp, exact, first, fmt, function.quantity, z)
                errors = tally(block, exact, scale, got, flushes=function.flushes, label=z.hex())
                tallies.setdefault(tally_key(function.key, z), Tally()).merge(errors)
    return tallies
