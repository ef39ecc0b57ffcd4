"""Elementwise mathematics on arrays of any namespace; the only copy of each formula.

A formula is a small frozen value. Its static options are its fields, its arrays are the arguments of its methods
(`value`, `gradient`, ...), so that a backend can use the formula as the key of a compiled or fused kernel.

Nothing here knows a backend, checks an argument, reduces, or branches on the values in an array. None goes through
abs, max or clip, whose derivative at the kink is each backend's own choice.
"""

from .cross_entropy import CrossEntropy
from .exponents import Clip, exponents_of
from .identity import Identity
from .idioms import Idiom, settled
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
    "ProbabilityCrossEntropy",
    "exponents_of",
    "settled",
]
