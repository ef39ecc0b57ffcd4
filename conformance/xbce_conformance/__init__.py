"""Conformance of binary cross-entropy: inputs, subjects, a certified reference, measures, bounds and a report.

`Adapter` and `Results` are public. The rooms below are not: README.md beside this package says what lies where.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xbce_conformance.results.model import Results
    from xbce_conformance.subjects.user import Adapter

__all__ = ["Adapter", "Results"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for: every run of pytest imports this package, for its plugin."""
    if name == "Adapter":
        from xbce_conformance.subjects.user import Adapter

        return Adapter
    if name == "Results":
        from xbce_conformance.results.model import Results

        return Results
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
