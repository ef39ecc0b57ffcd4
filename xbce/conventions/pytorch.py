"""PyTorch's losses: the functions for any array library, and the modules for PyTorch.

The modules `BCEWithLogitsLoss`, `BCELoss`, `FocalLoss` and `AsymmetricLoss` import PyTorch at their first use; nothing
else here imports it. All of PyTorch's tracers take functions and modules, except ``torch.jit.script``, which would need
a second formula.
"""

import functools
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, get_args

from .. import losses
from .._call.checks import is_array_option, option_in
from .._call.promotion import autocasts
from .._typing import Array, ReductionKind
from ..reduction import reduce as reduced
from ._common import (
    cast,
    first_outside,
    fits_into,
    is_floating,
    is_torch,
    namespace,
    namespace_of,
    one_library,
    same_shape,
)

if TYPE_CHECKING:
    from ._torch_focal import AsymmetricLoss, FocalLoss
    from ._torch_modules import BCELoss, BCEWithLogitsLoss

__all__ = [
    "AsymmetricLoss",
    "BCELoss",
    "BCEWithLogitsLoss",
    "FocalLoss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "sigmoid_focal_loss",
]

P = ParamSpec("P")

_LOG_FLOOR = -100.0
_SLOPE_FLOOR = 9.999999960041972e-13  # 1e-12 in float32, for float64, too


def _traceable(function: Callable[P, Array]) -> Callable[P, Array]:
    """Have torch.fx and torch.jit.trace trace a function as they trace PyTorch's own.

    The symbolic tracing of torch.fx records a call as one node. torch.jit.trace records the operations; its warnings
    that it does not record the checks of shapes are silenced.
    """

    @functools.wraps(function)
    def entry(*args: P.args, **kwargs: P.kwargs) -> Array:
        torch = sys.modules.get("torch")
        if torch is None or torch.compiler.is_compiling():
            return function(*args, **kwargs)
        for x in (*args, *kwargs.values()):
            if isinstance(x, torch.fx.Proxy):
                return x.tracer.create_proxy("call_function", entry, args, kwargs)
        if not _is_recorded():
            return function(*args, **kwargs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", torch.jit.TracerWarning)
            return function(*args, **kwargs)

    return entry


@_traceable
def binary_cross_entropy_with_logits(
    input: Array,  # noqa: A002 - PyTorch's names are the point
    target: Array,
    weight: Array | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Array | None = None,
) -> Array:
    """Binary cross-entropy of logits, as ``torch.nn.functional.binary_cross_entropy_with_logits``.

    Parameters
    ----------
    input : array
        Logits, of any shape and floating dtype, of any library.
    target : array
        Labels, of the shape of `input` and of a floating dtype, which is that of the result.
    weight : array, optional
        Factor of each loss; broadcasts to the shape of `input`. It does not count in the mean's denominator.
    size_average, reduce : bool, optional
        Deprecated: they override `reduction`, with a warning.
    reduction : {"mean", "sum", "none"}, optional
        "mean" divides by the number of elements.
    pos_weight : array, optional
        Factor of the term of the positive label; broadcasts to the shape of `input`.

    Returns
    -------
    array
        Of the dtype of `target`; under PyTorch's autocast float32 for the half types. The mean of no elements is NaN.

    Raises
    ------
    ValueError
        If the shapes of `target` and `input` differ, or `reduction` is not one of the three.
    RuntimeError
        If `weight` or `pos_weight` does not broadcast to the shape of `input`, or `target` is not floating;
        NotImplementedError, which is one, if `input` is not floating.
    TypeError
        If `input`, `target`, `weight` or `pos_weight` is not an array.

    Notes
    -----
    PyTorch 2.13 computes the loss as ``(1 - y) x - log_sigmoid(x)``, which cancels for confident negatives: 4.5776e-05
    for the logit -10 in float32, where 4.5398899e-05 is right, and 0 from -15 on. Its gradient
    ``sigmoid(x) - y`` is 0 for the logit 20 and the label 1. Both keep their digits here. For infinite logits, where
    PyTorch gives NaN, the loss is its limit.

    PyTorch refuses a `weight` or `pos_weight` that requires a gradient; here it gets one.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.conventions.pytorch import binary_cross_entropy_with_logits
    >>> binary_cross_entropy_with_logits(np.array([-10.0, 20.0]), np.array([0.0, 1.0]), reduction="none")
    array([4.53988992e-05, 2.06115362e-09])
    """
    kind = _reduction(size_average, reduce, reduction)
    input, target, weight, pos_weight = _arrays(input=input, target=target, weight=weight, pos_weight=pos_weight)  # noqa: A001
    _require_same_shape(input=input, target=target)
    _require_floating(input=input, target=target)
    _require_fitting(input, weight=weight, pos_weight=pos_weight)
    x, y, w, q = _as_under_autocast(input, target, weight, pos_weight)
    value = losses.binary_cross_entropy_with_logits(x, y, weight=w, pos_weight=q, reduction=kind)
    return cast(value, y.dtype)


@_traceable
def binary_cross_entropy(
    input: Array,  # noqa: A002
    target: Array,
    weight: Array | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Array:
    """Binary cross-entropy of probabilities, as ``torch.nn.functional.binary_cross_entropy``.

    Both logarithms are at least -100, and the gradient's denominator ``p (1 - p)`` is at least 1e-12, as in PyTorch.

    Parameters
    ----------
    input : array
        Probabilities, of any shape and floating dtype, of any library.
    target : array
        Labels in [0, 1], of the shape and dtype of `input`.
    weight : array, optional
        Factor of each loss; broadcasts to the shape of `input`. It does not count in the mean's denominator.
    size_average, reduce : bool, optional
        Deprecated: they override `reduction`, with a warning.
    reduction : {"mean", "sum", "none"}, optional
        "mean" divides by the number of elements.

    Returns
    -------
    array
        Of the dtype of `input`; under PyTorch's autocast float32 for the half types. The mean of no elements is NaN.

    Raises
    ------
    ValueError
        If the shapes of `target` and `input` differ, or `reduction` is not one of the three.
    RuntimeError
        If their dtypes differ, an element of either is NaN or not in [0, 1] (not checked for traced and lazy arrays),
        or `weight` does not broadcast to the shape of `input`; NotImplementedError, which is one, if `input` is not
        floating.
    TypeError
        If `input`, `target` or `weight` is not an array.

    Notes
    -----
    The rules are PyTorch's. Within them value and gradient keep their digits. The rule of the gradient holds for
    PyTorch's tensors; JAX differentiates the floored loss. PyTorch refuses a `weight` that requires a gradient; here it
    gets one.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.conventions.pytorch import binary_cross_entropy
    >>> binary_cross_entropy(np.array([0.25, 0.0]), np.array([1.0, 1.0]), reduction="none")
    array([  1.38629436, 100.        ])
    """
    kind = _reduction(size_average, reduce, reduction)
    input, target, weight = _arrays(input=input, target=target, weight=weight)  # noqa: A001
    _require_same_shape(input=input, target=target)
    _require_floating(input=input)
    p, y, w = _as_under_autocast(input, target, weight)
    if y.dtype != p.dtype:
        msg = f"target must have the dtype of input ({input.dtype}), got {target.dtype}"
        raise RuntimeError(msg)
    _require_fitting(p, weight=w)
    for name, x in (("input", p), ("target", y)):
        outside = first_outside(name, x)
        if outside is not None:
            raise RuntimeError(outside)
    if is_torch(p):
        value = reduced(_with_slope_of_pytorch(p, y), weight=w, reduction=kind)
    else:
        value = losses.binary_cross_entropy(p, y, log_floor=_LOG_FLOOR, weight=w, reduction=kind)
    return cast(value, p.dtype)


@_traceable
def sigmoid_focal_loss(
    inputs: Array,
    targets: Array,
    alpha: Array | float = 0.25,
    gamma: Array | float = 2.0,
    reduction: str = "none",
) -> Array:
    """Focal loss, as ``torchvision.ops.sigmoid_focal_loss``.

    Parameters
    ----------
    inputs : array
        Logits, of any shape and floating dtype, of any library.
    targets : array
        Labels, of the shape of `inputs` and of a floating dtype.
    alpha : float or array, optional
        Weight of the positive label, in [0, 1]; 1 - alpha is that of the negative one. The number -1 for none.
    gamma : float or array, optional
        Exponent of the probability of being wrong, not negative. Arrays broadcast to the shape of `inputs`, their
        values are not looked at, and they get a gradient.
    reduction : {"none", "mean", "sum"}, optional
        "mean" divides by the number of elements.

    Returns
    -------
    array
        Of the widest dtype of `inputs` and `targets`. The mean of no elements is NaN.

    Raises
    ------
    ValueError
        If `alpha` is neither -1 nor in [0, 1], `reduction` is not one of the three, the shapes of `inputs` and
        `targets` differ, an array `alpha` or `gamma` does not broadcast to it, or `gamma` is a negative number (which
        torchvision takes).
    RuntimeError
        If `targets` is not floating; NotImplementedError, which is one, if `inputs` is not.
    TypeError
        If `inputs` or `targets` is not an array, or `alpha` or `gamma` neither number nor array.

    Notes
    -----
    torchvision 0.29 computes the probability of being wrong as 1 - p_t, which is 0 for the logit 20 and the label 1 in
    float32, and the gradient of a power of it with gamma < 1 NaN. Here it keeps its digits.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.conventions.pytorch import sigmoid_focal_loss
    >>> sigmoid_focal_loss(np.array([20.0, -1.0]), np.array([1.0, 1.0]))
    array([2.18912768e-27, 1.75467076e-01])
    """
    alpha = option_in("alpha", alpha)
    if not is_array_option(alpha) and alpha != -1 and not 0 <= alpha <= 1:
        msg = f"alpha must be -1 (none) or in [0, 1], got {alpha!r}"
        raise ValueError(msg)
    kind = _reduction(None, None, reduction)
    inputs, targets = _arrays(inputs=inputs, targets=targets)
    _require_same_shape(inputs=inputs, targets=targets)
    _require_floating(inputs=inputs, targets=targets)
    _, alpha, gamma = one_library(inputs=inputs, alpha=alpha, gamma=option_in("gamma", gamma, 0))
    weight = alpha if is_array_option(alpha) or alpha != -1 else None
    return losses.sigmoid_focal_loss(inputs, targets, gamma=gamma, alpha=weight, reduction=kind)


def __getattr__(name: str) -> Any:
    if name in ("BCELoss", "BCEWithLogitsLoss"):
        from . import _torch_modules

        return getattr(_torch_modules, name)
    if name in ("AsymmetricLoss", "FocalLoss"):
        from . import _torch_focal

        return getattr(_torch_focal, name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _reduction(size_average: bool | None, reduce: bool | None, reduction: str) -> ReductionKind:
    if size_average is not None or reduce is not None:
        chosen: ReductionKind = "none" if reduce is False else "sum" if size_average is False else "mean"
        warnings.warn(f"size_average and reduce are deprecated: use reduction={chosen!r}", stacklevel=4)
        return chosen
    if reduction == "elementwise_mean":
        warnings.warn("reduction='elementwise_mean' is deprecated: use reduction='mean'", stacklevel=4)
        return "mean"
    for kind in get_args(ReductionKind):
        if reduction == kind:
            return kind  # type: ignore[no-any-return]
    msg = f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}"
    raise ValueError(msg)


def _arrays(**arrays: Array | None) -> tuple[Any, ...]:
    """Check that arguments are arrays of one library; weights may be None. Numbers are refused, as in PyTorch."""
    for name, x in arrays.items():
        if x is not None or name in ("input", "target", "inputs", "targets"):
            namespace(name, x)
    return one_library(**arrays)


def _require_same_shape(**arrays: Array) -> None:
    (name, input), (other, target) = arrays.items()  # noqa: A001
    if not same_shape(target, input):
        msg = (
            f"{other} must have the shape of {name}, got {other} {tuple(target.shape)} and {name} {tuple(input.shape)}"
        )
        raise ValueError(msg)


def _require_floating(**arrays: Array) -> None:
    for i, (name, x) in enumerate(arrays.items()):
        if not is_floating(x):
            msg = f"{name} must be of a floating dtype, got {x.dtype}"
            raise RuntimeError(msg) if i else NotImplementedError(msg)


def _require_fitting(input: Array, **weights: Array | None) -> None:  # noqa: A002
    for name, x in weights.items():
        if x is not None and not fits_into(x, input):
            msg = (
                f"{name} must broadcast to the shape of input without enlarging it, "
                f"got {name} {tuple(x.shape)} and input {tuple(input.shape)}"
            )
            raise RuntimeError(msg)


def _as_under_autocast(input: Array, *others: Array | None) -> tuple[Array, ...]:  # noqa: A002
    """Return tensors of half types as float32 under PyTorch's autocast, which computes these losses in float32."""
    arrays = (input, *others)
    if not is_torch(input):
        return arrays
    import torch

    if not autocasts(torch, input.device):
        return arrays
    halves = (torch.float16, torch.bfloat16)
    return tuple(x.float() if x is not None and x.dtype in halves else x for x in arrays)


def _with_slope_of_pytorch(p: Array, y: Array) -> Array:
    """Return the floored losses, for PyTorch; where p (1 - p) is below its floor, with PyTorch's gradient in p.

    That is (p - y) / 1e-12. A linear function with this slope is added, whose value is 0.
    """
    xp = namespace_of(p)
    wide = xp.promote_types(p.dtype, xp.float32)
    p, y = cast(p, wide), cast(y, wide)
    fixed = p.detach()
    inside = fixed * (1 - fixed) >= _SLOPE_FLOOR
    slope = (fixed - y.detach()) / _SLOPE_FLOOR
    line = xp.where(inside, xp.zeros_like(p), slope * (p - fixed))
    if not _is_recorded():
        return losses.binary_cross_entropy(xp.where(inside, p, fixed), y, log_floor=_LOG_FLOOR) + line
    # TorchScript multiplies a derivative that `where` does not select by 0, but at p = 0 it is infinite.
    # https://github.com/pytorch/pytorch/issues/52248
    sides = (xp.where(inside, p, xp.full_like(p, 0.5)), fixed)
    slanted, flat = (losses.binary_cross_entropy(side, y, log_floor=_LOG_FLOOR) for side in sides)
    return xp.where(inside, slanted, flat) + line


def _is_recorded() -> bool:
    """Tell whether torch.jit.trace records the operations."""
    torch = sys.modules["torch"]
    return not torch.compiler.is_compiling() and bool(torch.jit.is_tracing())
