"""Formulas as MathML, which browsers show without a script or a font: the site needs no network.

docutils translates LaTeX's notation; what it does not know is an error, with the formula.
"""

from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer; `html_math_renderer = "mathml"` chooses it."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _inline(writer: Any, node: nodes.math) -> None:
    writer.body.append(_translated(node))
    raise nodes.SkipNode


def _block(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="formula" role="group" tabindex="0">{_translated(node, block=True)}</div>')
    raise nodes.SkipNode


def _translated(node: nodes.Element, *, block: bool = False) -> str:
    tex = node.astext().strip()
    try:
        return str(tex2mathml(tex, as_block=block))
    except MathError as error:
        msg = f"this formula cannot be shown: {tex}: {error}"
        raise ExtensionError(msg) from error
