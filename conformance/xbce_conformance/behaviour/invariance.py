"""Rows of invariance: how far apart two results of the same numbers are, called in other company."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from xbce_conformance.behaviour.company import LENGTH, OF_REDUCTIONS, WAYS
from xbce_conformance.behaviour.forms import Places, Unavailable
from xbce_conformance.inputs.formats import Doubles, Floats, Format, Mask
from xbce_conformance.measurement.errors import Figures
from xbce_conformance.measurement.measured import Measured, Violation, Worst, slug
from xbce_conformance.measurement.trial import Trial
from xbce_conformance.subjects.failure import Failure
from xbce_conformance.subjects.jobs import Job

_SEED = 14


@dataclass(frozen=True)
class _Apart:
    """How far the results of one way are from those of one call with all inputs."""

    ulp: Doubles
    """In ULP of the exact result; infinite where one of the two is no finite number."""
    differ: Mask
    """Where the bits are others."""
    there: Floats
    here: Floats

    @property
    def text(self) -> str:
        """What a reader is told."""
        count, largest = int(self.differ.sum()), float(self.ulp.max())
        return f"{count} of {self.differ.size} results have other bits, up to {largest:.3g} ULP apart"


def measure_invariance(job: Job, trial: Trial) -> Measured:
    """Call the same numbers in every company, and compare the bits."""
    quantity, places = job.function.quantities[0], _places(job, trial)
    arrays = tuple(array[places] for array in trial.called_with)
    (here,) = job.call(arrays)
    scale = np.abs(np.float64(here)) if job.function.reduces else trial.exact(quantity).scale[places]
    spacing = trial.fmt.ulp(scale)
    found: dict[str, _Apart] = {}
    regimes: dict[str, float] = {}
    violations, remarks = [], []
    worst = Worst("", {}, "", "")
    for name in OF_REDUCTIONS if job.function.reduces else WAYS:
        try:
            there, which = WAYS[name](job, arrays)
        except Unavailable as reason:
            remarks.append(f"{name}: {reason}")
            continue
        except Failure as failure:
            regimes[name] = np.inf
            violations.append(Violation(f"invariance:{slug(name)}", f"{name}: {failure}"))
            continue
        index: Any = () if job.function.reduces else which
        found[name] = apart = _apart(there, here[index], spacing[index], trial.fmt)
        regimes[name] = float(apart.ulp.max())
        if apart.differ.any():
            violations.append(Violation(f"invariance:{slug(name)}", f"{name}: {apart.text}"))
            if regimes[name] == max(regimes.values()):
                worst = _worst(job, trial, name, apart, places[index])
    distances = np.concatenate([apart.ulp.reshape(-1) for apart in found.values()]) if found else np.array([np.inf])
    return Measured(
        quantity=quantity,
        figures=Figures(
            count=sum(apart.differ.size for apart in found.values()),
            max_ulp=float(distances.max()),
            p999_ulp=float(np.quantile(distances, 0.999, method="higher")),
            correctly_rounded=sum(int((~apart.differ).sum()) for apart in found.values()),
            zero_for_normal=0,
            flushed=0,
            wrong_nonfinite=0,
        ),
        worst=worst,
        regimes=regimes,
        bounds={"hard": 0.0, "soft": 0.0},
        compared=[],
        kind="invariance",
        violations=violations,
        remarks=remarks,
    )


def _places(job: Job, trial: Trial) -> Places:
    """Return which of the inputs are called, in which order: all of them, over and over."""
    among = np.arange(len(trial.called_with[0]))
    if job.function.reduces:  # a sum of numbers near the largest one is that number, in any order
        among = among[trial.inputs.regimes.get("moderate", slice(None))]
    return np.resize(np.random.default_rng(_SEED).permutation(among), LENGTH)


def _apart(there: Floats, here: Floats, spacing: Doubles, fmt: Format) -> _Apart:
    same = (there.view(fmt.bits) == here.view(fmt.bits)) | (np.isnan(there) & np.isnan(here))
    with np.errstate(invalid="ignore"):
        distance = np.abs(np.float64(there) - np.float64(here)) / spacing
    equal = np.float64(there) == np.float64(here)
    ulp = np.where(same | equal, 0.0, np.where(np.isfinite(distance), distance, np.inf))
    return _Apart(np.asarray(ulp), np.asarray(~same), there, here)


def _worst(job: Job, trial: Trial, name: str, apart: _Apart, places: Places) -> Worst:
    """Return the two results that are furthest apart: here `exact` is the one of all inputs together."""
    fmt, i = trial.fmt, int(np.argmax(np.where(apart.differ, apart.ulp, -1.0)))
    inputs: dict[str, str] = {}
    if not job.function.reduces:
        arrays = zip(trial.inputs.arrays, trial.called_with, strict=True)
        inputs = {argument: fmt.hex(array[places[i]]) for argument, array in arrays}
    return Worst(name, inputs, fmt.hex(apart.there.reshape(-1)[i]), fmt.hex(apart.here.reshape(-1)[i]))
