"""The promise, read from the package's data files: bounds in ULP, and the table of special values."""

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from xbce_conformance.formats import Format


@cache
def _load(name: str) -> Any:
    return json.loads(files("xbce_conformance").joinpath("data", name).read_text("utf-8"))


def bound(quantity: str, dtype: str, *, hard: bool, precision: str = "native") -> float:
    """Return the promised bound in ULP."""
    labels = "hard" if hard else "soft"
    for row in _load("contract.json")["bounds"]:
        if (
            row["precision"] == precision
            and row["quantity"] == quantity
            and dtype in row["dtypes"]
            and row.get("labels", labels) == labels
        ):
            return float(row["ulp"])
    msg = f"no bound is promised for {quantity} in {dtype} ({labels} labels, {precision})"
    raise LookupError(msg)


@dataclass(frozen=True)
class StatedException:
    """A bound that one backend cannot keep on one part of the inputs, and why."""

    ulp: float
    reason: str


def exception(quantity: str, dtype: str, backend: str, part: str) -> StatedException | None:
    """Return the stated exception from the bound, if there is one."""
    for row in _load("contract.json")["exceptions"]:
        if (row["quantity"], row["dtype"], row["backend"], row["part"]) == (quantity, dtype, backend, part):
            return StatedException(float(row["ulp"]), row["reason"])
    return None


@dataclass(frozen=True)
class SpecialValue:
    """One row of the table; None where nothing is promised."""

    logits: str
    labels: str
    value: str | None
    gradient: str | None
    hessian: str | None


def special_values() -> tuple[SpecialValue, ...]:
    """Return the table of special values."""
    return tuple(SpecialValue(**row) for row in _load("special_values.json")["rows"])


def number(text: str, fmt: Format) -> float:
    """Return the number that an entry of the table means in a format."""
    if text.removeprefix("-") == "max":
        return math.copysign(fmt.max, -1 if text.startswith("-") else 1)
    if text == "log 2":
        return math.log(2)
    return float(text)
