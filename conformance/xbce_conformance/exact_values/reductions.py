"""Exact sums and means of exact losses, and the exact gradients of means."""

import math
from fractions import Fraction

import numpy as np

from xbce_conformance.exact_values.exact import Exact
from xbce_conformance.inputs.formats import Doubles, Floats, Mask


def exact_reduction(quantity: str, losses: Exact, denominator: Fraction | None = None) -> tuple[float, float]:
    """Return the sum or mean of exact losses as a pair of doubles; a mean over all of them without a denominator."""
    terms = losses.high.tolist() + losses.low.tolist()
    total = math.fsum(terms)
    rest = math.fsum([*terms, -total])
    if quantity == "sum":
        return total, rest
    return _pair((Fraction(total) + Fraction(rest)) / (denominator or Fraction(losses.high.size)))


def exact_quotient(derivative: Exact, denominator: Fraction, where: Mask) -> Exact:
    """Return derivatives divided by the denominator of a mean, 0 where they are dropped."""
    elements = zip(derivative.high.tolist(), derivative.low.tolist(), where.tolist(), strict=True)
    pairs = [_pair((Fraction(a) + Fraction(b)) / denominator) if kept else (0.0, 0.0) for a, b, kept in elements]
    high, low = np.array(pairs).T
    return Exact(high, low, np.where(where, derivative.scale / float(denominator), 0.0))


def exact_denominator(normalize_by: str, arrays: dict[str, Floats], where: Mask) -> Fraction:
    """Return what a mean over one dimension divides by."""
    if normalize_by in ("size", "batch"):
        return Fraction(where.size)
    weight: Doubles = np.asarray(arrays.get("weight", np.ones(where.shape)), np.float64)[where]
    if normalize_by == "weight":
        return sum(map(Fraction, weight.tolist()), Fraction(0))
    return Fraction(int((weight != 0).sum() if normalize_by == "nonzero" else weight.size))


def _pair(x: Fraction) -> tuple[float, float]:
    high = float(x)
    return high, float(x - Fraction(high))
