"""scikit-learn's ``log_loss``, and the loss that its classifiers minimise, for any array library.

Of `log_loss`, lists and data frames become NumPy arrays, as there.
"""

import math
import warnings
from typing import Any

import array_api_compat as compat

from .. import losses
from .._typing import Array, Namespace
from ..reduction import reduce
from ._common import cast, device_beside, is_floating, namespace_of
from ._half_binomial import HalfBinomialLoss

__all__ = ["HalfBinomialLoss", "log_loss"]


def log_loss(
    y_true: Any,
    y_proba: Any = None,
    *,
    normalize: bool = True,
    sample_weight: Any = None,
    labels: Any = None,
    y_pred: Any = "deprecated",
) -> float:
    """Cross-entropy of class labels and probabilities, as ``sklearn.metrics.log_loss``.

    Probabilities are clipped to [eps, 1 - eps], eps being the machine epsilon of their dtype.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_classes)
        Class labels: numbers, booleans or strings; or, with several columns, an indicator matrix.
    y_proba : array-like of shape (n_samples,) or (n_samples, n_classes)
        Probabilities of the classes, in the classes' sorted order. One dimension, or one column, holds the probability
        of the second of two classes.
    normalize : bool, optional
        Whether to return the mean over samples, weighted by `sample_weight`, or the weighted sum.
    sample_weight : array-like of shape (n_samples,), optional
        Weights of the samples.
    labels : array-like, optional
        All classes, if `y_true` does not hold them all.
    y_pred : array-like, optional
        Deprecated name of `y_proba`.

    Returns
    -------
    float
        A Python number, also for lazy arrays.

    Raises
    ------
    ValueError
        If a probability or weight is NaN or infinite, a probability is not in [0, 1], lengths or numbers of classes
        disagree, labels are not discrete, there are fewer than two classes, a label is not among `labels`, or all
        weights are 0.
    ZeroDivisionError
        If weights that are not all 0 add up to 0, and `normalize`.

    Warns
    -----
    UserWarning
        If rows of `y_proba` do not add up to 1 (they are not normalised), or `labels` are not sorted.
    FutureWarning
        If `y_pred` is given.

    Notes
    -----
    From one column of probabilities p, scikit-learn 1.9 computes and rounds 1 - p, which loses the digits of a small p:
    1.00000008e-10 for the label 0 and p = 1e-10, where 1.00000000005e-10 is right.

    Examples
    --------
    >>> from xbce.conventions.sklearn import log_loss
    >>> log_loss(["ham", "spam", "spam"], [0.25, 0.5, 1.0])
    0.32694308433724...
    >>> log_loss([0, 1, 2], [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0, 0, 1]], normalize=False)
    1.3862943611198...
    """
    y_proba = _given_probabilities(y_proba, y_pred)
    _require_options(y_true=y_true, y_proba=y_proba, sample_weight=sample_weight, labels=labels, normalize=normalize)
    xp, p = _probabilities(y_proba)
    lengths = [_length(x) for x in (p, y_true, sample_weight) if x is not None]
    if len(set(lengths)) > 1:
        msg = f"Found input variables with inconsistent numbers of samples: {lengths}"
        raise ValueError(msg)
    weight = None if sample_weight is None else _weights(sample_weight, p)
    classes, indicator = _indicator(y_true, labels)
    indicator = _beside(p, indicator)
    each = _losses(xp, p, indicator, classes, labels_given=labels is not None)
    if normalize:
        if weight is not None and float(xp.sum(cast(weight, each.dtype))) == 0:
            msg = "sample_weight adds up to zero, which a mean cannot be divided by"
            raise ZeroDivisionError(msg)
        return float(reduce(each, weight=weight, normalize_by="weight"))
    return float(reduce(each, weight=weight, reduction="sum"))


# Warnings and errors that scikit-learn's tests match by text have its text here, since users' filters match it, too.


def _losses(xp: Namespace, p: Array, indicator: Array, classes: list[Any], *, labels_given: bool) -> Array:
    """Return the loss of each sample."""
    eps = float(xp.finfo(p.dtype).eps)
    single = p.ndim == 1 or p.shape[1] == 1
    if not single and not bool(xp.all(abs(xp.sum(p, axis=1) - 1) <= math.sqrt(eps))):
        warnings.warn("The y_prob values do not sum to one.", UserWarning, stacklevel=3)
    columns = 2 if single else p.shape[1]
    if columns != len(classes):
        if labels_given:
            msg = (
                "The number of classes in labels is different from that in y_prob. "
                f"Classes found in labels: {classes}; y_prob has {columns}"
            )
        else:
            msg = (
                f"y_true and y_prob contain different number of classes: {len(classes)} vs {columns}. "
                f"Please provide the true labels explicitly through the labels argument. Found in y_true: {classes}"
            )
        raise ValueError(msg)
    wide = xp.float64 if p.dtype == xp.float64 else xp.float32
    p = cast(p, wide)
    if single:
        p = xp.reshape(p, (-1,))
        negative, positive = (losses.binary_cross_entropy(p, z, clip=eps, where=indicator[:, z]) for z in (0, 1))
        return negative + positive
    return losses.binary_cross_entropy(p, 1, clip=eps, where=indicator, reduction="sum", axis=1)


def _given_probabilities(y_proba: Any, y_pred: Any) -> Any:
    if isinstance(y_pred, str) and y_pred == "deprecated":
        return y_proba
    if y_proba is not None:
        msg = "Cannot use both `y_pred` and `y_proba`. `y_pred` is deprecated, use `y_proba` instead."
        raise ValueError(msg)
    warnings.warn(
        "`y_pred` was renamed to `y_proba` in version 1.9 and will be removed in 1.11. Use `y_proba` instead.",
        FutureWarning,
        stacklevel=3,
    )
    return y_pred


def _require_options(*, normalize: Any, **array_likes: Any) -> None:
    for name, x in array_likes.items():
        if x is None and name != "y_true":
            continue
        is_array_like = any(hasattr(x, attribute) for attribute in ("__len__", "shape", "__array__"))
        if not is_array_like or isinstance(x, (str, bytes, int, float, complex)):
            msg = f"{name} must be array-like, got {type(x).__qualname__}"
            raise ValueError(msg)
    if type(normalize).__name__ not in ("bool", "bool_"):
        msg = f"normalize must be a bool, got {normalize!r}"
        raise ValueError(msg)


def _length(x: Any) -> int:
    return int(x.shape[0]) if hasattr(x, "shape") else len(x)


def _array(x: Any) -> tuple[Namespace, Array]:
    """Return an array with concrete values; convert anything else to a NumPy array."""
    if compat.is_dask_array(x):
        x = x.compute()
    try:
        return namespace_of(x), x
    except TypeError:
        import numpy as np

        return namespace_of(np.empty(0)), np.asarray(x)


def _beside(first: Array, x: Array) -> Array:
    """Return `x` in the library and on the device of `first`; converted through NumPy, as in scikit-learn."""
    xp = namespace_of(first)
    if namespace_of(x) is xp:
        return x
    import numpy as np

    # A copy, since PyTorch warns of arrays that are not writable: https://github.com/pytorch/pytorch/issues/47160
    return xp.asarray(np.asarray(_movable(x)).copy(), device=device_beside(first))


def _items(x: Array) -> list[Any]:
    """Return the items of a one-dimensional array as Python objects."""
    return list(_movable(x).tolist())


def _movable(x: Array) -> Array:
    """Return an array that has `tolist` and that other libraries take.

    An array of array-api-strict has no `tolist`, and on its devices other than the CPU only DLPack converts it:
    https://github.com/data-apis/array-api/issues/710, https://github.com/data-apis/array-api-strict/pull/162
    """
    if not compat.is_array_api_strict_namespace(compat.array_namespace(x)):
        return x
    import numpy as np

    return np.from_dlpack(x)


def _finite(name: str, x: Any) -> tuple[Namespace, Array]:
    """Return real numbers as a floating array, all of them finite."""
    xp, x = _array(x)
    if not is_floating(x):
        if "complex" in str(x.dtype):
            msg = f"{name} must be real, got {x.dtype}"
            raise ValueError(msg)
        x = xp.astype(x, xp.float64)  # strings and None, too, if they are numbers; ValueError if not
    if not bool(xp.all(xp.isfinite(x))):
        has_nan = bool(xp.any(xp.isnan(x)))
        msg = f"{name} must be finite, but contains {'NaN' if has_nan else 'infinity'}"
        raise ValueError(msg)
    return xp, x


def _probabilities(y_proba: Any) -> tuple[Namespace, Array]:
    xp, p = _finite("y_proba", [math.nan] if y_proba is None else y_proba)
    if p.ndim not in (1, 2) or p.shape[0] == 0:
        msg = f"y_proba must be of shape (n_samples,) or (n_samples, n_classes) and not empty, got {tuple(p.shape)}"
        raise ValueError(msg)
    highest, lowest = float(xp.max(p)), float(xp.min(p))
    if highest > 1:
        msg = f"y_prob contains values greater than 1: {highest}"
        raise ValueError(msg)
    if lowest < 0:
        msg = f"y_prob contains values lower than 0: {lowest}"
        raise ValueError(msg)
    return xp, p


def _weights(sample_weight: Any, p: Array) -> Array:
    other, weight = _finite("sample_weight", sample_weight)
    if weight.ndim != 1:
        msg = f"sample_weight must be of one dimension, got {weight.ndim}"
        raise ValueError(msg)
    if bool(other.all(weight == 0)):
        msg = "sample_weight must hold a number that is not zero"
        raise ValueError(msg)
    return _beside(p, weight)


def _indicator(y_true: Any, labels: Any) -> tuple[list[Any], Array]:
    """Return the classes, and a boolean indicator matrix of shape (n_samples, n_classes)."""
    if isinstance(y_true, (list, tuple)) and len({isinstance(x, str) for x in y_true}) > 1:
        msg = "y_true must not mix strings and other labels"  # NumPy would make strings of these
        raise ValueError(msg)
    xp, y = _array(y_true)
    if y.ndim == 2 and y.shape[1] > 1:
        return _indicator_of_matrix(xp, y, labels)
    y = xp.reshape(y, (-1,))
    _require_discrete("y_true", xp, y)
    classes = xp.unique_values(y)
    if labels is not None:
        classes = _classes(labels, y)
        unknown = set(_items(y)) - set(_items(classes))
        if unknown:
            msg = f"y_true contains values {unknown} not belonging to the passed labels {labels}."
            raise ValueError(msg)
    names = _items(classes)
    if len(names) < 2 and labels is None:
        msg = (
            f"y_true contains only one label ({names[0]}). Please provide the list of all expected class labels "
            "explicitly through the labels argument."
        )
        raise ValueError(msg)
    if len(names) < 2:
        msg = f"The labels array needs to contain at least two labels, got {names}."
        raise ValueError(msg)
    return names, y[:, None] == classes[None, :]


def _indicator_of_matrix(xp: Namespace, y: Array, labels: Any) -> tuple[list[Any], Array]:
    _require_discrete("y_true", xp, xp.reshape(y, (-1,)))
    if xp.unique_values(y).shape[0] > 2:
        msg = "y_true of several columns must be an indicator matrix of two values, got more"
        raise ValueError(msg)
    if labels is not None and _array(labels)[1].ndim == 1:
        msg = "labels are for y_true of one column, got an indicator matrix"
        raise ValueError(msg)
    return list(range(y.shape[1])), y != 0


def _classes(labels: Any, y: Array) -> Array:
    """Return the sorted classes that `labels` lists; warn if they were not sorted."""
    other, given = _array(labels)
    if given.ndim != 1 or given.shape[0] == 0:
        msg = f"labels must be of one dimension and not empty, got shape {tuple(given.shape)}"
        raise ValueError(msg)
    _require_discrete("labels", other, given)
    classes = other.unique_values(given)
    if classes.shape != given.shape:
        msg = f"labels must not name a class twice, got {labels}"
        raise ValueError(msg)
    if not bool(other.all(classes == given)):
        warnings.warn(
            f"Labels passed were {labels}. But this function assumes labels are ordered lexicographically. "
            f"Pass the ordered labels={_items(classes)} and ensure that the columns of y_prob correspond to this "
            "ordering.",
            UserWarning,
            stacklevel=5,
        )
    return _beside(y, classes)


def _require_discrete(name: str, xp: Namespace, y: Array) -> None:
    kind = str(y.dtype)
    if "object" in kind and all(isinstance(x, str) for x in _items(y)):
        return
    if "object" in kind or "complex" in kind:
        msg = f"{name} must hold numbers, booleans or strings, got {kind}"
        raise ValueError(msg)
    if is_floating(y) and not bool(xp.all(xp.isfinite(y) & (y == xp.floor(y)))):
        msg = f"{name} must hold discrete labels, got floating numbers that are not whole"
        raise ValueError(msg)
