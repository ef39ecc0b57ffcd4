"""What is measured: xbce on every backend, and the losses of other systems where they are installed.

A subject is a set of functions of one system on one backend. Each takes logits and labels, as arrays of that backend
in one dtype, and returns what its `quantities` name. xbce is judged by the contract, the others are reported.
"""

import importlib.metadata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

import xbce
from xbce_conformance.backends import Backend
from xbce_conformance.formats import Floats

Quantity: TypeAlias = Literal["value", "gradient", "hessian", "sum", "mean"]


@dataclass(frozen=True)
class Function:
    """One function of a subject."""

    name: str
    """As its users write it."""
    quantities: tuple[Quantity, ...]
    """What it returns: one array, or a tuple of arrays."""
    call: Callable[[Any, Any], Any]
    hard_labels_only: bool = False


@dataclass(frozen=True)
class Subject:
    """One system on one backend."""

    name: str
    version: str
    backend: Backend
    dtypes: tuple[str, ...]
    functions: tuple[Function, ...]
    judged: bool = field(default=False)


SUBJECT_NAMES = ("xbce", "torch", "optax", "sklearn", "tf-formula", "textbook")


def find_subjects(names: tuple[str, ...], backends: dict[str, Backend]) -> tuple[list[Subject], dict[str, str]]:
    """Return the named subjects that can run here, and for each of the others the reason why it cannot."""
    found: list[Subject] = []
    missing: dict[str, str] = {}
    for name in names:
        subjects = list(_FINDERS[name](backends))
        found += subjects
        if not subjects:
            missing[name] = _NEEDS[name]
    return found, missing


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


# --- xbce -----------------------------------------------------------------------------------------------------------


def _xbce(backends: dict[str, Backend]) -> Iterator[Subject]:
    loss = xbce.binary_cross_entropy_with_logits
    name = "binary_cross_entropy_with_logits"
    functions = (
        Function(name, ("value",), loss),
        Function(f"{name}.gradient", ("gradient",), loss.gradient),
        Function(f"{name}.hessian", ("hessian",), loss.hessian),
        Function(f"{name}.value_and_gradient", ("value", "gradient"), loss.value_and_gradient),
        Function(f"{name}, sum", ("sum",), lambda x, z: loss(x, z, reduction="sum")),
        Function(f"{name}, mean", ("mean",), lambda x, z: loss(x, z, reduction="mean")),
    )
    for backend in backends.values():
        yield Subject("xbce", xbce.__version__, backend, backend.dtypes, functions, judged=True)


# --- other systems --------------------------------------------------------------------------------------------------


def _torch(backends: dict[str, Backend]) -> Iterator[Subject]:
    here = [backend for backend in backends.values() if backend.name.startswith("torch:")]
    if not here:
        return
    import torch

    name = "torch.nn.functional.binary_cross_entropy_with_logits"
    loss = torch.nn.functional.binary_cross_entropy_with_logits

    def gradient(x: Any, z: Any) -> Any:
        x = x.clone().requires_grad_()
        loss(x, z, reduction="sum").backward()
        return x.grad

    functions = (
        Function(name, ("value",), lambda x, z: loss(x, z, reduction="none")),
        Function(f"{name}, autograd", ("gradient",), gradient),
        Function(f"{name}, mean", ("mean",), loss),
    )
    for backend in here:
        yield Subject("torch", backend.version, backend, backend.dtypes, functions)


def _optax(backends: dict[str, Backend]) -> Iterator[Subject]:
    version = _version("optax")
    if version is None or "jax" not in backends:
        return
    import jax
    import optax

    name = "optax.sigmoid_binary_cross_entropy"
    loss = optax.sigmoid_binary_cross_entropy
    functions = (
        Function(name, ("value",), loss),
        Function(f"{name}, jax.grad", ("gradient",), jax.grad(lambda x, z: loss(x, z).sum())),
        Function(f"{name}, mean", ("mean",), lambda x, z: loss(x, z).mean()),
    )
    yield Subject("optax", version, backends["jax"], backends["jax"].dtypes, functions)


def _sklearn(backends: dict[str, Backend]) -> Iterator[Subject]:
    version = _version("scikit-learn")
    if version is None or "numpy" not in backends:
        return
    from sklearn._loss import HalfBinomialLoss
    from sklearn.metrics import log_loss

    half_binomial = HalfBinomialLoss()

    def value(x: Floats, z: Floats) -> Any:
        return half_binomial.loss(y_true=z, raw_prediction=x)

    def gradient(x: Floats, z: Floats) -> Any:
        return half_binomial.gradient(y_true=z, raw_prediction=x)

    def mean(x: Floats, z: Floats) -> Any:
        return np.asarray(log_loss(z, _sigmoid(x), labels=[0, 1]), x.dtype)

    functions = (
        Function("sklearn._loss.HalfBinomialLoss().loss", ("value",), value),
        Function("sklearn._loss.HalfBinomialLoss().gradient", ("gradient",), gradient),
        Function("sklearn.metrics.log_loss of sigmoid(x)", ("mean",), mean, hard_labels_only=True),
    )
    yield Subject("sklearn", version, backends["numpy"], ("float32", "float64"), functions)


def _sigmoid(x: Floats) -> Floats:
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-x)))


def _tf_formula(backends: dict[str, Backend]) -> Iterator[Subject]:
    def value(x: Floats, z: Floats) -> Floats:
        with np.errstate(invalid="ignore"):
            return np.asarray(np.maximum(x, x.dtype.type(0)) - x * z + np.log1p(np.exp(-np.abs(x))))

    if "numpy" in backends:
        functions = (Function("max(x, 0) - x z + log1p(exp(-|x|))", ("value",), value),)
        yield Subject("tf-formula", np.__version__, backends["numpy"], backends["numpy"].dtypes, functions)


def _textbook(backends: dict[str, Backend]) -> Iterator[Subject]:
    def value(x: Floats, z: Floats) -> Floats:
        s = _sigmoid(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(-z * np.log(s) - (1 - z) * np.log(1 - s))

    functions = (
        Function("-z log(sigmoid(x)) - (1 - z) log(1 - sigmoid(x))", ("value",), value),
        Function("sigmoid(x) - z", ("gradient",), lambda x, z: _sigmoid(x) - z),
    )
    if "numpy" in backends:
        yield Subject("textbook", np.__version__, backends["numpy"], backends["numpy"].dtypes, functions)


_FINDERS: dict[str, Callable[[dict[str, Backend]], Iterator[Subject]]] = {
    "xbce": _xbce,
    "torch": _torch,
    "optax": _optax,
    "sklearn": _sklearn,
    "tf-formula": _tf_formula,
    "textbook": _textbook,
}
_NEEDS = {
    "xbce": "no backend is here",
    "torch": "needs the backend torch:cpu or torch:cuda",
    "optax": "needs optax and the backend jax",
    "sklearn": "needs scikit-learn and the backend numpy",
    "tf-formula": "needs the backend numpy",
    "textbook": "needs the backend numpy",
}
