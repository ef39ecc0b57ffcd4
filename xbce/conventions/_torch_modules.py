"""The modules of `xbce.conventions.pytorch`: PyTorch's own, with xbce's losses in their forward pass."""

import torch

from . import pytorch

__all__ = ["BCELoss", "BCEWithLogitsLoss"]


class BCEWithLogitsLoss(torch.nn.BCEWithLogitsLoss):  # type: ignore[misc] # mypy does not follow torch
    """``torch.nn.BCEWithLogitsLoss`` with the loss of `xbce`.

    A subclass, so arguments, buffers, state dict, devices, hooks, pickling and repr are PyTorch's. The loss is
    `xbce.conventions.pytorch.binary_cross_entropy_with_logits`, which says what differs. ``torch.compile``,
    ``torch.export``, ``torch.func``, ``torch.fx`` and ``torch.jit.trace`` take it; ``torch.jit.script`` does not.

    Parameters
    ----------
    weight : torch.Tensor, optional
        Factor of each loss; broadcasts to the shape of the logits. A buffer.
    size_average, reduce : bool, optional
        Deprecated: they override `reduction`, with a warning.
    reduction : {"mean", "sum", "none"}, optional
        "mean" divides by the number of elements.
    pos_weight : torch.Tensor, optional
        Factor of the term of the positive label; broadcasts to the shape of the logits. A buffer.

    Examples
    --------
    >>> import torch
    >>> from xbce.conventions.pytorch import BCEWithLogitsLoss
    >>> logits = torch.tensor([20.0, -3.0], requires_grad=True)
    >>> BCEWithLogitsLoss(reduction="sum")(logits, torch.tensor([1.0, 0.0])).backward()
    >>> logits.grad
    tensor([-2.0612e-09,  4.7426e-02])
    """

    def forward(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:  # noqa: A002
        """Return the loss of logits and labels."""
        loss: torch.Tensor = pytorch.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )
        return loss


class BCELoss(torch.nn.BCELoss):  # type: ignore[misc]
    """``torch.nn.BCELoss`` with the loss of `xbce`.

    A subclass, as `BCEWithLogitsLoss` is, and taken by the same tracers; the loss is
    `xbce.conventions.pytorch.binary_cross_entropy`.

    Parameters
    ----------
    weight : torch.Tensor, optional
        Factor of each loss; broadcasts to the shape of the probabilities. A buffer.
    size_average, reduce : bool, optional
        Deprecated: they override `reduction`, with a warning.
    reduction : {"mean", "sum", "none"}, optional
        "mean" divides by the number of elements.

    Examples
    --------
    >>> import torch
    >>> from xbce.conventions.pytorch import BCELoss
    >>> BCELoss()(torch.tensor([0.25, 0.0]), torch.tensor([1.0, 0.0]))
    tensor(0.6931)
    """

    def forward(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:  # noqa: A002
        """Return the loss of probabilities and labels."""
        loss: torch.Tensor = pytorch.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)
        return loss


for _module in (BCELoss, BCEWithLogitsLoss):
    # The module from which users import them, and pickles, too.
    _module.__module__ = pytorch.__name__
