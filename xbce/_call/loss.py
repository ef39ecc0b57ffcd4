"""`Loss`, the class of the public losses, which are objects like NumPy's ufuncs; and the steps of a call.

A loss is declared once, by a function of its arrays and of its own options, which are numbers, or arrays of them. The
function returns the formula. `Loss` adds the options that all losses share, the methods, and the call.
"""

import functools
import inspect
from collections.abc import Callable, Hashable
from types import FunctionType, MethodType
from typing import Any, Concatenate, Generic, NoReturn, ParamSpec, TypeVar

from .._formulas import Formula
from .._typing import Array, ArrayObject, ArrayT
from .cache_key import Key, call_key, key_of_any_lengths
from .checks import is_array_option, option_in
from .inputs import Inputs, fits_float32, loss_inputs
from .numbers import as_argument, as_number
from .options import DEFAULTS, REDUCTION, documented, parameters
from .plan import Plan, Reduction

P = ParamSpec("P")
Declared = TypeVar("Declared", bound=Callable[..., Any])


_MOST_PLANS = 1024
"""Plans that one loss keeps, for later calls with the same key."""

_METHODS: list[str] = []
"""Names of the methods that every loss has, beside the call itself."""


def _returning(*methods: str) -> Callable[[Declared], Declared]:
    """Make a method of `Loss` that computes the named methods of the formula.

    The decorated function only declares types and documentation. The method that runs takes any arguments, so that
    errors name the loss and its parameters.
    """

    def make(declared: Declared) -> Declared:
        if len(methods) == 1:

            def method(self: "Loss[Any]", *args: Any, **options: Any) -> Any:
                return self._results(methods, args, options)[0]

        else:

            def method(self: "Loss[Any]", *args: Any, **options: Any) -> Any:
                return self._results(methods, args, options)

        if declared.__name__ != "__call__":
            _METHODS.append(declared.__name__)
        made: Declared = functools.wraps(declared)(method)  # type: ignore[assignment]
        return made

    return make


class Loss(Generic[P]):
    """A loss: a callable whose methods take exactly the arguments of the call.

    Derivatives are closed forms, not automatic differentiation, so every library has them. They are with respect to
    the first argument unless said otherwise, have its shape, and are those of the returned value: with
    ``reduction="mean"`` the gradient is that of the mean; if an array is returned, it is that of its sum.

    For type checkers, a loss returns the type of its first argument, and `P` are its options.
    """

    def __init__(self, formula_of: Callable[Concatenate[Any, Any, P], Formula]) -> None:
        functools.update_wrapper(self, formula_of)  # type: ignore[arg-type]  # it has another type on purpose
        self.__doc__ = documented(formula_of.__doc__)
        self._formula_of: Callable[..., Formula] = formula_of
        self._plans: dict[Hashable, Plan] = {}
        """By the cache key of the call."""
        self._of_any_lengths: dict[Hashable, Plan] = {}
        """By the cache key without the lengths of the arrays."""
        self._patterns: dict[Hashable, Plan] = {}
        """By the cache key without the numbers that kernels take as arguments."""
        self._name = formula_of.__name__
        scores, labels, *own, _ = inspect.signature(formula_of).parameters.values()
        self._arrays = scores.name, labels.name
        self._own = tuple(option.name for option in own)
        self._numbers = (*self._own, "label_smoothing")
        """Options that are numbers, or arrays of them."""
        self._defaults: dict[str, Any] = {option.name: option.default for option in own} | dict(DEFAULTS)
        self._parameters = [scores.replace(annotation=ArrayT), labels, *own, *parameters()]
        self.__signature__ = inspect.Signature(self._parameters, return_annotation=ArrayT)
        for name in _METHODS:
            setattr(self, name, self._own_method(getattr(Loss, name)))

    def _own_method(self, method: FunctionType) -> MethodType:
        """Return a method bound to this loss, with its signature and documentation."""
        own = FunctionType(method.__code__, method.__globals__, closure=method.__closure__)
        functools.update_wrapper(own, method)
        own.__module__ = self.__module__
        own.__qualname__ = f"{self._name}.{method.__name__}"
        own.__doc__ = f"{method.__doc__}\n\nThe arguments are those of :func:`xbce.{self._name}`."
        declared = inspect.signature(method)
        first = next(iter(declared.parameters.values()))  # self: inspect.signature drops it from a bound method
        own.__signature__ = declared.replace(  # type: ignore[attr-defined]
            parameters=[first.replace(kind=inspect.Parameter.POSITIONAL_ONLY), *self._parameters]
        )
        return MethodType(own, self)

    def _options(self, args: Any, given: Any) -> dict[str, Any]:
        """Return all options of a call; refuse surplus and unknown arguments.

        `label_smoothing` is None if labels are not smoothed.
        """
        options: dict[str, Any] = self._defaults | given
        if len(options) > len(self._defaults) or len(args) > len(self._arrays):
            self._refuse(args, given)
        options["label_smoothing"] = option_in("label_smoothing", options["label_smoothing"], 0, 1, zero=False)
        return options

    def _formula(self, args: Any, options: dict[str, Any]) -> Formula:
        """Check the other numbers; return the formula."""
        return self._formula_of(*args, **options | {"label_smoothing": as_argument(options["label_smoothing"])})

    def _numbers_of(self, options: dict[str, Any]) -> dict[str, float]:
        """Return the numbers that the computing dtype must hold; `_formula` has checked them."""
        given = {name: options[name] for name in self._numbers if not is_array_option(options[name])}
        numbers = {name: as_number(x) for name, x in given.items() if x is not None}
        smoothing = numbers.pop("label_smoothing", None)
        return numbers if smoothing is None else numbers | {"half of label_smoothing": smoothing / 2}

    def _array_options(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return the options of `_numbers` that are arrays."""
        return {name: options[name] for name in self._numbers if is_array_option(options[name])}

    def _plan(
        self, methods: tuple[str, ...], args: Any, options: dict[str, Any], formula: Formula
    ) -> tuple[Plan, Inputs]:
        """Check the arrays of a call; return the plan that computes methods of its formula, and the inputs."""
        scores, labels = args
        inputs = loss_inputs(
            self._arrays[0],
            scores,
            labels,
            pos_weight=options["pos_weight"],
            weight=options["weight"],
            where=options["where"],
            numbers=self._numbers_of(options),
            options=self._array_options(options),
        ).with_precision(options["precision"])
        if inputs.options:  # with the arrays as they were taken
            formula = self._formula(args, options | dict(zip(inputs.options, inputs.option_arrays, strict=True)))
        chosen = (options[name] for name in REDUCTION)
        return Reduction.of(self._arrays[0], inputs, *chosen).plan(inputs, formula, methods), inputs

    def _refuse(self, args: tuple[Any, ...], given: dict[str, Any]) -> NoReturn:
        """Raise TypeError for surplus or unknown arguments, with Python's own text."""
        positional = [name for name in given if name in self._arrays]
        if positional:
            names = ", ".join(positional)
            msg = f"{self._name}() got some positional-only arguments passed as keyword arguments: '{names}'"
        elif len(args) > len(self._arrays):
            msg = f"{self._name}() takes {len(self._arrays)} positional arguments but {len(args)} were given"
        else:
            unknown = next(name for name in given if name not in self._defaults)
            msg = f"{self._name}() got an unexpected keyword argument {unknown!r}"
        raise TypeError(msg)

    def _results(self, methods: tuple[str, ...], args: Any, kwargs: Any) -> tuple[Array, ...]:
        """Return the results of a call, by the plan of an earlier call with the same key if there is one.

        A plan holds no array. It depends on the cache key alone, and so do the checks of arguments.
        """
        call = call_key(methods, args, kwargs, self._numbers)
        if call is None:
            planned, arrays = self._planned(methods, args, kwargs)
            return planned.results(arrays)
        key, arrays = call
        plan = self._plans.get(key)
        if plan is None:
            plan = _keep(self._plans, key, self._plan_like_another(key, methods, args, kwargs))
        return plan.results(arrays)

    def _planned(self, methods: tuple[str, ...], args: Any, given: Any) -> tuple[Plan, tuple[Array, ...]]:
        """Return the plan of a call, and the arrays that it takes."""
        options = self._options(args, given)
        plan, inputs = self._plan(methods, args, options, self._formula(args, options))
        return plan, inputs.arrays

    def _plan_like_another(self, key: Key, methods: tuple[str, ...], args: Any, given: Any) -> Plan:
        """Return the plan of a call, from one that differs only in its lengths, or in its numbers, if one is kept."""
        of_any_lengths = key_of_any_lengths(key)
        if of_any_lengths is None:
            return self._plan_with_numbers(key[:2], methods, args, given)
        kept = self._of_any_lengths.get(of_any_lengths)
        if kept is not None:
            return kept.with_lengths_of(args[0])
        return _keep(self._of_any_lengths, of_any_lengths, self._plan_with_numbers(key[:2], methods, args, given))

    def _plan_with_numbers(self, rest: Hashable, methods: tuple[str, ...], args: Any, given: Any) -> Plan:
        """Return the plan of a call, from a plan that differs in its numbers only if one is kept by the key `rest`."""
        options = self._options(args, given)
        formula = self._formula(args, options)
        pattern, numbers = formula.apart()
        numbers = tuple(x for x in numbers if not is_array_option(x))
        # Only the computing dtype depends on the values of the numbers.
        fits = all(map(fits_float32, self._numbers_of(options).values()))
        # Kernels of high precision hold their numbers; programs depend on their classes.
        key = rest, pattern, fits, (numbers if options["precision"] == "high" else tuple(map(type, numbers)))
        kept = self._patterns.get(key)
        if kept is None:
            return _keep(self._patterns, key, self._plan(methods, args, options, formula)[0])
        return kept.with_numbers(numbers)

    @_returning("value")
    def __call__(self, scores: ArrayT, labels: ArrayObject | float, /, *args: P.args, **options: P.kwargs) -> ArrayT:
        """Return the loss, elementwise or reduced."""
        raise NotImplementedError

    @_returning("gradient")
    def gradient(self, scores: ArrayT, labels: ArrayObject | float, /, *args: P.args, **options: P.kwargs) -> ArrayT:
        """Return the gradient of what the call returns."""
        raise NotImplementedError

    @_returning("hessian")
    def hessian(self, scores: ArrayT, labels: ArrayObject | float, /, *args: P.args, **options: P.kwargs) -> ArrayT:
        """Return the diagonal of the second derivative of what the call returns."""
        raise NotImplementedError

    @_returning("value", "gradient")
    def value_and_gradient(
        self, scores: ArrayT, labels: ArrayObject | float, /, *args: P.args, **options: P.kwargs
    ) -> tuple[ArrayT, ArrayT]:
        """Return what the call returns and its gradient, sharing the work."""
        raise NotImplementedError

    @_returning("gradient", "hessian")
    def gradient_and_hessian(
        self, scores: ArrayT, labels: ArrayObject | float, /, *args: P.args, **options: P.kwargs
    ) -> tuple[ArrayT, ArrayT]:
        """Return the gradient and the diagonal of the second derivative of what the call returns, sharing the work."""
        raise NotImplementedError

    @_returning("label_gradient")
    def label_gradient(
        self, scores: ArrayT, labels: ArrayObject | float, /, *args: P.args, **options: P.kwargs
    ) -> ArrayT:
        """Return the gradient, in the labels, of what the call returns."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<loss xbce.{self._name}>"

    def __reduce__(self) -> str:
        return self._name


def _keep(plans: dict[Hashable, Plan], key: Hashable, plan: Plan) -> Plan:
    """Keep a plan; drop all others first if there are `_MOST_PLANS`."""
    if len(plans) >= _MOST_PLANS:
        plans.clear()
    plans[key] = plan
    return plan
