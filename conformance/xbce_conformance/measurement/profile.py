"""Where errors are: the largest one per interval of the logit, and of the soft label."""

import math

import numpy as np

from xbce_conformance.inputs.formats import Doubles, Format, Mask
from xbce_conformance.measurement.errors import Errors
from xbce_conformance.measurement.measured import Profiles
from xbce_conformance.measurement.trial import Trial

_PROFILE_INTERVALS = 160


def profile_edges(fmt: Format) -> Doubles:
    """Return the ends of the intervals of the logit that profiles use: a little beyond where exp(-|x|) is zero."""
    limit = 1.05 * (fmt.p - fmt.emin) * math.log(2)
    return np.linspace(-limit, limit, _PROFILE_INTERVALS + 1)


def label_edges(fmt: Format) -> Doubles:
    """Return the ends of the intervals of log2(z / (1 - z)) that profiles by soft labels z use."""
    limit = fmt.p + 4.0
    return np.linspace(-limit, limit, _PROFILE_INTERVALS // 2 + 1)


def profiles(trial: Trial, errors: Errors) -> Profiles:
    """Return the largest errors by logit, apart for the two hard labels and the soft ones, and by soft label."""
    return Profiles(_by_logit(trial, errors), _by_label(trial, errors))


def _by_logit(trial: Trial, errors: Errors) -> dict[str, list[float | None]]:
    logits, labels = trial.arrays
    which: dict[str, Mask] = {"0": labels == 0, "1": labels == 1, "soft": ~trial.inputs.hard}
    x = np.asarray(logits, np.float64)
    return {name: _largest(x, errors.ulp, mask, profile_edges(trial.fmt)) for name, mask in which.items()}


def _by_label(trial: Trial, errors: Errors) -> list[float | None]:
    z = np.asarray(trial.arrays[1], np.float64)
    with np.errstate(divide="ignore"):
        position = np.log2(z) - np.log1p(-z) / math.log(2)
    edges = label_edges(trial.fmt)
    return _largest(np.clip(position, edges[0], np.nextafter(edges[-1], 0)), errors.ulp, ~trial.inputs.hard, edges)


def _largest(x: Doubles, ulp: Doubles, chosen: Mask, edges: Doubles) -> list[float | None]:
    """Return the largest error per interval of x; None where nothing was tried."""
    interval = np.asarray(np.digitize(x, edges) - 1)
    chosen = chosen & (interval >= 0) & (interval < len(edges) - 1)
    largest = np.full(len(edges) - 1, -1.0)
    np.maximum.at(largest, interval[chosen], ulp[chosen])
    return [None if e < 0 else float(f"{e:.3g}") for e in largest.tolist()]
