"""The table: the theorem's bounds beside what was measured and what is promised."""

import math
from collections.abc import Iterator

from proofs.native import measured
from proofs.native.given import BACKENDS, LEVELS, PUBLISHED, Given, is_known, known, refined
from proofs.native.largest import largest
from proofs.native.measured import Measured
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.subjects.levels import V2

_HEAD = """# The native theorem, platform by platform

`python -m proofs.native` writes this; [README.md](README.md) states and proves the theorem. All figures are errors in
ULP, as [docs/accuracy.md](../../docs/accuracy.md) counts them, of the plain loss of logits.

- **a**, **b**: the largest errors of `exp(-t)` and of `log1p(e)`, 0 <= e <= 1, of all binades.
- **by binade**: the theorem, with a and b of each binade from the functions report, or from [own.json](own.json) where
  xbce has series in the place of a library's functions (of published figures: the same everywhere).
- **by cell**: the theorem, with a and b of single cells ([local.json](local.json)); “–”: not measured.
- **found**: the largest error of [results/cpu](../../conformance/results/cpu/report.md), on processors of x86-64-v3 and
  v4; in rows of labels that are not only hard, then that of
  [results/platforms](../../conformance/results/platforms/README.md), where the library uses this level, and at
  x86-64-v2 that alone. “–”: not measured. Of JAX both are of x86-64-v3.
- **proved**: whether the promised bound follows. “yes”: from figures of which every argument was tried. “if”: it
  follows if the given figures are the largest ones, which samples and published tables do not show. “no”: the theorem
  gives more than is promised.

Series are log1p of float32 on NumPy below AVX-512, and both functions on JAX.

JAX: for logits whose hessian is a normal number, and labels that are not subnormal numbers, which it flushes.

| library | level | dtype | a | b | quantity | labels | by binade | by cell | found | promised | proved |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""
_QUANTITIES = {
    "value_hard": ("value", "hard"),
    "value_soft": ("value", "soft"),
    "gradient_hard": ("gradient", "hard"),
    "gradient_soft": ("gradient", "soft"),
    "hessian": ("hessian", "any"),
}
_DTYPES = ("float32", "float64")


def table() -> str:
    """Return the page."""
    found = measured.read()
    return _HEAD + "".join(lines_of(given, found) for given in every_given())


def lines_of(given: Given, found: Measured) -> str:
    """Return the lines of one library."""
    return "".join(f"| {' | '.join(row)} |\n" for row in _rows(given, found))


def every_given() -> list[Given]:
    """Return what the theorem is applied to."""
    every = ((name, level, dtype) for dtype in _DTYPES for level in LEVELS for name in BACKENDS)
    ours = [known(*each) for each in every if is_known(*each)]
    return ours + [published.given() for published in PUBLISHED]


def _rows(given: Given, found: Measured) -> Iterator[list[str]]:
    by_binade = _bounds(given)
    cells = refined(given)
    by_cell = _bounds(cells) if cells else None
    for name, (quantity, labels) in _QUANTITIES.items():
        key = (given.name, given.dtype, quantity)
        promised = _promised(found, key, labels)
        best = min(bounds[name] for bounds in (by_binade, by_cell) if bounds)
        proved = "no" if best > promised else "yes" if given.exhaustive else "if"
        yield [
            given.name, given.level, given.dtype, _up(given.a), _up(given.b), quantity, labels, _up(by_binade[name]),
            _up(by_cell[name]) if by_cell else "–", _found(found, given, key, labels), f"{promised:g}", proved,
        ]  # fmt: skip


def _bounds(given: Given) -> dict[str, float]:
    bounds = largest(FORMATS[given.dtype], given.hypotheses, normal_only=given.flushes)
    return {name: bound for name, (bound, _) in bounds.items()}


def _promised(found: Measured, key: tuple[str, str, str], labels: str) -> float:
    """Return the promised bound; of a device that was not measured that without exceptions, as on PyTorch."""
    bound = found.promised.get(key) or found.promised["torch:cpu", key[1], key[2]]
    return bound["hard" if labels == "hard" else "soft"]


def _found(found: Measured, given: Given, key: tuple[str, str, str], labels: str) -> str:
    hard = labels == "hard"
    of_all = None if given.level == V2 else (found.hard if hard else found.any_label).get(key)
    at_level = None if hard else found.at_level.get((key, given.level))
    return ", ".join(f"{error:.2f}" for error in (of_all, at_level) if error is not None) or "–"


def _up(x: float) -> str:
    """Write a bound with two decimals, not below it."""
    return f"{math.ceil(100 * x) / 100:.2f}"
