"""Importing xbce imports no array library; a call imports only the library of its arrays."""

import pkgutil
import subprocess
import sys
from functools import partial
from importlib import import_module
from inspect import isfunction, ismodule
from pathlib import Path

import numpy as np
import pytest

import xbce
from tests.helpers import step
from xbce._call.loss import Loss

LIBRARIES = ("numpy", "torch", "jax", "dask", "cupy", "array_api_strict")


def imported_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*(m for m in {LIBRARIES!r} if m in sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_import_is_pure():
    assert imported_by("import xbce") == set()


def test_the_test_can_fail():
    assert imported_by("import numpy, xbce") == {"numpy"}


def test_call_imports_only_its_own_library():
    call = "import numpy, xbce; xbce.binary_cross_entropy_with_logits(numpy.zeros(3), 1, reduction='mean')"
    assert imported_by(call) == {"numpy"}


def printed_by(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


CONVENTIONS = "print(*sorted(m for m in sys.modules if m.startswith('xbce.conventions.')))"


def test_import_leaves_conventions_out():
    assert printed_by(f"import sys, xbce; {CONVENTIONS}") == ""


def test_a_convention_is_imported_when_asked_for():
    code = f"import sys, xbce; xbce.conventions.optax.sigmoid_focal_loss; {CONVENTIONS}"
    assert printed_by(code).split() == ["xbce.conventions._common", "xbce.conventions.optax"]
    every = "from xbce.conventions import *; print(*sorted(m for m in dir() if not m.startswith('_')))"
    assert printed_by(every).split() == xbce.conventions.__all__


def test_compiled_code_may_be_the_first_to_ask_for_a_convention():
    pytest.importorskip("torch")
    code = """
import torch, xbce
call = lambda x, y: xbce.conventions.optax.sigmoid_binary_cross_entropy(x, y)
print(torch.compile(call, backend="eager", fullgraph=True)(torch.zeros(2), torch.ones(2)).tolist())
"""
    ln2 = "0.6931471824645996"
    assert printed_by(code) == f"[{ln2}, {ln2}]"


def test_what_a_convention_is_not():
    with pytest.raises(AttributeError, match=r"^module 'xbce.conventions' has no attribute 'mxnet'$"):
        _ = xbce.conventions.mxnet
    with pytest.raises(ImportError, match=r"^cannot import name 'mxnet' from 'xbce.conventions'"):
        from xbce.conventions import mxnet  # noqa: F401


@pytest.mark.parametrize("module", [xbce, xbce.special, xbce.conventions], ids=lambda module: module.__name__)
def test_all_is_sorted_and_documented(module):
    assert module.__all__ == sorted(module.__all__)
    for name in module.__all__:
        with step("import", module, name):
            assert getattr(module, name).__doc__


def test_dir_is_all():
    assert dir(xbce) == xbce.__all__
    assert dir(xbce.conventions) == xbce.conventions.__all__


def test_all_is_complete():
    """The modules that public functions are written in are not named: what is public in them is, in xbce."""
    found = {name for name, value in vars(xbce).items() if not name.startswith("_") and not ismodule(value)}
    modules = {m.name for m in pkgutil.iter_modules(xbce.__path__) if not m.name.startswith("_")} - {
        "accumulator",
        "labels",
        "losses",
        "reduction",
    }
    assert {*xbce.__all__} == found | modules
    losses = {name for name, value in vars(import_module("xbce.losses")).items() if isinstance(value, Loss)}
    steps = {
        name for module in ("accumulator", "labels", "reduction") for name in import_module(f"xbce.{module}").__all__
    }
    assert losses | steps <= found


@pytest.mark.parametrize("name", ["special", *(f"conventions.{name}" for name in xbce.conventions.__all__)])
def test_every_function_of_a_module_is_in_all(name):
    module = import_module(f"xbce.{name}")
    own = {f.__name__ for f in vars(module).values() if isfunction(f) and f.__module__ == module.__name__}
    assert {name for name in own if not name.startswith("_")} <= {*module.__all__}


def test_all_of_conventions_is_complete():
    names = [module.name for module in pkgutil.iter_modules(xbce.conventions.__path__)]
    assert xbce.conventions.__all__ == [name for name in names if not name.startswith("_")]


def _files_of(call):
    """Return the files of xbce that functions are called in, in a call like earlier ones; a program is one, too."""
    call()
    call()
    folder = Path(xbce.__file__).parent
    files = set()

    def profile(frame, event, _argument):
        path = frame.f_code.co_filename
        if event == "call" and (path.startswith("<xbce program") or Path(path).is_relative_to(folder)):
            files.add("a program" if path.startswith("<") else str(Path(path).relative_to(folder)))

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(before)
    return files


@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])
def test_a_logit_passes_few_files(library):
    """CONTRIBUTING draws the way."""
    numbers = np.linspace(-3, 3, 100, dtype=np.float32)
    loss = partial(xbce.binary_cross_entropy_with_logits, reduction="mean")
    if library == "torch":
        torch = pytest.importorskip("torch")
        x, z = torch.tensor(numbers, requires_grad=True), torch.ones(100)
        files = _files_of(lambda: loss(x, z).backward())
    else:
        x = numbers if library == "numpy" else pytest.importorskip("jax.numpy").asarray(numbers)
        files = _files_of(lambda: loss(x, x * 0))
    assert len(files) <= 8, sorted(files)
