"""Reference pages: what is public, with real signatures, and what was measured of it.

Sphinx's autodoc sees functions, classes and modules. A loss is neither: an object that is called, with methods of its
own, each of which knows its signature. So its page is written here, by numpydoc from its docstring.
"""

import inspect
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from numpydoc.docscrape_sphinx import SphinxDocString

import xbce
import xbce_conformance
from website import measured
from website.names import without_latex
from xbce_conformance.cases.losses import FAMILY

METHODS = ("gradient", "hessian", "value_and_gradient", "gradient_and_hessian", "label_gradient")
LOSSES = tuple(name for name in FAMILY if name in xbce.__all__)
"""In the order of the suite."""
OTHERS = tuple(name for name in xbce.__all__ if name not in LOSSES and not isinstance(getattr(xbce, name), ModuleType))


def write(source: Path) -> None:
    """Write all pages of the reference below the sources of a site."""
    folder = source / "reference"
    pages: dict[str, list[tuple[str, str]]] = {}
    for name in LOSSES:
        _page(folder, f"xbce.{name}", _loss(name))
    pages["Losses"] = [(f"xbce.{name}", _first_sentence(getattr(xbce, name))) for name in LOSSES]
    for name in OTHERS:
        _page(folder, f"xbce.{name}", _automatic(f"xbce.{name}", getattr(xbce, name)))
    pages["Sums, labels, threads"] = [(f"xbce.{name}", _first_sentence(getattr(xbce, name))) for name in OTHERS]
    for name in xbce.special.__all__:
        _page(folder, f"xbce.special.{name}", _special(name))
    pages["Elementwise functions"] = [
        (f"xbce.special.{name}", _first_sentence(getattr(xbce.special, name))) for name in xbce.special.__all__
    ]
    for name in xbce.conventions.__all__:
        _page(folder, f"xbce.conventions.{name}", _module(f"xbce.conventions.{name}"))
    pages["Conventions of other systems"] = [
        (f"xbce.conventions.{name}", _first_sentence(import_module(f"xbce.conventions.{name}")))
        for name in xbce.conventions.__all__
    ]
    for name in xbce_conformance.__all__:
        _page(
            folder,
            f"xbce_conformance.{name}",
            _automatic(f"xbce_conformance.{name}", getattr(xbce_conformance, name)),
        )
    pages["The suite, in Python"] = [
        (f"xbce_conformance.{name}", _first_sentence(getattr(xbce_conformance, name)))
        for name in xbce_conformance.__all__
    ]
    (folder / "index.md").write_text(_index(pages), "utf-8")


def _index(pages: dict[str, list[tuple[str, str]]]) -> str:
    """Return the page that lists all others."""
    lines = [
        "# Reference",
        "",
        f"Every public object of xbce {xbce.__version__}. Signatures are those of the objects; figures are those of",
        "[committed measurements](../evidence/results.md).",
        "",
    ]
    for title, entries in pages.items():
        lines += [f"## {title}", "", "| object | what it is |", "|---|---|"]
        lines += [f"| [`{name}`]({name}.rst) | {_markdown(text)} |" for name, text in entries]
        lines += ["", "```{toctree}", ":hidden:", f":caption: {title}", ""]
        lines += [f"{name.removeprefix('xbce.')} <{name}>" for name, _ in entries]
        lines += ["```", ""]
    lines += ["## Commands and formats", "", "```{toctree}", "commands", "formats", "```", ""]
    return "\n".join(lines)


def _markdown(text: str) -> str:
    """Return a sentence of a docstring as Markdown."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text)
    return re.sub(r"`+", "`", text).replace("|", r"\|")


def _first_sentence(thing: Any) -> str:
    paragraph = " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split())
    return re.split(r"(?<=[.])\s", paragraph)[0]


def _page(folder: Path, name: str, body: str) -> None:
    (folder / f"{name}.rst").write_text(f"{_heading(name, '=')}\n{body}", "utf-8")


def _heading(text: str, sign: str) -> str:
    return f"{text}\n{sign * len(text)}\n"


def _indented(text: str, by: int = 3) -> str:
    return "\n".join(f"{' ' * by}{line}".rstrip() for line in text.splitlines())


def signature(thing: Any) -> str:
    """Return the signature of a callable without its annotations, which the docstring says in words."""
    real = inspect.signature(thing)
    bare = [
        one.replace(annotation=inspect.Parameter.empty, default=_plain(one.default)) for one in real.parameters.values()
    ]
    return str(real.replace(parameters=bare, return_annotation=inspect.Signature.empty))


def _plain(default: Any) -> Any:
    return int(default) if isinstance(default, float) and default.is_integer() and abs(default) > 1 else default


def _loss(name: str) -> str:
    """Return the page of a loss: its call, its methods, its errors, its times."""
    loss = getattr(xbce, name)
    parts = [
        ".. py:currentmodule:: xbce",
        "",
        f".. py:function:: {name}{signature(loss)}",
        "",
        _indented(_numpydoc(loss)),
        "",
        _heading("Methods", "-"),
        "Each takes the arguments of the call.",
        "",
    ]
    for method in METHODS:
        bound = getattr(loss, method)
        parts += [
            f".. py:method:: {name}.{method}{signature(bound)}",
            "",
            _indented(_numpydoc(bound).partition(f"\n\nThe arguments are those of :func:`xbce.{name}`.")[0]),
            "",
        ]
    return "\n".join([*parts, measured.of_loss(name), ""])


def _numpydoc(thing: Any) -> str:
    text = str(SphinxDocString(inspect.getdoc(thing), config={"show_class_members": False}))
    return "\n".join(without_latex(text.splitlines()))


def _automatic(name: str, thing: Any) -> str:
    """Return the page of a function or class."""
    if inspect.isclass(thing):
        return f".. autoclass:: {name}\n   :members:\n"
    return f".. autofunction:: {name}\n"


def _special(name: str) -> str:
    return _automatic(f"xbce.special.{name}", getattr(xbce.special, name)) + "\n" + measured.of_special(name)


def _module(name: str) -> str:
    """Return the page of a convention: the module's text, and each public object."""
    module: ModuleType = import_module(name)
    lines = [f".. automodule:: {name}\n"]
    for public in module.__all__:
        lines += [_heading(public, "-"), _automatic(f"{name}.{public}", getattr(module, public))]
    return "\n".join(lines)
