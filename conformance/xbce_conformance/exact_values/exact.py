"""What a reference returns: exact values, and the scale of their errors."""

from dataclasses import dataclass
from typing import Any, Protocol

from xbce_conformance.inputs.formats import Doubles, Floats


@dataclass(frozen=True)
class Exact:
    """Exact values `high + low`, and the magnitude that their errors are counted against.

    `scale` is the value itself where all terms of the quantity have one sign, else the larger of the sum of the
    positive terms and the sum of the negative ones. So for the gradient of a hard label it is the gradient, and for
    that of a soft label the larger of the two terms whose difference it is. An infinite value has `low` 0.

    References by ball arithmetic: `low` has the right sign wherever `high` is the middle of two numbers of a narrower
    format, so that `Format.round_pair` rounds once.
    """

    high: Doubles
    low: Doubles
    scale: Doubles

    def __getitem__(self, part: Any) -> "Exact":
        return Exact(self.high[part], self.low[part], self.scale[part])


class Reference(Protocol):
    """The exact quantities of one function."""

    def exact(self, quantity: str, arrays: tuple[Floats, ...]) -> dict[str, Exact]:
        """Return the quantity by name, and others that cost no more."""
