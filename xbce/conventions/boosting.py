"""Objectives and metrics for gradient boosting that XGBoost and LightGBM take in place of their own."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from .. import losses
from .._typing import Array, NormalizeBy
from ._common import arrays_of_one_library, cast, first_outside, namespace, namespace_of

__all__ = ["lightgbm_metric", "lightgbm_objective", "xgboost_metric", "xgboost_objective"]

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

    With an objective that is not its own, ``xgboost.train`` neither transforms predictions nor estimates `base_score`,
    unless the parameters name one. The same model as with ``objective="binary:logistic", base_score=0.5`` comes of this
    objective beside those two parameters, and so do probabilities and the built-in metrics; by ``XGBClassifier``, which
    names the objective itself, beside ``base_score=0.5``.

    Without the name it comes of ``base_score=0``, except with ``tree_method="approx"``: there XGBoost looks for splits
    without hessians unless it knows the objective. Probabilities are then ``xbce.special.expit`` of the predictions,
    and the log loss is `xgboost_metric`.

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
    ``xbce.special.expit`` of `sigmoid` times the predictions, and its log loss is `lightgbm_metric`.

    With ``boosting="dart"`` the same model is not certain: with any objective that is not its own, LightGBM 4.7 then
    gives the model of its own objective or another one, depending on what ran before in the process. With
    ``boosting="rf"`` it refuses such objectives.

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
    _require_objective(objective)
    if is_unbalance and scale_pos_weight != 1:
        msg = f"is_unbalance and scale_pos_weight={scale_pos_weight!r} exclude each other"
        raise ValueError(msg)
    if objective == "cross_entropy" and (sigmoid != 1 or scale_pos_weight != 1 or is_unbalance):
        msg = "sigmoid, scale_pos_weight and is_unbalance are for objective='binary'"
        raise ValueError(msg)
    sigmoid, scale = _positive("sigmoid", sigmoid), _positive("scale_pos_weight", scale_pos_weight)
    return LightGBMObjective(objective, sigmoid, scale, bool(is_unbalance))


def xgboost_metric() -> "XGBoostMetric":
    """Return a metric that is XGBoost's ``logloss``, of margins.

    XGBoost's own takes predictions for probabilities, which they are not with an objective that it does not know.

    Returns
    -------
    callable
        ``metric(predt, dtrain)``, for ``xgboost.train(..., custom_metric=metric)``, returns the name "logloss" and the
        mean, weighted by the weights of the data set; ``metric(y_true, y_pred, sample_weight=None)``, for
        ``xgboost.XGBClassifier(eval_metric=metric)``, the mean alone. Labels that are NaN or not in [0, 1] raise
        ValueError.

    Notes
    -----
    It is for objectives that are callables: only then does XGBoost hand over margins. As there, `scale_pos_weight` does
    not count. XGBoost's logarithms are at least log(1e-16), in float32: its loss of the margin 40 and the label 0 is
    36.84; here it is 40.

    Beside a callable, XGBoost reports rmse by default; ``logloss`` if the parameters name ``binary:logistic``, as
    ``XGBClassifier`` does. That is of probabilities, so right, and both are written to one list of that name. The
    parameter ``disable_default_eval_metric=True`` leaves this one.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.conventions.boosting import xgboost_metric
    >>> loss = xgboost_metric()(np.float32([1, 0, 1]), np.float32([0, 2, 20]))
    >>> print(f"{loss:.5f}")
    0.94003
    """
    return XGBoostMetric()


def lightgbm_metric(
    *, objective: Literal["binary", "cross_entropy"] = "binary", sigmoid: float = 1.0
) -> "LightGBMMetric":
    """Return a metric that is LightGBM's ``binary_logloss``, or its ``cross_entropy``, of scores.

    LightGBM's own take predictions for probabilities, which they are not with an objective that is not its own.

    Parameters
    ----------
    objective : {"binary", "cross_entropy"}, optional
        As for `lightgbm_objective`: "binary" takes labels above 0 for positive, "cross_entropy" soft labels in [0, 1].
    sigmoid : float, optional
        Factor of the scores inside the sigmoid, positive; for "binary".

    Returns
    -------
    callable
        ``metric(preds, eval_data)``, for ``lightgbm.train(..., feval=metric)``, and
        ``metric(y_true, y_pred, weight=None)``, for ``lightgbm.LGBMClassifier().fit(..., eval_metric=metric)``: returns
        the name "binary_logloss" or "cross_entropy", the mean, weighted by the weights, and False, as less is better.

    Raises
    ------
    ValueError
        If an option is out of its range; by a call, if a label of "cross_entropy" is NaN or not in [0, 1].

    Notes
    -----
    It is for objectives that are callables: only then does LightGBM hand over scores. As there, `scale_pos_weight` and
    `is_unbalance` do not count. LightGBM's logarithms are at least log(1e-15), and of "cross_entropy" log(1e-12): its
    loss of the score 40 and the label 0 is 34.54 or 27.63; here it is 40.

    ``LGBMClassifier`` reports LightGBM's own metric too, of scores, and writes both to one list of that name; its
    parameter ``metric="None"`` leaves this one. ``lightgbm.train`` has no other unless its parameters name one.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.conventions.boosting import lightgbm_metric
    >>> name, loss, is_higher_better = lightgbm_metric()(np.float32([1, 0, 1]), np.array([0.0, 2.0, -40.0]))
    >>> print(name, f"{loss:.5f}", is_higher_better)
    binary_logloss 14.27336 False
    """
    _require_objective(objective)
    if objective == "cross_entropy" and sigmoid != 1:
        msg = f"sigmoid is for objective='binary', got sigmoid={sigmoid!r} with objective='cross_entropy'"
        raise ValueError(msg)
    return LightGBMMetric(objective, _positive("sigmoid", sigmoid))


@dataclass(frozen=True)
class XGBoostObjective:
    """What `xgboost_objective` returns; a value, so that estimators can be cloned and pickled."""

    scale_pos_weight: float = 1.0

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tuple[Array, Array]:
        """Return gradient and hessian; of scores and data set, or of labels, scores and weights."""
        scores, labels, weight = _unpacked(y_true, y_pred, sample_weight)
        _require_within_0_and_1(labels)
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
            _require_within_0_and_1(labels)
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


@dataclass(frozen=True)
class XGBoostMetric:
    """What `xgboost_metric` returns; a value, so that estimators can be cloned and pickled."""

    __name__ = "logloss"  # by which XGBClassifier reports it

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return name and mean, of scores and data set; or the mean alone, of labels, scores and weights."""
        scores, labels, weight = _unpacked(y_true, y_pred, sample_weight)
        _require_within_0_and_1(labels)
        mean = _mean(scores, labels, weight)
        if weight is not None and not namespace("weight", weight).any(weight != 0):
            mean = 0.0  # by XGBoost's rule; LightGBM has NaN
        return (self.__name__, mean) if _is_data_set(y_pred) else mean


@dataclass(frozen=True)
class LightGBMMetric:
    """What `lightgbm_metric` returns; a value, so that estimators can be cloned and pickled."""

    objective: str = "binary"
    sigmoid: float = 1.0

    def __call__(self, y_true: Any, y_pred: Any, weight: Any = None) -> tuple[str, float, bool]:
        """Return name, mean and False; of scores and data set, or of labels, scores and weights."""
        scores, labels, weight = _unpacked(y_true, y_pred, weight)
        if self.objective == "cross_entropy":
            _require_within_0_and_1(labels)
            return "cross_entropy", _mean(scores, labels, weight), False
        return "binary_logloss", _mean(self.sigmoid * scores, labels > 0, weight), False


def _is_data_set(x: Any) -> bool:
    """Tell an XGBoost or LightGBM data set from an array."""
    return hasattr(x, "get_label")


def _mean(scores: Array, labels: Array, weight: Array | None) -> float:
    """Return the mean of the losses of scores, weighted by the rows' weights."""
    by: NormalizeBy = "count" if weight is None else "weight"
    weight = None if weight is None else cast(weight, scores.dtype)
    return float(
        losses.binary_cross_entropy_with_logits(scores, labels, weight=weight, reduction="mean", normalize_by=by)
    )


def _require_objective(objective: str) -> None:
    if objective not in ("binary", "cross_entropy"):
        msg = f"objective must be 'binary' or 'cross_entropy', got {objective!r}"
        raise ValueError(msg)


def _require_within_0_and_1(labels: Array) -> None:
    outside = first_outside("labels", labels)
    if outside is not None:
        raise ValueError(outside)


def _unpacked(first: Any, second: Any, weight: Any) -> tuple[Array, Array, Array | None]:
    """Return scores, labels of their shape, and weights that broadcast to it, of either kind of arguments."""
    if _is_data_set(second):
        first, second, weight = second.get_label(), first, second.get_weight()
    scores, labels, weight = arrays_of_one_library("scores", second, labels=first, weight=weight)
    xp = namespace("scores", scores)
    labels = xp.reshape(labels, scores.shape)
    if weight is not None:
        # XGBoost has an empty array for no weights; one weight is for a row of scores.
        weight = None if 0 in weight.shape else xp.reshape(weight, (-1,) + (1,) * (scores.ndim - 1))
    return scores, labels, weight


def _balance(positive: Array) -> tuple[float, float]:
    """Return the factors of both labels that make up for their counts: 1 for the more frequent one."""
    xp = namespace_of(positive)
    positives = float(xp.sum(xp.astype(positive, xp.int64)))
    negatives = math.prod(positive.shape) - positives
    if not positives or not negatives:
        return 1.0, 1.0
    return max(negatives / positives, 1.0), max(positives / negatives, 1.0)


def _with_factor(where: Array, factor: float, weight: Array | None, like: Array) -> Array | None:
    """Return weights, multiplied by a factor where it is due."""
    if factor == 1:
        return weight
    xp = namespace_of(like)
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
