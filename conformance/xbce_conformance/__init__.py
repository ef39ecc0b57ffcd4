"""Conformance of binary cross-entropy: inputs, subjects, a certified reference, measures, bounds and a report.

`measure`, `Adapter` and `Results` are public. The rooms below are not: README.md beside this package says what lies
where.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xbce_conformance.judge.measure import measure
    from xbce_conformance.results.model import Results
    from xbce_conformance.subjects.user import Adapter

__all__ = ["Adapter", "Results", "measure"]

_ROOMS = {"Adapter": "subjects.user", "Results": "results.model", "measure": "judge.measure"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for: every run of pytest imports this package, for its plugin."""
    if name not in _ROOMS:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
