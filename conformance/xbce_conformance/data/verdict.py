"""Says in words whether a system's errors matter for a data set.

Training sees the mean of the losses and the gradient. An error of one ULP of the dtype (2^(1-p) of it, with p bits) may
come of rounding alone; one below a thousandth is smaller than what a minibatch more or less does. Single losses matter
where they are ranked, selected or looked at: there a digit that is lost is lost.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from xbce_conformance.data.measure import Figures, Outcome
from xbce_conformance.inputs.formats import FORMATS

HARMLESS = 1e-3
"""The share of a mean or a gradient below which an error makes no difference for training."""
LARGE = 1e-2
"""The share from which it does; between the two it may."""

GRADES = ("no difference for training", "may matter for training", "matters for training")


@dataclass(frozen=True)
class Verdict:
    """What is said of one system in one dtype."""

    subject: str
    backend: str
    dtype: str
    grade: str
    """One of `GRADES`."""
    text: str
    """A sentence."""
    off: float
    """The largest share that it is by: of the mean, of the gradient, or of the system's own mean."""


def harmless(dtype: str) -> float:
    """Return the share up to which an error makes no difference."""
    return max(HARMLESS, 2.0 ** (1 - FORMATS[dtype].p))


def verdicts(outcomes: Sequence[Outcome]) -> list[Verdict]:
    """Return a verdict for each system in each dtype."""
    systems = dict.fromkeys(outcome.system for outcome in outcomes)
    return [_verdict([outcome for outcome in outcomes if outcome.system == system]) for system in systems]


def _verdict(outcomes: Sequence[Outcome]) -> Verdict:
    subject, backend, dtype = outcomes[0].system
    failed = next((outcome for outcome in outcomes if outcome.failure), None)
    if failed:
        text = f"in {dtype} {failed.function} cannot be called: {failed.failure}"
        return Verdict(subject, backend, dtype, GRADES[2], text, math.inf)
    value = _first(outcomes, "value")
    gradient = _first(outcomes, "gradient")
    own_mean = next((outcome.mean_off for outcome in outcomes if outcome.mean_off is not None), 0.0)
    noise = harmless(dtype)
    offs = [*_offs(value, gradient), (abs(own_mean), 0)]
    grade = GRADES[max(_grade(off, broken, noise) for off, broken in offs)]
    said = _own_mean(own_mean) if not abs(own_mean) <= noise else ""
    parts = [*filter(None, (_mean(value), said, _gradient(gradient), _singles(value)))]
    off = max(math.inf if broken or math.isnan(off) else off for off, broken in offs)
    return Verdict(subject, backend, dtype, grade, f"in {dtype} {grade}: {'; '.join(parts)}", off)


def _first(outcomes: Sequence[Outcome], quantity: str) -> Figures | None:
    return next((o.figures for o in outcomes if o.quantity == quantity and o.figures), None)


def _offs(value: Figures | None, gradient: Figures | None) -> list[tuple[float, int]]:
    offs = [(abs(value.mean_off), value.broken)] if value else []
    return offs + ([(gradient.l1, gradient.broken)] if gradient else [])


def _grade(off: float, broken: int, noise: float) -> int:
    if broken or not off < max(LARGE, noise):
        return 2
    return 0 if off <= noise else 1


def _mean(value: Figures | None) -> str:
    if value is None:
        return ""
    if value.broken:
        return f"{_count(value.broken, value.count)} losses are infinite or NaN, and so is a mean over them"
    if value.mean_error == 0:
        return "the mean is exact"
    return f"the mean is {percent(abs(value.mean_off))} {'low' if value.mean_error < 0 else 'high'}"


def _own_mean(off: float) -> str:
    """Say how far the mean that the system itself returns is off."""
    return f"its own mean is {percent(abs(off))} {'low' if off < 0 else 'high'}"


def _gradient(gradient: Figures | None) -> str:
    if gradient is None:
        return ""
    if gradient.broken:
        return f"{_count(gradient.broken, gradient.count)} gradients are infinite or NaN"
    lost = f", {_count(gradient.zeros, gradient.count)} are lost" if gradient.zeros else ""
    return f"the gradient is {percent(gradient.l1)} off{lost}"


def _singles(value: Figures | None) -> str:
    if value is None or not value.beyond_4_ulp:
        return ""
    zeros = f", {value.zeros:,} of them 0" if value.zeros else ""
    return f"{_count(value.beyond_4_ulp, value.count)} single losses are more than 4 ULP off{zeros}"


def _count(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}"


def percent(share: float) -> str:
    """Write a share: in percent where that is readable."""
    return f"{share:.2g}" if share < 1e-4 else f"{share:.2%}" if share < 0.1 else f"{share:.1%}"
