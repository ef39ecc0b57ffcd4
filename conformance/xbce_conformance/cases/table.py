"""Each function of xbce with the options that it is measured with.

The losses are rows of `losses`; here are the other functions, and what tells the plain loss from all others.
"""

from xbce_conformance.cases.case import Case
from xbce_conformance.cases.losses import DENOMINATORS, FAMILY
from xbce_conformance.exact_values import definitions
from xbce_conformance.exact_values.exact import Reference
from xbce_conformance.exact_values.plain_loss import BallReference, Float64Reference
from xbce_conformance.inputs.formats import Format
from xbce_conformance.inputs.input_set import InputSet, input_set
from xbce_conformance.inputs.regimes import LOGIT_REGIMES, PROBABILITY_REGIMES


class _Plain(Case):
    """The plain loss: references that are fast, so many samples; and real data."""

    def inputs(self, fmt: Format, level: str) -> InputSet:
        return input_set(fmt, level, self.searched(fmt))

    def reference(self, fmt: Format) -> Reference:
        return BallReference() if fmt.name == "float64" else Float64Reference()


def _primitive(name: str, regimes: tuple[str, ...], *arguments: str) -> Case:
    definition = definitions.PRIMITIVES[name]
    return Case(f"special.{name}", definition, regimes, arguments, methods=("",), positional=len(arguments))


_FIRST, *_LOSSES = (case for loss in FAMILY.values() for case in loss.cases)
PLAIN = _Plain(**vars(_FIRST))
CASES = (
    PLAIN,
    *_LOSSES,
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
BY_NAME = {case.name: case for case in CASES}
FUNCTIONS = tuple(dict.fromkeys(case.function for case in CASES))
WITH_NUMBERS = tuple(case for case in CASES if case.function in FAMILY and len(case.arguments) == 2 and not case.quick)
"""Every loss, with options that are numbers: what tests run over that need a few of each."""
