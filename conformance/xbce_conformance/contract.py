"""The promise, read from the package's data files: bounds in ULP, and the tables of special values.

`data/README.md` says what their columns mean.
"""

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from xbce_conformance.formats import Format

PLAIN = "binary_cross_entropy_with_logits"


@cache
def _load(name: str) -> Any:
    return json.loads(files("xbce_conformance").joinpath("data", name).read_text("utf-8"))


def bound(
    quantity: str,
    dtype: str,
    *,
    hard: bool,
    case: str = PLAIN,
    exponent: float = 0.0,
    backend: str = "",
    part: str = "",
    of_mean: bool = False,
    precision: str = "native",
    compiled: bool = False,
) -> float:
    """Return the promised bound in ULP, with the exceptions stated for `backend` and `part` of the inputs.

    `case` is a function with its options, and `exponent` the power to which it raises a rounded factor. `of_mean` asks
    for a derivative of a weighted mean.
    """
    labels = "hard" if hard else "soft"
    for row in exceptions(quantity, dtype, backend, case, compiled=compiled):
        if row.get("labels", labels) == labels and row.get("part", part) == part:
            return float(row["ulp"])
    row = promise(quantity, dtype, labels, case, exponent=exponent, of_mean=of_mean, precision=precision)
    return float(row["ulp"]) + float(row.get("ulp_per_exponent", 0)) * exponent


def promise(
    quantity: str,
    dtype: str,
    labels: str,
    case: str = PLAIN,
    *,
    exponent: float = 0.0,
    of_mean: bool = False,
    precision: str = "native",
) -> dict[str, Any]:
    """Return the first row of the bounds that fits; `labels` are hard or soft."""
    function = case.partition("(")[0]
    for row in _load("contract.json")["bounds"]:
        if (
            row["precision"] == precision
            and quantity in row["quantities"]
            and dtype in row["dtypes"]
            and row.get("labels", labels) == labels
            and row.get("of_mean", of_mean) == of_mean
            and ("exponent_below" not in row or 0 < exponent < row["exponent_below"])
            and function in row.get("functions", (function,))
            and row.get("option", "") in case
        ):
            found: dict[str, Any] = row
            return found
    msg = f"no bound is promised for {quantity} of {case} in {dtype} ({labels} labels, {precision})"
    raise LookupError(msg)


def exceptions(
    quantity: str, dtype: str, backend: str, case: str = PLAIN, *, compiled: bool = False
) -> list[dict[str, Any]]:
    """Return the bounds that this backend cannot keep, and why; some hold for compiled functions only."""
    return [
        row
        for row in _load("contract.json")["exceptions"]
        if row["quantity"] == quantity
        and row["dtype"] == dtype
        and backend in row["backends"]
        and case in row.get("cases", (PLAIN,))
        and (compiled or not row.get("compiled", False))
    ]


@dataclass(frozen=True)
class SpecialValue:
    """One row of a table: arguments, and what is promised; None where nothing is."""

    arguments: dict[str, str]
    value: str | None = None
    gradient: str | None = None
    hessian: str | None = None
    label_gradient: str | None = None
    pos_weight_gradient: str | None = None

    @property
    def logits(self) -> str:
        """The logits of a loss of logits."""
        return self.arguments["logits"]

    @property
    def labels(self) -> str:
        """The labels of a loss."""
        return self.arguments["labels"]


_PROMISES = ("value", "gradient", "hessian", "label_gradient", "pos_weight_gradient")


def special_values(case: str = PLAIN) -> tuple[SpecialValue, ...]:
    """Return the special values of a case; those of other cases are not tabulated."""
    rows = _load("special_values.json")["tables"].get(case, [])
    return tuple(
        SpecialValue(
            {name: text for name, text in row.items() if name not in _PROMISES},
            **{name: row[name] for name in _PROMISES if name in row},
        )
        for row in rows
    )


def special_cases() -> tuple[str, ...]:
    """Return the cases that have a table of special values."""
    return tuple(_load("special_values.json")["tables"])


def number(text: str, fmt: Format) -> float:
    """Return the number that an entry of a table means in a format; True and False are 1 and 0."""
    if text in ("True", "False"):
        return float(text == "True")
    if text.removeprefix("-") == "max":
        return math.copysign(fmt.max, -1 if text.startswith("-") else 1)
    if text.endswith("log 2"):
        return float(text.removesuffix("log 2") or 1) * math.log(2)
    return float(text)
