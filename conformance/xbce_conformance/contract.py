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


def bound(
    quantity: str, dtype: str, *, hard: bool, backend: str = "", part: str = "", precision: str = "native"
) -> float:
    """Return the promised bound in ULP, with the exceptions stated for `backend` and `part` of the inputs."""
    labels = "hard" if hard else "soft"
    for row in exceptions(quantity, dtype, backend):
        if row.get("labels", labels) == labels and row.get("part", part) == part:
            return float(row["ulp"])
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


def exceptions(quantity: str, dtype: str, backend: str) -> list[dict[str, Any]]:
    """Return the bounds that this backend cannot keep, and why."""
    return [
        row
        for row in _load("contract.json")["exceptions"]
        if row["quantity"] == quantity and row["dtype"] == dtype and backend in row["backends"]
    ]


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
