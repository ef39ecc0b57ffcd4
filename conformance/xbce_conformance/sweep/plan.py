"""What a sweep measures, in which chunks: plain data that travels to workers and into the checkpoint."""

from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from xbce_conformance.inputs.formats import FORMATS, Format
from xbce_conformance.inputs.restriction import Labels
from xbce_conformance.subjects.backend import ON_DEVICE

BLOCK = 2**17
"""Logits that are measured at once on a CPU: as many doubles as a second-level cache holds."""

DEVICE_BLOCK = 2**24
"""The same on a GPU: a pass over 128 MiB of doubles takes longer than its launch."""

TALLIES = 3
"""The form of the tallies that a checkpoint holds."""

CHUNK = 2**24
"""Pairs of logit and label that are measured between two checkpoints: seconds of work. Half as many again in float32
with all labels, so that hard labels come in the same arrays with or without soft ones."""

DEVICE_CHUNK = 2 * DEVICE_BLOCK
"""The same where a GPU is measured: a block of logits with two labels."""

Label: TypeAlias = float | None
"""A label of all logits; None: for each logit a soft label of its own."""


@dataclass(frozen=True)
class Target:
    """One subject on one backend, by names."""

    subject: str
    """A name of the table of subjects, or module:callable."""
    backend: str
    order: tuple[str, ...] = ()
    """For module:callable, how it takes its arguments."""
    gradient: str | None = None
    """For module:callable, that of its gradient."""
    bound: float | None = None
    """For module:callable, the bound that its user sets."""
    facts: tuple[tuple[str, str], ...] = ()
    """What its figures depend on besides, by name: the digest of its source, versions, the level of the processor."""

    def __str__(self) -> str:
        return f"{self.subject} on {self.backend}"

    @property
    def name(self) -> str:
        """What tells it from the others of its plan."""
        return f"{self.subject}|{self.backend}"


@dataclass(frozen=True)
class Chunk:
    """Consecutive bit patterns of logits, and the labels that each of them is tried with."""

    first: int
    stop: int
    labels: tuple[Label, ...]

    @property
    def pairs(self) -> int:
        """How many pairs of logit and label this is."""
        return (self.stop - self.first) * len(self.labels)


@dataclass(frozen=True)
class Plan:
    """One sweep."""

    dtype: str
    targets: tuple[Target, ...]
    quantities: tuple[str, ...]
    first: int
    """Bit pattern of the first logit."""
    stop: int
    """Bit pattern after the last one."""
    chunk: int = CHUNK
    """Pairs per chunk, at most."""
    closed_forms: bool = False
    """Whether derivatives by a library's automatic differentiation are left out."""
    which: Labels = "all"
    """Which labels are tried."""

    @property
    def fmt(self) -> Format:
        """The format of logits and results."""
        return FORMATS[self.dtype]

    @property
    def labels(self) -> tuple[Label, ...]:
        """The labels: 0 and 1, and a soft one of each logit's own; with 16 bits 257 from 0 to 1, all of them exact."""
        soft: tuple[Label, ...] = (None,) if self.dtype == "float32" else tuple(k / 256 for k in range(1, 256))
        return {"all": (0.0, *soft, 1.0), "hard": (0.0, 1.0), "soft": soft}[self.which]

    @property
    def all_labels(self) -> bool:
        """Whether each logit is tried with all labels of the sweep's grid, and not with a soft one of its own."""
        return None not in self.labels

    @property
    def regimes(self) -> dict[str, str]:
        """Names of the regimes, by kind of label."""
        soft = "every logit, labels k/256" if self.all_labels else "every logit, a soft label"
        return {"0": "every logit, label 0", "1": "every logit, label 1", "soft": soft}

    @property
    def exhaustive(self) -> bool:
        """Whether all logits are swept."""
        return (self.first, self.stop) == (0, 2 ** (8 * self.fmt.dtype.itemsize))

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """The whole, in an order that never changes."""
        logits = min(self.chunk // 2, self.stop - self.first)
        together = max(1, self.chunk // 2 // logits)
        groups = [self.labels[i : i + together] for i in range(0, len(self.labels), together)]
        if len(self.labels) <= 3:
            groups = [self.labels]  # they share their reference
        return tuple(
            Chunk(first, min(first + logits, self.stop), group)
            for first in range(self.first, self.stop, logits)
            for group in groups
        )

    @property
    def on_device(self) -> bool:
        """Whether any target is measured on a GPU."""
        return any(target.backend in ON_DEVICE for target in self.targets)

    def to_json(self) -> dict[str, Any]:
        """Return what tells this plan from another: not the facts of its targets, which each chunk has.

        The sizes of blocks are part of it, for a library may round otherwise in arrays of another length.
        """
        sizes = {"block": BLOCK} | ({"device_block": DEVICE_BLOCK} if self.on_device else {})
        targets = [{key: value for key, value in asdict(t).items() if key != "facts"} for t in self.targets]
        return asdict(self) | {"targets": targets, "chunks": len(self.chunks), "tallies": TALLIES} | sizes
