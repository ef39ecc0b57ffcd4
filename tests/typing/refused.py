"""A user's program of mistakes; type checkers refuse the lines that say so, and no other.

Each names the rule of mypy and that of pyright.
"""

import numpy as np
from numpy.typing import NDArray

import xbce
from xbce.special import expit, xlogy

Floats = NDArray[np.float32]


def arrays(x: Floats, y: Floats) -> None:
    loss = xbce.binary_cross_entropy_with_logits
    loss("a", y)  # refused: type-var, reportArgumentType
    loss([1.0, 2.0], y)  # refused: type-var, reportArgumentType
    loss(0.5, y)  # refused: type-var, reportArgumentType
    loss(x, "a")  # refused: arg-type, reportArgumentType
    loss(x, [0, 1])  # refused: arg-type, reportArgumentType
    loss(x, y, weight="a")  # refused: arg-type, reportArgumentType
    loss(x, y, where=[True])  # refused: arg-type, reportArgumentType
    loss.gradient("a", y)  # refused: type-var, reportArgumentType
    xbce.reduce([1.0])  # refused: type-var, reportArgumentType
    xbce.check_labels(0.5)  # refused: arg-type, reportArgumentType
    expit(0.5)  # refused: type-var, reportArgumentType
    xlogy(0.5, 0.5)  # refused: call-overload, reportArgumentType|reportCallIssue


def options(x: Floats, y: Floats) -> None:
    xbce.sigmoid_focal_loss(x, y, "mean")  # refused: arg-type|call-arg, reportCallIssue
    xbce.sigmoid_focal_loss(x)  # refused: call-arg, reportCallIssue
    xbce.sigmoid_focal_loss(logits=x, labels=y)  # refused: call-arg, reportCallIssue
    xbce.sigmoid_focal_loss(x, y, gamma="2")  # refused: arg-type, reportArgumentType
    xbce.sigmoid_focal_loss(x, y, gamma_pos=2)  # refused: call-arg, reportCallIssue
    xbce.sigmoid_focal_loss(x, y, reduction="average")  # refused: arg-type, reportArgumentType
    xbce.sigmoid_focal_loss.hessian(x, y, weights=y)  # refused: call-arg, reportCallIssue
    xbce.binary_cross_entropy(x, y, normalize_by="mean")  # refused: arg-type, reportArgumentType
    xbce.asymmetric_loss.value_and_gradient(x, y, axis=0.5)  # refused: arg-type, reportArgumentType


def result(x: Floats, y: Floats) -> str:
    return xbce.binary_cross_entropy_with_logits(x, y)  # refused: return-value, reportReturnType


def results(x: Floats, y: Floats) -> Floats:
    return xbce.binary_cross_entropy_with_logits.gradient_and_hessian(x, y)  # refused: return-value, reportReturnType


def reduced(x: Floats) -> str:
    return xbce.reduce(x)  # refused: return-value, reportReturnType
