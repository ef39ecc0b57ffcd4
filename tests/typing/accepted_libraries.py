"""A user's program with PyTorch and JAX that type checkers accept."""

from typing import assert_type

import jax
import numpy as np
import torch
from numpy.typing import NDArray

import xbce
from xbce.special import expit


def tensors(x: torch.Tensor, y: torch.Tensor, trained: torch.nn.Parameter) -> torch.Tensor:
    assert_type(xbce.binary_cross_entropy_with_logits.value_and_gradient(x, y), tuple[torch.Tensor, torch.Tensor])
    assert_type(expit(x), torch.Tensor)
    return xbce.asymmetric_loss(x, y, pos_weight=trained, reduction="mean")


def jax_arrays(x: jax.Array, y: NDArray[np.float32]) -> jax.Array:
    assert_type(xbce.sigmoid_focal_loss.gradient(x, y), jax.Array)
    assert_type(xbce.reduce(x), jax.Array)
    return xbce.binary_cross_entropy(x, y, log_floor=-100)
