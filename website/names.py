"""Names in docstrings: `xbce.reduce` is a link, `logits` is what it is, an argument."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.roles import XRefRole

_PUBLIC = ("xbce.", "xbce_conformance.")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the role, which `default_role = "name"` chooses, and what mends numpydoc's references."""
    app.add_role("name", _name)
    app.connect("autodoc-process-docstring", _no_latex, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _name(_role: str, raw: str, text: str, line: int, inliner: Any, options: Any = None, content: Any = ()) -> Any:
    if text.startswith(_PUBLIC):
        return XRefRole()("py:obj", raw, text, line, inliner, options or {}, content)
    return [nodes.literal(raw, text)], []


def _no_latex(_app: Sphinx, _what: str, _name: str, _thing: Any, _options: Any, lines: list[str]) -> None:
    lines[:] = without_latex(lines)


def without_latex(lines: list[str]) -> list[str]:
    """Return numpydoc's lines without the references that it makes for LaTeX: links back from there lead nowhere."""
    kept: list[str] = []
    inside = False
    for line in lines:
        if line.strip() == ".. only:: latex":
            inside = True
        elif inside and line.strip() and not line.startswith(("   ", "\t")):
            inside = False
        if not inside:
            kept.append(line)
    return kept
