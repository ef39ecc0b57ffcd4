"""The textbook's function, in NumPy's place or any other library's."""

from .. import losses
from .._typing import Array
from ._common import is_floating, namespace, one_library

__all__ = ["binary_cross_entropy"]


def binary_cross_entropy(X: Array, y: Array) -> Array:  # noqa: N803 - the textbook's names
    """Mean of the binary cross-entropies of N logits and labels.

    Parameters
    ----------
    X : array of shape (N, 1) or (N,)
        Logits, of any real dtype and library; integers count as float64.
    y : array of shape (N, 1) or (N,)
        Labels, of any real dtype.

    Returns
    -------
    array
        A scalar of the widest floating dtype of the two. NaN for N = 0.

    Raises
    ------
    ValueError
        If the shapes are not of that kind, or N differs.
    TypeError
        If an argument is not an array.

    Notes
    -----
    The textbook's function is::

        def binary_cross_entropy(X, y):
            m = y.shape[0]
            y = y.reshape(m)
            fX = 1 / (1 + np.exp(-X))
            return np.sum(-y * np.log(fX) - (1 - y) * np.log(1 - fX)) / m

    It expects logits of shape (N,): for (N, 1) it silently pairs every label with every logit. With shapes corrected,
    it is right to 13 digits in the example below; it returns inf from the logit 37 on.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.conventions.numpy_reference import binary_cross_entropy
    >>> binary_cross_entropy(np.array([[9.7], [0]]), np.array([[0], [1]]))
    np.float64(5.19660423108862...)
    """
    for name, x in (("X", X), ("y", y)):
        namespace(name, x)
    X, y = one_library(X=X, y=y)  # noqa: N806
    flat = []
    for name, x in (("X", X), ("y", y)):
        xp = namespace(name, x)
        if x.ndim not in (1, 2) or (x.ndim == 2 and x.shape[1] != 1):
            msg = f"{name} must be of shape (N, 1) or (N,), got {tuple(x.shape)}"
            raise ValueError(msg)
        flat.append(xp.reshape(x, (-1,)))
    logits, labels = flat
    if logits.shape != labels.shape:
        msg = f"X and y must be of the same length, got X {tuple(X.shape)} and y {tuple(y.shape)}"
        raise ValueError(msg)
    if not is_floating(logits):
        xp = namespace("X", X)
        logits = xp.astype(logits, xp.float64)
    return losses.binary_cross_entropy_with_logits(logits, labels, reduction="mean")
