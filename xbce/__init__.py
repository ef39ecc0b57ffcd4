"""Binary cross-entropy with a stated accuracy, on any array API library."""

from xbce.losses import binary_cross_entropy_with_logits

__all__ = ["binary_cross_entropy_with_logits"]
__version__ = "0.1.0"
