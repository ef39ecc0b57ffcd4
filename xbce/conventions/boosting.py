"""Objectives for gradient boosting that XGBoost and LightGBM take in place of their own."""

from dataclasses import dataclass
from typing import Any, Literal

import array_api_compat as compat

from xbce import losses
from xbce._typing import Array
from xbce.conventions._common import cast, first_outside, namespace

__all__ = ["lightgbm_objective", "xgboost_objective"]

_HESSIAN_FLOOR = 1e-16


def xgboost_objective(*, scale_pos_weight: float = 1.0) -> "XGBoostObjective":
    """Return an objective that is XGBoost's ``binary:logistic``.

    Parameters
    ----------
    scale_pos_weight : float, optional
        Factor of the weight of rows whose label is exactly 1: the parameter of that name, which XGBoost reads for its
        own objectives only.

    Returns
    -------
    callable
        ``objective(predt, dtrain)``, for ``xgboost.train(..., obj=objective)``, and
        ``objective(y_true, y_pred, sample_weight=None)``, for ``xgboost.XGBClassifier(objective=objective)``: returns
        gradient and hessian, of the shape of the scores. Labels that are NaN or not in [0, 1] raise ValueError
        (XGBoostError in XGBoost).

    Notes
    -----
    The hessian is at least 1e-16 times the weight, as in XGBoost, whose own gradient ``sigmoid(x) - y`` is 0 in float32
    for the score 20 and the label 1; here it keeps its digits.

    With an objective that is not its own, ``xgboost.train`` neither transforms predictions nor estimates `base_score`.
    The same model as with ``objective="binary:logistic", base_score=0.5`` comes of this objective with
    ``base_score=0``, and its probabilities are ``xbce.special.expit`` of the predictions. ``XGBClassifier`` transforms
    them as ever, and takes the ``base_score=0.5`` that it takes for its own.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.conventions.boosting import xgboost_objective
    >>> gradient, hessian = xgboost_objective()(np.float32([1, 0, 1]), np.float32([0, 2, 20]))
    >>> gradient
    array([-5.0000000e-01,  8.8079...e-01, -2.06115...e-09], dtype=float32)
    >>> hessian
    array([2.5000000e-01, 1.04993...e-01, 2.06115...e-09], dtype=float32)
    """
    return XGBoostObjective(_positive("scale_pos_weight", scale_pos_weight))


def lightgbm_objective(
    *,
    objective: Literal["binary", "cross_entropy"] = "binary",
    sigmoid: float = 1.0,
    scale_pos_weight: float = 1.0,
    is_unbalance: bool = False,
) -> "LightGBMObjective":
    """Return an objective that is LightGBM's ``binary``, or its ``cross_entropy``.

    Parameters
    ----------
    objective : {"binary", "cross_entropy"}, optional
        "binary" takes labels above 0 for positive. "cross_entropy" takes soft labels in [0, 1], and none of the options
        below.
    sigmoid : float, optional
        Factor of the scores inside the sigmoid, positive.
    scale_pos_weight : float, optional
        Factor of the weight of positive rows.
    is_unbalance : bool, optional
        Weigh the rarer label by the ratio of the counts.

    Returns
    -------
    callable
        ``objective(preds, train_data)``, for ``lightgbm.train({"objective": objective}, ...)``, and
        ``objective(y_true, y_pred, weight=None)``, for ``lightgbm.LGBMClassifier(objective=objective)``: returns
        gradient and hessian, of the shape of the scores.

    Raises
    ------
    ValueError
        If an option is out of its range, or two exclude each other.

    Notes
    -----
    LightGBM's own hessian ``|r| (1 - |r|)`` is 0 for the score -40 and the label 1; here it keeps its digits.

    With an objective that is not its own, LightGBM starts from 0, not from the average label, and predicts scores. The
    same model as with ``boost_from_average=False`` comes of this objective; its probabilities are
    ``xbce.special.expit`` of `sigmoid` times the predictions.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.conventions.boosting import lightgbm_objective
    >>> gradient, hessian = lightgbm_objective()(np.float32([1, 0, 1]), np.array([0.0, 2.0, -40.0]))
    >>> gradient
    array([-0.5       ,  0.88079708, -1.        ])
    >>> hessian
    array([2.50000000e-01, 1.04993585e-01, 4.24835426e-18])
    """
    if objective not in ("binary", "cross_entropy"):
        msg = f"objective must be 'binary' or 'cross_entropy', got {objective!r}"
        raise ValueError(msg)
    if is_unbalance and scale_pos_weight != 1:
        msg = f"is_unbalance and scale_pos_weight={scale_pos_weight!r} exclude each other"
        raise ValueError(msg)
    if objective == "cross_entropy" and (sigmoid != 1 or scale_pos_weight != 1 or is_unbalance):
        msg = "sigmoid, scale_pos_weight and is_unbalance are for objective='binary'"
        raise ValueError(msg)
    sigmoid, scale = _positive("sigmoid", sigmoid), _positive("scale_pos_weight", scale_pos_weight)
    return LightGBMObjective(objective, sigmoid, scale, bool(is_unbalance))


@dataclass(frozen=True)
class XGBoostObjective:
    """What `xgboost_objective` returns; a value, so that estimators can be cloned and pickled."""

    scale_pos_weight: float = 1.0

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tuple[Array, Array]:
        """Return gradient and hessian; of scores and data set, or of labels, scores and weights."""
        scores, labels, weight = _unpacked(y_true, y_pred, sample_weight)
        outside = first_outside("labels", labels)
        if outside is not None:
            raise ValueError(outside)
        gradient, hessian = losses.binary_cross_entropy_with_logits.gradient_and_hessian(scores, labels)
        xp = namespace("scores", scores)
        hessian = xp.where(hessian < _HESSIAN_FLOOR, _HESSIAN_FLOOR, hessian)
        weight = _with_factor(labels == 1, self.scale_pos_weight, weight, gradient)
        return _weighted(gradient, hessian, weight)


@dataclass(frozen=True)
class LightGBMObjective:
    """What `lightgbm_objective` returns; a value, so that estimators can be cloned and pickled."""

    objective: str = "binary"
    sigmoid: float = 1.0
    scale_pos_weight: float = 1.0
    is_unbalance: bool = False

    def __call__(self, y_true: Any, y_pred: Any, weight: Any = None) -> tuple[Array, Array]:
        """Return gradient and hessian; of scores and data set, or of labels, scores and weights."""
        scores, labels, weight = _unpacked(y_true, y_pred, weight)
        if self.objective == "cross_entropy":
            outside = first_outside("labels", labels)
            if outside is not None:
                raise ValueError(outside)
            return _weighted(*losses.binary_cross_entropy_with_logits.gradient_and_hessian(scores, labels), weight)
        k, positive = self.sigmoid, labels > 0
        gradient, hessian = losses.binary_cross_entropy_with_logits.gradient_and_hessian(k * scores, positive)
        gradient, hessian = k * gradient, k * k * hessian
        factor, factor_of_negatives = self.scale_pos_weight, 1.0
        if self.is_unbalance:
            factor, factor_of_negatives = _balance(positive)
        weight = _with_factor(positive, factor, weight, gradient)
        weight = _with_factor(~positive, factor_of_negatives, weight, gradient)
        return _weighted(gradient, hessian, weight)


def _unpacked(first: Any, second: Any, weight: Any) -> tuple[Array, Array, Array | None]:
    """Return scores, labels of their shape, and weights that broadcast to it, of either kind of arguments."""
    if hasattr(second, "get_label"):
        first, second, weight = second.get_label(), first, second.get_weight()
    labels, scores = first, second
    xp = namespace("scores", scores)
    labels = xp.reshape(xp.asarray(labels), scores.shape)
    if weight is not None:
        weight = xp.asarray(weight)
        # XGBoost has an empty array for no weights; one weight is for a row of scores.
        weight = None if 0 in weight.shape else xp.reshape(weight, (-1,) + (1,) * (scores.ndim - 1))
    return scores, labels, weight


def _balance(positive: Array) -> tuple[float, float]:
    """Return the factors of both labels that make up for their counts: 1 for the more frequent one."""
    xp = compat.array_namespace(positive)
    positives = float(xp.sum(xp.astype(positive, xp.int64)))
    negatives = float(compat.size(positive) or 0) - positives
    if not positives or not negatives:
        return 1.0, 1.0
    return max(negatives / positives, 1.0), max(positives / negatives, 1.0)


def _with_factor(where: Array, factor: float, weight: Array | None, like: Array) -> Array | None:
    """Return weights, multiplied by a factor where it is due."""
    if factor == 1:
        return weight
    xp = compat.array_namespace(like)
    factors = xp.where(where, xp.full_like(like, factor), xp.ones_like(like))
    return factors if weight is None else factors * cast(weight, like.dtype)


def _weighted(gradient: Array, hessian: Array, weight: Array | None) -> tuple[Array, Array]:
    if weight is None:
        return gradient, hessian
    weight = cast(weight, gradient.dtype)
    return gradient * weight, hessian * weight


def _positive(name: str, x: Any) -> float:
    if isinstance(x, bool) or not isinstance(x, (int, float)) or not x > 0:
        msg = f"{name} must be a positive number, got {x!r}"
        raise ValueError(msg)
    return float(x)
