"""What is hashed: every loss with each of its methods, every special function, and sums."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import xbce
import xbce.special

Call = Callable[..., Any]


@dataclass(frozen=True)
class Hashed:
    """One function with its options."""

    name: str
    group: str
    """What is compiled together."""
    call: Call
    arguments: tuple[str, ...]
    """Names of arrays of the grid."""

    @property
    def is_sum(self) -> bool:
        """Whether the result is one number, which the order of the elements does not change."""
        return self.arguments[0].startswith("term")


METHODS = ("value", "gradient", "hessian", "label_gradient")

_LOGITS, _PROBABILITIES = ("logits", "logit_labels"), ("probabilities", "labels")
_LOSSES: tuple[tuple[Any, tuple[str, ...], dict[str, Any]], ...] = (
    (xbce.binary_cross_entropy_with_logits, _LOGITS, {}),
    (xbce.binary_cross_entropy_with_logits, _LOGITS, {"pos_weight": 2.5, "label_smoothing": 0.1}),
    (xbce.sigmoid_focal_loss, _LOGITS, {"gamma": 2.0, "alpha": 0.25}),
    (xbce.sigmoid_focal_loss, _LOGITS, {"gamma": 1.3}),
    (xbce.asymmetric_loss, _LOGITS, {"gamma_pos": 1.0, "gamma_neg": 4.0, "shift": 0.05}),
    (xbce.binary_cross_entropy, _PROBABILITIES, {}),
    (xbce.binary_cross_entropy, _PROBABILITIES, {"clip": 1e-7}),
    (xbce.binary_cross_entropy, _PROBABILITIES, {"log_floor": -100.0}),
    (xbce.binary_cross_entropy, _PROBABILITIES, {"log_offset": 1e-7}),
)
_SPECIAL: dict[str, tuple[str, ...]] = {
    "expit": ("logits",),
    "log_expit": ("logits",),
    "softplus": ("logits",),
    "logit": ("probabilities",),
    "log1mexp": ("exponents",),
    "xlogy": ("labels", "probabilities"),
    "xlog1py": ("logit_labels", "logits"),
}


def _high(function: Call, names: tuple[str, ...] = (), **options: Any) -> Call:
    """Return a function with precision="high", whose last arguments are options of these names."""

    def call(*arrays: Any) -> Any:
        first = len(arrays) - len(names)
        keywords = dict(zip(names, arrays[first:], strict=True))
        return function(*arrays[:first], **keywords, **options, precision="high")

    return call


def _elementwise() -> list[Hashed]:
    found = []
    for loss, arguments, options in _LOSSES:
        shown = ", ".join(f"{name}={value!r}" for name, value in options.items())
        group = f"{loss.__name__}({shown})" if shown else loss.__name__
        for method in METHODS:
            function = loss if method == "value" else getattr(loss, method)
            found.append(Hashed(f"{group}, {method}", group, _high(function, **options), arguments))
    mean = _high(
        xbce.binary_cross_entropy_with_logits.gradient, ("weight", "where"), reduction="mean", normalize_by="weight"
    )
    name = "binary_cross_entropy_with_logits, mean by weight, gradient"
    found.append(Hashed(name, name, mean, (*_LOGITS, "weight", "where")))
    for name, arguments in _SPECIAL.items():
        found.append(Hashed(f"special.{name}", f"special.{name}", _high(getattr(xbce.special, name)), arguments))
    return found


def _sums() -> list[Hashed]:
    pair, rest = ("term_logits", "term_labels"), ("weight", "where")
    weighted = (*pair, "term_weight", "term_where")
    plain, name = xbce.binary_cross_entropy_with_logits, "binary_cross_entropy_with_logits"
    calls: tuple[tuple[str, Call, tuple[str, ...]], ...] = (
        ("reduce, sum", _high(xbce.reduce, reduction="sum"), ("terms",)),
        (f"{name}, sum", _high(plain, reduction="sum"), pair),
        (f"{name}, mean", _high(plain, rest, reduction="mean"), weighted),
        (f"{name}, mean by weight", _high(plain, rest, reduction="mean", normalize_by="weight"), weighted),
    )
    return [Hashed(name, "sums of " + ", ".join(arguments), call, arguments) for name, call, arguments in calls]


FUNCTIONS = (*_elementwise(), *_sums())
GROUPS = {key: tuple(group) for key, group in groupby(FUNCTIONS, key=lambda function: function.group)}
