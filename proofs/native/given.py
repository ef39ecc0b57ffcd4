"""What the theorem is given: the errors of exp and log1p, from the functions report, of series, or as published."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

from proofs.native import local, own
from proofs.native.theorem import Hypotheses, Steps
from xbce_conformance.functions import FunctionRow, Report
from xbce_conformance.functions.measure import BINADES
from xbce_conformance.subjects.levels import V2, V3, V4

REPORTS = Path(__file__).parents[2] / "conformance" / "results" / "functions"
LEVELS = {level: f"linux-{level}.json" for level in (V2, V3, V4)}
BACKENDS = ("numpy", "torch:cpu", "jax")

REFERENCE = 2.0**-20
"""Far more than the report's exact values are off by, in ULP."""


@dataclass(frozen=True)
class Given:
    """Functions of a library, with what is known of them."""

    name: str
    level: str
    """Of the processor that the library uses, or where the figures are published."""
    dtype: str
    hypotheses: Hypotheses
    exhaustive: bool
    """Whether every argument of both functions was tried."""
    flushes: bool = False
    """Whether the library loses subnormal numbers."""

    @property
    def a(self) -> float:
        """The largest error of exp."""
        return max(self.hypotheses.exp.errors)

    @property
    def b(self) -> float:
        """The largest error of log1p of numbers up to 1."""
        return self.hypotheses.log1p.over(0.0, 1.0)


@dataclass(frozen=True)
class Published:
    """Figures of a document, for a device that nobody measured here."""

    name: str
    dtype: str
    exp: float
    log1p: float

    def given(self) -> Given:
        """Return them for the theorem: the same at every argument."""
        hypotheses = Hypotheses(Steps((0.0,), (self.exp,)), Steps((0.0,), (self.log1p,)))
        return Given(self.name, "published", self.dtype, hypotheses, exhaustive=False)


# CUDA counts from the correctly rounded result, which is half an ULP off by itself. README.md names the documents.
PUBLISHED = (
    Published("CUDA", "float32", exp=2.5, log1p=1.5),
    Published("CUDA", "float64", exp=1.5, log1p=1.5),
    Published("LLVM libc", "float32", exp=0.5, log1p=0.5),
    Published("LLVM libc", "float64", exp=0.5, log1p=0.5),
)


class UnusableError(Exception):
    """A report does not have what the theorem needs."""


def is_known(backend: str, level: str, dtype: str) -> bool:
    """Tell whether the functions that xbce uses on a library were measured at a level."""
    return own.read(backend, level, dtype, REFERENCE) is not None


def known(backend: str, level: str, dtype: str) -> Given:
    """Return what the functions report says of a library, and what was measured of xbce's own functions."""
    report = Report.read(REPORTS / LEVELS[level])
    if report.binades != list(BINADES):
        msg = f"the report has the binades {report.binades}"
        raise UnusableError(msg)
    exp, log1p, divide = (_row(report, name, backend, dtype) for name in ("exp", "log1p", "divide"))
    if divide.max_ulp > 0.5 or divide.zero_for_normal or divide.wrong_nonfinite:
        msg = f"{backend}: the quotient of {dtype} is not correctly rounded"
        raise UnusableError(msg)
    series = own.read(backend, level, dtype, REFERENCE)
    if series is None:
        msg = f"{backend}: nobody has measured xbce's own functions of {dtype} at {level}"
        raise UnusableError(msg)
    hypotheses = Hypotheses(
        series.get("exp") or _errors(exp, "negative"), series.get("log1p") or _errors(log1p, "positive")
    )
    flushes = any(row.flushed > _FEW for row in (exp, log1p))
    # Every number of float32 is tried where a series is measured.
    exhaustive = all(row.exhaustive or (row.function in series and dtype == "float32") for row in (exp, log1p))
    return Given(backend, level, dtype, hypotheses, exhaustive, flushes)


def refined(given: Given) -> Given | None:
    """Return the same with the errors of single cells, if they were measured."""
    rows = local.read(given.name, given.level) if given.dtype == "float32" else None
    if rows is None:
        return None
    coarse = given.hypotheses
    exp = local.refined(coarse.exp, rows["exp"], REFERENCE)
    log1p = local.refined(coarse.log1p, rows["log1p"], REFERENCE)
    return replace(given, hypotheses=Hypotheses(exp, log1p))


_FEW = 100
"""Zeros for subnormal results in a library that does not flush them: log1p of the least numbers on PyTorch."""


def _row(report: Report, function: str, backend: str, dtype: str) -> FunctionRow:
    found = [r for r in report.rows if (r.function, r.backend, r.dtype) == (function, backend, dtype)]
    if len(found) != 1 or found[0].zero_for_normal or found[0].wrong_nonfinite:
        msg = f"no row of {function} in {dtype} on {backend} without faults"
        raise UnusableError(msg)
    return found[0]


def _errors(row: FunctionRow, side: str) -> Steps:
    """Return upper limits by binade: the report rounds to three digits."""
    errors = dict(zip(BINADES, row.by_binade[side], strict=True))
    found = []
    for exponent, error in errors.items():
        if error is None or not math.isfinite(error):
            msg = f"{row.function} in {row.dtype} on {row.backend}: no error for the binade of 2^{exponent}"
            raise UnusableError(msg)
        half_unit = 0.5 * 10.0 ** (math.floor(math.log10(error)) - 2) if error else 0.0
        found.append(min(error + half_unit, row.max_ulp) + REFERENCE)
    return Steps((0.0, *(2.0**exponent for exponent in BINADES[1:])), tuple(found))
