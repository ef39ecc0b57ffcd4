"""Caffe's layer SigmoidCrossEntropyLoss, for any array library."""

from typing import Any

from .. import losses
from .._call.checks import number_in
from .._call.lengths import elements_along, same_length
from .._typing import Array, NormalizeBy
from ._common import cast, is_floating, namespace, one_library, same_shape, zero_of_nothing

__all__ = ["SigmoidCrossEntropyLoss"]

_DENOMINATORS: dict[str, NormalizeBy | None] = {"FULL": "size", "VALID": "count", "BATCH_SIZE": "batch", "NONE": None}


class SigmoidCrossEntropyLoss:
    """Sum of binary cross-entropies over a normalizer, as Caffe's layer of that name.

    Parameters
    ----------
    ignore_label : int, optional
        Targets that are equal to this number after truncation are ignored: 0 ignores 0.5 and -0.9, too.
    normalization : {"BATCH_SIZE", "FULL", "VALID", "NONE"}, optional
        The divisor of the sum: the length of axis 0; the number of targets; the number of targets that are not ignored;
        or 1. It is at least 1.
    normalize : bool, optional
        Deprecated: True for "VALID" and False for "BATCH_SIZE", unless `normalization` says "FULL", "VALID" or "NONE".
    loss_weight : float, optional
        Factor of the loss and of its gradient.

    Raises
    ------
    ValueError
        If `normalization` is unknown.
    TypeError
        If `ignore_label` is not an int, or `loss_weight` not a number.

    Notes
    -----
    The options are the layer's `loss_param` and `loss_weight`. Where a failed CHECK of Caffe ends the process,
    ValueError is raised here.

    Caffe computes ``log(1 + exp(-|x|))``, which is 0 in float32 from ``|x| = 17`` on, and the sigmoid by way of tanh, 0
    in float64 for x = -40. Here both keep their digits. On a GPU Caffe adds absolute values, so that labels outside
    [0, 1] change its loss; here the definition on the CPU holds. An ignored target contributes nothing, whatever its
    logit.

    References
    ----------
    .. [1] Y. Jia et al., "Caffe: Convolutional Architecture for Fast Feature Embedding", 2014,
       https://arxiv.org/abs/1408.5093; the layer's page:
       https://caffe.berkeleyvision.org/tutorial/layers/sigmoidcrossentropyloss.html

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.conventions.caffe import SigmoidCrossEntropyLoss
    >>> logits, targets = np.array([[2.0, -1.0], [0.0, 30.0]]), np.array([[1, 0], [1, -1]])
    >>> layer = SigmoidCrossEntropyLoss(ignore_label=-1, normalization="VALID")
    >>> layer.forward(logits, targets)
    np.float64(0.37777895...)
    >>> layer.backward(logits, targets)
    array([[-0.03973431,  0.08964714],
           [-0.16666667,  0.        ]])
    """

    def __init__(
        self,
        ignore_label: int | None = None,
        normalization: str = "BATCH_SIZE",
        normalize: bool | None = None,
        loss_weight: float = 1.0,
    ) -> None:
        if normalization not in _DENOMINATORS:
            msg = f"normalization must be one of {', '.join(map(repr, _DENOMINATORS))}, got {normalization!r}"
            raise ValueError(msg)
        if ignore_label is not None and (isinstance(ignore_label, bool) or not isinstance(ignore_label, int)):
            msg = f"ignore_label must be an int or None, got {ignore_label!r}"
            raise TypeError(msg)
        if isinstance(loss_weight, bool) or not isinstance(loss_weight, (int, float)):
            msg = f"loss_weight must be a number, got {loss_weight!r}"
            raise TypeError(msg)
        if normalize is not None and normalization == "BATCH_SIZE":
            normalization = "VALID" if normalize else "BATCH_SIZE"
        self.ignore_label = ignore_label
        self.normalization = normalization
        self.loss_weight = float(loss_weight)

    def forward(self, logits: Array, targets: Array) -> Array:
        """Return `loss_weight` times the normalized loss, as the C++ method ``Layer::Forward``.

        The layer's top blob, and so pycaffe, holds it without `loss_weight`.

        Parameters
        ----------
        logits : array
            At least one dimension, any floating dtype, of any library.
        targets : array
            As long in axis 0 as `logits`, and as many numbers; any real dtype, rounded to that of `logits`.

        Returns
        -------
        array
            A scalar, of the dtype of `logits`.

        Raises
        ------
        ValueError
            If axis 0 or the number of elements of the two differ.
        TypeError
            If one of them is not an array, or `logits` is not floating.
        """
        logits, targets, options = self._prepared(logits, targets, self.loss_weight)
        loss = losses.binary_cross_entropy_with_logits(logits, targets, **options)
        if options["reduction"] == "sum":
            return loss
        return zero_of_nothing(loss, logits, where=options["where"], normalize_by=options["normalize_by"])

    def backward(self, logits: Array, targets: Array, top_diff: float = 1.0) -> Array:
        """Return `top_diff` times the gradient of what `forward` returns, in the logits; 0 where ignored.

        Parameters
        ----------
        logits, targets : array
            As for `forward`.
        top_diff : float, optional
            Derivative of the minimised function in the value of `forward`.

        Returns
        -------
        array
            Of the shape and dtype of `logits`.

        Raises
        ------
        ValueError, TypeError
            As `forward`.
        """
        logits, targets, options = self._prepared(logits, targets, self.loss_weight * number_in("top_diff", top_diff))
        return losses.binary_cross_entropy_with_logits.gradient(logits, targets, **options)

    def __repr__(self) -> str:
        return (
            f"SigmoidCrossEntropyLoss(ignore_label={self.ignore_label!r}, normalization={self.normalization!r}, "
            f"loss_weight={self.loss_weight!r})"
        )

    def _prepared(self, logits: Array, targets: Array, factor: float) -> tuple[Array, Array, dict[str, Any]]:
        """Check the arguments; return logits, targets of their shape and dtype, and the options of the loss."""
        for name, x in (("logits", logits), ("targets", targets)):
            namespace(name, x)
        logits, targets = one_library(logits=logits, targets=targets)
        xp = namespace("logits", logits)
        if not is_floating(logits):
            msg = f"logits must be of a floating dtype, got {logits.dtype}"
            raise TypeError(msg)
        shapes = f"got logits {tuple(logits.shape)} and targets {tuple(targets.shape)}"
        if logits.ndim == 0 or targets.ndim == 0:
            msg = f"logits and targets must have an axis 0, {shapes}"
            raise ValueError(msg)
        sizes = (elements_along(x, range(x.ndim)) for x in (logits, targets))
        if not same_length(logits.shape[0], targets.shape[0]) or not same_length(*sizes):
            msg = f"logits and targets must agree in the length of axis 0 and the number of elements, {shapes}"
            raise ValueError(msg)
        targets = targets if same_shape(targets, logits) else xp.reshape(targets, logits.shape)
        where = None
        if self.ignore_label is not None:
            where = (xp.trunc(targets) if is_floating(targets) else cast(targets, xp.int64)) != self.ignore_label
        by = _DENOMINATORS[self.normalization]
        reduction = {"reduction": "sum"} if by is None else {"reduction": "mean", "normalize_by": by}
        weight = None if factor == 1 else factor
        return logits, cast(targets, logits.dtype), {"where": where, "weight": weight, **reduction}
