"""xbce on every backend: the methods and reductions of all cases, automatic differentiation, and compiled ones.

Each function takes the arrays of its case, as arrays of its backend in one dtype, and returns what its `quantities`
name.
"""

from collections.abc import Callable, Iterator
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


def find_xbce(backends: dict[str, Backend]) -> Iterator[Subject]:
    """Yield xbce on each of the backends that it runs on."""
    functions = tuple(function for case in CASES for function in _functions(case))
    for name, backend in backends.items():
        if name in BACKEND_NAMES:
            library = name.partition(":")[0]
            eager = [replace(function, quick=function.case.quick) for function in (*functions, *_autodiff(library))]
            here = (*eager, *compiled.functions(library, eager))
            yield Subject("xbce", xbce.__version__, backend, backend.dtypes, here, judged=True)


def _autodiff(library: str) -> Iterator[Function]:
    """Yield what a library's automatic differentiation finds: the same derivatives, within the same bounds."""
    for case in CASES:
        for name, quantity, make in autodiff.derivatives(library, case):
            yield Function(f"{case.name}, {name}", (quantity,), make(_bind(case)), case=case, autodiff=True)


def _functions(case: Case) -> Iterator[Function]:
    """Yield the methods of a case, its reductions, and the derivatives of its weighted mean."""
    for method, quantities in METHODS.items():
        if method in case.methods:
            name = f"{case.name}.{method}" if method else case.name
            yield Function(
                name, quantities, _bind(case, method), case=case, code=_code(case, method), imports="import xbce"
            )
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
        yield Function(name, (quantity,), call, case=case, denominator="weight", of_weighted_mean=True)


def _code(case: Case, method: str) -> str:
    """Return the call as its users write it, with the arguments in braces."""
    arrays = ["{" + name + "}" for name in case.arguments[: case.positional]]
    arrays += [f"{name}={{{name}}}" for name in case.arguments[case.positional :]]
    options = [f"{name}={value!r}" for name, value in case.options]
    return f"xbce.{case.function}{'.' * bool(method)}{method}({', '.join(arrays + options)})"


def _bind(case: Case, method: str = "", **options: Any) -> Callable[..., Any]:
    """Return the function of xbce that takes all arrays of the case by position."""
    function = attrgetter(f"{case.function}.{method}" if method else case.function)(xbce)
    names = case.arguments[case.positional :]
    options |= dict(case.options)

    def call(*arrays: Any) -> Any:
        keywords = dict(zip(names, arrays[case.positional :], strict=True))
        return function(*arrays[: case.positional], **keywords, **options)

    return call
