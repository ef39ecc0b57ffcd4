"""Errors of what is timed, in ULP of the exact result, at the inputs of the conformance suite."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from xbce_conformance.cases import BY_NAME
from xbce_conformance.exact_values.exact import Exact
from xbce_conformance.exact_values.reductions import exact_denominator, exact_quotient, exact_reduction
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.measurement.errors import measure
from xbce_conformance.measurement.trial import Trial
from xbce_conformance.subjects.backend import Backend

_KEPT = Path(__file__).parents[1] / ".asv" / "exact-values"
"""asv measures each figure in a process of its own, and exact values take seconds."""

_OF_MEANS = ("moderate", "p moderate")
"""The regime of means: ordinary logits, or probabilities."""

Errors = npt.NDArray[np.float64]


def errors(backend: Backend, run: Callable[..., Any], function: str, case: str, dtype: str) -> Errors:
    """Return the errors of all results of a function of a subject, far from subnormal numbers.

    What is subnormal may be flushed to zero by a library, which the suite reports apart. What is not finite where that
    is wrong counts as infinite. All regimes are called with at once; a mean is that of one of them.
    """
    trial = Trial(BY_NAME[case], FORMATS[dtype], "quick", _KEPT)
    whole = function in ("elementwise", "value_and_gradient")
    (of_means,) = (found for name, found in trial.inputs.regimes.items() if name in _OF_MEANS)
    regime = slice(None) if whole else of_means
    results = run(*(backend.from_numpy(a[regime]) for a in trial.arrays))
    found = []
    for computed, exact in zip(_several(results), _exact(trial, function, regime), strict=True):
        got = np.atleast_1d(backend.to_numpy(computed))
        # A term that is flushed is below half a ULP of these.
        chosen = np.abs(exact.high) >= 2.0**trial.fmt.p * trial.fmt.tiny
        if got.size > 1:
            chosen &= ~_subnormal(trial)[regime]
        found.append(measure(got, exact, trial.fmt).ulp[chosen])
    return np.concatenate(found)


def _subnormal(trial: Trial) -> npt.NDArray[np.bool_]:
    """Tell where an argument is subnormal: a library may take it for zero."""
    magnitudes = [np.abs(np.float64(a)) for a in trial.arrays]
    return np.any([(a < trial.fmt.tiny) & (a > 0) for a in magnitudes], axis=0)


def _several(results: Any) -> tuple[Any, ...]:
    return tuple(results) if isinstance(results, tuple | list) else (results,)


def _exact(trial: Trial, function: str, regime: slice) -> list[Exact]:
    value, gradient = trial.exact("value")[regime], trial.exact("gradient")[regime]
    match function:
        case "elementwise":
            return [value]
        case "value_and_gradient":
            return [value, gradient]
    count = exact_denominator("count", {}, np.ones(value.high.size, np.bool_))
    high, low = exact_reduction("mean", value, count)
    mean = Exact(*(np.array([number]) for number in (high, low, high)))
    if function == "mean":
        return [mean]
    return [mean, exact_quotient(gradient, count, np.ones(gradient.high.size, np.bool_))]
