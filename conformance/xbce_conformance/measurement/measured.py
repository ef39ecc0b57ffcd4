"""What the measurement of one quantity comes to: all that is kept of it, and all that a verdict needs."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from xbce_conformance.cases import Quantity
from xbce_conformance.inputs.formats import Floats
from xbce_conformance.measurement.errors import Figures
from xbce_conformance.subjects.expressions import ONE_DIMENSION, Written
from xbce_conformance.subjects.jobs import Kind

Specials: TypeAlias = Sequence[Any]
"""Results at special arguments: numbers, or texts where the function raises."""


@dataclass(frozen=True)
class Worst:
    """Where the error is largest; numbers as `float.hex` writes them."""

    regime: str
    inputs: dict[str, str]
    """Argument by name; empty for a reduction, whose inputs are the whole regime."""
    computed: str
    exact: str

    @property
    def place(self) -> str:
        """Part and arguments in one line."""
        arguments = ", ".join(f"{name} {number}" for name, number in self.inputs.items())
        return ": ".join(filter(None, (self.regime, arguments)))


@dataclass(frozen=True)
class Profiles:
    """The largest error per interval; None where nothing was tried."""

    logit: dict[str, list[float | None]] = field(default_factory=dict)
    """By the logit, for labels "0", "1" and "soft"."""
    label: list[float | None] = field(default_factory=list)
    """By log2(z / (1 - z)) of soft labels z."""


@dataclass(frozen=True)
class Violation:
    """What breaks a promise."""

    name: str
    """What a waiver names, such as "special-values:infinite-logits"."""
    text: str
    waived: str = ""
    """Why it is allowed; empty if it is not."""


@dataclass(frozen=True)
class Compared:
    """A largest error, and the bound that it is compared with."""

    name: str
    """Of a violation, if the error is larger."""
    where: str
    """The inputs, such as "for hard labels"."""
    ulp: float
    bound: float


@dataclass(frozen=True)
class Measured:
    """One quantity of one job."""

    quantity: Quantity
    figures: Figures
    worst: Worst
    regimes: dict[str, float]
    """Largest error per regime of the inputs."""
    bounds: dict[str, float]
    """The bounds for hard and for soft labels."""
    compared: list[Compared]
    kind: Kind = "samples"
    special: Specials | None = None
    sha256: str = ""
    """Digest of the bytes of all results; empty where they are not kept."""
    profiles: Profiles = field(default_factory=Profiles)
    violations: list[Violation] = field(default_factory=list)
    """What breaks a promise besides errors in ULP."""
    form: Written | None = ONE_DIMENSION
    """The form of arrays in which the error is largest, for the reproducer; None where no code makes it."""
    remarks: list[str] = field(default_factory=list)
    """What a reader should know, and no promise is about."""


def slug(text: str) -> str:
    """Write a text without what a shell or a file system may take for something else."""
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-")


def digest_of(computed: Floats) -> str:
    """Return the digest of the bytes of results."""
    return hashlib.sha256(np.ascontiguousarray(computed).tobytes()).hexdigest()
