"""Binary cross-entropy with a stated accuracy, on any array API library."""

from . import conventions, special
from ._compiler.threads import get_num_threads, set_num_threads
from .accumulator import SumAccumulator
from .labels import check_labels
from .losses import (
    asymmetric_loss,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    sigmoid_focal_loss,
)
from .reduction import reduce

__all__ = [
    "SumAccumulator",
    "asymmetric_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "check_labels",
    "conventions",
    "get_num_threads",
    "reduce",
    "set_num_threads",
    "sigmoid_focal_loss",
    "special",
]
__version__ = "0.1.0"


def __dir__() -> list[str]:
    return sorted(__all__)
