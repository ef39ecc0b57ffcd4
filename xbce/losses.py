"""The public losses."""

from typing import Unpack

from ._call.checks import at_most_one, is_array_option, option_in
from ._call.loss import Loss
from ._call.numbers import as_argument
from ._call.options import LossOptions
from ._formulas import (
    Clip,
    CrossEntropy,
    Formula,
    ModulatedCrossEntropy,
    Offset,
    ProbabilityCrossEntropy,
    exponents_of,
)
from ._typing import ArrayObject

__all__ = [
    "asymmetric_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "sigmoid_focal_loss",
]


@Loss
def binary_cross_entropy_with_logits(
    logits: ArrayObject,
    labels: ArrayObject | float,
    /,
    **options: Unpack[LossOptions],
) -> Formula:
    r"""Binary cross-entropy between labels and the sigmoid of logits.

    For a logit ``x``, a label ``z`` and a weight ``p`` of the positive term it is
    ``(1 - z) softplus(x) + p z softplus(-x)``, that is ``-p z log(sigmoid(x)) - (1 - z) log(1 - sigmoid(x))``, where
    ``softplus(x) = log(1 + exp(x))``.

    Like a NumPy ufunc, the loss has methods, each taking the arguments of the call: ``gradient``, ``hessian`` (the
    diagonal), ``value_and_gradient``, ``gradient_and_hessian``, and ``label_gradient``. They are closed forms, so
    every library has them. They are derivatives of the returned value, with its weights, mask and denominator.

    Parameters
    ----------
    logits : array
        Any shape; float16, bfloat16, float32 or float64; of any library that follows the array API standard.
    labels : array or scalar
        The shape, library and device of `logits`; boolean, integer or floating. Integers and Python scalars are
        rounded to the dtype of `logits`. Usually 0, 1 or between (soft labels); other values follow the same formula.
        Here and in the options a scalar is a Python or NumPy number, or an array without dimensions. An option that is
        an array broadcasts to the shape of `logits`: a number for each class, say. Numbers are checked; of arrays the
        values are not looked at, and out of range they follow the formula.
    **options : LossOptions
        Those of every loss: `pos_weight`, `label_smoothing`, `weight`, `where`, `reduction`, `axis`, `normalize_by`,
        `precision`, `keepdims`, `dtype`.

    Returns
    -------
    array
        On the device of `logits`; of the shape of `logits`, without the reduced axes. Its dtype is the widest floating
        one of `logits` and of the arguments with dimensions: a Python or NumPy scalar, or an array without dimensions
        beside one that has some, never widens, and neither does a weakly typed array of JAX. NumPy arrays beside JAX
        arrays are converted to JAX arrays.

    Raises
    ------
    TypeError
        If `logits` is not an array of a floating dtype, another argument is not real, `where` is not boolean, or
        arrays are of different libraries.
    ValueError
        If the shapes or devices of `logits` and `labels` differ, another array does not broadcast to the shape of
        `logits`, or an option is out of its range.

    Notes
    -----
    **Formula.** With ``h = [x >= 0]`` it is computed as ``x (h - z) + log1p(exp(-|x|))``, a sum of non-negative terms
    for labels in [0, 1]: nothing cancels, in either tail, for hard or soft labels. It is mathematically equal to the
    ``max(x, 0) - x z + log1p(exp(-|x|))`` of TensorFlow's ``sigmoid_cross_entropy_with_logits`` [1]_, which loses the
    digits of soft labels.

    **Accuracy**, for finite logits and labels in [0, 1]: at most 4 ULP for float32 and float64, 7 with a `weight` or
    `pos_weight`, stated exceptions apart. The half types are computed in float32 and rounded once: value within 0.51
    ULP, derivatives within 0.51 ULP for hard labels and 1 ULP of the larger of their two terms for soft ones. The
    command ``xbce-conformance run`` checks this on the machine it runs on; docs/accuracy.md of the source distribution
    has the metric and the exceptions. JAX and CuPy flush subnormal numbers to zero.

    **Special values.** At x = +inf the loss is 0 for z = 1 and inf for z in [0, 1); mirrored at -inf; the gradient
    there is the limit of ``sigmoid(x) - z`` and the hessian 0. NaN gives NaN. The mean of no elements is NaN. A term
    whose `pos_weight` is 0 is absent; a `weight` of 0 times an infinite loss is NaN (use `where` to ignore it).

    **Reductions** sum the unrounded losses in float64 (float32 on a device without float64) and round once.

    References
    ----------
    .. [1] TensorFlow, ``tf.nn.sigmoid_cross_entropy_with_logits``,
       https://www.tensorflow.org/api_docs/python/tf/nn/sigmoid_cross_entropy_with_logits

    Examples
    --------
    >>> import numpy as np
    >>> import xbce
    >>> logits = np.array([[9.7], [0.0]])
    >>> labels = np.array([[0], [1]])
    >>> xbce.binary_cross_entropy_with_logits(logits, labels, reduction="mean")
    np.float64(5.19660423108862...)
    >>> xbce.binary_cross_entropy_with_logits.gradient(logits, labels)
    array([[ 0.99993872],
           [-0.5       ]])

    A confident correct prediction keeps its digits:

    >>> xbce.binary_cross_entropy_with_logits(np.float32([-20, 20]), np.float32([0, 1]))
    array([2.06115...e-09, 2.06115...e-09], dtype=float32)

    Elements that `where` drops contribute nothing, whatever they hold:

    >>> kept = np.array([[True], [False]])
    >>> xbce.binary_cross_entropy_with_logits(logits, [[0], [np.nan]] * labels, where=kept, reduction="mean")
    np.float64(9.70006128161...)
    """
    return CrossEntropy(options["label_smoothing"])


@Loss
def binary_cross_entropy(
    probabilities: ArrayObject,
    labels: ArrayObject | float,
    /,
    *,
    clip: ArrayObject | float | None = None,
    log_floor: ArrayObject | float | None = None,
    log_offset: ArrayObject | float | None = None,
    **options: Unpack[LossOptions],
) -> Formula:
    r"""Binary cross-entropy between labels and probabilities.

    For a probability ``u``, a label ``z`` and a weight ``p`` of the positive term it is
    ``-p z log(u) - (1 - z) log(1 - u)``: exact, with no hidden epsilon, and infinite where the loss is infinite. A
    term whose factor is 0 is absent. Where there are logits,
    :func:`binary_cross_entropy_with_logits` keeps the digits that a probability near 1 has lost.

    At most one of `clip`, `log_floor` and `log_offset` may be given: the rules by which other systems keep the loss
    finite. The methods ``gradient``, ``hessian``, ``value_and_gradient`` and ``gradient_and_hessian`` differentiate in
    the probabilities, ``label_gradient`` in the labels.

    Parameters
    ----------
    probabilities : array
        Any shape and floating dtype, of any library that follows the array API standard. Outside [0, 1]: NaN.
    labels : array or scalar
        The shape, library and device of `probabilities`; boolean, integer or floating.
    clip : array or scalar, optional
        Probabilities are clipped to [clip, 1 - clip] first, as in Keras and scikit-learn; the gradient is 0 outside.
    log_floor : array or scalar, optional
        Both logarithms are at least this number, -100 in PyTorch; the gradient of a floored one is 0.
    log_offset : array or scalar, optional
        Number that is added inside both logarithms, as in TensorFlow 1.
    **options : LossOptions
        Those of every loss: `pos_weight`, `label_smoothing`, `weight`, `where`, `reduction`, `axis`, `normalize_by`,
        `precision`, `keepdims`, `dtype`.

    Returns
    -------
    array
        As for :func:`binary_cross_entropy_with_logits`.

    Raises
    ------
    TypeError
        As for :func:`binary_cross_entropy_with_logits`.
    ValueError
        As for :func:`binary_cross_entropy_with_logits`; or if more than one of the three rules is given.

    Notes
    -----
    **Special values.** At u = 0 the loss is inf for z > 0 and 0 for z = 0; at u = 1 inf for z < 1 and 0 for z = 1. NaN
    gives NaN.

    **Formula.** ``log1p(-u)`` stands for ``log(1 - u)``. ``log(1 - u + eps)`` and ``log(u + eps)`` go through log1p
    where their argument is near 1. The gradient is ``(1 - z) / (1 - u) - p z / u``.

    **Accuracy** is that of `binary_cross_entropy_with_logits`; with `log_offset` value and hessian are within 7 ULP.

    Examples
    --------
    >>> import numpy as np
    >>> import xbce
    >>> probabilities = np.array([0.25, 0.0, 1.0])
    >>> xbce.binary_cross_entropy(probabilities, np.array([1, 0, 0]))
    array([1.38629436, 0.        ,        inf])
    >>> xbce.binary_cross_entropy(probabilities, np.array([1, 0, 0]), log_floor=-100)
    array([  1.38629436,   0.        , 100.        ])
    """
    at_most_one(clip=clip, log_floor=log_floor, log_offset=log_offset)
    offset = None if log_offset is None else option_in("log_offset", log_offset, 0, zero=False)
    return ProbabilityCrossEntropy(
        label_smoothing=options["label_smoothing"],
        clip=None if clip is None else Clip.of(option_in("clip", clip, 0, 0.5, below=True)),
        log_floor=as_argument(None if log_floor is None else option_in("log_floor", log_floor, high=0)),
        log_offset=None if offset is None else Offset.of(as_argument(offset)),
        large_offset=None if is_array_option(offset) else offset is not None and offset >= 0.25,
    )


@Loss
def sigmoid_focal_loss(
    logits: ArrayObject,
    labels: ArrayObject | float,
    /,
    *,
    gamma: ArrayObject | float = 2.0,
    alpha: ArrayObject | float | None = None,
    **options: Unpack[LossOptions],
) -> Formula:
    r"""Focal loss: binary cross-entropy, modulated by a power of the probability of being wrong.

    ``a (1 - p_t)^gamma C`` with the cross-entropy ``C`` of :func:`binary_cross_entropy_with_logits` and, for a logit
    ``x`` and a label ``z``, ``p_t = z sigmoid(x) + (1 - z) sigmoid(-x)``: linear in soft labels, as in torchvision,
    optax and Keras. ``a = alpha z + (1 - alpha) (1 - z)`` if `alpha` is given, else 1.

    Methods as for :func:`binary_cross_entropy_with_logits`; their gradients are finite everywhere, for gamma < 1 too.

    Parameters
    ----------
    logits : array
        As for :func:`binary_cross_entropy_with_logits`.
    labels : array or scalar
        As for :func:`binary_cross_entropy_with_logits`; in [0, 1].
    gamma : array or scalar, optional
        Exponent, not negative. 0 gives the cross-entropy. It may change with every call, as all numeric options: no
        code is compiled for each value. PyTorch and JAX differentiate in it, as in all numeric options: it can be
        learnt.
    alpha : array or scalar, optional
        In [0, 1]: weight of the positive label; 1 - alpha is that of the negative one.
    **options : LossOptions
        Those of every loss: `pos_weight`, `label_smoothing`, `weight`, `where`, `reduction`, `axis`, `normalize_by`,
        `precision`, `keepdims`, `dtype`.

    Returns
    -------
    array
        As for :func:`binary_cross_entropy_with_logits`.

    Raises
    ------
    TypeError
        As for :func:`binary_cross_entropy_with_logits`.
    ValueError
        As for :func:`binary_cross_entropy_with_logits`; or if `gamma` is negative or `alpha` is not in [0, 1].

    Notes
    -----
    ``1 - p_t = z sigmoid(-x) + (1 - z) sigmoid(x)`` is computed as this sum of non-negative terms, so that it keeps its
    digits in both tails. The loss has gamma times its relative error.

    The dtype of an option does not decide that of the result. Beside logits of a narrower dtype, an option that is an
    array of float64 has the computation run in float64: give it the dtype of the logits for speed.

    **Accuracy**: within 7 + 6 `gamma` ULP in float32 and float64, since the power multiplies the error of
    ``1 - p_t`` by `gamma`; half types as `binary_cross_entropy_with_logits`.

    References
    ----------
    .. [1] T.-Y. Lin, P. Goyal, R. Girshick, K. He and P. Dollár, "Focal loss for dense object detection", ICCV 2017,
       https://arxiv.org/abs/1708.02002

    Examples
    --------
    >>> import numpy as np
    >>> import xbce
    >>> xbce.sigmoid_focal_loss(np.array([-20.0, 0.0, 20.0]), np.array([1, 1, 1]), gamma=2, alpha=0.25)
    array([4.99999998e+00, 4.33216988e-02, 2.18912768e-27])

    A gamma for each class:

    >>> xbce.sigmoid_focal_loss(np.zeros((2, 3)), np.ones((2, 3)), gamma=np.array([0, 1, 2]))
    array([[0.69314718, 0.34657359, 0.1732868 ],
           [0.69314718, 0.34657359, 0.1732868 ]])
    """
    gamma = option_in("gamma", gamma, 0)
    return ModulatedCrossEntropy(
        *exponents_of(gamma, gamma, as_argument),
        alpha=as_argument(None if alpha is None else option_in("alpha", alpha, 0, 1)),
        label_smoothing=options["label_smoothing"],
    )


@Loss
def asymmetric_loss(
    logits: ArrayObject,
    labels: ArrayObject | float,
    /,
    *,
    gamma_pos: ArrayObject | float = 0.0,
    gamma_neg: ArrayObject | float = 4.0,
    shift: ArrayObject | float = 0.0,
    **options: Unpack[LossOptions],
) -> Formula:
    r"""Asymmetric loss: a focal loss with an exponent for each label, and easy negatives dropped.

    With ``f = sigmoid(x)`` and ``f_m = max(f - shift, 0)`` for a logit ``x`` and a label ``z``,
    ``C = -z log(f) - (1 - z) log(1 - f_m)`` is modulated by ``M^g``, where
    ``M = z (1 - f) + (1 - z) f_m`` and ``g = gamma_pos z + gamma_neg (1 - z)``: linear in soft labels.

    Methods as for :func:`binary_cross_entropy_with_logits`.

    Parameters
    ----------
    logits : array
        As for :func:`binary_cross_entropy_with_logits`.
    labels : array or scalar
        As for :func:`binary_cross_entropy_with_logits`; in [0, 1].
    gamma_pos, gamma_neg : array or scalar, optional
        Exponents for the positive and the negative label, not negative.
    shift : array or scalar, optional
        In [0, 1): negatives with a smaller probability have neither loss nor gradient.
    **options : LossOptions
        Those of every loss: `pos_weight`, `label_smoothing`, `weight`, `where`, `reduction`, `axis`, `normalize_by`,
        `precision`, `keepdims`, `dtype`.

    Returns
    -------
    array
        As for :func:`binary_cross_entropy_with_logits`.

    Raises
    ------
    TypeError
        As for :func:`binary_cross_entropy_with_logits`.
    ValueError
        As for :func:`binary_cross_entropy_with_logits`; or if an exponent is negative or `shift` is not in [0, 1).

    Notes
    -----
    The authors' code [1]_ clamps logarithms at 1e-8, which stops the loss at 18.4 and its gradient beyond; there is no
    such clamp here. With a shift, the subtraction ``f - shift`` loses digits next to the threshold, as in any
    floating-point evaluation.

    **Accuracy**: within 7 + 6 g ULP in float32 and float64, where g is the larger exponent; half types as
    `binary_cross_entropy_with_logits`.

    References
    ----------
    .. [1] T. Ridnik et al., "Asymmetric loss for multi-label classification", ICCV 2021, https://arxiv.org/abs/2009.14119

    Examples
    --------
    >>> import numpy as np
    >>> import xbce
    >>> xbce.asymmetric_loss(np.array([2.0, 2.0, -4.0]), np.array([1, 0, 0]), shift=0.05)
    array([0.12692801, 0.84641495, 0.        ])
    """
    pos, neg = option_in("gamma_pos", gamma_pos, 0), option_in("gamma_neg", gamma_neg, 0)
    return ModulatedCrossEntropy(
        *exponents_of(pos, neg, as_argument),
        shift=as_argument(option_in("shift", shift, 0, 1, below=True, zero=False)),
        label_smoothing=options["label_smoothing"],
    )
