"""Checks that need a process of their own: functions that are called in turn, whatever one of them finds."""

import json
import sys
import traceback
from collections.abc import Callable
from typing import Any


class Checks(dict[str, Callable[..., Any]]):
    """Functions by their names; used as a decorator, it adds one."""

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        self[function.__name__] = function
        return function

    def found(self, *arguments: Any) -> dict[str, dict[str, Any]]:
        """Call all; return of each what it returned, and the traceback if it failed."""
        return {name: self._found(function, arguments) for name, function in self.items()}

    def _found(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> dict[str, Any]:
        try:
            return {"result": function(*arguments), "error": None}
        except Exception:  # noqa: BLE001 - what it is is reported
            return {"result": None, "error": traceback.format_exc()[-4000:]}


def say(found: dict[str, Any]) -> None:
    """Write what was found, for the process that waits for it."""
    sys.stdout.write(json.dumps(found))


def failures(found: dict[str, Any]) -> str:
    """Return the tracebacks, each after the name of its check; "" if there are none."""
    return "\n".join(f"{name}\n{result['error']}" for name, result in found.items() if result["error"])
