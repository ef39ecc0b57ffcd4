"""Errors of one block of results in ULP, in the namespace of any array library.

A GPU works on while the host asks for more, until the host asks for a number. So a tally asks twice: whether there is
anything rare, and for all figures together.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import array_api_compat
import numpy as np

from xbce_conformance.inputs.formats import Doubles, Format
from xbce_conformance.sweep.device import Array, Device, ulp_of
from xbce_conformance.sweep.tally import BINS, FIRST_BIN, SHIFT, Tally

_ROW = 256
"""Errors whose maximum is taken at once for a profile."""


@dataclass(frozen=True)
class Segment:
    """Consecutive numbers of a block that lie in one interval of the profile."""

    interval: int
    start: int
    stop: int


@dataclass(frozen=True)
class Block:
    """Numbers that are measured at once."""

    device: Device
    fmt: Format
    x: Array
    """The numbers, in float64."""
    segments: list[Segment]
    special: bool = False
    """Whether a result at infinity must be the exact one to the last bit; otherwise only finite or not, as it is."""
    second: Array | None = None
    """Second arguments, in float64, of a function of two numbers."""

    @property
    def arguments(self) -> list[Array]:
        """Return the arguments, one or two."""
        return [self.x] if self.second is None else [self.x, self.second]


def segments(first: int, stop: int, fmt: Format, edges: Doubles) -> list[Segment]:
    """Return where the numbers with consecutive bit patterns lie; magnitudes ascend with the patterns of a sign."""
    middle = edges.size // 2
    magnitudes = np.maximum(edges[middle:], 0.0)
    nearest = fmt.round(magnitudes)
    # The least pattern that is not below each edge.
    cuts = nearest.view(fmt.bits).astype(np.int64) + (nearest.astype(np.float64) < magnitudes)
    found = []
    for negative in (False, True):
        offset = negative << (8 * fmt.dtype.itemsize - 1)
        places = np.clip(cuts + offset, first, stop) - first
        for k, (start, end) in enumerate(pairwise(places.tolist())):
            if start < end:
                found.append(Segment(middle - 1 - k if negative else middle + k, start, end))
    return found


@dataclass(frozen=True)
class Compared:
    """The errors of one block, element by element; what is rare as counts."""

    got: Array
    exact: Array
    ulp: Array
    """Infinite where a result is not finite and should be, or the other way round; 0 where there is no error in ULP."""
    right: Array
    zero_for_normal: Array
    flushed: Array
    wrong_nonfinite: Array
    without_error: Array
    """How many have no finite error in ULP: flushed results, NaN and infinities.

    The counts are arrays of one number."""


def tally(block: Block, exact: Array, scale: Array, got: Array, *, flushes: bool, label: str = "") -> Tally:
    """Return the errors of results: in ULP of `scale`, which is `exact` unless terms of a sum cancel.

    Where `flushes`, a zero for a subnormal number is counted, and has no error in ULP.
    """
    return summary(block, compare(block, exact, got, scale=scale, flushes=flushes), label=label)


def compare(
    block: Block,
    exact: Array,
    got: Array,
    *,
    scale: Array | None = None,
    rest: Array | None = None,
    without_subnormals: Array | None = None,
    flushes: bool,
) -> Compared:
    """Return the errors of results.

    `rest` is what is left of the exact values, where float64 is the format itself. `without_subnormals` are the exact
    values of inputs whose subnormal numbers are 0: a result that is one of these, rounded, counts as flushed.
    """
    xp = block.device.xp
    rounded = block.device.round(exact)
    explained = None
    if without_subnormals is not None:
        explained = _explained(block, got, rounded, without_subnormals)
        got, given = xp.where(explained, rounded, got), got
    error = got - exact if rest is None else (got - exact) - rest
    ulp = xp.abs(error) / ulp_of(xp, exact if scale is None else scale, block.fmt)
    right = got == rounded
    zero = got == 0
    zero_for_normal = flushed = wrong_nonfinite = without_error = xp.zeros_like(ulp[:1])

    # The rest is rare: one look tells whether there is any of it.
    look = xp.stack([xp.any(zero), ~xp.all(ulp < np.inf)])
    some_zero, some_not_finite = block.device.to_numpy(look).tolist()
    if some_zero:
        wrong_zero = zero & (rounded != 0)
        normal = xp.abs(exact) >= block.fmt.tiny
        zero_for_normal = _count(xp, wrong_zero & normal & ((exact if scale is None else scale) == exact))
        if flushes:
            subnormal = wrong_zero & ~normal
            flushed = without_error = _count(xp, subnormal)
            ulp = xp.where(subnormal, xp.zeros_like(ulp), ulp)
    if some_not_finite:
        finite = xp.isfinite(got)
        same = (right & ~finite) | (xp.isnan(got) & xp.isnan(exact))
        right = right | same
        wrong = ~same & ~(finite & xp.isfinite(exact))
        infinite = ~_all_finite(block)
        if block.special:
            wrong = wrong | (~right & infinite)
        wrong_nonfinite = _count(xp, wrong)
        # What comes out at infinities and NaN is right or wrong; it has no error in ULP.
        none = same | infinite
        without_error = without_error + _count(xp, none | wrong)
        ulp = xp.where(none, xp.zeros_like(ulp), xp.where(wrong, xp.full_like(ulp, np.inf), ulp))
    if explained is not None:
        got, right, ulp = given, right & ~explained, xp.where(explained, xp.zeros_like(ulp), ulp)
        flushed = flushed + _count(xp, explained)
        without_error = without_error + _count(xp, explained & xp.isfinite(rounded) & _all_finite(block))
    return Compared(got, exact, ulp, right, zero_for_normal, flushed, wrong_nonfinite, without_error)


def _explained(block: Block, got: Array, rounded: Array, without_subnormals: Array) -> Array:
    """Tell where a wrong result is the right one for the inputs with 0 in the place of subnormal numbers."""
    xp = block.device.xp
    small = xp.zeros_like(got) != 0
    for x in block.arguments:
        small = small | ((x != 0) & (xp.abs(x) < block.fmt.tiny))
    alike = got == block.device.round(without_subnormals)
    alike = alike | ((got == 0) & (xp.abs(without_subnormals) < block.fmt.tiny))  # and that is flushed, too
    alike = alike | (xp.isnan(got) & xp.isnan(without_subnormals))
    return small & alike & (got != rounded) & ~(xp.isnan(got) & xp.isnan(rounded))


def _all_finite(block: Block) -> Array:
    finite = block.device.xp.isfinite(block.x)
    return finite if block.second is None else finite & block.device.xp.isfinite(block.second)


def summary(block: Block, compared: Compared, *, label: str = "") -> Tally:
    """Return the figures of a block's errors; `label` is the second argument where all elements have the same."""
    xp, ulp = block.device.xp, compared.ulp
    count = int(ulp.shape[0])
    i = xp.reshape(xp.argmax(ulp), (1,))
    places = [ulp, compared.got, compared.exact, *block.arguments]
    rows = _rows(count, block.segments)
    finite = xp.where(ulp < np.inf, ulp, xp.zeros_like(ulp))
    pieces = [
        _count(xp, compared.right),
        compared.zero_for_normal,
        compared.flushed,
        compared.wrong_nonfinite,
        compared.without_error,
        xp.reshape(xp.sum(finite), (1,)),
        _histogram(xp, ulp),
        *(xp.take(array, i, axis=0) for array in places),
        *_of_rows(xp, ulp, rows),
    ]
    figures = block.device.to_numpy(xp.concat(pieces))

    right, zero_for_normal, flushed, wrong_nonfinite, without_error = map(int, figures[:5])
    end = 6 + BINS
    largest, computed, exact, *inputs = figures[end : end + len(places)].tolist()
    first, second = (*(x.hex() for x in inputs), label)[:2]
    return Tally(
        count=count,
        max_ulp=largest,
        worst_logit=first,
        worst_label=second,
        worst_computed=computed.hex(),
        worst_exact=exact.hex(),
        correctly_rounded=right,
        zero_for_normal=zero_for_normal,
        flushed=flushed,
        wrong_nonfinite=wrong_nonfinite,
        with_error=count - without_error,
        total_ulp=float(figures[5]),
        histogram=figures[6:end].astype(np.int64).tolist(),
        profile=_profile(block.segments, rows, figures[end + len(places) :], largest),
    )


def _count(xp: Any, mask: Array) -> Array:
    """Return how many are true, as an array of one number in float64: exact below 2^53."""
    return xp.reshape(xp.astype(xp.sum(mask), xp.float64), (1,))


def _histogram(xp: Any, ulp: Array) -> Array:
    """Count errors by the leading bits of their float32; those that are not finite, or beyond all bins, in none."""
    bins = (xp.astype(ulp, xp.float32).view(xp.int32) >> SHIFT) - FIRST_BIN
    bins = xp.where(bins < 0, xp.zeros_like(bins), bins)
    bins = xp.where(bins > BINS, xp.full_like(bins, BINS), bins)
    return xp.astype(xp.bincount(bins, minlength=BINS + 1)[:BINS], xp.float64)


# --- the profile ----------------------------------------------------------------------------------------------------
# A maximum per segment would be a launch for each. Instead the device takes the maxima of rows of equal length, and
# the host gets them, with the rows that a segment begins or ends in.


def _rows(count: int, segments: list[Segment]) -> list[int]:
    """Return the rows that segments begin or end in; none where the largest error of all is that of the segment."""
    if not segments or (len(segments) == 1 and (segments[0].start, segments[0].stop) == (0, count)):
        return []
    return sorted({end // _ROW for segment in segments for end in (segment.start, segment.stop - 1)})


def _of_rows(xp: Any, ulp: Array, rows: list[int]) -> list[Array]:
    """Return the errors in some rows, and the maxima of all rows."""
    if not rows:
        return []
    if missing := -int(ulp.shape[0]) % _ROW:
        ulp = xp.concat([ulp, xp.broadcast_to(xp.zeros_like(ulp[:1]), (missing,))])
    matrix = xp.reshape(ulp, (-1, _ROW))
    ends = xp.take(matrix, xp.asarray(rows, device=array_api_compat.device(ulp)), axis=0)
    return [xp.reshape(ends, (-1,)), xp.max(matrix, axis=1)]


def _profile(segments: list[Segment], rows: list[int], figures: Doubles, largest: float) -> dict[int, float]:
    """Return the largest error per interval, from what `_of_rows` returned."""
    if not rows:
        return {segment.interval: largest for segment in segments}
    cut = len(rows) * _ROW
    ends = dict(zip(rows, figures[:cut].reshape(-1, _ROW), strict=True))
    maxima = figures[cut:]

    def largest_of(segment: Segment) -> float:
        first, last = segment.start // _ROW, (segment.stop - 1) // _ROW
        start, stop = segment.start - first * _ROW, segment.stop - last * _ROW
        if first == last:
            return float(ends[first][start:stop].max())
        parts = (ends[first][start:], maxima[first + 1 : last], ends[last][:stop])
        return float(np.concatenate(parts).max())

    return {segment.interval: largest_of(segment) for segment in segments}
