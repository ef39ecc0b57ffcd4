"""The subjects: xbce, its peers (what users of each library would write instead), and `traffic`, a lower limit.

A subject has up to five functions of logits and labels; a function that it lacks is not measured.
"""

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import xbce

_NAMESPACES = {"jax": "jax.numpy", "dask": "dask.array"}


@dataclass(frozen=True)
class Subject:
    """The functions that are measured, in one library."""

    elementwise: Callable[..., Any]
    """All losses."""
    mean: Callable[..., Any]
    """Their mean."""
    value_and_gradient: Callable[..., Any] | None
    """All losses and their gradient in the logits."""
    training_step: Callable[..., Any] | None
    """The mean and its gradient, as in training: by automatic differentiation if the library has it."""
    gradient: Callable[..., Any] | None = None
    """The gradient of the losses alone, in closed form."""


Table: TypeAlias = dict[str, dict[str, Callable[[str], Subject]]]
"""What makes a subject, by library and name."""


def _xbce(library: str, loss: Any = xbce.binary_cross_entropy_with_logits, **options: Any) -> Subject:
    mean = partial(loss, reduction="mean", **options)
    both = partial(loss.value_and_gradient, **options)
    step = AUTODIFF[library](mean) if library in AUTODIFF else partial(both, reduction="mean")
    return Subject(partial(loss, **options), mean, both, step, partial(loss.gradient, **options))


def _textbook(library: str) -> Subject:
    xp = importlib.import_module(_NAMESPACES.get(library, library))

    def elementwise(x: Any, z: Any) -> Any:
        s = 1 / (1 + xp.exp(-x))
        return -z * xp.log(s) - (1 - z) * xp.log(1 - s)

    def value_and_gradient(x: Any, z: Any) -> Any:
        s = 1 / (1 + xp.exp(-x))
        return -z * xp.log(s) - (1 - z) * xp.log(1 - s), s - z

    return _of_formulas(library, elementwise, value_and_gradient)


def _of_formulas(
    library: str, elementwise: Callable[..., Any], value_and_gradient: Callable[..., Any] | None
) -> Subject:
    """Return the functions of a loss that is written in the operations of a library."""

    def mean(x: Any, z: Any) -> Any:
        return elementwise(x, z).mean()

    def closed_form(x: Any, z: Any) -> Any:
        losses, gradient = value_and_gradient(x, z)
        return losses.mean(), gradient / x.size

    step = AUTODIFF[library](mean) if library in AUTODIFF else value_and_gradient and closed_form
    return Subject(elementwise, mean, value_and_gradient, step)


def _stable(library: str) -> Subject:
    """Return the formula that a careful user writes: no overflow, and one logarithm."""
    xp = importlib.import_module(_NAMESPACES.get(library, library))

    def positive(x: Any) -> Any:
        return xp.clamp(x, min=0) if library == "torch" else xp.maximum(x, 0)

    def elementwise(x: Any, z: Any) -> Any:
        return positive(x) - x * z + xp.log1p(xp.exp(-abs(x)))

    def slope(x: Any, z: Any, e: Any) -> Any:
        return xp.where(x >= 0, 1 / (1 + e), e / (1 + e)) - z

    def value_and_gradient(x: Any, z: Any) -> Any:
        e = xp.exp(-abs(x))
        return positive(x) - x * z + xp.log1p(e), slope(x, z, e)

    made = _of_formulas(library, elementwise, value_and_gradient)
    return replace(made, gradient=lambda x, z: slope(x, z, xp.exp(-abs(x))))


def _careful(library: str) -> Subject:
    """Return the loss of probabilities that a careful user writes: log1p(-p) keeps the digits of a small p."""
    xp = importlib.import_module(_NAMESPACES.get(library, library))

    def elementwise(p: Any, z: Any) -> Any:
        return -(z * xp.log(p) + (1 - z) * xp.log1p(-p))

    def gradient(p: Any, z: Any) -> Any:
        return (1 - z) / (1 - p) - z / p

    made = _of_formulas(library, elementwise, lambda p, z: (elementwise(p, z), gradient(p, z)))
    return replace(made, gradient=gradient)


def _native(library: str) -> Subject:
    if library == "torch":
        from torch.nn.functional import binary_cross_entropy_with_logits as loss

        return Subject(partial(loss, reduction="none"), loss, None, _torch_step(loss))
    import optax

    def mean(x: Any, z: Any) -> Any:
        return optax.sigmoid_binary_cross_entropy(x, z).mean()

    return Subject(optax.sigmoid_binary_cross_entropy, mean, None, _jax_step(mean))


def _sklearn(_library: str, *, n_threads: int) -> Subject:
    from sklearn._loss import HalfBinomialLoss

    return _of_sklearn(HalfBinomialLoss(), n_threads)


def _sklearn_array_api(library: str) -> Subject:
    """The loss that LogisticRegression minimises with array_api_dispatch=True.

    The public sklearn.metrics.log_loss takes arrays on a device, too, but of probabilities, and returns a Python float.
    """
    from sklearn._loss.loss import HalfBinomialLossArrayAPI

    # The device is for weights only.
    return _of_sklearn(HalfBinomialLossArrayAPI(xp=importlib.import_module(f"array_api_compat.{library}")), 1)


def _of_sklearn(loss: Any, n_threads: int) -> Subject:
    def elementwise(x: Any, z: Any) -> Any:
        return loss.loss(z, x, n_threads=n_threads)

    def value_and_gradient(x: Any, z: Any) -> Any:
        return loss.loss_gradient(z, x, n_threads=n_threads)

    def training_step(x: Any, z: Any) -> Any:
        losses, gradient = value_and_gradient(x, z)
        gradient /= x.shape[0]  # PyTorch's size is a method
        return losses.mean(), gradient

    return Subject(elementwise, lambda x, z: elementwise(x, z).mean(), value_and_gradient, training_step)


def _traffic(library: str) -> Subject:
    """Read and write the same bytes with hardly any computation: the limit that memory sets."""
    xp = importlib.import_module(_NAMESPACES.get(library, library))

    def both(x: Any, z: Any) -> Any:
        return x + 1, z + 1

    return Subject(lambda x, z: x + z, lambda x, z: (xp.sum(x), xp.sum(z)), both, None)


def _jitted(build: Callable[[str], Subject], library: str) -> Subject:
    import jax

    return _mapped(jax.jit, build(library))


def _compiled(build: Callable[[str], Subject], library: str) -> Subject:
    import torch

    eager = build(library)
    compiled = _mapped(torch.compile, eager)
    # torch.compile takes the loss; PyTorch's autograd calls the backward pass that it has compiled.
    return Subject(
        compiled.elementwise, compiled.mean, compiled.value_and_gradient, _torch_step(torch.compile(eager.mean))
    )


def _mapped(transform: Callable[..., Any], eager: Subject) -> Subject:
    functions = (eager.elementwise, eager.mean, eager.value_and_gradient, eager.training_step)
    return Subject(*(None if f is None else transform(f) for f in functions))


def _torch_step(mean: Callable[..., Any]) -> Callable[..., Any]:
    import torch

    def training_step(x: Any, z: Any) -> Any:
        x = x.detach().requires_grad_()
        value = mean(x, z)
        return value.detach(), *torch.autograd.grad(value, x)

    return training_step


def _jax_step(mean: Callable[..., Any]) -> Callable[..., Any]:
    import jax

    return jax.value_and_grad(mean)


AUTODIFF = {"torch": _torch_step, "jax": _jax_step}
_sklearn_on_all = partial(_sklearn, n_threads=len(os.sched_getaffinity(0)))
SUBJECTS: Table = {
    "numpy": {
        "xbce": _xbce,
        "stable": _stable,
        "textbook": _textbook,
        "sklearn": partial(_sklearn, n_threads=1),
        "sklearn-threads": _sklearn_on_all,
        "traffic": _traffic,
    },
    "torch": {
        "xbce": _xbce,
        "stable": _stable,
        "textbook": _textbook,
        "native": _native,
        "sklearn-array-api": _sklearn_array_api,
        "traffic": _traffic,
        "xbce-compiled": partial(_compiled, _xbce),
        "native-compiled": partial(_compiled, _native),
    },
    "jax": {
        "xbce-jit": partial(_jitted, _xbce),
        "stable-jit": partial(_jitted, _stable),
        "native-jit": partial(_jitted, _native),
        "traffic-jit": partial(_jitted, _traffic),
    },
    "cupy": {
        "xbce": _xbce,
        "stable": _stable,
        "textbook": _textbook,
        "sklearn-array-api": _sklearn_array_api,
        "traffic": _traffic,
    },
    "dask": {"xbce": _xbce, "stable": _stable, "textbook": _textbook},
}
"""By library and name. Among names with the same suffix, xbce is the first, and the baseline of the others' ratios."""


# --- focal and asymmetric losses -------------------------------------------------------------------------------------

FOCAL = {"gamma": 2, "alpha": 0.25}
ASYMMETRIC = {"gamma_pos": 1, "gamma_neg": 4, "shift": 0.05}


def _focal_formula(library: str) -> Subject:
    """Return the focal loss as torchvision computes it: the native loss times a power of 1 - p_t."""
    from torch import sigmoid
    from torch.nn.functional import binary_cross_entropy_with_logits

    def elementwise(x: Any, z: Any) -> Any:
        p = sigmoid(x)
        p_t = p * z + (1 - p) * (1 - z)
        factor = FOCAL["alpha"] * z + (1 - FOCAL["alpha"]) * (1 - z)
        return factor * (1 - p_t) ** FOCAL["gamma"] * binary_cross_entropy_with_logits(x, z, reduction="none")

    return _of_formulas(library, elementwise, None)


def _focal_of_optax(library: str) -> Subject:
    from optax import sigmoid_focal_loss

    return _of_formulas(library, partial(sigmoid_focal_loss, **FOCAL), None)


def _asymmetric_formula(library: str) -> Subject:
    """Return the asymmetric loss as its authors compute it: logarithms of clamped probabilities."""
    xp = importlib.import_module(_NAMESPACES.get(library, library))
    least = 1e-8
    pos, neg, shift = ASYMMETRIC.values()

    def limited(p: Any) -> Any:
        return xp.clamp(p, min=least) if library == "torch" else xp.maximum(p, least)

    def elementwise(x: Any, z: Any) -> Any:
        p = 1 / (1 + xp.exp(-x))
        q = 1 - p + shift
        q = xp.clamp(q, max=1) if library == "torch" else xp.minimum(q, 1)
        p_t, gamma = p * z + q * (1 - z), pos * z + neg * (1 - z)
        return -(z * xp.log(limited(p)) + (1 - z) * xp.log(limited(q))) * (1 - p_t) ** gamma

    return _of_formulas(library, elementwise, None)


def _losses(ours: Callable[[str], Subject], theirs: dict[str, dict[str, Callable[[str], Subject]]]) -> Table:
    """Return the table of a loss: xbce first, and the others by library."""
    found: Table = {}
    for library, others in theirs.items():
        both = {"xbce": ours, **others}
        match library:
            case "jax":
                found[library] = {f"{name}-jit": partial(_jitted, build) for name, build in both.items()}
            case "torch":
                compiled = {f"{name}-compiled": partial(_compiled, build) for name, build in both.items()}
                found[library] = both | compiled
            case _:
                found[library] = both
    return found


TABLES: dict[str, Table] = {
    "": SUBJECTS,
    "Focal": _losses(
        partial(_xbce, loss=xbce.sigmoid_focal_loss, **FOCAL),
        {"numpy": {}, "torch": {"torchvision": _focal_formula}, "jax": {"optax": _focal_of_optax}},
    ),
    "Asymmetric": _losses(
        partial(_xbce, loss=xbce.asymmetric_loss, **ASYMMETRIC),
        {name: {"formula": _asymmetric_formula} for name in ("numpy", "torch", "jax")},
    ),
    "Probabilities": _losses(partial(_xbce, loss=xbce.binary_cross_entropy), {"numpy": {"careful": _careful}}),
}
"""By the prefix of the benchmarks of a loss."""
CASES = {
    "": "binary_cross_entropy_with_logits",
    "Focal": "sigmoid_focal_loss(gamma=2, alpha=0.25)",
    "Asymmetric": "asymmetric_loss(gamma_pos=1, gamma_neg=4, shift=0.05)",
    "Probabilities": "binary_cross_entropy",
}
"""By the same: the case of the suite whose exact values are the results that are due."""
