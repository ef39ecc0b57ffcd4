"""The module of `xbce.conventions.kornia`."""

import torch

from . import kornia
from ._torch_focal import hold

__all__ = ["BinaryFocalLossWithLogits"]


class BinaryFocalLossWithLogits(torch.nn.Module):  # type: ignore[misc] # mypy does not follow torch
    """``kornia.losses.BinaryFocalLossWithLogits`` with the loss of `xbce`.

    The loss is `xbce.conventions.kornia.binary_focal_loss_with_logits`, which says what differs. PyTorch's tracers take
    the module as they take `xbce.conventions.pytorch.BCEWithLogitsLoss`.

    Parameters
    ----------
    alpha : float or torch.Tensor or torch.nn.Parameter or None
        Weight of the positive label; 1 - alpha is that of the negative one. None for none.
    gamma : float or torch.Tensor or torch.nn.Parameter, optional
        Exponent.
    reduction : {"none", "mean", "sum"}, optional
        "mean" divides by the number of elements, ignored ones included.
    pos_weight, weight : torch.Tensor or torch.nn.Parameter, optional
        Factors of the term of the positive label, and of the loss: a number for each class. As in kornia, buffers that
        are not in the state dict, or parameters.
    ignore_index : int, optional
        Elements of this target contribute 0. None for none.

    Examples
    --------
    >>> import torch
    >>> from xbce.conventions.kornia import BinaryFocalLossWithLogits
    >>> BinaryFocalLossWithLogits(alpha=0.25, reduction="mean")(torch.tensor([[2.0, -1.0]]), torch.tensor([[1, 0]]))
    tensor(0.0087)
    """

    def __init__(
        self,
        alpha: torch.Tensor | float | None,
        gamma: torch.Tensor | float = 2.0,
        reduction: str = "none",
        pos_weight: torch.Tensor | None = None,
        weight: torch.Tensor | None = None,
        ignore_index: int | None = -100,
    ) -> None:
        super().__init__()
        hold(self, alpha=alpha, gamma=gamma)
        hold(self, persistent=False, pos_weight=pos_weight, weight=weight)
        self.reduction = reduction
        self.ignore_index = ignore_index

    def forward(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss of logits and labels."""
        loss: torch.Tensor = kornia.binary_focal_loss_with_logits(
            pred, target, self.alpha, self.gamma, self.reduction, self.pos_weight, self.weight, self.ignore_index
        )
        return loss


BinaryFocalLossWithLogits.__module__ = kornia.__name__  # from which users import it, and pickles, too
