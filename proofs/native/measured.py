"""What was measured of the plain loss of logits, and what is promised of it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_RESULTS = Path(__file__).parents[2] / "conformance" / "results"
_CASE = "binary_cross_entropy_with_logits"
_HARD = (
    "near 0", "moderate", "tail, label agrees", "tail, label disagrees", "subnormal result", "huge", "stratified",
    "every logit, label 0", "every logit, label 1",
)  # fmt: skip
"""Regimes of labels 0 and 1 alone."""

Key = tuple[str, str, str]
"""Backend, dtype and quantity."""


@dataclass
class Measured:
    """Errors and bounds in ULP, by backend, dtype and quantity."""

    hard: dict[Key, float] = field(default_factory=dict)
    """The largest error for hard labels."""
    any_label: dict[Key, float] = field(default_factory=dict)
    """The largest error for labels in [0, 1]."""
    promised: dict[Key, dict[str, float]] = field(default_factory=dict)
    """The bound for hard and for soft labels."""
    at_level: dict[tuple[Key, str], float] = field(default_factory=dict)
    """The largest error for labels in [0, 1] where the library uses a level, of fewer inputs."""


def read() -> Measured:
    """Return what the committed results say."""
    found = Measured()
    for row in _rows(_RESULTS / "cpu" / "results.json"):
        if row["subject"] != "xbce" or "compile" in row["function"] or row["verdict"] is None:
            continue
        key = (row["backend"], row["dtype"], row["quantity"])
        found.promised[key] = row["verdict"]["bound"]
        hard = (float(row["regimes"][name]) for name in _HARD if name in row["regimes"])
        found.hard[key] = max(found.hard.get(key, 0.0), *hard)
        found.any_label[key] = max(found.any_label.get(key, 0.0), float(row["figures"]["max_ulp"]))
    for file in (_RESULTS / "platforms").glob("*.json"):
        data = json.loads(file.read_text("utf-8"))
        for row in _rows(file):
            at = ((data["backend"], row["dtype"], row["quantity"]), data["level"])
            found.at_level[at] = max(found.at_level.get(at, 0.0), float(row["ulp"]))
    return found


def _rows(file: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(file.read_text("utf-8"))["rows"]
    return [row for row in rows if row["case"] == _CASE and row["quantity"] in ("value", "gradient", "hessian")]
