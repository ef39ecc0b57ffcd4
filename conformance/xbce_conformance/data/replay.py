"""What was recorded, three ways: the result that came, that of another system, and the certified one."""

import math
from dataclasses import dataclass

import numpy as np

from xbce_conformance.data.arrays import BadData, Data
from xbce_conformance.data.measure import OnData, chosen, on_data, share
from xbce_conformance.data.recording import Call, Recording
from xbce_conformance.data.shown import Shown
from xbce_conformance.inputs.formats import FORMATS, Doubles
from xbce_conformance.subjects.failure import Failure
from xbce_conformance.subjects.model import Subject
from xbce_conformance.subjects.peers import PEERS
from xbce_conformance.subjects.selection import SUBJECT_NAMES, Choice


@dataclass(frozen=True)
class Replayed:
    """One call."""

    system: str
    function: str
    place: str
    dtype: str
    size: int
    reduction: str
    recorded: float
    """What came; its mean where no reduction was asked for."""
    certified: float
    """The exact result for the same numbers, reduced alike, to a double."""
    other: float
    """That of the losses of the other system, for the numbers in the dtype of the first argument."""
    other_certified: float
    """The exact result for these numbers."""
    notes: list[str]
    """What was left out: then nothing is compared, as what came is of all elements."""
    errors: OnData
    """The system, where it is a known one, and the other on the same arrays."""

    @property
    def off(self) -> float:
        """The error of what came, as a share."""
        return share(self.recorded - self.certified, self.certified)

    @property
    def other_off(self) -> float:
        """The error of the other system, as a share."""
        return share(self.other - self.other_certified, self.other_certified)


@dataclass(frozen=True)
class Replay(Shown):
    """All calls of a recording."""

    other: str
    calls: list[Replayed]


def replay(recording: Recording, other: str = "xbce") -> Replay:
    """Return what `Recording.judge` describes."""
    if other not in SUBJECT_NAMES:
        msg = f"other is {other!r}; one of {', '.join(SUBJECT_NAMES)} is expected"
        raise BadData(msg)
    return Replay(other, [_replayed(*pair, other) for pair in zip(recording.calls, recording.data(), strict=True)])


def _replayed(call: Call, data: Data, other: str) -> Replayed:
    subject = _subject(other, _backends_of(call.system))
    systems = [subject]
    if call.system in PEERS and call.system != other:
        systems.insert(0, _subject(call.system, _backends_of(call.system)))
    fmt = FORMATS[data.dtype]
    there = data.rounded(fmt)
    trial = there.trial(fmt)
    result = np.asarray(call.result, np.float64)
    jobs = [job for job in chosen([subject], data, [data.dtype]) if job.function.quantities == ("value",)]
    if not jobs:
        msg = f"{other} has no function of {data.case.name} in {data.dtype}"
        raise BadData(msg)
    try:
        (losses,) = jobs[0].call(trial.called_with)
    except Failure as failure:
        msg = f"{other}: {failure}"
        raise BadData(msg) from failure
    notes = list(dict.fromkeys([*data.notes, *there.notes]))
    exact = data.trial(fmt).exact("value").high
    return Replayed(
        call.system,
        call.function,
        call.place,
        data.dtype,
        data.size,
        call.reduction,
        recorded=float(result.mean()),
        certified=math.nan if notes else _reduced(call, data, exact),
        other=math.nan if notes else _reduced(call, there, np.asarray(losses, np.float64)),
        other_certified=math.nan if notes else _reduced(call, there, trial.exact("value").high),
        notes=notes,
        errors=on_data(systems, data.sampled(data.most), [data.dtype]),
    )


def _reduced(call: Call, data: Data, losses: Doubles) -> float:
    """Return what the call's reduction makes of losses, exactly.

    A mean of PyTorch divides by the number of losses, whatever their weights are.
    """
    total = math.fsum((data.weights * losses).tolist())
    return total if call.reduction == "sum" else total / losses.size


def _backends_of(system: str) -> tuple[str, ...]:
    return PEERS[system].backends()[:1] if system in PEERS else ("numpy",)


def _subject(name: str, backends: tuple[str, ...]) -> Subject:
    subjects, missing = Choice((name,), backends).find()
    if not subjects:
        subjects, missing = Choice((name,)).find()
    if not subjects:
        msg = f"{name} is not here: {'; '.join(missing.values())}"
        raise BadData(msg)
    return subjects[0]
