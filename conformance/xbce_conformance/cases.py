"""What is promised for: each function of xbce with the options that it is measured with.

A case is a row: function, options, arguments, definition, inputs. Its name is its key in the tables of bounds and of
special values.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from xbce_conformance import definitions
from xbce_conformance.formats import Format
from xbce_conformance.inputs import LOGIT_REGIMES, PROBABILITY_REGIMES, InputSet, drawn_set, input_set
from xbce_conformance.reference import BallReference, Float64Reference, Reference, SeriesReference

SAMPLES = {"quick": 128, "full": 2048}
"""Elements per regime of all cases but the plain one: their exact values are dearer."""

Quantity: TypeAlias = Literal["value", "gradient", "hessian", "label_gradient", "pos_weight_gradient", "sum", "mean"]

METHODS: dict[str, tuple[Quantity, ...]] = {
    "": ("value",),
    "gradient": ("gradient",),
    "hessian": ("hessian",),
    "value_and_gradient": ("value", "gradient"),
    "gradient_and_hessian": ("gradient", "hessian"),
    "label_gradient": ("label_gradient",),
}
"""The methods of a loss and what they return; "" is the call."""

DENOMINATORS = ("count", "size", "weight", "nonzero", "batch")


@dataclass(frozen=True)
class Case:
    """One function with its options."""

    function: str
    definition: definitions.Definition
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
    quick: tuple[str, ...] | None = None
    """Dtypes in which xbce is tried at the level "quick", if not all."""

    @property
    def name(self) -> str:
        """The function as its users call it, without the positional arguments."""
        keywords = [*self.arguments[self.positional :], *(f"{key}={value:g}" for key, value in self.options)]
        return f"{self.function}({', '.join(keywords)})" if keywords else self.function

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What is promised of each element; the gradient in pos_weight is one of automatic differentiation alone."""
        returned = dict.fromkeys(quantity for method in self.methods for quantity in METHODS[method])
        return (*returned, *(("pos_weight_gradient",) if "pos_weight" in self.arguments else ()))

    def inputs(self, fmt: Format, level: str) -> InputSet:
        """Return what is tried."""
        return drawn_set(fmt, SAMPLES[level], self.regimes, self.arguments)

    def reference(self, fmt: Format) -> Reference:  # noqa: ARG002
        """Return the reference for subjects of a format."""
        return SeriesReference(self.definition)


class _Plain(Case):
    """The plain loss: references that are fast, so many samples; and real data."""

    def inputs(self, fmt: Format, level: str) -> InputSet:
        return input_set(fmt, level)

    def reference(self, fmt: Format) -> Reference:
        return BallReference() if fmt.name == "float64" else Float64Reference()


_LOGITS, _PROBABILITIES = ("logits", "labels"), ("probabilities", "labels")
_WITH_LOGITS = "binary_cross_entropy_with_logits"

PLAIN = _Plain(_WITH_LOGITS, definitions.cross_entropy, LOGIT_REGIMES, _LOGITS, means=("count",))


def _focal(*arrays: str, quick: tuple[str, ...] | None = None, **options: float) -> Case:
    return Case(
        "sigmoid_focal_loss",
        definitions.focal(**options),
        LOGIT_REGIMES,
        (*_LOGITS, *arrays),
        tuple(options.items()),
        exponent=options["gamma"],
        quick=quick,
    )


def _asymmetric(*arrays: str, quick: tuple[str, ...] | None = None, **options: float) -> Case:
    all_options = {"gamma_pos": 0.0, "gamma_neg": 4.0} | options
    return Case(
        "asymmetric_loss",
        definitions.asymmetric(**all_options),
        (*LOGIT_REGIMES, "beside logit(0.05)") if "shift" in options else LOGIT_REGIMES,
        (*_LOGITS, *arrays),
        tuple(options.items()),
        exponent=max(all_options["gamma_pos"], all_options["gamma_neg"]),
        quick=quick,
    )


def _of_probabilities(
    definition: definitions.Definition, *arrays: str, quick: tuple[str, ...] | None = None, **options: float
) -> Case:
    arguments = (*_PROBABILITIES, *arrays)
    return Case("binary_cross_entropy", definition, PROBABILITY_REGIMES, arguments, tuple(options.items()), quick=quick)


_UNHELD = ("float32",)
"""Options that no format holds are tried in float32 at the level "quick": half types are computed in it, with the same
options, and float64 holds what a Python float is."""


def _primitive(name: str, regimes: tuple[str, ...], *arguments: str) -> Case:
    definition = definitions.PRIMITIVES[name]
    return Case(f"special.{name}", definition, regimes, arguments, methods=("",), positional=len(arguments))


CASES = (
    PLAIN,
    Case(_WITH_LOGITS, definitions.pos_weighted, LOGIT_REGIMES, (*_LOGITS, "pos_weight")),
    Case(_WITH_LOGITS, definitions.smoothed(0.1), LOGIT_REGIMES, _LOGITS, (("label_smoothing", 0.1),)),
    Case(_WITH_LOGITS, definitions.weighted, LOGIT_REGIMES, (*_LOGITS, "weight")),
    Case(
        _WITH_LOGITS,
        definitions.masked,
        LOGIT_REGIMES,
        (*_LOGITS, "weight", "where"),
        means=DENOMINATORS,
        derivatives_of_mean=("gradient", "hessian", "label_gradient"),
    ),
    _of_probabilities(definitions.probability),
    _of_probabilities(definitions.clipped(1e-7), clip=1e-7),
    _of_probabilities(definitions.log_floored(-100.0), log_floor=-100.0),
    _of_probabilities(definitions.log_offset(1e-7), log_offset=1e-7),
    _of_probabilities(definitions.probability, "pos_weight"),
    _of_probabilities(definitions.log_offset(1e-7), "pos_weight", log_offset=1e-7),
    _focal(gamma=2.0, alpha=0.25),
    _focal(gamma=0.5),
    _focal(gamma=5.0),
    _asymmetric(),
    _asymmetric(gamma_pos=1.0, gamma_neg=4.0, shift=0.05),
    # Options that float32 does not hold: next to which nothing is, or so large or small that it has none of the size.
    _focal(gamma=0.3, alpha=0.3, quick=_UNHELD),
    _focal(gamma=1.3, quick=_UNHELD),
    _focal("pos_weight", gamma=1.7),
    _asymmetric(gamma_pos=0.3, gamma_neg=1.7, quick=_UNHELD),
    _asymmetric("pos_weight", gamma_pos=0.3, gamma_neg=2.7, shift=0.05),
    Case(
        _WITH_LOGITS,
        definitions.with_pos_weight(1e39, definitions.pos_weighted),
        LOGIT_REGIMES,
        _LOGITS,
        (("pos_weight", 1e39),),
        quick=_UNHELD,
    ),
    Case(
        _WITH_LOGITS,
        definitions.scaled(1e39, definitions.cross_entropy),
        LOGIT_REGIMES,
        _LOGITS,
        (("weight", 1e39),),
        quick=_UNHELD,
    ),
    _of_probabilities(definitions.clipped(1e-50), clip=1e-50, quick=_UNHELD),
    _of_probabilities(definitions.log_offset(1e-50), log_offset=1e-50, quick=_UNHELD),
    # And one below the spacing of float32 at 1, and nearly of float64: what a compiler folds of constants shows here.
    _of_probabilities(definitions.log_offset(1e-15), log_offset=1e-15, quick=("float32", "float64")),
    _primitive("expit", LOGIT_REGIMES, "x"),
    _primitive("log_expit", LOGIT_REGIMES, "x"),
    _primitive("softplus", LOGIT_REGIMES, "x"),
    _primitive("logit", PROBABILITY_REGIMES, "p"),
    _primitive("log1mexp", ("x < 0",), "x"),
    _primitive("xlogy", ("x, y > 0",), "x", "y"),
    _primitive("xlog1py", ("x, y > -1",), "x", "y"),
    Case(
        "reduce",
        definitions.weigh,
        ("losses",),
        ("losses", "weight", "where"),
        methods=(),
        means=DENOMINATORS,
        positional=1,
    ),
)
FUNCTIONS = tuple(dict.fromkeys(case.function for case in CASES))
