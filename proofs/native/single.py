"""The theorem at one number: each exponential that the hypothesis allows there is tried.

Next to a power of two, where an ULP doubles, the general bounds take the worst of both sides. There are few numbers of
the format in such a place, and few that exp may return for each.
"""

import math
from typing import Any

import flint
import numpy as np

from proofs.native.cells import Cell
from proofs.native.numbers import Exact, index_of, number_at
from proofs.native.theorem import SLACK, Bounds, Hypotheses, bounds, gradients, values
from xbce_conformance.inputs.formats import Format

_MOST = 64
"""Exponentials that are tried at most."""
_FAR = 1024.0
"""The general bounds are as good for larger numbers."""


def bounds_at(cell: Cell, given: Hypotheses) -> Bounds:
    """Return the bounds for a cell of one number."""
    general = bounds(cell, given)
    t, _ = cell.t
    a = given.exp.over(t, t)
    if t > _FAR or a > _MOST / 4:
        return general
    with flint.ctx.workprec(4 * cell.fmt.p):
        exact = (-flint.arb(t)).exp()
        tried = [_Tried(e, exact, cell, given) for e in _allowed(exact, a, cell)]
    agrees, q_ulp, hessian = (SLACK * max(found) for found in zip(*((x.log, x.q, x.h) for x in tried), strict=True))
    found = Bounds(*values(cell, agrees), *gradients(cell, q_ulp), hessian)
    return Bounds(*map(min, general, (SLACK * x for x in found)))


def _allowed(exact: Any, a: float, cell: Cell) -> list[float]:
    """Return the numbers of the format that are within a ULP of an exponential."""
    if cell.t[0] == 0:
        return [1.0]
    middle, reach = index_of(cell.e.low, cell.fmt), 2 * math.ceil(a) + 2
    numbers = [number_at(i, cell.fmt) for i in range(max(0, middle - reach), middle + reach + 1)]
    return [e for e in numbers if _ulps(flint.arb(e) - exact, cell.e, cell.fmt) <= a * SLACK]


def _ulps(error: Any, of: Exact, fmt: Format) -> float:
    """Return the size of an error in ULP, not below it."""
    return float((abs(error) * flint.arb(2) ** (fmt.p - 1 - of.exponent)).upper()) * SLACK


class _Tried:
    """The errors of what follows from one exponential, in ULP."""

    def __init__(self, e: float, exact: Any, cell: Cell, given: Hypotheses) -> None:
        fmt, one = cell.fmt, cell.fmt.dtype.type(1)
        with np.errstate(under="ignore"):
            computed = fmt.dtype.type(e)
            q = computed / (one + computed)
            h = q * (one - q)
        exact_q = exact / (1 + exact)
        self.q = _ulps(flint.arb(float(q)) - exact_q, cell.q, fmt)
        self.h = _ulps(flint.arb(float(h)) - exact_q / (1 + exact), cell.h, fmt)
        log = flint.arb(e).log1p()
        ulp = math.frexp(max(float(log.upper()), fmt.tiny))[1] - 1 - cell.log.exponent
        self.log = _ulps(log - exact.log1p(), cell.log, fmt) + given.log1p.over(e, e) * 2.0 ** max(ulp, 0)
