"""scikit-learn's private class of the loss that its classifiers minimise."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from .. import losses
from .._compiler.threads import one_thread
from .._typing import Array
from ..reduction import reduce
from ..special import expit, logit
from ._common import cast, is_floating, namespace_of, one_library, same_shape

__all__ = ["HalfBinomialLoss"]

_bce = losses.binary_cross_entropy_with_logits


@dataclass(frozen=True)
class Interval:
    """What a label or a probability may be."""

    low: float
    high: float
    low_inclusive: bool
    high_inclusive: bool

    def includes(self, x: Array) -> bool:
        """Tell whether all values are in the interval."""
        above = x >= self.low if self.low_inclusive else x > self.low
        below = x <= self.high if self.high_inclusive else x < self.high
        return bool(namespace_of(x).all(above & below))


class LogitLink:
    """The map between probabilities and raw predictions."""

    interval_y_pred = Interval(0, 1, low_inclusive=False, high_inclusive=False)
    is_multiclass = False

    def link(self, y_pred: Array) -> Array:
        """Return the raw predictions of probabilities."""
        return logit(y_pred)

    def inverse(self, raw_prediction: Array) -> Array:
        """Return the probabilities of raw predictions."""
        return expit(raw_prediction)


class HalfBinomialLoss:
    """Binary cross-entropy of raw predictions, as ``sklearn._loss.HalfBinomialLoss`` and ``HalfBinomialLossArrayAPI``.

    The class that scikit-learn's ``LogisticRegression``, ``HistGradientBoostingClassifier`` and
    ``GradientBoostingClassifier`` minimise: one for NumPy and for other libraries, where scikit-learn has two.

    ``loss``, ``gradient``, ``loss_gradient`` and ``gradient_hessian`` take ``(y_true, raw_prediction,
    sample_weight=None)``, then the arrays to write into, as ``loss_out``, ``gradient_out`` and ``hessian_out``, and
    ``n_threads=1``; a call returns the average.

    Parameters
    ----------
    sample_weight : array, optional
        Not used, as in scikit-learn: a loss whose Hessian is constant without weights has use for it.
    xp : module, optional
        Namespace of the arrays that `init_gradient_and_hessian` makes; NumPy by default.
    device : device, optional
        Their device.

    Raises
    ------
    TypeError
        If `raw_prediction` is not an array of a floating dtype, or arrays are of different libraries.
    ValueError
        If shapes differ.

    Notes
    -----
    `y_true`, `sample_weight` and arrays to write into have the shape (n_samples,), and `raw_prediction` that or
    (n_samples, 1). Their dtypes may differ, which scikit-learn refuses. An array to write into may be of another
    floating dtype; beside one of float64 all is computed in float64, and the results without an array of their own are
    of the dtype of the other's. The arrays of JAX and Dask cannot be written into.

    ``n_threads=1``, the default, keeps NumPy's arrays to the calling thread; any other number allows as many threads as
    `xbce.set_num_threads` does. The bits are the same. Other libraries have threads of their own.

    scikit-learn's loss is 0 for the raw prediction 40 and the label 1, and its array-API loss in float32 from 15 on;
    here they are 4.2e-18 and 3.1e-7.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.conventions.sklearn import HalfBinomialLoss
    >>> loss, gradient = HalfBinomialLoss().loss_gradient(np.array([1.0, 0.0]), np.array([40.0, 0.5]))
    >>> loss
    array([4.24835426e-18, 9.74076984e-01])
    >>> gradient
    array([-4.24835426e-18,  6.22459331e-01])
    """

    differentiable = True
    is_multiclass = False
    need_update_leaves_values = False
    approx_hessian = False
    constant_hessian = False
    n_classes = 2
    interval_y_true = Interval(0, 1, low_inclusive=True, high_inclusive=True)
    interval_y_pred = LogitLink.interval_y_pred
    link = LogitLink()

    def __init__(self, sample_weight: Array | None = None, xp: Any = None, device: Any = None) -> None:  # noqa: ARG002
        self.xp = xp
        self.device = device

    @property
    def closs(self) -> "HalfBinomialLoss":
        """The object itself, where scikit-learn has the compiled class."""
        return self

    def in_y_true_range(self, y: Array) -> bool:
        """Tell whether all labels are in [0, 1]."""
        return self.interval_y_true.includes(y)

    def in_y_pred_range(self, y: Array) -> bool:
        """Tell whether all probabilities are in (0, 1)."""
        return self.interval_y_pred.includes(y)

    def loss(
        self,
        y_true: Array,
        raw_prediction: Array,
        sample_weight: Array | None = None,
        loss_out: Array | None = None,
        n_threads: int = 1,
    ) -> Array:
        """Return the loss of each sample."""
        y, x, weight = _inputs(y_true, raw_prediction, sample_weight, loss_out=loss_out)
        with _threads(n_threads):
            return _into(loss_out, _bce(x, y, weight=weight))

    def gradient(
        self,
        y_true: Array,
        raw_prediction: Array,
        sample_weight: Array | None = None,
        gradient_out: Array | None = None,
        n_threads: int = 1,
    ) -> Array:
        """Return the derivative of each loss in its raw prediction."""
        gradient_out = _flat(gradient_out)
        y, x, weight = _inputs(y_true, raw_prediction, sample_weight, gradient_out=gradient_out)
        with _threads(n_threads):
            return _into(gradient_out, _bce.gradient(x, y, weight=weight))

    def loss_gradient(
        self,
        y_true: Array,
        raw_prediction: Array,
        sample_weight: Array | None = None,
        loss_out: Array | None = None,
        gradient_out: Array | None = None,
        n_threads: int = 1,
    ) -> tuple[Array, Array]:
        """Return the losses and their derivatives."""
        gradient_out = _flat(gradient_out)
        outs = {"loss_out": loss_out, "gradient_out": gradient_out}
        y, x, weight = _inputs(y_true, raw_prediction, sample_weight, **outs)
        with _threads(n_threads):
            value, gradient = _bce.value_and_gradient(x, y, weight=weight)
            return _into(loss_out, value, gradient_out), _into(gradient_out, gradient, loss_out)

    def gradient_hessian(
        self,
        y_true: Array,
        raw_prediction: Array,
        sample_weight: Array | None = None,
        gradient_out: Array | None = None,
        hessian_out: Array | None = None,
        n_threads: int = 1,
    ) -> tuple[Array, Array]:
        """Return the first and the second derivatives of the losses."""
        gradient_out, hessian_out = _flat(gradient_out), _flat(hessian_out)
        outs = {"gradient_out": gradient_out, "hessian_out": hessian_out}
        y, x, weight = _inputs(y_true, raw_prediction, sample_weight, **outs)
        with _threads(n_threads):
            gradient, hessian = _bce.gradient_and_hessian(x, y, weight=weight)
            return _into(gradient_out, gradient, hessian_out), _into(hessian_out, hessian, gradient_out)

    def __call__(
        self, y_true: Array, raw_prediction: Array, sample_weight: Array | None = None, n_threads: int = 1
    ) -> float:
        """Return the average of the losses, by the weights; NaN if these add up to 0, where scikit-learn raises."""
        y, x, weight = _inputs(y_true, raw_prediction, sample_weight)
        with _threads(n_threads):
            return float(_bce(x, y, weight=weight, reduction="mean", normalize_by="weight"))

    def fit_intercept_only(self, y_true: Array, sample_weight: Array | None = None) -> Array:
        """Return the raw prediction of the average label, which is kept from 0 and 1 by ten machine epsilons."""
        xp = namespace_of(y_true)
        average = xp.asarray(reduce(_floating(y_true), weight=sample_weight, normalize_by="weight"))
        margin = 10 * float(xp.finfo(average.dtype).eps)
        return self.link.link(xp.clip(average, margin, 1 - margin))[()]

    def constant_to_optimal_zero(self, y_true: Array, sample_weight: Array | None = None) -> Array:
        """Return what makes the loss 0 where the probability is the label: minus the entropy of the label."""
        y = _floating(y_true)
        return 0 - losses.binary_cross_entropy(y, y, weight=sample_weight)

    def predict_proba(self, raw_prediction: Array) -> Array:
        """Return the probabilities of both classes, of shape (n_samples, 2), each with its digits."""
        x = _flat(raw_prediction)
        return namespace_of(x).stack([self.link.inverse(-x), self.link.inverse(x)], axis=1)

    def init_gradient_and_hessian(self, n_samples: int, dtype: Any = None, order: str = "F") -> tuple[Array, Array]:  # noqa: ARG002
        """Return two arrays of undefined values to write into; of float64 by default. `order` is of matrices."""
        if self.xp is None:
            import numpy as np

        xp = np if self.xp is None else self.xp
        dtype = xp.float64 if dtype is None else dtype
        if dtype not in (xp.float32, xp.float64):
            msg = f"Valid options for 'dtype' are {xp.float32} and {xp.float64}. Got dtype={dtype} instead."
            raise ValueError(msg)
        options = {} if self.device is None else {"device": self.device}
        return xp.empty(n_samples, dtype=dtype, **options), xp.empty(n_samples, dtype=dtype, **options)


def _threads(n_threads: int) -> AbstractContextManager[None]:
    return one_thread() if n_threads == 1 else nullcontext()


def _floating(y: Array) -> Array:
    return y if is_floating(y) else cast(y, namespace_of(y).float64)


def _flat(x: Any) -> Any:
    """Return a column as a vector."""
    return x[:, 0] if getattr(x, "ndim", 1) == 2 and x.shape[1] == 1 else x


def _inputs(y_true: Array, raw_prediction: Array, sample_weight: Array | None, **outs: Array | None) -> Any:
    """Return the checked labels, raw predictions and weights; the second ones in the widest dtype of the results."""
    names = {"sample_weight": sample_weight, **outs}
    others = {name: x for name, x in names.items() if x is not None}
    x, *_ = arrays = one_library(raw_prediction=_flat(raw_prediction), y_true=y_true, **others)
    for name, array in zip(("y_true", *others), arrays[1:], strict=True):
        if not same_shape(array, x):
            msg = f"{name} must have the shape of raw_prediction, got {tuple(array.shape)} and {tuple(x.shape)}"
            raise ValueError(msg)
    written = [out.dtype for out in outs.values() if out is not None]
    x = cast(x, namespace_of(x).result_type(x, *written)) if written else x
    return arrays[1], x, None if sample_weight is None else arrays[2]


def _into(out: Array | None, value: Array, other: Array | None = None) -> Array:
    """Write a result into its array, if there is one; else return it, in the dtype of the other result's array."""
    if out is None:
        return value if other is None else cast(value, other.dtype)
    out[...] = cast(value, out.dtype)
    return out
