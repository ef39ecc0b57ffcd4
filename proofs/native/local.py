"""The errors of exp and log1p in float32 by cell: where the theorem is tight, a binade is too coarse.

The pieces are the cells, and the few numbers at each of their ends. Every number of a piece is tried.
"""

import itertools
import json
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from proofs.native.cells import cells
from proofs.native.numbers import index_of, number_at, point_at
from proofs.native.theorem import Steps
from proofs.native.used import used
from xbce_conformance.inputs.formats import FORMATS

FILE = Path(__file__).with_name("local.json")
_FORMAT = FORMATS["float32"]
_BLOCK = 2**21
_LEAST_T, _LEAST_E = 2.0**-13, 2.0**-30
"""For exp of less errors by binade are enough; log1p of less is its argument, to within a small part of an ULP."""
_ENDS = 16
"""Numbers at each end of a cell that are pieces of their own."""

Float32s: TypeAlias = npt.NDArray[np.float32]


def exp_starts(*, normal_only: bool) -> list[int]:
    """Return the indices of t where pieces begin, and where the last one ends."""
    found = set()
    whole = cells(_FORMAT, normal_only=normal_only)
    for cell in whole:
        if cell.t[0] >= _LEAST_T and cell.t[1] < 2.0**7:
            found |= {cell.first, cell.last + 1}
            found |= {min(cell.first + _ENDS, cell.last + 1), max(cell.last + 1 - _ENDS, cell.first)}
    return sorted(found)


def log1p_starts(*, normal_only: bool) -> list[int]:
    """Return the indices of e where pieces begin, and where the last one ends: one more than that of 1."""
    found = {index_of(_FORMAT.tiny, _FORMAT), index_of(_LEAST_E, _FORMAT), index_of(1.0, _FORMAT) + 1}
    if not normal_only:
        found.add(0)
    for cell in cells(_FORMAT):
        e = point_at(cell.first, _FORMAT).e.high
        if _LEAST_E < e < 1:
            middle = index_of(e, _FORMAT)
            found |= {middle - 4 * _ENDS, middle + 4 * _ENDS}
    return sorted(found)


def measured(backend: str, *, normal_only: bool) -> dict[str, Any]:
    """Return the largest errors of all pieces."""
    exp, log1p = used(backend)
    of_exp, of_log1p = exp_starts(normal_only=normal_only), log1p_starts(normal_only=normal_only)
    return {
        "exp": _rows(of_exp, lambda x: _errors(exp(x), np.exp(-x.astype(np.float64)))),
        "log1p": _rows(of_log1p, lambda x: _errors_of_log1p(x, log1p(x))),
    }


def _errors_of_log1p(x: Float32s, got: Float32s) -> float:
    if x[-1] < _LEAST_E and np.array_equal(got, x):
        return _LEAST_E * 2.0 ** (_FORMAT.p - 1)  # x - x^2 / 2 ...; an ULP is at least 2^-24 x
    return _errors(got, np.log1p(x.astype(np.float64)))


def _errors(got: Float32s, exact: npt.NDArray[np.float64]) -> float:
    return float((np.abs(got - exact) / _FORMAT.ulp(exact)).max())


def _rows(starts: list[int], error: Callable[[Float32s], float]) -> list[list[float]]:
    """Return the start of each piece and its largest error, rounded up; the last start has none."""
    found: list[list[float]] = []
    for first, stop in itertools.pairwise(starts):
        blocks = (range(i, min(i + _BLOCK, stop)) for i in range(first, stop, _BLOCK))
        largest = max(error(np.arange(b.start, b.stop, dtype=np.uint32).view(np.float32)) for b in blocks)
        found.append([first, float(np.ceil(largest * 1e4) / 1e4)])
    return [*found, [starts[-1]]]


def measure(backend: str, level: str, *, normal_only: bool) -> None:
    """Measure the functions of a library, and keep the errors in the file beside this module."""
    kept = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    kept[f"{backend} {level}"] = measured(backend, normal_only=normal_only)
    lines = (f"{json.dumps(name)}: {{\n{_text(rows)}\n}}" for name, rows in sorted(kept.items()))
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def _text(functions: dict[str, Any]) -> str:
    return ",\n".join(f"{json.dumps(name)}: {json.dumps(rows)}" for name, rows in functions.items())


def refined(steps: Steps, rows: list[list[float]], slack: float) -> Steps:
    """Return steps with the errors of a file where it has any."""
    starts = [number_at(int(row[0]), _FORMAT) for row in rows]
    cuts = sorted({*steps.starts, *starts})
    return Steps(tuple(cuts), tuple(_error(cut, steps, starts, rows, slack) for cut in cuts))


def _error(cut: float, steps: Steps, starts: list[float], rows: list[list[float]], slack: float) -> float:
    known = steps.over(cut, cut)
    i = bisect_right(starts, cut) - 1
    return min(known, rows[i][1] + slack) if 0 <= i < len(rows) - 1 else known


def read(backend: str, level: str) -> dict[str, list[list[float]]] | None:
    """Return the rows of a library at a level, if there are any."""
    kept: dict[str, dict[str, list[list[float]]]] = json.loads(FILE.read_text("utf-8"))
    return kept.get(f"{backend} {level}")
