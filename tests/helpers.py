"""What several test files share."""

import doctest
from collections.abc import Callable, Container, Mapping
from types import ModuleType
from typing import Any

import pytest


def approx(expected: Any, *, rel: float) -> Any:
    """Return `expected`, to be compared within the relative tolerance `rel` alone.

    ``pytest.approx`` has an absolute tolerance of 1e-12 besides, unless it is told otherwise: 0 passes for 4.2e-18, and
    for -4.2e-18. This is the only place that may call it (a lint rule keeps all others from it).
    """
    return pytest.approx(expected, rel=rel, abs=0)  # noqa: TID251


def some_long(cases: Mapping[str, Any], usual: Container[str]) -> list[Any]:
    """Return the cases as parameters of a test, named; `make test` leaves out those that are not the usual ones."""
    return [
        pytest.param(case, id=name, marks=() if name in usual else pytest.mark.long) for name, case in cases.items()
    ]


def larger_examples(test: Callable[..., Any]) -> Any:
    """Take a third of the examples: for properties of elements, drawn in arrays of 24 instead of 8."""
    from hypothesis import settings  # a machine with a GPU may lack it, and tests/device imports this file

    return settings(max_examples=settings.default.max_examples // 3)(test)


def leave_out_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let reports be written without their pictures, which take longer than all else of a small run."""
    from xbce_conformance.report import html

    for name in ("error_plot", "label_plot"):
        monkeypatch.setattr(html, name, lambda *_: "")


def saved_for_backward(function: Callable[..., Any], *arrays: Any) -> int:
    """Return the storages that a call of PyTorch keeps alive beyond those of the arguments, in bytes."""
    import torch

    saved = {}

    def pack(tensor):
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        value = function(*arrays)
    given = {a.untyped_storage().data_ptr() for a in arrays}
    assert value.requires_grad
    return sum(size for storage, size in saved.items() if storage not in given)


def docstring_examples(module: ModuleType) -> list[str]:
    """Return the statements in the docstrings of a module's public names, but for those that import PyTorch."""
    docstrings = [getattr(module, name).__doc__ or "" for name in module.__all__]
    parser = doctest.DocTestParser()
    return [e.source for text in docstrings if "import torch" not in text for e in parser.get_examples(text)]
