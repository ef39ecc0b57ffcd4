"""The losses of xbce, a row each: the table that the suite, the tests, the fuzzer and the documentation read.

A row says how a loss is called, what it should compute, which numbers its options take, and what it is tried with.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from xbce_conformance.cases.case import Case, Quantity
from xbce_conformance.exact_values import definitions
from xbce_conformance.exact_values.definitions import Definition
from xbce_conformance.inputs.regimes import DRAWN, LOGIT_REGIMES, PROBABILITY_REGIMES, beside_logit, power_underflows

ARRAYS = ("pos_weight", "weight", "where")
"""What every loss takes as an array, in this order."""
DENOMINATORS = ("count", "size", "weight", "nonzero", "batch")


@dataclass(frozen=True)
class Option:
    """An option of one loss that is a number."""

    default: float | None
    low: float
    high: float
    """Least and largest number; infinity itself is none."""
    whole: int
    """A whole number that it takes, and every dtype holds."""
    hard: tuple[float, ...]
    """Numbers that are hard to compute with, or next to where formulas change."""
    below: bool = False
    """Whether it has to be below the largest."""
    exponent: bool = False
    """Whether it is the power of a rounded factor, whose errors it multiplies."""


@dataclass(frozen=True)
class Tried:
    """What a loss is tried with: numbers, arrays besides its first two, and what is then measured."""

    options: Mapping[str, float] = field(default_factory=dict)
    """Its own, and those of every loss; each the exact number that its float is."""
    arrays: tuple[str, ...] = ()
    """pos_weight, weight, where, in this order, and then options of its own."""
    regimes: tuple[str, ...] = ()
    """Besides those of its first argument."""
    means: tuple[str, ...] = ()
    derivatives_of_mean: tuple[Quantity, ...] = ()
    quick: tuple[str, ...] | None = None
    """Dtypes at the level "quick", if not all."""


@dataclass(frozen=True)
class Loss:
    """One loss."""

    name: str
    first: Literal["logits", "probabilities"]
    """What its first argument is called, and what it is."""
    define: Callable[..., Definition]
    """Takes its own options by keyword."""
    options: Mapping[str, Option]
    """Its own, in the order of its signature."""
    tried: tuple[Tried, ...]
    alternatives: tuple[str, ...] = ()
    """Options of which at most one is given."""
    factor: Callable[..., float] = lambda **_: 1.0
    """Takes its own options, and returns what multiplies exp(-|x|) in its tails, if that is more than 1."""

    def definition(self, options: Mapping[str, Any]) -> Definition:
        """Return what it should compute, as a function of scores, labels and perhaps pos_weight.

        `options` are its own or `label_smoothing`, as numbers or series; those that are left out have their defaults.
        """
        smoothing = options.get("label_smoothing", 0.0)
        loss = self.define(**self.own(options))
        return loss if smoothing == 0 else definitions.smoothed(smoothing, loss)

    def own(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return its own options, those that are left out with their defaults."""
        return {name: options.get(name, option.default) for name, option in self.options.items()}

    def exponent(self, options: Mapping[str, float]) -> float:
        """Return the largest power of a rounded factor."""
        powers = [number for name, number in self.own(options).items() if self.options[name].exponent]
        return max((power for power in powers if power is not None), default=0.0)

    @property
    def modulated(self) -> bool:
        """Whether a power multiplies all of it."""
        return any(option.exponent for option in self.options.values())

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """Return the cases that it is measured in."""
        return tuple(self.case(tried) for tried in self.tried)

    def case(self, tried: Tried) -> Case:
        """Return the case of what it is tried with."""
        numbers = dict(tried.options)
        weights = {name: numbers.pop(name) for name in ("pos_weight", "weight") if name in numbers}
        exponents = tuple(name for name in tried.arrays if name in self.options and self.options[name].exponent)
        largest = {name: max(DRAWN[name]) for name in exponents}

        def define(series: Mapping[str, Any]) -> Definition:
            loss = self.definition({**numbers, **series})
            return definitions.with_pos_weight(weights["pos_weight"], loss) if "pos_weight" in weights else loss

        definition = definitions.with_arrays(tried.arrays, define) if tried.arrays else define({})
        if "weight" in weights:
            definition = definitions.scaled(weights["weight"], definition)
        return Case(
            self.name,
            definition,
            (*(LOGIT_REGIMES if self.first == "logits" else PROBABILITY_REGIMES), *tried.regimes),
            (self.first, "labels", *tried.arrays),
            tuple(tried.options.items()),
            means=tried.means,
            derivatives_of_mean=tried.derivatives_of_mean,
            exponent=self.exponent(numbers | largest),
            exponents=exponents,
            least_exponent=self.exponent(numbers | dict.fromkeys(exponents, 0.0)),
            factor=self.factor(**self.own(numbers)),
            quick=tried.quick,
        )


_UNHELD = ("float32",)
"""Options that no format holds are tried in float32 at the level "quick": half types are computed in it, with the same
options, and float64 holds what a Python float is. Next to them nothing is, or they are so large or small that a format
has none of the size."""
_ARRAYS = ("float32",)
"""Dtypes in which options that are arrays are tried at the level "quick": numbers are tried in all of them."""
_EXPONENTS = (2.0, 0.0, 0.3, 0.5, 0.7, 1.0, 1.3, 1.5, 1.7, 3.0, 5.0, 1e-50, 50.0)
_BESIDE = (beside_logit(0.05),)
_ROOT = ("exp(-|x|/4) underflows",)


def _exponent(default: float) -> Option:
    return Option(default, 0, math.inf, whole=2, hard=_EXPONENTS, below=True, exponent=True)


COMMON: dict[str, Option] = {
    "label_smoothing": Option(0.0, 0, 1, whole=1, hard=(0.1, 0.0, 1.0, 0.25, 0.3, 1e-50, 1e-9)),
    "pos_weight": Option(None, 0, math.inf, whole=2, hard=(2.0, 0.0, 1.0, 0.1, 3.7, 1e39, 1e-50), below=True),
}
"""The options of every loss that have a range."""

_ROWS = (
    Loss(
        "binary_cross_entropy_with_logits",
        "logits",
        lambda: definitions.cross_entropy,
        options={},
        tried=(
            Tried(means=("count",)),
            Tried(arrays=("pos_weight",)),
            Tried({"label_smoothing": 0.1}),
            Tried(arrays=("weight",)),
            Tried(
                arrays=("weight", "where"),
                means=DENOMINATORS,
                derivatives_of_mean=("gradient", "hessian", "label_gradient"),
            ),
            Tried({"pos_weight": 1e39}, quick=_UNHELD),
            Tried({"weight": 1e39}, quick=_UNHELD),
            Tried(arrays=("label_smoothing",), quick=_ARRAYS),
        ),
    ),
    Loss(
        "binary_cross_entropy",
        "probabilities",
        definitions.of_probabilities,
        options={
            "clip": Option(None, 0, 0.5, whole=0, hard=(1e-7, 0.0, 0.1, 1e-15, 1e-50, 0.49), below=True),
            "log_floor": Option(None, -math.inf, 0, whole=-2, hard=(-100.0, 0.0, -1.0, -16.1, -1e39, -1e-50)),
            "log_offset": Option(
                None, 0, math.inf, whole=2, hard=(1e-7, 0.0, 1e-8, 1e-15, 1e-50, 0.1, 1.0), below=True
            ),
        },
        alternatives=("clip", "log_floor", "log_offset"),
        tried=(
            Tried(),
            Tried({"clip": 1e-7}),
            Tried({"log_floor": -100.0}),
            Tried({"log_offset": 1e-7}),
            Tried(arrays=("pos_weight",)),
            Tried({"log_offset": 1e-7}, arrays=("pos_weight",)),
            Tried({"clip": 1e-50}, quick=_UNHELD),
            Tried({"log_offset": 1e-50}, quick=_UNHELD),
            # Below the spacing of float32 at 1, and nearly of float64: what a compiler folds of constants shows here.
            Tried({"log_offset": 1e-15}, quick=("float32", "float64")),
            Tried(arrays=("clip",), quick=_ARRAYS),
            Tried(arrays=("log_floor",), quick=_ARRAYS),
            Tried(arrays=("log_offset",), quick=_ARRAYS),
        ),
    ),
    Loss(
        "sigmoid_focal_loss",
        "logits",
        definitions.focal,
        options={
            "gamma": _exponent(2.0),
            "alpha": Option(None, 0, 1, whole=1, hard=(0.25, 0.0, 1.0, 0.3, 1e-50)),
        },
        tried=(
            Tried({"gamma": 2.0, "alpha": 0.25}),
            Tried({"gamma": 0.5}),
            Tried({"gamma": 5.0}),
            Tried({"gamma": 0.3, "alpha": 0.3}, quick=_UNHELD),
            Tried({"gamma": 1.3}, quick=_UNHELD),
            Tried({"gamma": 0.2}, regimes=_ROOT, quick=_UNHELD),
            Tried({"gamma": 1.7}, arrays=("pos_weight",)),
            Tried(arrays=("gamma", "alpha"), quick=_ARRAYS),
        ),
    ),
    Loss(
        "asymmetric_loss",
        "logits",
        definitions.asymmetric,
        options={
            "gamma_pos": _exponent(0.0),
            "gamma_neg": _exponent(4.0),
            "shift": Option(0.0, 0, 1, whole=0, hard=(0.05, 0.0, 0.1, 0.5, 1e-50, 0.99), below=True),
        },
        tried=(
            Tried(),
            Tried({"gamma_pos": 1.0, "gamma_neg": 4.0, "shift": 0.05}, regimes=_BESIDE),
            Tried({"gamma_pos": 0.3, "gamma_neg": 1.7}, quick=_UNHELD),
            Tried({"gamma_pos": 0.3, "gamma_neg": 2.7, "shift": 0.05}, arrays=("pos_weight",), regimes=_BESIDE),
            Tried(arrays=("gamma_pos", "gamma_neg"), quick=_ARRAYS),
            Tried(arrays=("gamma_pos", "gamma_neg", "shift"), regimes=_BESIDE, quick=_ARRAYS),
        ),
    ),
)
FAMILY = {loss.name: loss for loss in _ROWS}
"""Every loss, by its name."""


def hard_places(loss: Loss, numbers: Mapping[str, float], arrays: tuple[str, ...]) -> tuple[str, ...]:
    """Return the regimes of where options make a loss hard to compute, besides those of its first argument."""
    shift = numbers.get("shift", 0.0)
    beside = _BESIDE if "shift" in arrays else (beside_logit(shift),) if shift else ()
    powers = [number for name, number in numbers.items() if name in loss.options and loss.options[name].exponent]
    return (*beside, *(power_underflows(power) for power in dict.fromkeys(powers) if 0 < power < 1))
