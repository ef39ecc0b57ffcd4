"""Measures one chunk of logits in the namespace of any array library.

So on a GPU nothing leaves the device but a few sums; libraries on the CPU are measured in NumPy, the fastest there. The
tests certify the reference against ball arithmetic, and the errors against `measure`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from xbce_conformance.exact_values.plain_loss import ArrayReference
from xbce_conformance.inputs.formats import Doubles, Format
from xbce_conformance.measurement.culprit import narrowed
from xbce_conformance.subjects.failure import Failure, time_limit
from xbce_conformance.sweep.device import Array, Device
from xbce_conformance.sweep.errors import Block, segments, tally
from xbce_conformance.sweep.labels import soft_labels
from xbce_conformance.sweep.outcome import Failed, Outcome
from xbce_conformance.sweep.plan import Chunk, Label
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


def kind(z: Label) -> str:
    """Return "0", "1" or "soft"."""
    return f"{z:g}" if z in (0.0, 1.0) else "soft"


def tally_key(function: str, z: Label) -> str:
    """Name the tally of a function that a label belongs to."""
    return f"{function}|{kind(z)}"


def measure_chunk(chunk: Chunk, fmt: Format, device: Device, functions: list[Measured], edges: Doubles) -> Outcome:
    """Return a tally per function and kind of label, and the failure of a function that raises."""
    outcome = Outcome()
    for first in range(chunk.first, chunk.stop, device.block):
        stop = min(first + device.block, chunk.stop)
        logits = device.numbers(first, stop)
        x = device.from_function(device.to_function(logits))
        shared = ArrayReference.of(device.xp, x)
        block = Block(device, fmt, x, segments(first, stop, fmt, edges))
        for z in chunk.labels:
            # A fresh array for each label: lazy and traced libraries keep no state between calls.
            every = device.xp.zeros_like(x) + z if z is not None else soft_labels(device, fmt, first, stop, shared)
            labels, given = device.to_function(every), device.to_function(logits)
            pairs = block if z is not None else replace(block, second=every)
            for function in functions:
                if function.key in outcome.failures:
                    continue
                got = _results(function, device, given, labels)
                if isinstance(got, Failure):
                    outcome.failures[function.key] = _failure(function, device, given, labels, got)
                    continue
                exact, scale = _exact(shared, function.quantity, z, every, first, fmt)
                label = "" if z is None else z.hex()
                errors = tally(pairs, exact, scale, got, flushes=function.flushes, label=label)
                outcome.tallies.setdefault(tally_key(function.key, z), Tally()).merge(errors)
    return outcome


def _exact(
    shared: ArrayReference, quantity: str, z: Label, labels: Array, first: int, fmt: Format
) -> tuple[Array, Array]:
    """Return the exact values of a block for one label, or for an array of soft ones, and the scale of their errors."""
    if z is None:
        return shared.of_soft_labels(quantity, labels)
    exact, scale = shared.exact(quantity, z)
    if scale is exact:
        exact = scale = decided(shared.xp, exact, first, fmt, quantity, z)
    return exact, scale


def _results(function: Measured, device: Device, logits: Array, labels: Array) -> Array | Failure:
    """Return the results in float64, or what is raised: results of another dtype or shape are none."""
    try:
        with time_limit(math.inf):  # `end_process_where_calls_hang` has the limit: a worker's threads take no signals
            got = function.call(logits, labels)
        if got is None:
            return Failure("nothing", "it returned None; an array is expected")
        what, wanted = ((array.dtype, tuple(array.shape)) for array in (got, logits))
        if what != wanted:
            msg = f"it returned {what[0]} of shape {what[1]} for {wanted[0]} of shape {wanted[1]}"
            return Failure("shape" if what[0] == wanted[0] else "dtype", msg)
        return device.from_function(got)
    except Failure as failure:
        return failure
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a subject raises is reported
        return Failure("raised", f"{type(error).__name__}: {error}")


def _failure(function: Measured, device: Device, logits: Array, labels: Array, failure: Failure) -> Failed:
    """Return why a call raises, and the pair that shows it."""

    def fails(first: int, stop: int) -> bool:
        nonlocal failure
        found = _results(function, device, logits[first:stop], labels[first:stop])
        if not isinstance(found, Failure):
            return False
        failure = found
        return True

    first, stop = narrowed(fails, logits.shape[0])
    together = "" if stop - first == 1 else f" (in an array of {stop - first:,} that begins with this pair)"
    pair = (array[first : first + 1] for array in (logits, labels))
    logit, label = (float(device.to_numpy(device.from_function(one))[0]).hex() for one in pair)
    return Failed(failure.name, f"{failure}{together}", logit, label)
