"""The ufunc-like object that a loss is, and the order of its steps.

A loss is written once, as a function with its public signature that returns an `Evaluation`; every method of the loss
takes the same arguments because it calls that same function.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, ParamSpec

from xbce._backends import runner_for
from xbce._docs import OPTIONS, OPTIONS_MARK
from xbce._formulas import Formula
from xbce._inputs import Inputs
from xbce._reductions import Reduction
from xbce._typing import Array

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One call of a loss, checked and ready: inputs, formula, reduction."""

    inputs: Inputs
    formula: Formula
    reduction: Reduction

    def results(self, *methods: str) -> tuple[Array, ...]:
        """Return the value and derivatives of what the call returns, as the methods of the formula are called."""
        return self.reduction.results(runner_for(self.inputs.xp), self.inputs, self.formula, methods)


class Loss(Generic[P]):
    """A loss: a callable whose methods take exactly the arguments of the call.

    Derivatives are closed forms, not automatic differentiation, so every library has them. They are with respect to
    the first argument unless said otherwise, have its shape, and belong to what the call returns: with
    ``reduction="mean"`` the gradient is that of the mean, and of an array it is that of its sum.
    """

    def __init__(self, prepare: Callable[P, Evaluation]) -> None:
        functools.update_wrapper(self, prepare)
        self.__doc__ = inspect.cleandoc(prepare.__doc__ or "").replace(OPTIONS_MARK, OPTIONS)
        self._prepare = prepare
        self._name = prepare.__name__
        self.__signature__ = inspect.signature(prepare).replace(return_annotation=Array)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Array:
        """Return the loss, elementwise or reduced."""
        return self._prepare(*args, **kwargs).results("value")[0]

    def gradient(self, *args: P.args, **kwargs: P.kwargs) -> Array:
        """Return the gradient of what the call returns."""
        return self._prepare(*args, **kwargs).results("gradient")[0]

    def hessian(self, *args: P.args, **kwargs: P.kwargs) -> Array:
        """Return the diagonal of the second derivative of what the call returns."""
        return self._prepare(*args, **kwargs).results("hessian")[0]

    def value_and_gradient(self, *args: P.args, **kwargs: P.kwargs) -> tuple[Array, Array]:
        """Return what the call returns and its gradient, sharing the work."""
        value, gradient = self._prepare(*args, **kwargs).results("value", "gradient")
        return value, gradient

    def gradient_and_hessian(self, *args: P.args, **kwargs: P.kwargs) -> tuple[Array, Array]:
        """Return both, sharing the work."""
        gradient, hessian = self._prepare(*args, **kwargs).results("gradient", "hessian")
        return gradient, hessian

    def label_gradient(self, *args: P.args, **kwargs: P.kwargs) -> Array:
        """Return the gradient, in the labels, of what the call returns."""
        return self._prepare(*args, **kwargs).results("label_gradient")[0]

    def __repr__(self) -> str:
        return f"<loss xbce.{self._name}>"

    def __reduce__(self) -> str:
        return self._name
