"""Worst cases: inputs with large errors, found by hill climbing, in a data file that only grows.

Every one that was ever found is tried in every run.
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

    case: str
    """A function with its options."""
    quantity: str
    dtype: str
    subject: str
    version: str
    backend: str
    inputs: dict[str, str]
    """Each argument, in hexadecimal."""
    computed: str
    ulp: float


def load(path: Path = DATA) -> list[WorstCase]:
    """Return every case that was found."""
    cases = json.loads(path.read_text("utf-8"))["cases"]
    if any("logits" in case for case in cases):
        msg = "it is of an older version, which named logit and label, not case and inputs"
        raise ValueError(msg)
    return [WorstCase(**case) for case in cases]


def add(found: WorstCase, path: Path = DATA) -> bool:
    """Append a case if it is worse than all that are known of the same function; return whether it was."""
    data: dict[str, Any] = json.loads(path.read_text("utf-8"))
    same = ("case", "quantity", "dtype", "subject", "backend")
    known = [case["ulp"] for case in data["cases"] if all(case[name] == getattr(found, name) for name in same)]
    if known and found.ulp <= max(known):
        return False
    data["cases"].append(asdict(found))
    lines = ",\n".join(json.dumps(case) for case in data["cases"])
    path.write_text(f'{{"cases": [\n{lines}\n]}}\n', "utf-8")
    return True


@cache
def _of_package() -> list[WorstCase]:
    return load()


def known(fmt: Format, case: str, arguments: tuple[str, ...]) -> tuple[Floats, ...]:
    """Return the arguments of all inputs of a case that were found in a format."""
    found = [one for one in _of_package() if (one.dtype, one.case) == (fmt.name, case)]
    columns = ((name, fmt.round([float.fromhex(one.inputs[name]) for one in found])) for name in arguments)
    return tuple(column != 0 if name == "where" else column for name, column in columns)
