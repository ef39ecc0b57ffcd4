"""Subjects that users name: any callable of their own, as `module:callable`, or under an entry point.

A distribution offers its loss under the entry point group `xbce_conformance.subjects`; the object is a callable or an
`Adapter`. Such a subject is judged by the bounds that xbce is judged by, or by one that its user sets.
"""

import importlib.metadata
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from xbce_conformance.cases import PLAIN, BadCase, Case, Quantity, case_named
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.subjects.backend import Backend
from xbce_conformance.subjects.backends import BACKEND_NAMES, PEER_BACKEND_NAMES
from xbce_conformance.subjects.expressions import evaluate, reverse_mode_code
from xbce_conformance.subjects.failure import CALL_LIMIT, Failure, time_limit
from xbce_conformance.subjects.model import Function, Subject
from xbce_conformance.subjects.order import wrong_with_call, wrong_with_order
from xbce_conformance.subjects.spec import BadOption, BadSubject, resolve

GROUP = "xbce_conformance.subjects"


_BESIDE_VALUE: tuple[Quantity, ...] = ("gradient", "hessian", "mean", "sum")
"""What an adapter may have besides its value."""

_HALVES = ("float16", "bfloat16")

Refusal: TypeAlias = Callable[[Function, Backend, str], str]
"""Tells what a function raises in a dtype of its backend; "" if nothing."""


@dataclass(frozen=True)
class Adapter:
    """A function of someone else's, and how it is called.

    Parameters
    ----------
    value : callable
        The function: arrays in, the elementwise losses out, in the shape and dtype of the first argument.
    gradient, hessian : callable, optional
        Its first and second derivative in the first argument, called alike. Without `gradient`, the attribute
        ``value.gradient`` is taken, and without that the automatic differentiation of the backend.
    mean, sum : callable, optional
        Its reductions, called alike: one number for all elements, in the dtype of the first argument.
    order : tuple of str, default those of the case
        The names of the arguments as the function takes them: ``("labels", "logits")``, or with keywords
        ``("y_true=labels", "y_pred=logits")``.
    backend : str, default "numpy"
        The arrays that it takes: a name that ``xbce-conformance list`` shows. "scalar" calls it with one Python float
        for each argument; an exception of arithmetic counts as NaN there.
    dtypes : tuple of str, default all of the backend
        The dtypes to measure. float32 and float64 have to work where none is named; a half type that the function
        refuses with an exception is left out then, and the report says so.
    case : str, default "binary_cross_entropy_with_logits"
        What it should compute: a function of xbce, with any of its options in parentheses, such as
        "sigmoid_focal_loss(gamma=1.7, alpha=0.3, pos_weight)". Bare names are arrays, which the function takes besides.

    Examples
    --------
    >>> from xbce_conformance import Adapter
    >>> Adapter(lambda y, x: (1 - y) * x, order=("labels", "logits")).backend
    'numpy'
    """

    value: Callable[..., Any]
    gradient: Callable[..., Any] | None = None
    hessian: Callable[..., Any] | None = None
    mean: Callable[..., Any] | None = None
    sum: Callable[..., Any] | None = None
    order: tuple[str, ...] = ()
    backend: str = "numpy"
    dtypes: tuple[str, ...] = ()
    case: str = PLAIN.name


@dataclass(frozen=True)
class Loaded:
    """An adapter, and the expressions of its parts."""

    name: str
    version: str
    adapter: Adapter
    imports: str
    code: dict[Quantity, str]
    """Expression of the function per quantity."""
    given: dict[str, Any] = field(default_factory=dict)
    """Objects that the expressions name, of an adapter that no module has: nobody else can evaluate them."""


# --- loading --------------------------------------------------------------------------------------------------------


def load(spec: str, *, gradient: str | None = None, **options: Any) -> Loaded:
    """Import `module:callable` and return it with its adapter; `options` are fields of `Adapter` that are set anew."""
    found = resolve(spec)
    parts = {quantity: f"{found.path}.{quantity}" for quantity in _BESIDE_VALUE}
    if isinstance(found.value, Adapter):
        adapter, code = found.value, {"value": f"{found.path}.value"}
    elif callable(found.value):
        adapter, code = _adapter_of(found.value), {"value": found.path}
    else:
        msg = f"{spec} is {type(found.value).__name__} {found.value!r}; a callable or an Adapter is expected"
        raise BadSubject(msg)
    modules = [found.module]
    if gradient is not None:
        derivative = resolve(gradient)
        adapter = replace(adapter, gradient=derivative.value)
        parts["gradient"] = derivative.path
        modules.append(derivative.module)
    adapter = replace(adapter, **{key: option for key, option in options.items() if option})
    _check(adapter, spec, BadOption if options.get("order") else BadSubject)
    code |= {name: path for name, path in parts.items() if getattr(adapter, name) is not None}
    imports = f"import {', '.join(dict.fromkeys(modules))}"
    return Loaded(found.spec, _version_of(found.module), adapter, imports, code)  # type: ignore[arg-type]


def of_object(subject: Adapter | Callable[..., Any], name: str, case: str | None = None) -> Loaded:
    """Return an adapter, or a callable with its own, under a name for reports; `case` stands for its own."""
    adapter = subject if isinstance(subject, Adapter) else _adapter_of(subject)
    adapter = adapter if case is None else replace(adapter, case=case)
    _check(adapter, name)
    code: dict[Quantity, str] = {"value": "_adapter.value"}
    code |= {name: f"_adapter.{name}" for name in _BESIDE_VALUE if getattr(adapter, name) is not None}
    return Loaded(name, "", adapter, "", code, {"_adapter": adapter})


def _adapter_of(value: Callable[..., Any]) -> Adapter:
    return Adapter(value, gradient=_method(value, "gradient"), hessian=_method(value, "hessian"))


def _check(adapter: Adapter, name: str, wrong_order: type[BadSubject] = BadSubject) -> None:
    """Refuse what no table has, and an order of arguments in which it cannot be called."""
    fields: tuple[tuple[str, tuple[str, ...], Iterable[str]], ...] = (
        ("backend", (adapter.backend,), (*BACKEND_NAMES, *PEER_BACKEND_NAMES)),
        ("dtype", adapter.dtypes, FORMATS),
    )
    for field_name, given, known in fields:
        for value in given:
            if value not in known:
                msg = f"{field_name} {value!r} of {name} is unknown; one of these is expected: {', '.join(known)}"
                raise BadSubject(msg)
    try:
        case = case_named(adapter.case)
    except BadCase as error:
        msg = f"case {adapter.case!r} of {name}: {error}"
        raise BadSubject(msg) from error
    wrong = wrong_with_order(adapter.order, case)
    wrong = wrong or wrong_with_call(adapter.value, adapter.order or case.arguments, name)
    if wrong:
        raise wrong_order(wrong)


def _method(value: Any, name: str) -> Callable[..., Any] | None:
    method = getattr(value, name, None)
    return method if callable(method) else None


def _version_of(module: str) -> str:
    top = module.partition(".")[0]
    distributions = _distributions().get(top, [])
    return importlib.metadata.version(distributions[0]) if distributions else ""


@cache
def _distributions() -> Mapping[str, list[str]]:
    """Return the distributions of each module: reading them takes half a second."""
    return importlib.metadata.packages_distributions()


@cache
def entry_points() -> dict[str, str]:
    """Return `module:callable` of each installed entry point, by its name."""
    return {point.name: point.value for point in importlib.metadata.entry_points(group=GROUP)}


def find_entry_point(name: str, backends: dict[str, Backend], case: Case | None = None) -> Iterator[Subject]:
    """Yield the subject of an entry point, if its backend is here and it has the case; it is reported, not judged."""
    loaded = load(entry_points()[name])
    if loaded.adapter.backend in backends and case in (None, case_named(loaded.adapter.case)):
        subject, _ = build(replace(loaded, name=name), backends[loaded.adapter.backend])
        yield subject


# --- building -------------------------------------------------------------------------------------------------------


def build(
    loaded: Loaded,
    backend: Backend,
    *,
    judged: bool = False,
    bound: float | None = None,
    dtypes: tuple[str, ...] = (),
    refusal: Refusal | None = None,
) -> tuple[Subject, dict[str, str]]:
    """Return the subject on a backend, and which half types it refuses, and why.

    `refusal` tells what it refuses; by default it is called. Where the adapter, or else `dtypes`, names them, these are
    measured, and what refuses them fails.
    """
    case = case_named(loaded.adapter.case)
    missing: dict[str, str] = {}
    named = loaded.adapter.dtypes or dtypes
    functions = []
    for quantity, code in _expressions(loaded, backend, case):
        call = evaluate(code, case.arguments, backend, loaded.imports, loaded.given)
        function = Function(
            loaded.name if quantity == "value" else f"{loaded.name}, {quantity}",
            (quantity,),
            _one_by_one(call) if backend.name == "scalar" else call,
            case=case,
            code="" if loaded.given else code,
            imports=loaded.imports,
        )
        refused = {} if named else {dtype: (refusal or refusal_of)(function, backend, dtype) for dtype in _HALVES}
        missing |= {f"{function.name} in {dtype} on {backend.name}": why for dtype, why in refused.items() if why}
        taken = tuple(dtype for dtype in FORMATS if dtype in (named or backend.dtypes) and not refused.get(dtype))
        functions.append(replace(function, dtypes=taken))
    every = tuple(name for name in FORMATS if any(name in function.dtypes for function in functions))
    subject = Subject(
        loaded.name, loaded.version, backend, every, tuple(functions), judged=judged, bound=bound, own=True
    )
    return subject, missing


def _expressions(loaded: Loaded, backend: Backend, case: Case) -> Iterator[tuple[Quantity, str]]:
    arguments = ", ".join(_argument(entry) for entry in loaded.adapter.order or case.arguments)
    for quantity, path in loaded.code.items():
        yield quantity, f"{path}({arguments})"
    if "gradient" not in loaded.code:
        gradient = reverse_mode_code(backend, f"{loaded.code['value']}({arguments})", case.arguments[0])
        if gradient is not None:
            yield "gradient", gradient


def _argument(entry: str) -> str:
    """Write an entry of the order: "labels" or "y_true=labels"."""
    keyword, _, name = entry.rpartition("=")
    return f"{keyword}={{{name}}}" if keyword else f"{{{name}}}"


def _one_by_one(call: Callable[..., Any]) -> Callable[..., Any]:
    def elementwise(*arrays: Any) -> Any:
        def value(*numbers: float) -> float:
            try:
                return float(call(*numbers))
            except (ArithmeticError, ValueError):  # math.log(0), math.exp(1000)
                return math.nan

        columns = (array.tolist() for array in arrays)
        return np.array([value(*numbers) for numbers in zip(*columns, strict=True)])

    return elementwise


def refusal_of(function: Function, backend: Backend, dtype: str) -> str:
    """Return what a function raises in a dtype of the backend; "" if nothing."""
    fmt = FORMATS[dtype]
    arrays = [fmt.round([0.5, 0.25] if i == 0 else [1.0, 0.0]) for i in range(len(function.case.arguments))]
    where = [name == "where" for name in function.case.arguments]
    if dtype not in backend.dtypes:
        return ""
    try:
        with time_limit(CALL_LIMIT):
            function.call(*(backend.from_numpy(a != 0 if w else a) for a, w in zip(arrays, where, strict=True)))
    except Failure:
        return ""  # it is measured, and fails
    except Exception as error:  # noqa: BLE001 - whatever a user's function raises is reported
        return f"{type(error).__name__}: {error}"
    return ""
