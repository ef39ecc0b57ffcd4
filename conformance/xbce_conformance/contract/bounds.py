"""The bounds in ULP, read from data/contract.json; data/README.md says what its columns mean."""

from typing import Any

from xbce_conformance.cases import PLAIN, Case
from xbce_conformance.contract.data import load
from xbce_conformance.exact_values.by_series import gradient_in
from xbce_conformance.inputs.regimes import DRAWN

_IN_OPTIONS = {gradient_in(name) for name in DRAWN}


def stated(quantity: str) -> str:
    """Return the contract's name of a quantity: one for derivatives in all options that are arrays."""
    return "option_gradient" if quantity in _IN_OPTIONS else quantity


def bound(
    quantity: str,
    dtype: str,
    *,
    hard: bool,
    case: Case = PLAIN,
    backend: str = "",
    regime: str = "",
    of_weighted_mean: bool = False,
    precision: str = "native",
    compiled: bool = False,
) -> float:
    """Return the bound in ULP, with the exceptions stated for `backend` and `regime`.

    `of_weighted_mean` asks for a derivative of a mean that is divided by the sum of weights.
    """
    labels = "hard" if hard else "soft"
    of: dict[str, Any] = {"of_weighted_mean": of_weighted_mean, "precision": precision, "compiled": compiled}
    for row in exceptions(quantity, dtype, backend, case, **of):
        if row.get("labels", labels) == labels and row.get("regime", regime) == regime:
            return float(row["ulp"])
    return _of_all_backends(quantity, dtype, labels, case, precision)


def _of_all_backends(quantity: str, dtype: str, labels: str, case: Case, precision: str) -> float:
    """Return the bound without exceptions."""
    row = bound_row(quantity, dtype, labels, case, precision=precision)
    return float(row["ulp"]) + float(row.get("ulp_per_exponent", 0)) * case.exponent


def bound_row(
    quantity: str,
    dtype: str,
    labels: str,
    case: Case = PLAIN,
    *,
    precision: str = "native",
) -> dict[str, Any]:
    """Return the first row of the bounds that fits; `labels` are hard or soft."""
    for row in load("contract.json")["bounds"]:
        if (
            row["precision"] == precision
            and stated(quantity) in row["quantities"]
            and dtype in row["dtypes"]
            and row.get("labels", labels) == labels
            and ("exponent_below" not in row or 0 < case.exponent < row["exponent_below"])
            and _is_of(row, case)
        ):
            found: dict[str, Any] = row
            return found
    msg = f"no bound is stated for {quantity} of {case.name} in {dtype} ({labels} labels, {precision})"
    raise LookupError(msg)


def exceptions(
    quantity: str,
    dtype: str,
    backend: str,
    case: Case = PLAIN,
    *,
    of_weighted_mean: bool = False,
    precision: str = "native",
    compiled: bool = False,
) -> list[dict[str, Any]]:
    """Return the native bounds that this backend cannot keep, and why; some hold for compiled functions only.

    All raise the bound that other backends have.
    """
    return [
        row
        for row in load("contract.json")["exceptions"]
        if precision == "native"
        and row["quantity"] == stated(quantity)
        and row["dtype"] == dtype
        and backend in row["backends"]
        and holds_for(row, case)
        and (compiled or not row.get("compiled", False))
        and (of_weighted_mean or not row.get("of_weighted_mean", False))
        and row["ulp"] > _of_all_backends(quantity, dtype, row.get("labels", "soft"), case, precision)
    ]


def holds_for(row: dict[str, Any], case: Case) -> bool:
    """Tell whether an exception holds for a case: of its list, of its functions, or the plain loss."""
    return _is_of(row, case) if "functions" in row else case.name in row.get("cases", (PLAIN.name,))


def _is_of(row: dict[str, Any], case: Case) -> bool:
    """Tell whether a row is of a case's function, and of an option that it has."""
    named = case.function in row.get("functions", (case.function,))
    return named and ("option" not in row or row["option"] in case.keywords)
