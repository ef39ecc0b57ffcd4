"""Modules of `xbce.conventions.pytorch` whose options are numbers or tensors, learnable ones too."""

from typing import Any

import torch

from .. import losses
from .._call.checks import option_in
from ..special import expit
from . import pytorch
from ._common import one_library
from .pytorch import (
    _arrays,
    _as_under_autocast,
    _reduction,
    _require_floating,
    _require_same_shape,
    _traceable,
)

__all__ = ["AsymmetricLoss", "FocalLoss"]


def hold(module: torch.nn.Module, *, persistent: bool = True, **options: Any) -> None:
    """Keep options of a module: a parameter as one, another tensor as a buffer, and what is no tensor as it is."""
    for name, x in options.items():
        if isinstance(x, torch.Tensor) and not isinstance(x, torch.nn.Parameter):
            module.register_buffer(name, x, persistent=persistent)
        else:
            setattr(module, name, x)


def described(module: torch.nn.Module, *names: str) -> str:
    """Return the attributes of a module for its repr; tensors by their shape, as they may be on any device."""
    options = {name: getattr(module, name) for name in names}
    return ", ".join(
        f"{name}={type(x).__name__} of shape {tuple(x.shape)}" if isinstance(x, torch.Tensor) else f"{name}={x!r}"
        for name, x in options.items()
    )


class FocalLoss(torch.nn.Module):  # type: ignore[misc] # mypy does not follow torch
    """Focal loss of logits as a module: ``torchvision.ops.sigmoid_focal_loss`` with the mean for its reduction.

    The loss is `xbce.conventions.pytorch.sigmoid_focal_loss`, which says what differs from torchvision's. PyTorch's
    tracers take the module as they take `BCEWithLogitsLoss`.

    Parameters
    ----------
    alpha : float or torch.Tensor or torch.nn.Parameter, optional
        Weight of the positive label; 1 - alpha is that of the negative one. -1 or None for none.
    gamma : float or torch.Tensor or torch.nn.Parameter, optional
        Exponent of the probability of being wrong.
    reduction : {"mean", "sum", "none"}, optional
        "mean" divides by the number of elements.

    Notes
    -----
    A number is an attribute, which may be set before any call; it must be in its range. A tensor, which broadcasts to
    the shape of the logits, is a buffer, and a ``torch.nn.Parameter`` learns: both are in the state dict and move with
    the module. The values of tensors are not looked at, so a step may take a learnable gamma below 0.

    Examples
    --------
    >>> import torch
    >>> from xbce.conventions.pytorch import FocalLoss
    >>> criterion = FocalLoss(gamma=torch.nn.Parameter(torch.tensor(2.0)))
    >>> criterion
    FocalLoss(alpha=0.25, gamma=Parameter of shape (), reduction='mean')
    >>> criterion(torch.tensor([20.0, -1.0]), torch.tensor([1.0, 1.0])).backward()
    >>> criterion.gamma.grad
    tensor(-0.0275)
    """

    def __init__(
        self,
        alpha: torch.Tensor | float | None = 0.25,
        gamma: torch.Tensor | float = 2.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        hold(self, alpha=alpha, gamma=gamma)
        self.reduction = reduction

    def forward(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:  # noqa: A002 - PyTorch's name
        """Return the loss of logits and labels."""
        alpha = -1 if self.alpha is None else self.alpha
        loss: torch.Tensor = pytorch.sigmoid_focal_loss(input, target, alpha, self.gamma, self.reduction)
        return loss

    def extra_repr(self) -> str:
        """Return the options, for the repr."""
        return described(self, "alpha", "gamma", "reduction")


class AsymmetricLoss(torch.nn.Module):  # type: ignore[misc]
    """Asymmetric loss of logits, as the module ``AsymmetricLoss`` of its authors.

    PyTorch's tracers take the module as they take `BCEWithLogitsLoss`.

    Parameters
    ----------
    gamma_neg, gamma_pos : float or torch.Tensor or torch.nn.Parameter, optional
        Exponents for the negative and the positive label.
    clip : float or torch.Tensor or torch.nn.Parameter, optional
        Negatives with a smaller probability have neither loss nor gradient; the `shift` of ``xbce.asymmetric_loss``. 0
        or None for none.
    eps : float, optional
        Not used, and here for the order of arguments: the authors clamp at it what they take logarithms of.
    disable_torch_grad_focal_loss : bool, optional
        Take the modulating factor for a constant in the backward pass: then exponents get no gradient.
    reduction : {"sum", "mean", "none"}, optional
        The authors' code has the sum.

    Notes
    -----
    With their clamp at 1e-8 the logit 30 has, for a negative label and without `clip`, the loss 18.4 and no gradient;
    here the loss is 30. They compute the probability of a negative as ``1 - sigmoid(x)``, which is 0 from the logit 17
    on in float32.

    `disable_torch_grad_focal_loss` is True by default in the authors' ``AsymmetricLoss``, and False in their
    ``AsymmetricLossOptimized`` and in timm, as here.

    Numbers, tensors and parameters are kept as by `FocalLoss`.

    References
    ----------
    .. [1] T. Ridnik et al., "Asymmetric loss for multi-label classification", ICCV 2021, https://arxiv.org/abs/2009.14119

    Examples
    --------
    >>> import torch
    >>> from xbce.conventions.pytorch import AsymmetricLoss
    >>> criterion = AsymmetricLoss(gamma_neg=4, gamma_pos=1, clip=0.05)
    >>> criterion(torch.tensor([[2.0, -4.0]]), torch.tensor([[1.0, 0.0]]))
    tensor(0.0151)
    """

    def __init__(
        self,
        gamma_neg: torch.Tensor | float = 4.0,
        gamma_pos: torch.Tensor | float = 1.0,
        clip: torch.Tensor | float | None = 0.05,
        eps: float = 1e-8,
        disable_torch_grad_focal_loss: bool = False,
        *,
        reduction: str = "sum",
    ) -> None:
        super().__init__()
        hold(self, gamma_neg=gamma_neg, gamma_pos=gamma_pos, clip=clip)
        self.eps = eps
        self.disable_torch_grad_focal_loss = disable_torch_grad_focal_loss
        self.reduction = reduction

    def forward(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:  # noqa: A002
        """Return the loss of logits and labels."""
        loss: torch.Tensor = asymmetric_loss(
            input,
            target,
            self.gamma_neg,
            self.gamma_pos,
            0 if self.clip is None else self.clip,
            self.disable_torch_grad_focal_loss,
            self.reduction,
        )
        return loss

    def extra_repr(self) -> str:
        """Return the options, for the repr."""
        return described(self, "gamma_neg", "gamma_pos", "clip", "disable_torch_grad_focal_loss", "reduction")


@_traceable
def asymmetric_loss(
    input: torch.Tensor,  # noqa: A002
    target: torch.Tensor,
    gamma_neg: torch.Tensor | float,
    gamma_pos: torch.Tensor | float,
    clip: torch.Tensor | float,
    constant_factor: bool,
    reduction: str,
) -> torch.Tensor:
    """Return the loss of an `AsymmetricLoss`."""
    kind = _reduction(None, None, reduction)
    input, target = _arrays(input=input, target=target)  # noqa: A001
    _require_same_shape(input=input, target=target)
    _require_floating(input=input)
    neg, pos = option_in("gamma_neg", gamma_neg, 0), option_in("gamma_pos", gamma_pos, 0)
    shift = option_in("clip", clip, 0, 1, below=True)
    _, neg, pos, shift = one_library(input=input, gamma_neg=neg, gamma_pos=pos, clip=shift)
    if not constant_factor:
        return losses.asymmetric_loss(input, target, gamma_neg=neg, gamma_pos=pos, shift=shift, reduction=kind)
    x, y = _as_under_autocast(input, target)
    dtype = torch.promote_types(x.dtype, y.dtype)
    x, y = (a.to(torch.promote_types(dtype, torch.float32)) for a in (x, y))
    with torch.no_grad():
        wrong = y * expit(-x) + (1 - y) * (expit(x) - shift).clamp(min=0)
        factor = wrong ** (pos * y + neg * (1 - y))
    loss = losses.asymmetric_loss(x, y, gamma_neg=0, gamma_pos=0, shift=shift, weight=factor, reduction=kind)
    return loss.to(dtype)


for _module in (AsymmetricLoss, FocalLoss):
    # The module from which users import them, and pickles, too.
    _module.__module__ = pytorch.__name__
