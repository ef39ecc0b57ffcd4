"""What a case is: one function of xbce with the options that it is measured with.

Its name is what people read; what code asks of a case it asks of its fields.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from xbce_conformance.exact_values.by_series import SeriesReference, gradient_in
from xbce_conformance.exact_values.definitions import Definition
from xbce_conformance.exact_values.exact import Reference
from xbce_conformance.inputs import worst_cases
from xbce_conformance.inputs.formats import Floats, Format
from xbce_conformance.inputs.input_set import InputSet, drawn_set

SAMPLES = {"quick": 128, "full": 2048}
"""Elements per regime of all cases but the plain one: their exact values are more expensive."""

Quantity: TypeAlias = Literal[
    "value",
    "gradient",
    "hessian",
    "label_gradient",
    "pos_weight_gradient",
    "label_smoothing_gradient",
    "gamma_gradient",
    "alpha_gradient",
    "gamma_pos_gradient",
    "gamma_neg_gradient",
    "shift_gradient",
    "clip_gradient",
    "log_floor_gradient",
    "log_offset_gradient",
    "sum",
    "mean",
]

METHODS: dict[str, tuple[Quantity, ...]] = {
    "": ("value",),
    "gradient": ("gradient",),
    "hessian": ("hessian",),
    "value_and_gradient": ("value", "gradient"),
    "gradient_and_hessian": ("gradient", "hessian"),
    "label_gradient": ("label_gradient",),
}
"""The methods of a loss and what they return; "" is the call."""


@dataclass(frozen=True)
class Case:
    """One function with its options."""

    function: str
    definition: Definition
    regimes: tuple[str, ...]
    arguments: tuple[str, ...]
    """Arrays, positional ones first."""
    options: tuple[tuple[str, Any], ...] = ()
    """Keywords that are not arrays: each the exact number that its float is."""
    methods: tuple[str, ...] = tuple(METHODS)
    means: tuple[str, ...] = ()
    """What means divide by; a case with such is reduced, too."""
    derivatives_of_mean: tuple[Quantity, ...] = ()
    """What is measured of the mean that is divided by the sum of weights."""
    positional: int = 2
    exponent: float = 0.0
    """The largest power of a rounded factor in the definition: its errors are multiplied by it."""
    exponents: tuple[str, ...] = ()
    """Arguments that are such powers."""
    least_exponent: float = 0.0
    """The largest of such powers that are no arguments."""
    factor: float = 1.0
    """What multiplies exp(-|x|) in the tails, if it is more than 1: it multiplies the spacing of subnormal numbers."""
    quick: tuple[str, ...] | None = None
    """Dtypes in which xbce is tried at the level "quick", if not all."""

    @property
    def name(self) -> str:
        """The function as its users call it, without the positional arguments."""
        arrays = self.arguments[self.positional :]
        keywords = [*arrays, *(f"{key}={_shortest(value)}" for key, value in self.options)]
        return f"{self.function}({', '.join(keywords)})" if keywords else self.function

    @property
    def key(self) -> tuple[str, tuple[tuple[str, Any], ...], tuple[str, ...]]:
        """Function, options and arguments: what tells a case from all others."""
        return self.function, self.options, self.arguments

    @property
    def keywords(self) -> tuple[str, ...]:
        """The names of its options, and of the arrays that are passed by keyword."""
        return (*self.arguments[self.positional :], *(name for name, _ in self.options))

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What is judged of each element; gradients in options are those of automatic differentiation alone."""
        returned = dict.fromkeys(quantity for method in self.methods for quantity in METHODS[method])
        in_options = [gradient_in(name) for name in self.arguments[self.positional :]]
        return (*returned, *(quantity for quantity in get_args(Quantity) if quantity in in_options))

    def inputs(self, fmt: Format, level: str) -> InputSet:
        """Return what is tried."""
        return drawn_set(fmt, SAMPLES[level], self.regimes, self.arguments, self.searched(fmt))

    def searched(self, fmt: Format) -> tuple[Floats, ...]:
        """Return the arguments that a search has found."""
        return worst_cases.known(fmt, self.name, self.arguments)

    def reference(self, fmt: Format) -> Reference:  # noqa: ARG002
        """Return the reference for subjects of a format."""
        return SeriesReference(self.definition, self.arguments)


def _shortest(number: float) -> str:
    """Write a number as people do, with the digits that tell it from all others."""
    text = f"{number:g}"
    return text if float(text) == number else repr(number)
