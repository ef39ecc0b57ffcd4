"""The ufunc-like object that a loss is, and the order of its steps.

A loss is written once, as a function with its public signature that returns an `Evaluation`; every method of the loss
takes the same arguments because it calls that same function.
"""

import functools
import inspect
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec

from ._docs import OPTIONS, OPTIONS_MARK
from ._formulas import Formula
from ._inputs import Inputs, call_key
from ._reductions import Plan, Reduction
from ._typing import Array

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One call of a loss, checked and ready: inputs, formula, reduction."""

    inputs: Inputs
    formula: Formula
    reduction: Reduction

    def plan(self, methods: tuple[str, ...]) -> Plan:
        """Return how the named methods of the formula become what the call returns."""
        return self.reduction.plan(self.inputs, self.formula, methods)


_MOST_PLANS = 1024
"""Kept by one loss, for calls like earlier ones."""


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
        self._plans: dict[Hashable, Plan] = {}
        self._name = prepare.__name__
        self.__signature__ = inspect.signature(prepare).replace(return_annotation=Array)

    def _results(self, methods: tuple[str, ...], args: Any, kwargs: Any) -> tuple[Array, ...]:
        """Return what the methods of the formula become, by the plan of an earlier call like this one if there is one.

        A plan holds no array. It depends on what the key holds, and on nothing else; so do the checks of arguments.
        """
        call = call_key(methods, args, kwargs)
        if call is None:
            evaluation = self._prepare(*args, **kwargs)
            return evaluation.plan(methods)(evaluation.inputs.arrays)
        key, arrays = call
        plan = self._plans.get(key)
        if plan is None:
            plan = self._prepare(*args, **kwargs).plan(methods)
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            self._plans[key] = plan
        return plan(arrays)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Array:
        """Return the loss, elementwise or reduced."""
        return self._results(("value",), args, kwargs)[0]

    def gradient(self, *args: P.args, **kwargs: P.kwargs) -> Array:
        """Return the gradient of what the call returns."""
        return self._results(("gradient",), args, kwargs)[0]

    def hessian(self, *args: P.args, **kwargs: P.kwargs) -> Array:
        """Return the diagonal of the second derivative of what the call returns."""
        return self._results(("hessian",), args, kwargs)[0]

    def value_and_gradient(self, *args: P.args, **kwargs: P.kwargs) -> tuple[Array, Array]:
        """Return what the call returns and its gradient, sharing the work."""
        value, gradient = self._results(("value", "gradient"), args, kwargs)
        return value, gradient

    def gradient_and_hessian(self, *args: P.args, **kwargs: P.kwargs) -> tuple[Array, Array]:
        """Return both, sharing the work."""
        gradient, hessian = self._results(("gradient", "hessian"), args, kwargs)
        return gradient, hessian

    def label_gradient(self, *args: P.args, **kwargs: P.kwargs) -> Array:
        """Return the gradient, in the labels, of what the call returns."""
        return self._results(("label_gradient",), args, kwargs)[0]

    def __repr__(self) -> str:
        return f"<loss xbce.{self._name}>"

    def __reduce__(self) -> str:
        return self._name
