"""One line that shows a result again, with nothing but the library that gave it."""

import shlex

from xbce_conformance.backends import Backend
from xbce_conformance.subject import Function


def reproducer(function: Function, backend: Backend, dtype: str, arguments: dict[str, str]) -> str:
    """Return a command for a shell that prints the result at these arguments (hexadecimal) as `float.hex` does.

    Empty where the function has no expression, or where there are no arguments: those of a reduction are a whole array.
    """
    if not function.code or not arguments:
        return ""
    code = function.code
    for name, value in arguments.items():
        code = code.replace("{" + name + "}", backend.array_code(value, "bool" if name == "where" else dtype))
    element = "" if backend.name == "scalar" else "[0]"
    results = (
        [f"{code}[{i}]{element}" for i in range(len(function.quantities))] if len(function.quantities) > 1 else None
    )
    shown = ", ".join(f"float({result}).hex()" for result in results or [f"({code}){element}"])
    statements = "; ".join(part for part in (backend.imports, function.imports) if part)
    # The shell's own quotes are single ones.
    program = f"{statements}; print({shown})".replace("'", '"').removeprefix("; ")
    return f"python -c {shlex.quote(program)}"
