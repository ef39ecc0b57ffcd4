"""The bounds in ULP, read from data/contract.json; data/README.md says what its columns mean."""

from typing import Any

from xbce_conformance.cases import PLAIN
from xbce_conformance.contract.data import load


def bound(
    quantity: str,
    dtype: str,
    *,
    hard: bool,
    case: str = PLAIN.name,
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
    case: str = PLAIN.name,
    *,
    exponent: float = 0.0,
    of_mean: bool = False,
    precision: str = "native",
) -> dict[str, Any]:
    """Return the first row of the bounds that fits; `labels` are hard or soft."""
    function = case.partition("(")[0]
    for row in load("contract.json")["bounds"]:
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
    quantity: str, dtype: str, backend: str, case: str = PLAIN.name, *, compiled: bool = False
) -> list[dict[str, Any]]:
    """Return the bounds that this backend cannot keep, and why; some hold for compiled functions only."""
    return [
        row
        for row in load("contract.json")["exceptions"]
        if row["quantity"] == quantity
        and row["dtype"] == dtype
        and backend in row["backends"]
        and case in row.get("cases", (PLAIN.name,))
        and (compiled or not row.get("compiled", False))
    ]
