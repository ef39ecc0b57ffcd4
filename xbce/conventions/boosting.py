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
        Factor of the weight of rows whose label is exactly 1: XGBoost's parameter of that name, which it ignores for
        objectives that are callables.

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

    With a callable as objective, ``xgboost.train`` neither transforms predictions nor estimates `base_score`, unless
    the parameters name a built-in objective, too. With the parameters ``objective="binary:logistic", base_score=0.5``
    in addition to this callable, the model, its probabilities and the built-in metrics are the same as without the
    callable. ``XGBClassifier`` names the objective itself, and needs only ``base_score=0.5``.

    Without that name ``base_score=0`` gives the same model, except with ``tree_method="approx"``: there XGBoost ignores
    hessians in the search for splits unless the objective is built in. Probabilities are then ``xbce.special.expit`` of
    the predictions, and the log loss is `xgboost_metric`.

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

    With a callable as objective, LightGBM starts from 0, not from the average label, and predicts scores. This
    objective gives the model of the built-in one with ``boost_from_average=False``. Its probabilities are
    ``xbce.special.expit`` of `sigmoid` times the predictions, and its log loss is `lightgbm_metric`.

    With ``boosting="dart"`` the model may differ: for any callable, LightGBM 4.7 then gives the model of the built-in
    objective or another one, depending on what ran before in the process. With ``boosting="rf"`` it refuses callables.

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

    XGBoost's own metric expects probabilities, but predictions are margins if the objective is a callable.

    Returns
    -------
    callable
        ``metric(predt, dtrain)``, for ``xgboost.train(..., custom_metric=metric)``, returns the name "logloss" and the
        mean, weighted by the weights of the data set; ``metric(y_true, y_pred, sample_weight=None)``, for
        ``xgboost.XGBClassifier(eval_metric=metric)``, the mean alone. Labels that are NaN or not in [0, 1] raise
        ValueError.

    Notes
    -----
    It is for objectives that are callables: only then does XGBoost pass margins. As in XGBoost, `scale_pos_weight` has
    no effect. XGBoost's logarithms are at least log(1e-16), in float32: its loss of the margin 40 and the label 0 is
    36.84; here it is 40.

    For a callable, XGBoost reports rmse by default; ``logloss`` if the parameters name ``binary:logistic``, as
    ``XGBClassifier`` does. That is of probabilities, and correct; XGBoost writes both to one list of that name. With
    the parameter ``disable_default_eval_metric=True`` only this metric is written.

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

    LightGBM's own metrics expect probabilities, but predictions are scores if the objective is a callable.

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
    It is for objectives that are callables: only then does LightGBM pass scores. As in LightGBM, `scale_pos_weight` and
    `is_unbalance` have no effect. LightGBM's logarithms are at least log(1e-15), for "cross_entropy" log(1e-12): its
    loss of the score 40 and the label 0 is 34.54 or 27.63; here it is 40.

    ``LGBMClassifier`` reports LightGBM's own metric of the scores, too, and writes both to one list of that name; with
    its parameter ``metric="None"`` only this metric is written. ``lightgbm.train`` has no other metric unless its
    parameters name one.

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
    """The objective that `xgboost_objective` returns; a dataclass, so that estimators can be cloned and pickled.

    Parameters
    ----------
    scale_pos_weight : float, optional
        As for `xgboost_objective`.
    """

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
    """The objective that `lightgbm_objective` returns; a dataclass, so that estimators can be cloned and pickled.

    Parameters
    ----------
    objective, sigmoid, scale_pos_weight, is_unbalance
        As for `lightgbm_objective`.
    """

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
    """The metric that `xgboost_metric` returns; a dataclass, so that estimators can be cloned and pickled."""

    __name__ = "logloss"  # the name in the reports of XGBClassifier

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
    """The metric that `lightgbm_metric` returns; a dataclass, so that estimators can be cloned and pickled.

    Parameters
    ----------
    objective, sigmoid
        As for `lightgbm_metric`.
    """

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
    """Tell whether an argument is a data set of XGBoost or LightGBM; if not, it is an array."""
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
    """Return scores, labels of their shape, and weights that broadcast to it, from either form of the arguments."""
    if _is_data_set(second):
        first, second, weight = second.get_label(), first, second.get_weight()
    scores, labels, weight = arrays_of_one_library("scores", second, labels=first, weight=weight)
    xp = namespace("scores", scores)
    labels = xp.reshape(labels, scores.shape)
    if weight is not None:
        # XGBoost passes an empty array if there are no weights. A weight belongs to a row of scores.
        weight = None if 0 in weight.shape else xp.reshape(weight, (-1,) + (1,) * (scores.ndim - 1))
    return scores, labels, weight


def _balance(positive: Array) -> tuple[float, float]:
    """Return the factors of both labels that balance their counts: 1 for the more frequent one."""
    xp = namespace_of(positive)
    positives = float(xp.sum(xp.astype(positive, xp.int64)))
    negatives = math.prod(positive.shape) - positives
    if not positives or not negatives:
        return 1.0, 1.0
    return max(negatives / positives, 1.0), max(positives / negatives, 1.0)


def _with_factor(where: Array, factor: float, weight: Array | None, like: Array) -> Array | None:
    """Return weights, multiplied by a factor where `where` is true."""
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
