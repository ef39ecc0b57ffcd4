"""Each function of xbce with the options that it is measured with."""

from xbce_conformance.cases.case import METHODS, SAMPLES, Case, Quantity
from xbce_conformance.cases.losses import DENOMINATORS, FAMILY, Loss, Option, Tried
from xbce_conformance.cases.named import BadCase, case_named
from xbce_conformance.cases.table import BY_NAME, CASES, FUNCTIONS, PLAIN, WITH_NUMBERS

__all__ = [
    "BY_NAME",
    "CASES",
    "DENOMINATORS",
    "FAMILY",
    "FUNCTIONS",
    "METHODS",
    "PLAIN",
    "SAMPLES",
    "WITH_NUMBERS",
    "BadCase",
    "Case",
    "Loss",
    "Option",
    "Quantity",
    "Tried",
    "case_named",
]
