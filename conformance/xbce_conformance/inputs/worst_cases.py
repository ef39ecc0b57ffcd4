"""Worst cases: inputs of the plain loss with large errors, found by hill climbing, in a data file that only grows.

Every case that was ever found is tried in every run.
"""

import json
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from xbce_conformance.inputs.formats import Floats, Format

DATA = Path(str(files("xbce_conformance").joinpath("inputs", "worst_cases.json")))


@dataclass(frozen=True)
class WorstCase:
    """One input, and the error that a function has there."""

    dtype: str
    quantity: str
    subject: str
    version: str
    backend: str
    logits: str
    labels: str
    computed: str
    ulp: float


def load(path: Path = DATA) -> list[WorstCase]:
    """Return every case that was found."""
    return [WorstCase(**case) for case in json.loads(path.read_text("utf-8"))["cases"]]


def add(found: WorstCase, path: Path = DATA) -> bool:
    """Append a case if it is worse than all that are known of the same function; return whether it was."""
    data: dict[str, Any] = json.loads(path.read_text("utf-8"))
    same = ("dtype", "quantity", "subject", "backend")
    known = [case["ulp"] for case in data["cases"] if all(case[name] == getattr(found, name) for name in same)]
    if known and found.ulp <= max(known):
        return False
    data["cases"].append(asdict(found))
    lines = ",\n".join(json.dumps(case) for case in data["cases"])
    path.write_text(f'{{"cases": [\n{lines}\n]}}\n', "utf-8")
    return True


@cache
def known(fmt: Format) -> tuple[Floats, Floats]:
    """Return logits and labels of all cases that were found in a format."""
    cases = [case for case in load() if case.dtype == fmt.name]
    logits, labels = ([float.fromhex(getattr(case, name)) for case in cases] for name in ("logits", "labels"))
    return fmt.round(logits), fmt.round(labels)
