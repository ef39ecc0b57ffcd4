"""The implementations of the loss that are compared: xbce, and for each library what its users would write instead."""

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from asv_runner.benchmarks.mark import SkipNotImplemented

import xbce

_NAMESPACES = {"jax": "jax.numpy", "dask": "dask.array", "array-api-strict": "array_api_strict"}


@dataclass(frozen=True)
class Implementation:
    """Three functions of logits and labels, the same in every implementation."""

    elementwise: Callable[..., Any]
    mean: Callable[..., Any]
    mean_and_gradient: Callable[..., Any]


def find_implementation(name: str, library: str) -> Implementation:
    """Return an implementation; skip the benchmark where the library has none."""
    try:
        return _IMPLEMENTATIONS[name](library)
    except ImportError as error:
        raise SkipNotImplemented(str(error)) from error


def _only(library: str, *those: str) -> None:
    if library not in those:
        msg = f"not on {library}"
        raise SkipNotImplemented(msg)


def _xbce(_library: str) -> Implementation:
    loss = xbce.binary_cross_entropy_with_logits
    return Implementation(loss, partial(loss, reduction="mean"), partial(loss.value_and_gradient, reduction="mean"))


def _textbook(library: str) -> Implementation:
    xp = importlib.import_module(_NAMESPACES.get(library, library))

    def elementwise(x: Any, z: Any) -> Any:
        s = 1 / (1 + xp.exp(-x))
        return -z * xp.log(s) - (1 - z) * xp.log(1 - s)

    def mean(x: Any, z: Any) -> Any:
        return xp.mean(elementwise(x, z))

    if library in _AUTODIFF:
        return Implementation(elementwise, mean, _AUTODIFF[library](mean))

    def mean_and_gradient(x: Any, z: Any) -> Any:
        s = 1 / (1 + xp.exp(-x))
        return xp.mean(-z * xp.log(s) - (1 - z) * xp.log(1 - s)), (s - z) / x.size

    return Implementation(elementwise, mean, mean_and_gradient)


def _native(library: str) -> Implementation:
    _only(library, "torch", "jax")
    if library == "torch":
        from torch.nn.functional import binary_cross_entropy_with_logits as loss

        return Implementation(partial(loss, reduction="none"), loss, _torch_gradient(loss))
    import optax

    def mean(x: Any, z: Any) -> Any:
        return optax.sigmoid_binary_cross_entropy(x, z).mean()

    return Implementation(optax.sigmoid_binary_cross_entropy, mean, _jax_gradient(mean))


def _sklearn(library: str, *, n_threads: int) -> Implementation:
    _only(library, "numpy")
    from sklearn._loss import HalfBinomialLoss

    loss = HalfBinomialLoss()

    def elementwise(x: Any, z: Any) -> Any:
        return loss.loss(z, x, n_threads=n_threads)

    def mean_and_gradient(x: Any, z: Any) -> Any:
        losses, gradient = loss.loss_gradient(z, x, n_threads=n_threads)
        gradient /= x.size
        return losses.mean(), gradient

    return Implementation(elementwise, lambda x, z: elementwise(x, z).mean(), mean_and_gradient)


def _jitted(build: Callable[[str], Implementation], library: str) -> Implementation:
    _only(library, "jax")
    import jax

    eager = build(library)
    return Implementation(jax.jit(eager.elementwise), jax.jit(eager.mean), jax.jit(eager.mean_and_gradient))


def _torch_gradient(mean: Callable[..., Any]) -> Callable[..., Any]:
    import torch

    def mean_and_gradient(x: Any, z: Any) -> Any:
        x = x.detach().requires_grad_()
        value = mean(x, z)
        return value.detach(), *torch.autograd.grad(value, x)

    return mean_and_gradient


def _jax_gradient(mean: Callable[..., Any]) -> Callable[..., Any]:
    import jax

    return jax.value_and_grad(mean)


_AUTODIFF = {"torch": _torch_gradient, "jax": _jax_gradient}
_IMPLEMENTATIONS: dict[str, Callable[[str], Implementation]] = {
    "xbce": _xbce,
    "xbce-jit": partial(_jitted, _xbce),
    "textbook": _textbook,
    "native": _native,
    "native-jit": partial(_jitted, _native),
    "sklearn": partial(_sklearn, n_threads=1),
    "sklearn-threads": partial(_sklearn, n_threads=os.cpu_count() or 1),
}
IMPLEMENTATION_NAMES = tuple(_IMPLEMENTATIONS)
