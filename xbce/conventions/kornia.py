"""kornia's binary focal loss: the function for any array library, and the module for PyTorch.

The module `BinaryFocalLossWithLogits` imports PyTorch at its first use; nothing else here imports it.
"""

import functools
from typing import TYPE_CHECKING, Any

from .. import losses
from .._call.checks import option_in
from .._call.lengths import must_be, same_length
from .._call.promotion import dtype_name, promoted
from .._typing import Array
from ._common import cast, dtype_named, is_floating, namespace, one_library, same_shape
from .pytorch import _traceable

if TYPE_CHECKING:
    from ._kornia_module import BinaryFocalLossWithLogits

__all__ = ["BinaryFocalLossWithLogits", "binary_focal_loss_with_logits"]


@_traceable
def binary_focal_loss_with_logits(
    pred: Array,
    target: Array,
    alpha: Array | float | None = 0.25,
    gamma: Array | float = 2.0,
    reduction: str = "none",
    pos_weight: Array | None = None,
    weight: Array | None = None,
    ignore_index: int | None = -100,
) -> Array:
    """Binary focal loss, as ``kornia.losses.binary_focal_loss_with_logits``.

    A soft label weighs the losses of the labels 1 and 0, each modulated by its own probability:
    ``alpha y (1 - p)^gamma (-log(p)) + (1 - alpha) (1 - y) p^gamma (-log(1 - p))``. In torchvision, optax and
    ``xbce.sigmoid_focal_loss`` one factor, linear in the label, modulates both; for labels 0 and 1 that is the same.

    Parameters
    ----------
    pred : array
        Logits (N, C, ...), of any floating dtype, of any library.
    target : array
        Labels, of the shape of `pred`; floating or integer.
    alpha : float or array, optional
        Weight of the positive label, in [0, 1]; 1 - alpha is that of the negative one. None for none.
    gamma : float or array, optional
        Exponent, not negative. Arrays broadcast to the shape of `pred`, their values are not looked at, and they get a
        gradient.
    reduction : {"none", "mean", "sum"}, optional
        "mean" divides by the number of elements, ignored ones included.
    pos_weight : array, optional
        Factor of the term of the positive label: a number for each of the C classes, along axis 1.
    weight : array, optional
        Factor of each loss: a number for each of the C classes, along axis 1. It does not count in the mean's
        denominator.
    ignore_index : int, optional
        Elements of this target contribute 0. None for none.

    Returns
    -------
    array
        Of the widest floating dtype of `pred`, `target`, `pos_weight` and `weight`; an integer `target` counts as
        float32. The mean of no elements is NaN.

    Raises
    ------
    ValueError
        If `pred` has fewer than two dimensions, the shapes of `target` and `pred` differ, `pos_weight` or `weight`
        does not have one number for each class, `alpha` is not in [0, 1], or `gamma` is negative (kornia takes both).
    NotImplementedError
        If `reduction` is not one of the three, or `pred` is not floating.
    RuntimeError
        If `target` is boolean.
    TypeError
        If an argument is of another type.

    Notes
    -----
    kornia is accurate in both tails. In the half types it rounds every step, here the result is rounded once. Where the
    label agrees with an infinite logit both give NaN. kornia multiplies what it ignores by 0, which leaves a NaN of
    `pred` in the loss; here an ignored element contributes 0, whatever it holds.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.conventions.kornia import binary_focal_loss_with_logits
    >>> binary_focal_loss_with_logits(np.array([[-20.0, 0.5, 2.0]]), np.array([[1, 0.5, -100]]))
    array([[4.99999998, 0.14997604, 0.        ]])
    """
    if reduction not in ("none", "mean", "sum"):
        msg = f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}"
        raise NotImplementedError(msg)
    if ignore_index is not None and (isinstance(ignore_index, bool) or not isinstance(ignore_index, int)):
        msg = f"ignore_index must be an int or None, got {ignore_index!r}"
        raise TypeError(msg)
    pred, target, pos_weight, weight = _arrays(pred, target, pos_weight, weight)
    alpha = None if alpha is None else option_in("alpha", alpha, 0, 1)
    _, alpha, gamma = one_library(pred=pred, alpha=alpha, gamma=option_in("gamma", gamma, 0))
    names = [dtype_name(x.dtype) for x in (pred, target, pos_weight, weight) if x is not None and is_floating(x)]
    name = functools.reduce(promoted, names if is_floating(target) else [*names, "float32"])
    x, y = (cast(a, dtype_named("pred", promoted(name, "float32"), pred)) for a in (pred, target))
    weight_of_1, weight_of_0 = y, 1 - y
    if weight is not None:
        weight_of_1, weight_of_0 = weight * weight_of_1, weight * weight_of_0
    if pos_weight is not None:
        weight_of_1 = pos_weight * weight_of_1
    options = {
        "gamma": gamma,
        "alpha": alpha,
        "where": None if ignore_index is None else y != ignore_index,
        "reduction": reduction,
        "normalize_by": "size",
    }
    loss = losses.sigmoid_focal_loss(x, 1, weight=weight_of_1, **options)
    loss = loss + losses.sigmoid_focal_loss(x, 0, weight=weight_of_0, **options)
    return cast(loss, dtype_named("pred", name, pred))


def __getattr__(name: str) -> Any:
    if name == "BinaryFocalLossWithLogits":
        from . import _kornia_module

        return _kornia_module.BinaryFocalLossWithLogits
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _arrays(pred: Array, target: Array, pos_weight: Array | None, weight: Array | None) -> tuple[Any, ...]:
    """Check the arrays; return them of one library, and the weights of classes as they broadcast to `pred`."""
    for name, x in {"pred": pred, "target": target, "pos_weight": pos_weight, "weight": weight}.items():
        if x is not None or name in ("pred", "target"):  # numbers are refused, as in kornia
            namespace(name, x)
    pred, target, *weights = one_library(pred=pred, target=target, pos_weight=pos_weight, weight=weight)
    if pred.ndim < 2:
        msg = f"pred must have at least two dimensions, got shape {tuple(pred.shape)}"
        raise ValueError(msg)
    if not same_shape(target, pred):
        msg = f"target must have the shape of pred, got target {tuple(target.shape)} and pred {tuple(pred.shape)}"
        raise ValueError(msg)
    if not is_floating(pred):
        msg = f"pred must be of a floating dtype, got {pred.dtype}"
        raise NotImplementedError(msg)
    if dtype_name(target.dtype) == "bool":
        msg = f"target must be floating or integer, got {target.dtype}"
        raise RuntimeError(msg)
    return (
        pred,
        target,
        *(_of_classes(name, x, pred) for name, x in zip(("pos_weight", "weight"), weights, strict=True)),
    )


def _of_classes(name: str, x: Array | None, pred: Array) -> Array | None:
    """Return a number for each class in a shape that broadcasts to that of `pred`."""
    if x is None:
        return None
    one_each = x.ndim > 0 and same_length(x.shape[0], pred.shape[1]) and all(must_be(n == 1) for n in x.shape[1:])
    if not one_each:
        msg = (
            f"{name} must have one number for each class of pred, "
            f"got {name} {tuple(x.shape)} and pred {tuple(pred.shape)}"
        )
        raise ValueError(msg)
    return namespace(name, x).reshape(x, (-1, *(1 for _ in pred.shape[2:])))
