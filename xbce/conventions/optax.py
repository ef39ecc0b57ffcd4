"""optax's losses, for any array library."""

from typing import Any

from .. import losses
from .._typing import Array, Namespace
from ._common import cast, compatible, is_floating, is_number, namespace, one_library

__all__ = ["sigmoid_binary_cross_entropy", "sigmoid_focal_loss"]


def sigmoid_binary_cross_entropy(logits: Array, labels: Array | float) -> Array:
    """Binary cross-entropy of each logit, as ``optax.sigmoid_binary_cross_entropy``.

    Parameters
    ----------
    logits : array
        Any shape and floating dtype, of any library.
    labels : array or scalar
        Any real dtype; rounded to that of `logits`. The two are broadcast against each other, in either direction.

    Returns
    -------
    array
        Of the dtype of `logits`, and of the shape that both broadcast to.

    Raises
    ------
    TypeError
        If `logits` is not an array of a floating dtype, `labels` is neither array nor number, or the shapes do not
        broadcast.

    Notes
    -----
    optax is accurate in both tails. For infinite logits and the label that agrees it gives NaN; here the loss is 0.
    Silent broadcasting is optax's: ``xbce.binary_cross_entropy_with_logits`` refuses it.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.conventions.optax import sigmoid_binary_cross_entropy
    >>> sigmoid_binary_cross_entropy(np.array([-20.0, 0.5]), np.array([[0], [1]]))
    array([[2.06115362e-09, 9.74076984e-01],
           [2.00000000e+01, 4.74076984e-01]])
    """
    logits, labels = _arrays(logits=logits, labels=labels)
    _, logits, labels = _broadcast(logits, labels)
    return losses.binary_cross_entropy_with_logits(logits, labels)


def sigmoid_focal_loss(
    logits: Array, labels: Array | float, *, alpha: Array | float | None = None, gamma: Array | float = 2.0
) -> Array:
    """Focal loss of each logit, as ``optax.sigmoid_focal_loss``.

    Parameters
    ----------
    logits : array
        Any shape and floating dtype, of any library.
    labels : array or scalar
        In [0, 1], of any real dtype; rounded to that of `logits`. All arrays are broadcast against each other.
    alpha : array or scalar, optional
        Weight of the positive label; 1 - alpha is that of the negative one.
    gamma : array or scalar, optional
        Exponent of the probability of being wrong. A number must not be negative; the values of an array, which may be
        traced, are not looked at.

    Returns
    -------
    array
        Of the dtype of `logits`, or a wider one of an array `alpha` or `gamma`, and of the shape that all broadcast to.

    Raises
    ------
    TypeError
        If `logits` is not an array of a floating dtype, another argument is neither array nor number, or shapes do not
        broadcast.
    ValueError
        If `gamma` is a negative number (which optax takes).

    Notes
    -----
    optax is accurate in both tails, for finite logits. Derivatives in `alpha` and `gamma` are those of optax.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.conventions.optax import sigmoid_focal_loss
    >>> sigmoid_focal_loss(np.array([-20.0, 0.5]), 1, alpha=0.25)
    array([4.99999998, 0.01689337])
    >>> sigmoid_focal_loss(np.array([-20.0, 0.5]), 1, gamma=np.array([[0.0], [2.0]]))
    array([[20.        ,  0.47407698],
           [19.99999992,  0.06757349]])
    """
    logits, labels, alpha, gamma = _arrays(logits=logits, labels=labels, alpha=alpha, gamma=gamma)
    xp, logits, labels = _broadcast(logits, labels)
    arrays = {name: x for name, x in (("alpha", alpha), ("gamma", gamma)) if x is not None and not is_number(x)}
    for name, x in arrays.items():
        _require_compatible(logits, **{name: x})
        logits, labels, _ = xp.broadcast_arrays(logits, labels, x)
    logits = cast(logits, xp.result_type(logits, *filter(is_floating, arrays.values())))
    if is_number(alpha) and not 0 <= alpha <= 1:  # which xbce takes in an array only
        weight = alpha * labels + (1 - alpha) * (1 - labels)
        return losses.sigmoid_focal_loss(logits, labels, gamma=gamma, weight=weight)
    return losses.sigmoid_focal_loss(logits, labels, gamma=gamma, alpha=alpha)


def _arrays(*, logits: Array, labels: Any, **others: Any) -> tuple[Any, ...]:
    """Check that arguments are numbers, or arrays of one library."""
    if labels is None:
        namespace("labels", labels)
    return one_library(logits=logits, labels=labels, **others)


def _broadcast(logits: Array, labels: Any) -> tuple[Namespace, Array, Array]:
    xp = namespace("logits", logits)
    if not is_floating(logits):
        msg = f"logits must be of a floating dtype, got {logits.dtype}"
        raise TypeError(msg)
    if is_number(labels):
        return xp, logits, xp.full_like(logits, labels)
    _require_compatible(logits, labels=labels)
    return xp, *xp.broadcast_arrays(logits, cast(labels, logits.dtype))


def _require_compatible(logits: Array, **arrays: Array) -> None:
    for name, x in arrays.items():
        if not compatible(x, logits):
            msg = (
                f"{name} and logits must broadcast against each other, "
                f"got {name} {tuple(x.shape)} and logits {tuple(logits.shape)}"
            )
            raise TypeError(msg)
