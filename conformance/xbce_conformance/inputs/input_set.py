"""Input sets: the arguments of one case in one format, joined from regimes, real data and worst cases."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from xbce_conformance.inputs.datasets import BREAST_CANCER, DIGITS, real_logits
from xbce_conformance.inputs.formats import Floats, Format, Mask
from xbce_conformance.inputs.regimes import (
    EXTRAS,
    LOGIT_REGIMES,
    REGIMES,
    STRATIFIED,
    Arrays,
    description,
    draw,
    rng_of,
    stratified,
)

SEARCHED, FOUND = "searched", "found by search"
LEVELS = {"quick": 4096, "full": 65536}
"""Pairs per regime."""


@dataclass(frozen=True)
class InputSet:
    """Finite arguments of one format by name, labels in [0, 1], in named consecutive regimes."""

    fmt: Format
    arrays: dict[str, Floats]
    regimes: dict[str, slice]

    @property
    def hard(self) -> Mask:
        """Where the label is 0 or 1; everywhere for a function without labels."""
        labels = self.arrays.get("labels")
        if labels is None:
            return np.ones(next(iter(self.arrays.values())).shape, np.bool_)
        return np.asarray((labels == 0) | (labels == 1))


def input_set(fmt: Format, level: str, searched: Arrays = ()) -> InputSet:
    """Return all regimes of logits and labels, those that a search has found, and all real data in one format."""
    drawn = {name: draw(name, fmt, LEVELS[level]) for name in LOGIT_REGIMES}
    drawn[STRATIFIED] = stratified(fmt)
    drawn[SEARCHED] = searched
    for name, (logits, labels) in real_logits().items():
        drawn[name] = fmt.round(logits), fmt.round(labels)
    return _joined(fmt, ("logits", "labels"), drawn)


def drawn_set(
    fmt: Format, n: int, regimes: tuple[str, ...], arguments: tuple[str, ...], searched: Arrays = ()
) -> InputSet:
    """Return n elements of each regime, and those that a search has found.

    A regime draws the leading arguments; those that are left are drawn by name, alike in all regimes.
    """
    drawn = {}
    for regime in regimes:
        leading = draw(regime, fmt, n)[: len(arguments)]
        others = tuple(EXTRAS[name](fmt, n, rng_of(regime + name, fmt)) for name in arguments[len(leading) :])
        drawn[regime] = leading + others
    drawn[SEARCHED] = searched
    return _joined(fmt, arguments, drawn)


def _joined(fmt: Format, arguments: tuple[str, ...], drawn: dict[str, Arrays]) -> InputSet:
    """Join the regimes that have elements."""
    regimes: dict[str, slice] = {}
    start = 0
    filled = {name: columns for name, columns in drawn.items() if columns and columns[0].size}
    for name, (first, *_) in filled.items():
        regimes[name] = slice(start, start + first.size)
        start += first.size
    columns = zip(*filled.values(), strict=True)
    return InputSet(fmt, dict(zip(arguments, map(np.concatenate, columns), strict=True)), regimes)


def descriptions(regimes: Iterable[str] = ()) -> dict[str, str]:
    """Return what each regime is, by name; `regimes` are those of cases, which may be of their numbers."""
    return {name: description(name) for name in (*REGIMES, *regimes)} | {
        STRATIFIED: "every exponent of both signs, and the neighbours of where implementations branch, underflow or "
        "overflow; both hard labels",
        FOUND: "the worst of a fine grid of logits, and of a climb from there: of a subject that its user names",
        SEARCHED: "the worst cases that hill climbing has found",
        BREAST_CANCER: "held-out logits of a logistic regression on scikit-learn's breast cancer data",
        DIGITS: "held-out logits of ten one-vs-rest logistic regressions on scikit-learn's digits, multilabel",
    }
