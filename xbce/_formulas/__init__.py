"""Elementwise mathematics on arrays of any namespace; the only copy of each formula.

A formula is a small frozen value. Its static options are its fields, its arrays are the arguments of its methods
(`value`, `gradient`, ...), so that a backend can use the formula as the key of a compiled or fused kernel.

Formulas contain no name of a backend, no check of an argument, no reduction, and no branch on the values in an array.
They use neither abs nor max nor clip, since backends differ in their derivatives at the kink.
"""

from .cross_entropy import CrossEntropy
from .exponents import Clip, Offset, exponents_of
from .identity import Identity
from .idioms import Idiom, WithForms, idiom, is_array, log1p_unit, minus_sign, settled
from .modulated import ModulatedCrossEntropy
from .probabilities import ProbabilityCrossEntropy
from .protocol import Formula, Number

__all__ = [
    "Clip",
    "CrossEntropy",
    "Formula",
    "Identity",
    "Idiom",
    "ModulatedCrossEntropy",
    "Number",
    "Offset",
    "ProbabilityCrossEntropy",
    "WithForms",
    "exponents_of",
    "idiom",
    "is_array",
    "log1p_unit",
    "minus_sign",
    "settled",
]
