"""A user's program that type checkers accept: what comes out has the type of what went in."""

from typing import assert_type

import numpy as np
from numpy.typing import NDArray

import xbce
from xbce.special import expit, xlog1py, xlogy

Floats = NDArray[np.float32]


def call(x: Floats, y: Floats) -> Floats:
    return xbce.binary_cross_entropy_with_logits(x, y)


def every_loss(x: Floats, y: NDArray[np.int64], kept: NDArray[np.bool_]) -> None:
    assert_type(xbce.binary_cross_entropy_with_logits(x, 1, pos_weight=y, where=kept, reduction="mean"), Floats)
    assert_type(xbce.binary_cross_entropy(x, y, clip=1e-7, label_smoothing=0.1, axis=(0, 1), reduction="sum"), Floats)
    assert_type(xbce.sigmoid_focal_loss(x, y, gamma=1.5, alpha=0.25, weight=2, normalize_by="nonzero"), Floats)
    assert_type(xbce.asymmetric_loss(x, True, gamma_pos=1, gamma_neg=2, shift=0.05, weight=y), Floats)


def every_method(x: Floats, y: Floats) -> None:
    loss = xbce.sigmoid_focal_loss
    assert_type(loss.gradient(x, y, gamma=3.0, reduction="mean"), Floats)
    assert_type(loss.hessian(x, y, weight=y), Floats)
    assert_type(loss.label_gradient(x, y), Floats)
    assert_type(loss.value_and_gradient(x, y, alpha=0.5), tuple[Floats, Floats])
    assert_type(loss.gradient_and_hessian(x, y), tuple[Floats, Floats])


def steps_and_special_functions(x: Floats) -> None:
    assert_type(xbce.reduce(x, weight=x, normalize_by="weight"), Floats)
    xbce.check_labels(x)
    assert_type(expit(x), Floats)
    assert_type(xlogy(x, x), Floats)
    assert_type(xlogy(0.5, x), Floats)
    assert_type(xlog1py(x, 0.5), Floats)
