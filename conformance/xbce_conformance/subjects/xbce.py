"""xbce on every backend: the methods and reductions of all cases, automatic differentiation, and compiled ones.

In high precision it is a subject of its own.

Each function takes the arrays of its case, as arrays of its backend in one dtype, and returns what its `quantities`
name.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from operator import attrgetter
from typing import Any

import xbce
import xbce.special
from xbce_conformance.cases import CASES, METHODS, PLAIN, Case
from xbce_conformance.subjects import autodiff, compiled
from xbce_conformance.subjects.backend import Backend
from xbce_conformance.subjects.backends import BACKEND_NAMES
from xbce_conformance.subjects.model import Function, Subject

PRECISIONS = {"native": "xbce", "high": "xbce (high)"}
"""The subject of each precision: rows of one must not be taken for rows of another."""


def find_xbce(
    backends: dict[str, Backend], case: Case | None = None, *, precision: str = "native"
) -> Iterator[Subject]:
    """Yield xbce on each of the backends that it runs on: all cases of the table, or one in every dtype."""
    chosen = {} if precision == "native" else {"precision": precision}
    cases = CASES if case is None else (case,)
    functions = tuple(function for case in cases for function in _functions(case, chosen))
    for name, backend in backends.items():
        if name in BACKEND_NAMES:
            library = name.partition(":")[0]
            found = (*functions, *_autodiff(library, cases, chosen))
            eager = [replace(function, quick=function.case.quick if case is None else None) for function in found]
            graphs = tuple(compiled.functions(library, eager))
            here = graphs if backend.makes_graphs else (*eager, *graphs)
            yield Subject(
                PRECISIONS[precision],
                xbce.__version__,
                backend,
                backend.dtypes,
                here,
                judged=True,
                precision=precision,
            )


def _autodiff(library: str, cases: tuple[Case, ...], chosen: Mapping[str, str]) -> Iterator[Function]:
    """Yield what a library's automatic differentiation finds: the same derivatives, within the same bounds."""
    for case in cases:
        for name, quantity, make in autodiff.derivatives(library, case):
            call = make(function_of(case, **chosen))
            yield Function(f"{case.name}, {name}", (quantity,), call, case=case, autodiff=True)


def _functions(case: Case, chosen: Mapping[str, str]) -> Iterator[Function]:
    """Yield the methods of a case, its reductions, and the derivatives of its weighted mean, with `chosen` options."""
    for method, quantities in METHODS.items():
        if method in case.methods:
            name = f"{case.name}.{method}" if method else case.name
            call, code = function_of(case, method, **chosen), _code(case, method, chosen)
            yield Function(name, quantities, call, case=case, code=code, imports="import xbce")
    if not case.means:
        return
    yield Function(f"{case.name}, sum", ("sum",), function_of(case, reduction="sum", **chosen), case=case)
    for denominator in case.means:
        mean = "mean" if case is PLAIN else f"mean by {denominator}"
        call = function_of(case, reduction="mean", normalize_by=denominator, **chosen)
        yield Function(f"{case.name}, {mean}", ("mean",), call, case=case, denominator=denominator)
    for quantity in case.derivatives_of_mean:
        call = function_of(case, quantity, reduction="mean", normalize_by="weight", **chosen)
        name = f"{case.name}, mean by weight, {quantity}"
        yield Function(name, (quantity,), call, case=case, denominator="weight", of_weighted_mean=True)


def _code(case: Case, method: str, chosen: Mapping[str, str]) -> str:
    """Return the call as its users write it, with the arguments in braces."""
    arrays = ["{" + name + "}" for name in case.arguments[: case.positional]]
    arrays += [f"{name}={{{name}}}" for name in case.arguments[case.positional :]]
    options = [f"{name}={value!r}" for name, value in (*case.options, *chosen.items())]
    return f"xbce.{case.function}{'.' * bool(method)}{method}({', '.join(arrays + options)})"


def function_of(case: Case, method: str = "", **options: Any) -> Callable[..., Any]:
    """Return the function of xbce that takes all arrays of the case by position."""
    function = attrgetter(f"{case.function}.{method}" if method else case.function)(xbce)
    names = case.arguments[case.positional :]
    options |= dict(case.options)

    def call(*arrays: Any) -> Any:
        keywords = dict(zip(names, arrays[case.positional :], strict=True))
        return function(*arrays[: case.positional], **keywords, **options)

    return call
