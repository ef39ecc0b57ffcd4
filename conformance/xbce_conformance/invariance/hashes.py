"""Hashes of results, those that are subnormal, or whose inputs are, apart; and what differs between two modes."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import xbce
from xbce_conformance.inputs.formats import FORMATS, Floats, Format
from xbce_conformance.invariance.functions import GROUPS, Hashed
from xbce_conformance.invariance.grid import SHARDS, arrays, orders
from xbce_conformance.invariance.modes import Mode

Bits = npt.NDArray[Any]


@dataclass(frozen=True)
class Hashes:
    """Of the results of one function in one dtype."""

    normal: str
    """With 0 in place of zeros, of results that are subnormal or the smallest normal number, and of results of
    subnormal inputs: so a library that flushes subnormal numbers has the same."""
    subnormal: str
    """The rest, with the signs of zeros; 0 in place of what `normal` has."""


@dataclass(frozen=True)
class Results:
    """Of one function in one dtype, as bits with one NaN."""

    bits: Bits
    apart: npt.NDArray[np.bool_]
    """Which of them `Hashes.subnormal` has."""

    @property
    def normal(self) -> Bits:
        """The bits that `Hashes.normal` has."""
        return np.where(self.apart, self.bits.dtype.type(0), self.bits)

    @property
    def subnormal(self) -> Bits:
        """The other bits."""
        return np.where(self.apart, self.bits, self.bits.dtype.type(0))

    @property
    def hashes(self) -> Hashes:
        """The hashes of both."""
        return Hashes(_sha(self.normal), _sha(self.subnormal))


def _sha(bits: Bits) -> str:
    return hashlib.sha256(bits.astype(bits.dtype.newbyteorder("<")).tobytes()).hexdigest()


def grid_hash(dtype: str) -> str:
    """Return the hash of all inputs of a dtype."""
    whole = hashlib.sha256()
    for name, x in arrays(dtype).items():
        bits = x.astype(np.uint8) if x.dtype == bool else _canonical(x, FORMATS[dtype])
        whole.update(f"{name} {_sha(bits)}\n".encode())
    return whole.hexdigest()


def results_of(result: Floats, inputs: Sequence[Any], fmt: Format) -> Results:
    """Return results beside the inputs that they are of, elementwise; no inputs for sums."""
    apart = _magnitude(result, fmt) <= fmt.round([fmt.tiny]).view(fmt.bits)
    for x in inputs:
        if x.dtype != bool:
            apart |= (_magnitude(x, fmt) != 0) & (_magnitude(x, fmt) < fmt.round([fmt.tiny]).view(fmt.bits))
    return Results(_canonical(result, fmt), apart)


def _magnitude(x: Floats, fmt: Format) -> Bits:
    """Return the bits without the sign."""
    magnitude: Bits = np.asarray(x).view(fmt.bits) & ~fmt.round([-0.0]).view(fmt.bits)
    return magnitude


def _canonical(x: Floats, fmt: Format) -> Bits:
    nan = _magnitude(fmt.round([np.nan]), fmt)
    return np.where(_magnitude(x, fmt) > fmt.round([np.inf]).view(fmt.bits), nan, x.view(fmt.bits))


def measure(mode: Mode, dtype: str, names: Sequence[str] = ()) -> Iterator[tuple[Hashed, Results]]:
    """Yield the results of each function, or of those named; the sums of all orders, as one array."""
    fmt, grid = FORMATS[dtype], arrays(dtype)
    for group in GROUPS.values():
        functions = [function for function in group if not names or function.name in names]
        if not functions:
            continue
        if mode.accumulates:
            if functions[0].name == "reduce, sum":
                yield functions[0], results_of(_accumulated(mode, grid["terms"], fmt), (), fmt)
            continue
        call = mode.together([function.call for function in functions])
        inputs = [grid[name] for name in functions[0].arguments]
        if functions[0].is_sum:
            found = _in_all_orders(mode, call, inputs)
            inputs = []
        else:
            found = [mode.backend.to_numpy(result) for result in call(*map(mode.enter, inputs))]
        for function, result in zip(functions, found, strict=True):
            if result.dtype != fmt.dtype:
                msg = f"{function.name} on {mode.name} returned {result.dtype} for {dtype}"
                raise TypeError(msg)
            yield function, results_of(result, inputs, fmt)


def _in_all_orders(mode: Mode, call: Any, inputs: Sequence[Any]) -> list[Floats]:
    """Return the results for the terms in each order; on Dask in 1 to `SHARDS` shards."""
    found = []
    for i, order in enumerate(orders()):
        given = (mode.enter(x[order], 1 + i % SHARDS) for x in inputs)
        found.append([mode.backend.to_numpy(result) for result in call(*given)])
    return [np.stack(column) for column in zip(*found, strict=True)]


def _accumulated(mode: Mode, terms: Floats, fmt: Format) -> Floats:
    """Return the sums of the terms in each order, from 1 to `SHARDS` accumulators that are merged."""
    found = []
    for i, order in enumerate(orders()):
        whole = xbce.SumAccumulator()
        for shard in np.array_split(terms[order], 1 + i % SHARDS):
            part = xbce.SumAccumulator()
            part.add(mode.enter(shard))
            whole.merge(part)
        found.append(whole.result())
    return fmt.round(found)


@dataclass(frozen=True)
class Difference:
    """What two modes have differently for one function in one dtype."""

    normal: int
    """Results that differ, without those that are subnormal or of subnormal inputs."""
    subnormal: int
    """The other ones."""
    inputs: tuple[str, ...] = ()
    """Of the first normal result that differs, or else of the first one, in hexadecimal; the index for sums."""
    result: str = ""
    expected: str = ""

    def __bool__(self) -> bool:
        return bool(self.normal or self.subnormal)


def difference(function: Hashed, dtype: str, results: Results, expected: Results) -> Difference:
    """Return what differs from the results of another mode."""
    normal = results.normal != expected.normal
    other = (results.bits != expected.bits) & ~normal
    if not (normal.any() or other.any()):
        return Difference(0, 0)
    fmt = FORMATS[dtype]
    first = int(np.argmax(normal if normal.any() else other))
    grid = arrays(dtype)
    inputs = (f"order {first}",) if function.is_sum else (float(grid[name][first]).hex() for name in function.arguments)
    result, right = (float(fmt.from_bits(x.bits[first])).hex() for x in (results, expected))
    return Difference(int(normal.sum()), int(other.sum()), tuple(inputs), result, right)


def orders_that_differ(results: Results) -> int:
    """Return how many orders of the terms have another sum than the first one."""
    return int((results.bits != results.bits[0]).sum())
