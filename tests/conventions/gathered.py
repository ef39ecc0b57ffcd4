"""What the tests of all conventions read, and the page's table of modules.

Two tables stand at the end of each convention's own test.

`ARRAYS` says per function how it is called: the first argument with its values, then every other that takes an array.
`TRACED` are calls of logits, labels and weights, as a compiler traces them.
"""

from importlib import import_module
from typing import Any

import pytest

import xbce

MATRIX = [[0.25, 0.5], [0.75, 0.125]]
VECTOR = [0.25, 0.5]
ZEROS_AND_ONES = [[0.0, 1.0], [1.0, 0.0]]


def table_of_modules() -> list[str]:
    """Return the table of modules in docs/conventions.md: their names, and the first sentence of their docstrings."""
    lines = ["| module | holds | |", "|---|---|---|"]
    for name in xbce.conventions.__all__:
        module = getattr(xbce.conventions, name)
        names = ", ".join(f"`{public}`" for public in module.__all__)
        sentence = " ".join((module.__doc__ or "").partition("\n\n")[0].split()).replace("``", "`")
        lines.append(f"| `{name}` | {names} | {sentence} |")
    return lines


def gathered(table: str) -> dict[str, Any]:
    """Return the rows of all conventions; those whose system is absent are not tested, so neither are their rows."""
    rows: dict[str, Any] = {}
    for name in xbce.conventions.__all__:
        try:
            tests = import_module(f"tests.conventions.test_{name}")
        except pytest.skip.Exception:
            continue
        if hasattr(tests, table):  # pytest has collected the module before, and left it where it was skipped
            rows |= getattr(tests, table)
    return rows
