"""The ufunc-like object that a loss is, and the order of its steps.

A loss is written once, as a function with its public signature that returns an `Evaluation`; every method of the loss
takes the same arguments because it calls that same function.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec

from xbce._backends import Runner, runner_for
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

    def value(self) -> Array:
        """Return the losses, reduced."""
        return self._of_losses(self._run("value"))

    def derivative(self, method: str) -> Array:
        """Return the named derivative of what `value` returns."""
        return self._of_derivative(self._run(method))

    def value_and_gradient(self) -> tuple[Array, Array]:
        """Return both from one run of the formula."""
        value, gradient = self._run("value_and_gradient")
        return self._of_losses(value), self._of_derivative(gradient)

    def gradient_and_hessian(self) -> tuple[Array, Array]:
        """Return both from one run of the formula."""
        gradient, hessian = self._run("gradient_and_hessian")
        return self._of_derivative(gradient), self._of_derivative(hessian)

    @property
    def _runner(self) -> Runner:
        return runner_for(self.inputs.xp)

    def _run(self, method: str) -> Any:
        arrays = self.reduction.selected(self._runner, self.inputs)
        return self._runner.run(self.inputs.xp, self.formula, method, arrays)

    def _of_losses(self, losses: Array) -> Array:
        return self.reduction.of_losses(self._runner, self.inputs, losses)

    def _of_derivative(self, derivative: Array) -> Array:
        return self.reduction.of_derivative(self._runner, self.inputs, derivative)


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
        return self._prepare(*args, **kwargs).value()

    def gradient(self, *args: P.args, **kwargs: P.kwargs) -> Array:
        """Return the gradient of what the call returns."""
        return self._prepare(*args, **kwargs).derivative("gradient")

    def hessian(self, *args: P.args, **kwargs: P.kwargs) -> Array:
        """Return the diagonal of the second derivative of what the call returns."""
        return self._prepare(*args, **kwargs).derivative("hessian")

    def value_and_gradient(self, *args: P.args, **kwargs: P.kwargs) -> tuple[Array, Array]:
        """Return what the call returns and its gradient, sharing the work."""
        return self._prepare(*args, **kwargs).value_and_gradient()

    def gradient_and_hessian(self, *args: P.args, **kwargs: P.kwargs) -> tuple[Array, Array]:
        """Return both, sharing the work."""
        return self._prepare(*args, **kwargs).gradient_and_hessian()

    def label_gradient(self, *args: P.args, **kwargs: P.kwargs) -> Array:
        """Return the gradient, in the labels, of what the call returns."""
        return self._prepare(*args, **kwargs).derivative("label_gradient")

    def __repr__(self) -> str:
        return f"<loss xbce.{self._name}>"

    def __reduce__(self) -> str:
        return self._name
