"""TensorFlow's losses, those of ``tf.nn`` and of version 1 (``tf.compat.v1.losses``), for any array library."""

from typing import Any, ClassVar

from .. import losses
from .._call.checks import number_in
from .._typing import Array, NormalizeBy, ReductionKind
from ._common import (
    cast,
    compatible,
    device_beside,
    fits_into,
    is_floating,
    is_number,
    namespace,
    one_library,
    same_shape,
    zero_of_nothing,
)

__all__ = [
    "Reduction",
    "log_loss",
    "sigmoid_cross_entropy",
    "sigmoid_cross_entropy_with_logits",
    "weighted_cross_entropy_with_logits",
]


class Reduction:
    """How the losses of version 1 are reduced, as ``tf.compat.v1.losses.Reduction``.

    Attributes
    ----------
    NONE
        The weighted losses.
    SUM
        Their sum.
    SUM_OVER_BATCH_SIZE
        Their sum, divided by the number of losses (not by the length of axis 0).
    MEAN
        Their sum, divided by the sum of the weights, each counted for every loss that it weighs.
    SUM_BY_NONZERO_WEIGHTS, SUM_OVER_NONZERO_WEIGHTS
        Their sum, divided by the number of losses whose weight is not 0. The default.

    Notes
    -----
    Where the denominator is 0, the result is 0.
    """

    NONE = "none"
    SUM = "weighted_sum"
    SUM_OVER_BATCH_SIZE = "weighted_sum_over_batch_size"
    MEAN = "weighted_mean"
    SUM_BY_NONZERO_WEIGHTS = "weighted_sum_by_nonzero_weights"
    SUM_OVER_NONZERO_WEIGHTS = SUM_BY_NONZERO_WEIGHTS

    _MEANS: ClassVar[dict[str, NormalizeBy]] = {
        SUM_OVER_BATCH_SIZE: "size",
        MEAN: "weight",
        SUM_BY_NONZERO_WEIGHTS: "nonzero",
    }

    @classmethod
    def all(cls) -> tuple[str, ...]:
        """Return the names, including that of the deprecated alias."""
        return (
            cls.NONE,
            cls.SUM,
            cls.MEAN,
            cls.SUM_OVER_BATCH_SIZE,
            cls.SUM_OVER_NONZERO_WEIGHTS,
            cls.SUM_BY_NONZERO_WEIGHTS,
        )

    @classmethod
    def validate(cls, key: str) -> None:
        """Raise ValueError unless `key` is one of the names."""
        if key not in cls.all():
            msg = f"reduction must be one of {', '.join(map(repr, dict.fromkeys(cls.all())))}, got {key!r}"
            raise ValueError(msg)


def sigmoid_cross_entropy_with_logits(
    labels: Array | None = None, logits: Array | None = None, name: str | None = None
) -> Array:
    """Binary cross-entropy of each logit, as ``tf.nn.sigmoid_cross_entropy_with_logits``.

    Parameters
    ----------
    labels : array
        Of the shape and dtype of `logits`.
    logits : array
        Any shape and floating dtype, of any library.
    name : str, optional
        Ignored.

    Returns
    -------
    array
        Of the shape and dtype of `logits`.

    Raises
    ------
    ValueError
        If one of the two is missing, or their shapes differ.
    TypeError
        If one of them is not an array, `logits` is not floating, or the dtypes differ (InvalidArgumentError in
        TensorFlow).

    Notes
    -----
    TensorFlow's ``max(x, 0) - x z + log1p(exp(-|x|))`` is accurate for hard labels, and loses digits of soft ones:
    2.0982896e-05 for the logit 20 and the label 0.999999 in float32, where 2.0267640e-05 is right. For infinite logits,
    where it gives NaN, the loss here is its limit.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.conventions.tensorflow import sigmoid_cross_entropy_with_logits
    >>> sigmoid_cross_entropy_with_logits(labels=np.float32([0.999999, 0]), logits=np.float32([20, -20]))
    array([2.02676...e-05, 2.06115...e-09], dtype=float32)
    """
    del name
    if labels is None or logits is None:
        missing = "labels" if labels is None else "logits"
        msg = f"labels and logits must both be given, got no {missing}"
        raise ValueError(msg)
    logits, labels = one_library(logits=logits, labels=labels)
    labels = _labels_alike(labels, logits)
    return losses.binary_cross_entropy_with_logits(logits, labels)


def weighted_cross_entropy_with_logits(
    labels: Array, logits: Array, pos_weight: Array | float, name: str | None = None
) -> Array:
    """Binary cross-entropy of each logit, its positive term weighted, as ``tf.nn.weighted_cross_entropy_with_logits``.

    Parameters
    ----------
    labels : array
        Of the shape and dtype of `logits`.
    logits : array
        Any shape and floating dtype, of any library.
    pos_weight : array or scalar
        Factor of the term of the positive label; it is broadcast against `logits`, and may enlarge the result.
    name : str, optional
        Ignored.

    Returns
    -------
    array
        Of the dtype of `logits`, and of its shape, or that which `pos_weight` enlarges it to.

    Raises
    ------
    ValueError
        If `labels` or `logits` is None, their shapes differ, or `pos_weight` does not broadcast (InvalidArgumentError
        in TensorFlow).
    TypeError
        If `pos_weight` is neither array nor number, one of the others is not an array, `logits` is not floating, or the
        dtypes of `labels` and `logits` differ (InvalidArgumentError in TensorFlow).

    Notes
    -----
    TensorFlow's formula cancels for confident negatives: its own documentation shows 4.5776367e-05 for the logit -10
    and the label 0, where 4.5398899e-05 is right. Its gradient at the logit 0 is 1 for the label 0 and 0 for the label
    1, where 0.5 and ``-pos_weight / 2`` are right.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.conventions.tensorflow import weighted_cross_entropy_with_logits
    >>> labels, logits = np.array([1.0, 0.5, 0.0]), np.array([1.5, -0.1, -10.0])
    >>> weighted_cross_entropy_with_logits(labels, logits, 1.5)
    array([3.02119917e-01, 8.80495825e-01, 4.53988992e-05])
    """
    del name
    if labels is None or logits is None:
        msg = f"labels and logits must be arrays, got None for {'labels' if labels is None else 'logits'}"
        raise ValueError(msg)
    logits, labels, pos_weight = one_library(logits=logits, labels=labels, pos_weight=pos_weight)
    labels = _labels_alike(labels, logits)
    xp = namespace("logits", logits)
    pos_weight = _as_array("pos_weight", pos_weight, logits)
    if not compatible(pos_weight, logits):
        shapes = f"pos_weight {tuple(pos_weight.shape)} and logits {tuple(logits.shape)}"
        msg = f"pos_weight and logits must broadcast against each other, got {shapes}"
        raise ValueError(msg)
    if not fits_into(pos_weight, logits):
        logits, labels, pos_weight = xp.broadcast_arrays(logits, labels, pos_weight)
    value = losses.binary_cross_entropy_with_logits(logits, labels, pos_weight=pos_weight)
    return cast(value, logits.dtype)


def sigmoid_cross_entropy(
    multi_class_labels: Array,
    logits: Array,
    weights: Array | float = 1.0,
    label_smoothing: float = 0,
    scope: str | None = None,
    loss_collection: str | None = "losses",
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Array:
    """Weighted binary cross-entropy of logits, as ``tf.compat.v1.losses.sigmoid_cross_entropy``.

    Parameters
    ----------
    multi_class_labels : array
        Of the shape of `logits`; boolean, integer or floating.
    logits : array
        Any shape and floating dtype, of any library.
    weights : array or scalar, optional
        Factor of each loss: a number, or an array of as many dimensions as `logits`, each of length 1 or that of
        `logits`.
    label_smoothing : float, optional
        a in [0, 1]: labels z become ``z (1 - a) + a / 2`` first. Not positive: no smoothing.
    scope, loss_collection : str, optional
        Ignored, as TensorFlow does when it executes eagerly.
    reduction : str, optional
        One of the names in `Reduction`.

    Returns
    -------
    array
        Of the dtype of `logits`.

    Raises
    ------
    ValueError
        If an argument is None, `reduction` is unknown, shapes differ, `weights` has another number of dimensions or
        does not broadcast, or `label_smoothing` is above 1 (which TensorFlow takes).
    TypeError
        If `logits` is not floating (InvalidArgumentError in TensorFlow), or not an array.

    Notes
    -----
    TensorFlow weights and adds in float32, also for float64 logits; here float64 keeps its digits.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.conventions.tensorflow import Reduction, sigmoid_cross_entropy
    >>> logits, labels, weights = np.array([1.0, 2.0, 3.0]), np.array([1, 0, 1]), np.array([2.0, 0.0, 0.5])
    >>> sigmoid_cross_entropy(labels, logits, weights)
    np.float64(0.3254085...)
    >>> sigmoid_cross_entropy(labels, logits, weights, reduction=Reduction.MEAN)
    np.float64(0.2603268...)
    """
    del scope, loss_collection
    _require_given(multi_class_labels=multi_class_labels, logits=logits, weights=weights)
    logits, labels, weights = one_library(logits=logits, multi_class_labels=multi_class_labels, weights=weights)
    labels = _labels(labels, logits, "multi_class_labels", "logits")
    _require_floating(logits)
    labels = cast(labels, logits.dtype)
    options = _reduction_options(weights, logits, reduction)
    smoothing = label_smoothing if label_smoothing > 0 else 0.0
    value = losses.binary_cross_entropy_with_logits(logits, labels, label_smoothing=smoothing, **options)
    return cast(_zero_for_zero(value, logits, options), logits.dtype)


def log_loss(
    labels: Array,
    predictions: Array,
    weights: Array | float = 1.0,
    epsilon: float = 1e-7,
    scope: str | None = None,
    loss_collection: str | None = "losses",
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Array:
    """Weighted binary cross-entropy of probabilities, as ``tf.compat.v1.losses.log_loss``.

    ``-z log(p + epsilon) - (1 - z) log(1 - p + epsilon)``, which is less than 0 for p near z.

    Parameters
    ----------
    labels : array
        Of the shape of `predictions`; boolean, integer or floating.
    predictions : array
        Probabilities, of any shape and real dtype, of any library. They are rounded to float32.
    weights : array or scalar, optional
        Factor of each loss: a number, or an array of as many dimensions as `predictions`, each of length 1 or that of
        `predictions`.
    epsilon : float, optional
        Added inside both logarithms; not negative.
    scope, loss_collection : str, optional
        Ignored, as TensorFlow does when it executes eagerly.
    reduction : str, optional
        One of the names in `Reduction`.

    Returns
    -------
    array
        Of float32.

    Raises
    ------
    ValueError
        If an argument is None, `reduction` is unknown, shapes differ, `weights` has another number of dimensions or
        does not broadcast, or `epsilon` is negative (which TensorFlow takes).
    TypeError
        If an argument is not an array.

    Notes
    -----
    TensorFlow rounds ``1 - p + epsilon`` to float32, which leaves it no digit near p = 1: -1.1920928e-07 for p = 1 and
    z = 1, where ``-log(1 + 1e-7)``, about -1e-07, is right. An epsilon of 0 gives NaN for p = z there; here that is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.conventions.tensorflow import Reduction, log_loss
    >>> log_loss(np.array([0, 1]), np.float32([0.25, 0]), reduction=Reduction.NONE)
    array([ 0.28768..., 16.1180...], dtype=float32)
    >>> print(f"{log_loss(np.array([1]), np.float32([1])):.3e}")
    -1.000e-07
    """
    del scope, loss_collection
    _require_given(labels=labels, predictions=predictions, weights=weights)
    predictions, labels, weights = one_library(predictions=predictions, labels=labels, weights=weights)
    labels = _labels(labels, predictions, "labels", "predictions")
    float32 = namespace("predictions", predictions).float32
    predictions, labels = cast(predictions, float32), cast(labels, float32)
    options = _reduction_options(weights, predictions, reduction)
    epsilon = number_in("epsilon", epsilon, 0)
    value = losses.binary_cross_entropy(predictions, labels, log_offset=epsilon, **options)
    return cast(_zero_for_zero(value, predictions, options), float32)


def _require_given(**arguments: Any) -> None:
    for name, x in arguments.items():
        if x is None:
            msg = f"{name} must be given, got None"
            raise ValueError(msg)


def _labels(labels: Array | float, scores: Array, labels_name: str, scores_name: str) -> Array:
    """Return labels that have the shape of the scores; a number has no dimensions."""
    xp = namespace(scores_name, scores)
    taken: Array = labels
    if is_number(labels):
        taken = xp.asarray(labels, dtype=scores.dtype, device=device_beside(scores))
    if not same_shape(taken, scores):
        shapes = f"{labels_name} {tuple(taken.shape)} and {scores_name} {tuple(scores.shape)}"
        msg = f"{labels_name} must have the shape of {scores_name}, got {shapes}"
        raise ValueError(msg)
    return taken


def _require_floating(logits: Array) -> None:
    if not is_floating(logits):
        msg = f"logits must be of a floating dtype, got {logits.dtype}"
        raise TypeError(msg)


def _labels_alike(labels: Array, logits: Array) -> Array:
    labels = _labels(labels, logits, "labels", "logits")
    _require_floating(logits)
    if labels.dtype != logits.dtype:
        msg = f"labels must have the dtype of logits ({logits.dtype}), got {labels.dtype}"
        raise TypeError(msg)
    return labels


def _as_array(name: str, x: Array | float, like: Array) -> Array:
    """Return a number as an array, and what is not floating as float32, like TensorFlow."""
    xp = namespace("logits", like)
    if x is None:
        namespace(name, x)
    if is_number(x):
        return xp.asarray(x, dtype=xp.float32, device=device_beside(like))
    return x if is_floating(x) else cast(x, xp.float32)


def _reduction_options(weights: Array | float, like: Array, reduction: str) -> dict[str, Any]:
    Reduction.validate(reduction)
    weights = _as_array("weights", weights, like)
    if weights.ndim and not (weights.ndim == like.ndim and fits_into(weights, like)):
        msg = (
            "weights must be a number, or have as many dimensions as the losses, each of length 1 or that of the "
            f"losses, got weights {tuple(weights.shape)} and losses {tuple(like.shape)}"
        )
        raise ValueError(msg)
    normalize_by = Reduction._MEANS.get(reduction)  # noqa: SLF001
    if normalize_by is not None:
        return {"weight": weights, "reduction": "mean", "normalize_by": normalize_by}
    kind: ReductionKind = "none" if reduction == Reduction.NONE else "sum"
    return {"weight": weights, "reduction": kind}


def _zero_for_zero(value: Array, like: Array, options: dict[str, Any]) -> Array:
    """Return a value, but 0 for a mean whose denominator is 0."""
    if options["reduction"] != "mean":
        return value
    return zero_of_nothing(value, like, weight=options["weight"], normalize_by=options["normalize_by"])
