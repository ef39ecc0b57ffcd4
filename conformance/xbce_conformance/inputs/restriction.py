"""Which of the inputs are tried: those with hard or with soft labels, and those of some regimes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from xbce_conformance.inputs.formats import Mask
from xbce_conformance.inputs.input_set import InputSet

Labels: TypeAlias = Literal["all", "hard", "soft"]
LABELS: tuple[Labels, ...] = get_args(Labels)


@dataclass(frozen=True)
class Restriction:
    """What is tried of the inputs; by default all. A function without labels has hard ones, as for its bounds."""

    labels: Labels = "all"
    """Those that are 0 or 1, those between, or both."""
    regimes: tuple[str, ...] = ()
    """The regimes that are tried; empty means all."""

    @property
    def text(self) -> str:
        """What is tried, in words; empty if that is all."""
        labels = [f"{self.labels} labels"] if self.labels != "all" else []
        regimes = " and ".join(repr(name) for name in dict.fromkeys(self.regimes))
        return ", ".join([*labels, *filter(None, [regimes])])

    def level(self, level: str) -> str:
        """Return the name of a level under it: what other inputs have are other results."""
        return ", ".join(filter(None, [level, self.text]))

    def admits(self, hard: Mask) -> Mask:
        """Tell which elements are tried, of which some have hard labels."""
        return np.asarray({"all": np.ones_like(hard), "hard": hard, "soft": ~hard}[self.labels])

    def admits_special(self, arguments: Mapping[str, str]) -> bool:
        """Tell whether special arguments are tried: they are of no regime, and a label that is no number is soft."""
        hard = arguments.get("labels", "0") in ("0", "1")
        return not self.regimes and (self.labels == "all" or hard == (self.labels == "hard"))

    def of(self, inputs: InputSet) -> InputSet:
        """Return the inputs that are tried; regimes of which nothing is left are not among them."""
        if self == ALL_INPUTS:
            return inputs
        admitted = self.admits(inputs.hard)
        kept = np.zeros_like(admitted)
        regimes: dict[str, slice] = {}
        start = 0
        for name, regime in inputs.regimes.items():
            count = int(admitted[regime].sum())
            if count and name in (self.regimes or inputs.regimes):
                kept[regime] = admitted[regime]
                regimes[name] = slice(start, start + count)
                start += count
        return InputSet(inputs.fmt, {name: array[kept] for name, array in inputs.arrays.items()}, regimes)


ALL_INPUTS = Restriction()
