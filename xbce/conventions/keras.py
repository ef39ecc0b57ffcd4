"""Keras 3's binary losses, for any array library."""

from typing import Any, ClassVar

from .. import losses
from .._call.checks import number_in
from .._typing import Array, Axis
from ._common import (
    arrays_of_one_library,
    cast,
    dtype_named,
    is_floating,
    namespace,
    same_shape,
)
from ._keras_samples import over_samples, same_rank

__all__ = ["BinaryCrossentropy", "BinaryFocalCrossentropy", "binary_crossentropy", "binary_focal_crossentropy"]

_EPSILON = 1e-7
"""The default of ``keras.config.epsilon()``: probabilities are clipped to [epsilon, 1 - epsilon]."""

_REDUCTIONS = ("sum_over_batch_size", "sum", None, "none", "mean", "mean_with_sample_weight")
_DTYPES = ("float16", "bfloat16", "float32", "float64")


def binary_crossentropy(
    y_true: Array,
    y_pred: Array,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: Axis = -1,
) -> Array:
    """Binary cross-entropy, its mean over an axis, as ``keras.losses.binary_crossentropy``.

    Parameters
    ----------
    y_true : array
        Labels, of the shape of `y_pred`; any real dtype, rounded to that of `y_pred`.
    y_pred : array
        Probabilities, clipped to [1e-7, 1 - 1e-7], or logits; any floating dtype and library.
    from_logits : bool, optional
        Whether `y_pred` holds logits.
    label_smoothing : float, optional
        a in [0, 1]: labels z become ``z (1 - a) + a / 2`` first.
    axis : int, tuple of int or None, optional
        What the mean runs over; None for all.

    Returns
    -------
    array
        Of the dtype of `y_pred`, without the axes that the mean runs over. The mean of no elements is NaN.

    Raises
    ------
    ValueError
        If the shapes differ, an axis does not exist, or `label_smoothing` is not in [0, 1] (which Keras takes).
    TypeError
        If `y_pred` is not an array of a floating dtype.

    Notes
    -----
    Keras 3.15 rounds the bound of its clip: to 1 - 1.19e-7 in float32, so that the loss of p = 1 and z = 0 is 15.942
    rather than 16.118; to 1 in float16, so that the loss of p = 1 and z = 1 is NaN with NumPy and JAX. Here the clip is
    exact. Logits are not clipped; Keras on NumPy converts them to clipped probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.conventions.keras import binary_crossentropy
    >>> binary_crossentropy(np.array([[0, 1], [0, 0]]), np.float32([[0.6, 0.4], [0.4, 0.6]]))
    array([0.91629..., 0.71355...], dtype=float32)
    """
    y_true, y_pred = _checked(y_true, y_pred)
    options: dict[str, Any] = {"label_smoothing": label_smoothing, "reduction": "mean", "axis": axis}
    if from_logits:
        return losses.binary_cross_entropy_with_logits(y_pred, y_true, **options)
    return losses.binary_cross_entropy(y_pred, y_true, clip=_EPSILON, **options)


def binary_focal_crossentropy(
    y_true: Array,
    y_pred: Array,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: Axis = -1,
) -> Array:
    """Binary focal loss, its mean over an axis, as ``keras.losses.binary_focal_crossentropy``.

    Parameters
    ----------
    y_true : array
        Labels, of the shape of `y_pred`; any real dtype, rounded to that of `y_pred`.
    y_pred : array
        Probabilities or logits; any floating dtype and library. The cross-entropy uses probabilities clipped to
        [1e-7, 1 - 1e-7], the modulating factor unclipped ones.
    apply_class_balancing : bool, optional
        Whether `alpha` is used.
    alpha : float, optional
        In [0, 1]: weight of the positive label; 1 - alpha is that of the negative one.
    gamma : float, optional
        Exponent of the probability of being wrong, not negative.
    from_logits : bool, optional
        Whether `y_pred` holds logits.
    label_smoothing : float, optional
        a in [0, 1]: labels z become ``z (1 - a) + a / 2`` first.
    axis : int, tuple of int or None, optional
        What the mean runs over; None for all.

    Returns
    -------
    array
        Of the dtype of `y_pred`, without the axes that the mean runs over.

    Raises
    ------
    ValueError
        If the shapes differ, an axis does not exist, or an option is out of its range (which Keras takes).
    TypeError
        If `y_pred` is not an array of a floating dtype.

    Notes
    -----
    From logits Keras 3.15 computes ``sigmoid(x)`` first: the loss of the logit -30 and the label 1 is 16.118 with
    NumPy, JAX and PyTorch and 30 with TensorFlow, and that of the logit 20 is 0. Here it is 30, and 8.757e-27.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.conventions.keras import binary_focal_crossentropy
    >>> binary_focal_crossentropy(np.array([[0, 1], [0, 0]]), np.float32([[0.6, 0.4], [0.4, 0.6]]), gamma=2)
    array([0.32986..., 0.20579...], dtype=float32)
    """
    y_true, y_pred = _checked(y_true, y_pred)
    options: dict[str, Any] = {"label_smoothing": label_smoothing, "reduction": "mean", "axis": axis}
    if from_logits:
        weight = alpha if apply_class_balancing else None
        return losses.sigmoid_focal_loss(y_pred, y_true, gamma=gamma, alpha=weight, **options)
    gamma = number_in("gamma", gamma, 0)
    weight = number_in("alpha", alpha, 0, 1) if apply_class_balancing else None
    factor = _focal_factor(y_true, y_pred, number_in("label_smoothing", label_smoothing, 0, 1), gamma, weight)
    return cast(losses.binary_cross_entropy(y_pred, y_true, clip=_EPSILON, weight=factor, **options), y_pred.dtype)


class _Loss:
    """Base of the two classes: options, conversions, and the reduction over samples."""

    _options: ClassVar[tuple[str, ...]]

    def __init__(self, reduction: str | None, name: str | None, dtype: str | None, **options: Any) -> None:
        if reduction not in _REDUCTIONS:
            msg = f"reduction must be one of {', '.join(map(repr, _REDUCTIONS))}, got {reduction!r}"
            raise ValueError(msg)
        if dtype is not None and dtype not in _DTYPES:
            msg = f"dtype must be None or one of {', '.join(map(repr, _DTYPES))}, got {dtype!r}"
            raise ValueError(msg)
        self.reduction = reduction
        self.name = name or type(self).__name__
        self.dtype = dtype or "float32"
        for option, value in options.items():
            setattr(self, option, value)

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return the loss of each sample: the mean over `axis`."""
        raise NotImplementedError

    def __call__(self, y_true: Any, y_pred: Array, sample_weight: Any = None, *, mask: Any = None) -> Array:
        """Return the loss, reduced over samples.

        Parameters
        ----------
        y_true : array or list
            Labels.
        y_pred : array
            Predictions. Both are converted to the loss's dtype: float32 unless it was given one.
        sample_weight : array, list or number, optional
            Weight of each sample.
        mask : array, optional
            False drops a sample. Keras reads it from the attribute ``_keras_mask`` of `y_pred`, as is done here if
            `mask` is None.

        Returns
        -------
        array
            Of the loss's dtype: the weighted losses, their sum, or their sum divided by the number of samples
            ("sum_over_batch_size" and "mean"; by the number of those that the mask keeps, if there is one) or by the
            sum of the weights, each counted once ("mean_with_sample_weight"). 0 where that is 0.
        """
        mask = getattr(y_pred, "_keras_mask", None) if mask is None else mask
        y_pred, y_true, sample_weight, mask = _arrays(y_pred, y_true=y_true, sample_weight=sample_weight, mask=mask)
        xp, dtype = namespace("y_pred", y_pred), dtype_named("dtype", self.dtype, y_pred)
        values = self.call(*same_rank(xp, cast(y_true, dtype), cast(y_pred, dtype)))
        weight = None if sample_weight is None else cast(sample_weight, dtype)
        where = None if mask is None else cast(mask, xp.bool)
        return over_samples(xp, values, weight, where, self.reduction)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        config: dict[str, Any] = {"name": self.name, "reduction": self.reduction}
        return config | {option: getattr(self, option) for option in self._options}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "_Loss":
        """Return a loss from the result of `get_config`."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


class BinaryCrossentropy(_Loss):
    """Binary cross-entropy, as ``keras.losses.BinaryCrossentropy``.

    Parameters
    ----------
    from_logits : bool, optional
        Whether predictions are logits.
    label_smoothing : float, optional
        a in [0, 1]: labels z become ``z (1 - a) + a / 2`` first.
    axis : int, tuple of int or None, optional
        What the mean over a sample's losses runs over.
    reduction : {"sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None}, optional
        Over samples.
    name : str, optional
        A name.
    dtype : {"float16", "bfloat16", "float32", "float64"}, optional
        What predictions and labels are converted to: float32 by default, float64 arrays, too. NumPy has bfloat16 where
        the package ml_dtypes is installed; a dtype that a library does not have is a ValueError of the call.

    See Also
    --------
    binary_crossentropy : The loss of each sample, and what differs from Keras.

    Notes
    -----
    What the mask drops contributes nothing, also if it is NaN or infinite; Keras multiplies it by 0. Keras's `axis`
    leaves no way to weigh single elements; ``xbce.binary_cross_entropy`` has one.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.conventions.keras import BinaryCrossentropy
    >>> y_true, y_pred = np.array([[0, 1], [0, 0]]), np.array([[-18.6, 0.51], [2.94, -12.8]])
    >>> BinaryCrossentropy(from_logits=True)(y_true, y_pred)
    np.float32(0.86545...)
    >>> BinaryCrossentropy(from_logits=True)(y_true, y_pred, sample_weight=[0.8, 0.2])
    np.float32(0.24363...)
    """

    _options = ("from_logits", "label_smoothing", "axis")
    from_logits: bool
    label_smoothing: float
    axis: Axis

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: Axis = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return the loss of each sample: the mean over `axis`."""
        return binary_crossentropy(y_true, y_pred, self.from_logits, self.label_smoothing, self.axis)


class BinaryFocalCrossentropy(_Loss):
    """Binary focal loss, as ``keras.losses.BinaryFocalCrossentropy``.

    Parameters
    ----------
    apply_class_balancing : bool, optional
        Whether `alpha` is used.
    alpha : float, optional
        In [0, 1]: weight of the positive label; 1 - alpha is that of the negative one.
    gamma : float, optional
        Exponent of the probability of being wrong, not negative.
    from_logits : bool, optional
        Whether predictions are logits.
    label_smoothing : float, optional
        a in [0, 1]: labels z become ``z (1 - a) + a / 2`` first.
    axis : int, tuple of int or None, optional
        What the mean over a sample's losses runs over.
    reduction : {"sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None}, optional
        Over samples.
    name : str, optional
        A name.
    dtype : {"float16", "bfloat16", "float32", "float64"}, optional
        What predictions and labels are converted to: float32 by default, float64 arrays, too. NumPy has bfloat16 where
        the package ml_dtypes is installed; a dtype that a library does not have is a ValueError of the call.

    See Also
    --------
    binary_focal_crossentropy : The loss of each sample, and what differs from Keras.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.conventions.keras import BinaryFocalCrossentropy
    >>> y_true, y_pred = np.array([[0, 1], [0, 0]]), np.array([[-18.6, 0.51], [2.94, -12.8]])
    >>> BinaryFocalCrossentropy(apply_class_balancing=True, gamma=2, from_logits=True)(y_true, y_pred)
    np.float32(0.51013...)
    """

    _options = ("from_logits", "label_smoothing", "axis", "apply_class_balancing", "alpha", "gamma")
    apply_class_balancing: bool
    alpha: float
    gamma: float
    from_logits: bool
    label_smoothing: float
    axis: Axis

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: Axis = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(
            reduction,
            name,
            dtype,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return the loss of each sample: the mean over `axis`."""
        return binary_focal_crossentropy(
            y_true,
            y_pred,
            self.apply_class_balancing,
            self.alpha,
            self.gamma,
            self.from_logits,
            self.label_smoothing,
            self.axis,
        )


def _arrays(y_pred: Array, *, y_true: Any, **others: Any) -> tuple[Any, ...]:
    """Return the arguments as arrays of one library; those but `y_true` may be None."""
    if y_true is None:
        msg = "y_true must be an array, got None"
        raise ValueError(msg)
    return arrays_of_one_library("y_pred", y_pred, y_true=y_true, **others)


def _checked(y_true: Any, y_pred: Array) -> tuple[Array, Array]:
    y_pred, y_true = _arrays(y_pred, y_true=y_true)
    if not is_floating(y_pred):
        msg = f"y_pred must be of a floating dtype, got {y_pred.dtype}"
        raise TypeError(msg)
    if not same_shape(y_true, y_pred):
        shapes = f"y_true {tuple(y_true.shape)} and y_pred {tuple(y_pred.shape)}"
        msg = f"y_true must have the shape of y_pred, got {shapes}"
        raise ValueError(msg)
    return cast(y_true, y_pred.dtype), y_pred


def _focal_factor(y: Array, p: Array, smoothing: float, gamma: float, alpha: float | None) -> Array:
    """Return the power of the probability of being wrong, balanced by `alpha`, which is a weight of each loss.

    It is computed in float32 at least, as the loss is.
    """
    xp = namespace("y_pred", p)
    wide = xp.float64 if p.dtype == xp.float64 else xp.float32
    y, p = cast(y, wide), cast(p, wide)
    # Each is a sum of its own: 1 - positive would lose digits.
    positive, negative = (z * (1 - smoothing) + smoothing / 2 for z in (y, 1 - y))
    factor = (positive * (1 - p) + negative * p) ** gamma
    return factor if alpha is None else factor * (alpha * positive + (1 - alpha) * negative)
