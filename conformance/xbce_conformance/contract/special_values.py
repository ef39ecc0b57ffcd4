"""The tables of special values, read from data/special_values.json; data/README.md says what their columns mean."""

import math
from dataclasses import dataclass, fields

from xbce_conformance.cases import PLAIN
from xbce_conformance.contract.data import load
from xbce_conformance.inputs.formats import Format
from xbce_conformance.inputs.restriction import ALL_INPUTS, Restriction


@dataclass(frozen=True)
class SpecialValue:
    """One row of a table: arguments, and the right results; None where none is stated."""

    arguments: dict[str, str]
    value: str | None = None
    gradient: str | None = None
    hessian: str | None = None
    label_gradient: str | None = None
    pos_weight_gradient: str | None = None
    label_smoothing_gradient: str | None = None
    gamma_gradient: str | None = None
    alpha_gradient: str | None = None
    gamma_pos_gradient: str | None = None
    gamma_neg_gradient: str | None = None
    shift_gradient: str | None = None
    clip_gradient: str | None = None
    log_floor_gradient: str | None = None
    log_offset_gradient: str | None = None

    @property
    def logits(self) -> str:
        """The logits of a loss of logits."""
        return self.arguments["logits"]

    @property
    def labels(self) -> str:
        """The labels of a loss."""
        return self.arguments["labels"]


_PROMISES = tuple(field.name for field in fields(SpecialValue) if field.name != "arguments")


def special_values(case: str = PLAIN.name, only: Restriction = ALL_INPUTS) -> tuple[SpecialValue, ...]:
    """Return the special values of a case that are tried; those of other cases are not tabulated."""
    rows = load("special_values.json")["tables"].get(case, [])
    values = (
        SpecialValue(
            {name: text for name, text in row.items() if name not in _PROMISES},
            **{name: row[name] for name in _PROMISES if name in row},
        )
        for row in rows
    )
    return tuple(value for value in values if only.admits_special(value.arguments))


def special_cases() -> tuple[str, ...]:
    """Return the cases that have a table of special values."""
    return tuple(load("special_values.json")["tables"])


def number(text: str, fmt: Format) -> float:
    """Return the number that an entry of a table means in a format; True and False are 1 and 0."""
    if text in ("True", "False"):
        return float(text == "True")
    if text.removeprefix("-") == "max":
        return math.copysign(fmt.max, -1 if text.startswith("-") else 1)
    if text.endswith("log 2"):
        return float(text.removesuffix("log 2") or 1) * math.log(2)
    return float(text)
