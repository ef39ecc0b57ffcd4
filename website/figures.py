"""What committed measurements say: the suite's results, and the figures of `measure.py`."""

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from website.stage import ROOT

RESULTS = ROOT / "conformance" / "results"
DTYPES = ("float16", "bfloat16", "float32", "float64")

_FUNCTION = re.compile(
    r"^(?P<function>special\.\w+|\w+)(?P<case>\([^)]*\))?(?:\.(?P<method>\w+))?(?P<rest>(?:, [^,]+)*)$"
)
_AUTOMATIC = ("backward", "torch.func.", "jax.grad", "jax.jvp", "mx.grad", "mx.jvp")
_COMPILED = ("torch.compile", "jax.jit", "onnxruntime")


@dataclass(frozen=True)
class Row:
    """One row of the suite's results."""

    function: str
    """The public object: `special.expit`, `asymmetric_loss`."""
    case: str
    """Its options, in parentheses, or nothing."""
    way: tuple[str, ...]
    """How it was called, besides: a reduction, automatic differentiation, a compiler."""
    high: bool
    quantity: str
    backend: str
    dtype: str
    max_ulp: float
    bound: float
    passed: bool
    profiles: dict[str, Any]

    @property
    def compiled(self) -> str:
        """The compiler, or nothing."""
        return next((word for word in self.way if word in _COMPILED), "")

    @property
    def automatic(self) -> bool:
        """Whether the derivative is that of automatic differentiation."""
        return any(word.startswith(_AUTOMATIC) for word in self.way)

    @property
    def share(self) -> float:
        """The error as a share of its bound."""
        return self.max_ulp / self.bound


@cache
def results(device: str = "cpu") -> dict[str, Any]:
    """Return the suite's results on a device."""
    found: dict[str, Any] = json.loads((RESULTS / device / "results.json").read_text("utf-8"))
    return found


def devices() -> list[str]:
    """Return the devices that have results."""
    return sorted(
        path.parent.name for path in RESULTS.glob("*/results.json") if "profile_edges" in path.read_text("utf-8")
    )


@cache
def rows(device: str = "cpu") -> tuple[Row, ...]:
    """Return the rows of xbce at samples of the inputs."""
    return tuple(
        _row(row)
        for row in results(device)["rows"]
        if row["subject"] in ("xbce", "xbce (high)") and row["kind"] == "samples" and row["figures"]
    )


def _row(row: dict[str, Any]) -> Row:
    match = _FUNCTION.match(row["function"])
    if match is None:
        msg = f"the name of a row of results is not understood: {row['function']}"
        raise ValueError(msg)
    return Row(
        function=match["function"],
        case=match["case"] or "",
        way=tuple(match["rest"].split(", ")[1:]),
        high=row["subject"] != "xbce",
        quantity=row["quantity"],
        backend=row["backend"],
        dtype=row["dtype"],
        max_ulp=float(row["figures"]["max_ulp"]),
        bound=_bound(row),
        passed=not row["verdict"]["violations"],
        profiles=profiles(row),
    )


def _bound(row: dict[str, Any]) -> float:
    """Return the bound of a row: that of an exception which the contract states, where the error needs one."""
    verdict, error = row["verdict"], row["figures"]["max_ulp"]
    bound = float(max(verdict["bound"].values()))
    excepted = [float(match[1]) for text in verdict["exceptions"] if (match := re.match(r"up to ([\d.]+) ULP", text))]
    return max(bound, *excepted) if excepted and error > bound else bound


def profiles(row: dict[str, Any]) -> dict[str, Any]:
    """Return the errors of a row by logit and by label."""
    found = row["profiles"]
    loaded: dict[str, Any] = json.loads(found) if isinstance(found, str) else found
    return loaded


@cache
def measured() -> dict[str, Any]:
    """Return what `measure.py` found."""
    found: dict[str, Any] = json.loads((ROOT / "website" / "data" / "figures.json").read_text("utf-8"))
    return found
