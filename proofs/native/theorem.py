"""The theorem on one cell: bounds of the errors, in ULP of the metric, from those of exp and log1p.

Names ending in `_ulp` count ULP of the value that they are about. Each bound is a sum of products of positive float64
numbers, fewer than a hundred operations of which each is off by at most 2^-53, in the end enlarged by `SLACK`.
README.md derives the formulas, in this order.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import NamedTuple

from proofs.native.cells import Cell
from proofs.native.numbers import Exact

SLACK = 1 + 2.0**-40


@dataclass(frozen=True)
class Steps:
    """A bound of an error in ULP that changes from piece to piece of the arguments."""

    starts: tuple[float, ...]
    """Where pieces begin, in ascending order, the first one with 0; each ends where the next one begins."""
    errors: tuple[float, ...]

    def over(self, low: float, high: float) -> float:
        """Return the largest bound from one number to another."""
        return max(self.errors[bisect_right(self.starts, low) - 1 : bisect_right(self.starts, high)])


@dataclass(frozen=True)
class Hypotheses:
    """How far off the functions of a library are, in ULP of the exact value."""

    exp: Steps
    """Of exp(-t), by t."""
    log1p: Steps
    """Of log1p(e), by e."""


class Bounds(NamedTuple):
    """The largest errors on a cell, in ULP."""

    value_hard: float
    value_soft: float
    gradient_hard: float
    gradient_soft: float
    hessian: float


def bounds(cell: Cell, given: Hypotheses) -> Bounds:
    """Return the bounds of all quantities on a cell."""
    value_hard, value_soft = _value(cell, given)
    gradient_hard, gradient_soft, hessian = _derivatives(cell, given)
    return Bounds(*(SLACK * x for x in (value_hard, value_soft, gradient_hard, gradient_soft, hessian)))


def rounded(error_ulp: float, room: float) -> float:
    """Return the error after rounding to nearest, from that before, and the room below the next power of two.

    At most half an ULP is added. Beyond the power of two an ULP is twice as large; a number that is at most one of the
    exact value's ULP beyond it is rounded to the power of two itself, which is nearer to the exact value.
    """
    beyond = error_ulp * SLACK - room / SLACK > 1
    return error_ulp + (1 if beyond else 0.5)


def _value(cell: Cell, given: Hypotheses) -> tuple[float, float]:
    """Return the bounds of the loss of hard and of soft labels."""
    e, log = cell.e, cell.log
    a = given.exp.over(*cell.t)
    e_low, e_high = _perturbed(cell, a)
    before = _scaled(a, e, log) / (1 + e_low)
    crosses = before * SLACK >= log.room / SLACK
    return values(cell, before + given.log1p.over(e_low, e_high) * (2 if crosses else 1))


def values(cell: Cell, agrees: float) -> tuple[float, float]:
    """Return the bounds of the loss of hard and of soft labels, from that of log(1 + e)."""
    log, loss = cell.log, cell.loss
    disagrees = rounded(_scaled(agrees, log, loss), loss.room)
    least, greatest = log.exponent, loss.exponent
    soft = [_soft_value(cell, _shifted(agrees, least - k), k) for k in range(least, min(least + 8, greatest) + 1)]
    if greatest > least + 8:
        soft.append(rounded(_shifted(agrees, -9) + 1.5, 0.0))
    return max(agrees, disagrees), max(agrees, disagrees, *soft)


def _soft_value(cell: Cell, log_ulp: float, k: int) -> float:
    """Return the bound where the loss R = t w + log(1 + e) has the exponent k."""
    # Over 2^(k + 1): t, and t w, which is at most 1 less the logarithm.
    first, last = (math.ldexp(min(t, math.ldexp(8.0, k)), -k - 1) for t in cell.t)
    top = min(last, 1 - math.ldexp(cell.log.low, -k - 1) / SLACK) + 2.0**-40
    of_label = min(top, last / 2) if first / 2 <= top else 0.0  # else w <= 1/2, and 1 - z is exact
    room = cell.loss.room if k == cell.loss.exponent else 0.0
    before = log_ulp + of_label + 0.5
    after = rounded(before, room)
    # Both terms are multiples of the least number, and so is a sum below 2^(emin + 1).
    return before if k == cell.fmt.emin and before * SLACK < room / SLACK + 1 else after


def _derivatives(cell: Cell, given: Hypotheses) -> tuple[float, float, float]:
    """Return the bounds of the gradient of hard and of soft labels, and of the hessian."""
    p, e, q = cell.fmt.p, cell.e, cell.q
    a = given.exp.over(*cell.t)
    e_low, e_high = _perturbed(cell, a)
    # 1 + e is rounded: by 2^-p, by e itself if that is less, by 2^(1 - p) if e is a number of the format beyond 1.
    beyond_1 = a * SLACK >= (1 if e.exponent == 0 else e.room / SLACK + 2) and e.exponent >= -1
    of_sum = min(2.0 if beyond_1 else 1.0, math.ldexp(e_high, p))
    quotient_ulp = _scaled(a, e, q) / ((1 + e_low) * (1 + e.low))
    quotient_ulp += math.ldexp(e_high, -q.exponent - 1) * of_sum / ((1 + e_low) * (1 + e_low - 2.0 ** (1 - p)))
    # e / 1 is exact.
    q_ulp = quotient_ulp if e_high * SLACK < 2.0**-p else rounded(quotient_ulp, q.room)
    return *gradients(cell, q_ulp), _hessian(cell, q_ulp)


def gradients(cell: Cell, q_ulp: float) -> tuple[float, float]:
    """Return the bounds of the gradient of hard and of soft labels, from that of q."""
    q, h = cell.q, cell.h
    disagrees = math.ldexp(q_ulp, q.exponent + 1) + 0.5  # in ULP of 1 - q, which are 2^-p
    soft = [_soft_gradient(cell, q_ulp, k) for k in _scales(h.exponent)]
    if h.exponent + 8 < -2:
        soft.append(rounded(_shifted(q_ulp, q.exponent - h.exponent - 8), 0.0))
    return max(q_ulp, disagrees), max(q_ulp, disagrees, *soft)


def _scales(least: int) -> list[int]:
    """Return the exponents of the scale that are looked at one by one."""
    return sorted({k for k in (*range(least, least + 8), -2, -1) if least <= k <= -1})


def _soft_gradient(cell: Cell, q_ulp: float, k: int) -> float:
    """Return the bound where the scale S = max(w (1 - q), (1 - w) q) has the exponent k."""
    p, q = cell.fmt.p, cell.q
    of_label = {-1: 0.5, -2: 1.0}.get(k, 0.0)  # w > 1/2, or 1 - z is exact; and then S >= 1/4
    before = _shifted(q_ulp, q.exponent - k) + of_label
    # |w - q| / 2^(k + 1), at most: for w >= q, and for w < q.
    above = min(math.ldexp(1.0, -k - 1), 1 / (1 - q.high)) - math.ldexp(q.low, -k - 1)
    least = math.ldexp(1.0, -k - 1) / SLACK - SLACK / q.low if q.low else 0.0
    below = math.ldexp(q.high, -k - 1) - max(0.0, least)
    difference = max(above, below) + 2.0**-40
    size = difference + math.ldexp(before, -p)
    if size * SLACK < 1:
        return before + math.ldexp(0.5, math.frexp(size * SLACK)[1])
    return rounded(before, 0.0)


def _hessian(cell: Cell, q_ulp: float) -> float:
    p, q, h = cell.fmt.p, cell.q, cell.h
    q_error = math.ldexp(q_ulp, q.exponent - p + 1)
    q_high = q.high + q_error
    of_difference = min(1.0, math.ldexp(q_high, p + 1))  # 1 - q is rounded: by 2^(-p - 1), or by q if that is less
    before = _scaled(q_ulp, q, h) * (1 - 2 * q.low + q_error) + math.ldexp(q_high, -h.exponent - 2) * of_difference
    # q times 1 is exact.
    return before if q_high * SLACK < 2.0 ** (-p - 1) else rounded(before, h.room)


def _perturbed(cell: Cell, a: float) -> tuple[float, float]:
    """Return what the computed exponential is between."""
    error = a * math.ldexp(1.0, cell.e.exponent - cell.fmt.p + 1) * SLACK
    return max(0.0, cell.e.low / SLACK - error), cell.e.high * SLACK + error + math.ulp(0.0)


def _scaled(error_ulp: float, of: Exact, to: Exact) -> float:
    """Return an error in ULP of one value in those of another."""
    return _shifted(error_ulp, of.exponent - to.exponent)


def _shifted(error_ulp: float, by: int) -> float:
    return math.ldexp(error_ulp, by)
