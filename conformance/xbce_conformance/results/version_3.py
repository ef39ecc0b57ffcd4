"""Converts results.json from schema version 3, so that no measurement on a device that was lent is lost.

Version 3 had all fields of a row side by side, under other names; an infinite error was null, as was what had not been
tried; and rows that are not judged had a bound and violations all the same.
"""

from typing import Any

_INFINITE = "inf"


def converted(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data of a whole file in the form of version 4."""
    head = {name: value for name, value in data.items() if name not in ("parts", "rows")}
    return head | {"regimes": data["parts"], "rows": [_row(row) for row in data["rows"]]}


def _row(old: dict[str, Any]) -> dict[str, Any]:
    same = ("subject", "version", "case", "function", "quantity", "backend", "dtype", "reproducer")
    return {
        **{name: old[name] for name in same},
        "exhaustive": old["upper_bound"],
        "figures": {
            "count": old["count"],
            "max_ulp": _error(old["max_ulp"]),
            "max_ulp_soft": _soft(old),
            "p999_ulp": _error(old["p999_ulp"]),
            "correctly_rounded": old["rounded"],
            "zero_for_normal": old["gross"],
            "flushed": old["flushed"],
            "wrong_nonfinite": old["mismatched"],
        },
        "special": {"count": old["special_count"], "mismatches": old["special_mismatches"]},
        "worst": {"regime": old["worst"]["part"]} | {k: v for k, v in old["worst"].items() if k != "part"},
        "regimes": {name: _error(error) for name, error in old["parts"].items()},
        "verdict": {"bound": old["bound"], "violations": old["broken"], "exceptions": old["exceptions"]}
        if old["judged"]
        else None,
        "failure": "",
        "sha256": old.get("sha256", ""),
        "profiles": {"logit": old["profile"], "label": old["label_profile"]},
    }


def _error(figure: float | None) -> float | str:
    return _INFINITE if figure is None else figure


def _soft(old: dict[str, Any]) -> float | str | None:
    """Tell an infinite error for soft labels from none: what violated the bound was said of peers, too."""
    infinite = old["max_ulp_soft"] is None and any("inf ULP for soft labels" in text for text in old["broken"])
    return _INFINITE if infinite else old["max_ulp_soft"]
