"""What is kept of a chunk: sums and maxima that can be merged in any order."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from xbce_conformance.measurement.errors import Figures

_STEPS = 3
"""Bits of the significand that tell the bins of the histogram apart: eight bins per power of two."""
_LEAST_EXPONENT, _BINS = -7, 8 * 48
FIRST_BIN = (127 + _LEAST_EXPONENT) << _STEPS
"""Bin of 2^-7 ULP, as the leading bits of a float32; smaller errors are counted there, too."""
SHIFT = 23 - _STEPS
BINS = _BINS
_SUMS = (
    "count", "correctly_rounded", "zero_for_normal", "flushed", "wrong_nonfinite", "with_error", "total_ulp",
)  # fmt: skip


def upper_edge(index: int) -> float:
    """Return the error in ULP below which everything in a bin lies."""
    exponent, step = divmod(index + 1, 2**_STEPS)
    return math.ldexp(1 + step / 2**_STEPS, _LEAST_EXPONENT + exponent)


@dataclass
class Tally:
    """The errors of one function for one label; those of many by merging."""

    count: int = 0
    max_ulp: float = 0.0
    worst_logit: str = ""
    worst_label: str = ""
    worst_computed: str = ""
    worst_exact: str = ""
    correctly_rounded: int = 0
    zero_for_normal: int = 0
    flushed: int = 0
    wrong_nonfinite: int = 0
    with_error: int = 0
    """How many have a finite error in ULP: results that are not flushed, finite, and rightly so."""
    total_ulp: float = 0.0
    """Sum of these errors."""
    histogram: list[int] = field(default_factory=lambda: [0] * BINS)
    profile: dict[int, float] = field(default_factory=dict)
    """Largest error per interval of the logit."""

    def merge(self, other: "Tally") -> None:
        """Add another tally, of other elements."""
        if other.max_ulp > self.max_ulp or not self.worst_logit:
            self.max_ulp = other.max_ulp
            self.worst_logit, self.worst_label = other.worst_logit, other.worst_label
            self.worst_computed, self.worst_exact = other.worst_computed, other.worst_exact
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.histogram = [a + b for a, b in zip(self.histogram, other.histogram, strict=True)]
        for interval, error in other.profile.items():
            self.profile[interval] = max(self.profile.get(interval, 0.0), error)

    @property
    def mean_ulp(self) -> float:
        """The mean of the finite errors."""
        return self.total_ulp / self.with_error if self.with_error else 0.0

    @property
    def figures(self) -> Figures:
        """What is kept of all errors."""
        return Figures(
            count=self.count,
            max_ulp=self.max_ulp,
            p999_ulp=self.quantile(0.999),
            correctly_rounded=self.correctly_rounded,
            zero_for_normal=self.zero_for_normal,
            flushed=self.flushed,
            wrong_nonfinite=self.wrong_nonfinite,
        )

    def quantile(self, share: float) -> float:
        """Return an error that `share` of all elements do not exceed: the upper edge of its bin."""
        wanted = math.ceil(share * self.count)
        seen = 0
        for index, n in enumerate(self.histogram):
            seen += n
            if seen >= wanted:
                return min(upper_edge(index), self.max_ulp)
        return self.max_ulp  # in no bin: not a finite number

    def to_json(self) -> dict[str, Any]:
        """Return plain data; an infinite error is a string."""
        data = asdict(self)
        data["max_ulp"] = repr(self.max_ulp)
        data["profile"] = {str(interval): repr(error) for interval, error in self.profile.items()}
        data["histogram"] = {str(i): n for i, n in enumerate(self.histogram) if n}
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Tally":
        """Return what `to_json` wrote."""
        histogram = [data["histogram"].get(str(i), 0) for i in range(BINS)]
        profile = {int(interval): float(error) for interval, error in data["profile"].items()}
        return cls(**data | {"max_ulp": float(data["max_ulp"]), "histogram": histogram, "profile": profile})
