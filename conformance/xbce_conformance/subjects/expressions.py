"""Calls as expressions: what a table says is what is measured, and what a reproducer shows.

An expression names the arguments of its case in braces.
"""

import shlex
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from xbce_conformance.subjects.backend import Backend
from xbce_conformance.subjects.model import Function

Written: TypeAlias = tuple[str, str]
"""A form of arrays in code: what makes such an array of one with 64 elements, and what takes an element of its results.

All libraries have it: some arrays have no method `reshape`.
"""
ONE_DIMENSION: Written = ("", "[0]")


def reverse_mode_code(backend: Backend, call: str, first: str) -> str | None:
    """Return the expression of the gradient of an expression, or None where the backend has no autodiff.

    `call` names the arguments in braces; `first` is the one that is differentiated.
    """
    if not backend.reverse_mode:
        return None
    bound = call.replace("{" + first + "}", first)
    return backend.reverse_mode.format(first=first, call=bound, argument="{" + first + "}")


def evaluate(
    code: str, arguments: tuple[str, ...], backend: Backend, imports: str = "", given: Mapping[str, Any] | None = None
) -> Callable[..., Any]:
    """Return the function of the arguments that an expression is; `given` are objects that it names."""
    names = dict(given or {})
    source = code
    for argument in arguments:
        source = source.replace("{" + argument + "}", argument)
    function: Callable[..., Any] | None = None

    def call(*arrays: Any) -> Any:
        nonlocal function
        if function is None:  # a peer is imported when it is measured, not when it is listed
            # Safe: source from our own tables, or an already resolved dotted name.
            exec("\n".join((backend.imports, imports)), names)  # noqa: S102
            function = eval(f"lambda {', '.join(arguments)}: {source}", names)  # noqa: S307
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a peer warns of is not what is measured
            return function(*arrays)

    return call


def reproducer(
    function: Function,
    backend: Backend,
    dtype: str,
    arguments: dict[str, str],
    form: Written | None = ONE_DIMENSION,
) -> str:
    """Return a command for a shell that prints the result at these arguments (hexadecimal) as `float.hex` does.

    Empty where the function has no expression, where there are no arguments, as those of a reduction are a whole array,
    or where no code makes arrays of the form.
    """
    if not function.code or not arguments or form is None:
        return ""
    code = function.code
    makes, element = form
    for name, value in arguments.items():
        code = code.replace("{" + name + "}", backend.array_code(value, "bool" if name == "where" else dtype) + makes)
    if backend.name == "scalar":
        element = ""
    results = (
        [f"{code}[{i}]{element}" for i in range(len(function.quantities))] if len(function.quantities) > 1 else None
    )
    shown = ", ".join(f"float({result}).hex()" for result in results or [f"({code}){element}"])
    statements = "; ".join(part for part in (backend.imports, function.imports) if part)
    # The shell's own quotes are single ones.
    program = f"{statements}; print({shown})".replace("'", '"').removeprefix("; ")
    return f"python -c {shlex.quote(program)}"
