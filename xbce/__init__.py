"""Binary cross-entropy with a stated accuracy, on any array API library."""

from xbce.losses import (
    asymmetric_loss,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    sigmoid_focal_loss,
)
from xbce.steps import check_labels, reduce

__all__ = [
    "asymmetric_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "check_labels",
    "reduce",
    "sigmoid_focal_loss",
]
__version__ = "0.1.0"
