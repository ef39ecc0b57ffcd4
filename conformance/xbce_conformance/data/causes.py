"""Why a result is wrong, as far as its number tells: each cause predicts the error that it makes.

The first cause that predicts a result's error counts; a result that none predicts is unexplained.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from xbce_conformance.cases import PLAIN, Quantity
from xbce_conformance.inputs.formats import FORMATS, Doubles, Floats, Format, Mask
from xbce_conformance.measurement.errors import Errors
from xbce_conformance.measurement.trial import Trial

ROUNDING, ADDED_UP = "rounding: at most 4 ULP", "rounding: several errors add up to 4 to 16 ULP"
UNEXPLAINED = "unexplained"
_SAME = 1e-3
"""The share that a prediction of a large error may be off."""
_CLIPS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-12, 1e-15)
_FACTORS = {1 / math.log(2): "logarithm to base 2", 2.0: "twice the loss", 0.5: "half the loss", -1.0: "the sign"}


@dataclass(frozen=True)
class Results:
    """What a system computed for one quantity of the data."""

    trial: Trial
    quantity: Quantity
    got: Doubles
    errors: Errors

    @property
    def fmt(self) -> Format:
        """The format of the results."""
        return self.trial.fmt

    @property
    def exact(self) -> Doubles:
        """The exact results, to a double."""
        return self.trial.exact(self.quantity).high

    @property
    def logits(self) -> Doubles:
        """The logits."""
        return np.asarray(self.trial.arrays[0], np.float64)

    @property
    def labels(self) -> Doubles:
        """The labels."""
        return np.asarray(self.trial.inputs.arrays["labels"], np.float64)

    @property
    def off(self) -> Doubles:
        """The absolute errors."""
        return np.abs(self.got - self.exact)


Cause: TypeAlias = Callable[[Results], tuple[str, Mask]]


def is_rounding(cause: str) -> bool:
    """Tell whether a cause is no more than rounding."""
    return cause in (ROUNDING, ADDED_UP)


def label_causes(results: Results) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    """Return the cause of each result's error, in words; "" where it is correctly rounded."""
    said = np.full(results.got.size, UNEXPLAINED, np.object_)
    left = np.ones(results.got.size, np.bool_)
    known = (*_ANY, *(_PLAIN if results.trial.case is PLAIN else ()), _added_up)
    with np.errstate(all="ignore"):
        for cause in known:
            text, fits = cause(results)
            said[left & fits] = text
            left &= ~fits
    return said


# --- of every loss --------------------------------------------------------------------------------------------------


def _rounded(r: Results) -> tuple[str, Mask]:
    return "", r.errors.correctly_rounded


def _few_ulp(r: Results) -> tuple[str, Mask]:
    return ROUNDING, r.errors.ulp <= 4


def _added_up(r: Results) -> tuple[str, Mask]:
    return ADDED_UP, r.errors.ulp <= 16


def _flushed(r: Results) -> tuple[str, Mask]:
    return "flush: subnormal numbers are 0", r.errors.flushed | ((r.got == 0) & (np.abs(r.exact) < r.fmt.tiny))


def _factor(r: Results) -> tuple[str, Mask]:
    """One factor between all results and the exact ones is a convention, not an error."""
    usable = (np.abs(r.exact) > r.fmt.tiny) & np.isfinite(r.got)
    if not usable.any():
        return "", np.zeros(usable.shape, np.bool_)
    ratios = r.got[usable] / r.exact[usable]
    factor = float(np.median(ratios))
    one = abs(factor - 1) < _SAME or not math.isfinite(factor) or factor == 0
    same = usable & (np.abs(r.got - factor * r.exact) <= _SAME * np.abs(factor * r.exact))
    if one or same.sum() < 0.9 * usable.sum():
        return "", np.zeros(usable.shape, np.bool_)
    named = next((f" ({name})" for known, name in _FACTORS.items() if abs(factor / known - 1) < _SAME), "")
    return f"convention: {factor:.6g} times the result{named}", same


def _narrower(r: Results) -> tuple[str, Mask]:
    """Results that a narrower format holds, and that are right for it."""
    for fmt in (FORMATS["float16"], FORMATS["bfloat16"], FORMATS["float32"]):
        held = np.asarray(fmt.round(r.got), np.float64) == r.got
        if fmt.p < r.fmt.p and held.all():
            # Inputs are rounded, too: by half an ULP of theirs, which is up to |x| ULP of a result.
            right = r.off <= fmt.ulp(r.trial.exact(r.quantity).scale) * (2 + np.abs(r.logits))
            return f"precision: computed in {fmt.name}", right
    return "", np.zeros(r.got.shape, np.bool_)


# --- of the plain loss of logits ------------------------------------------------------------------------------------


def _log_of_zero(r: Results) -> tuple[str, Mask]:
    saturated = np.exp(-np.abs(r.logits)) < r.fmt.ulp(np.ones(1)) / 2
    text = "cancellation: sigmoid(x) rounds to 0 or 1, and its logarithm is not finite"
    return text, ~np.isfinite(r.got) & saturated & (r.quantity == "value")


def _overflow(r: Results) -> tuple[str, Mask]:
    return "overflow: exp(|x|) is infinite", ~np.isfinite(r.got) & (np.abs(r.logits) > math.log(r.fmt.max))


def _clipped(r: Results) -> tuple[str, Mask]:
    """Results that stop where a probability is kept in [c, 1 - c]."""
    none = np.zeros(r.got.shape, np.bool_)
    if r.quantity != "value":
        return "", none
    sigmoid = 1 / (1 + np.exp(-r.logits))
    largest = float(np.max(r.got[np.isfinite(r.got)], initial=0.0))
    of_format = float(np.finfo(r.fmt.dtype).eps) if r.fmt.name != "bfloat16" else 2.0**-7
    best, text = none, ""
    for clip in (*_CLIPS, of_format, math.exp(-largest)):
        beyond = (sigmoid < clip) | (1 - sigmoid < clip)
        p = np.clip(sigmoid, clip, 1 - clip)
        predicted = -r.labels * np.log(p) - (1 - r.labels) * np.log1p(-p)
        tolerance = _SAME * np.abs(predicted) + r.fmt.ulp(np.ones(1))
        shows = beyond & (np.abs(predicted - r.exact) > 4 * tolerance)
        fits = shows & (np.abs(r.got - predicted) <= tolerance)
        if fits.sum() > max(best.sum(), shows.sum() // 2):  # a few fit any clip by chance
            bound = -math.log(clip)
            best, text = fits, f"clip: as if probabilities were kept in [c, 1 - c], c = {clip:.3g} (|x| < {bound:.1f})"
    return text, best


def _cancels_with_logit(r: Results) -> tuple[str, Mask]:
    if r.quantity == "value":
        name = "cancellation: terms as large as the logit, or as 1, are subtracted"
        return name, r.off <= 2 * r.fmt.ulp(np.maximum(np.abs(r.logits), 1.0))
    near = (r.off <= 2 * r.fmt.ulp(np.ones(1))) & (r.labels != 0)
    return "cancellation: the label is subtracted from a rounded sigmoid", near


def _log_of_difference(r: Results) -> tuple[str, Mask]:
    """log(1 - p): an error of p in its last place, exp(|x|) times as large in the logarithm."""
    error = 2 * float(r.fmt.ulp(np.ones(1))[0]) * np.exp(np.abs(r.logits))
    fits = (r.off <= error) & (error < 2) if r.quantity == "value" else np.zeros(r.got.shape, np.bool_)
    return "cancellation: log(1 - sigmoid(x))", fits


_ANY: tuple[Cause, ...] = (_rounded, _few_ulp, _flushed, _factor, _narrower)
_PLAIN: tuple[Cause, ...] = (_overflow, _log_of_zero, _clipped, _cancels_with_logit, _log_of_difference)


def of(trial: Trial, quantity: Quantity, computed: Floats, errors: Errors) -> Results:
    """Return results with what their causes are found from."""
    return Results(trial, quantity, np.asarray(computed, np.float64), errors)
