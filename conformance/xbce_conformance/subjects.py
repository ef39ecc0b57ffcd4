"""What is measured: xbce on every backend, and the losses of other systems where they are installed.

A subject is a set of functions of one system on one backend. Each takes the arrays of its case, as arrays of that
backend in one dtype, and returns what its `quantities` name. xbce is judged by the contract, the others are reported.
"""

import importlib.metadata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import numpy as np

import xbce
import xbce.special
from xbce_conformance import autodiff
from xbce_conformance.backends import Backend
from xbce_conformance.cases import CASES, METHODS, PLAIN, Case, Quantity
from xbce_conformance.formats import Floats


@dataclass(frozen=True)
class Function:
    """One function of a subject."""

    name: str
    """As its users write it."""
    quantities: tuple[Quantity, ...]
    """What it returns: one array, or a tuple of arrays."""
    call: Callable[..., Any]
    """Takes the arrays of the case by position."""
    hard_labels_only: bool = False
    case: Case = PLAIN
    """What it should compute."""
    denominator: str = "count"
    """What a mean divides by."""
    of_mean: bool = False
    """Whether its quantity is a derivative of the mean."""


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
    functions = tuple(function for case in CASES for function in _functions(case))
    for backend in backends.values():
        here = (*functions, *_autodiff(backend))
        yield Subject("xbce", xbce.__version__, backend, backend.dtypes, here, judged=True)


def _autodiff(backend: Backend) -> Iterator[Function]:
    """Yield what the backend's automatic differentiation finds: the same derivatives, within the same bounds."""
    for case in CASES:
        for name, quantity, make in autodiff.derivatives(backend.name.partition(":")[0]):
            if quantity in case.methods:
                yield Function(f"{case.name}, {name}", (quantity,), make(_bind(case)), case=case)


def _functions(case: Case) -> Iterator[Function]:
    """Yield the methods of a case, its reductions, and the derivatives of its weighted mean."""
    for method, quantities in METHODS.items():
        if method in case.methods:
            name = f"{case.name}.{method}" if method else case.name
            yield Function(name, quantities, _bind(case, method), case=case)
    if not case.means:
        return
    yield Function(f"{case.name}, sum", ("sum",), _bind(case, reduction="sum"), case=case)
    for denominator in case.means:
        mean = "mean" if case is PLAIN else f"mean by {denominator}"
        call = _bind(case, reduction="mean", normalize_by=denominator)
        yield Function(f"{case.name}, {mean}", ("mean",), call, case=case, denominator=denominator)
    for quantity in case.derivatives_of_mean:
        call = _bind(case, quantity, reduction="mean", normalize_by="weight")
        name = f"{case.name}, mean by weight, {quantity}"
        yield Function(name, (quantity,), call, case=case, denominator="weight", of_mean=True)


def _bind(case: Case, method: str = "", **options: Any) -> Callable[..., Any]:
    """Return the function of xbce that takes all arrays of the case by position."""
    function = attrgetter(f"{case.function}.{method}" if method else case.function)(xbce)
    names = case.arguments[case.positional :]
    options |= dict(case.options)

    def call(*arrays: Any) -> Any:
        keywords = dict(zip(names, arrays[case.positional :], strict=True))
        return function(*arrays[: case.positional], **keywords, **options)

    return call


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
