"""Conformance of binary cross-entropy: inputs, subjects, a certified reference, measures, bounds and a report.

What `__all__` names is public. The rooms below are not: README.md beside this package says what lies where.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xbce_conformance.data.hooks import record
    from xbce_conformance.data.python import assert_conforms, assess, compare, reference
    from xbce_conformance.data.recording import Recording
    from xbce_conformance.data.verdict import verdicts
    from xbce_conformance.judge.measure import measure
    from xbce_conformance.results.model import Results
    from xbce_conformance.subjects.user import Adapter

__all__ = [
    "Adapter",
    "Recording",
    "Results",
    "assert_conforms",
    "assess",
    "compare",
    "measure",
    "record",
    "reference",
    "verdicts",
]

_ROOMS = {
    "Adapter": "subjects.user",
    "Recording": "data.recording",
    "Results": "results.model",
    "assert_conforms": "data.python",
    "assess": "data.python",
    "compare": "data.python",
    "measure": "judge.measure",
    "record": "data.hooks",
    "reference": "data.python",
    "verdicts": "data.verdict",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for: every run of pytest imports this package, for its plugin."""
    if name not in _ROOMS:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
