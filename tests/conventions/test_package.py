"""What holds for all conventions: pure imports, documented names, the table in the documentation."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import xbce
from tests.helpers import docstring_examples, step

ROOT = Path(__file__).parents[2]
FRAMEWORKS = (
    "numpy",
    "torch",
    "jax",
    "tensorflow",
    "keras",
    "optax",
    "kornia",
    "sklearn",
    "xgboost",
    "lightgbm",
    "dask",
    "cupy",
)
MODULES = xbce.conventions.__all__


def imported_by(statement):
    code = f"{statement}\nimport sys\nprint(*(m for m in {FRAMEWORKS!r} if m in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(run.stdout.splitlines()[-1].split())


def test_imports_are_pure():
    assert imported_by("import xbce.conventions") == set()


@pytest.mark.parametrize("module", MODULES)
def test_a_call_imports_only_the_library_of_its_arrays(module):
    """The examples of its docstrings are calls."""
    examples = docstring_examples(import_module(f"xbce.conventions.{module}"))
    assert any(f"from xbce.conventions.{module} import" in example for example in examples)
    assert imported_by("".join(examples)) == {"numpy"}


def test_only_the_modules_import_pytorch():
    assert imported_by("from xbce.conventions.pytorch import binary_cross_entropy_with_logits") == set()
    assert "torch" in imported_by("from xbce.conventions.pytorch import BCELoss")
    assert imported_by("from xbce.conventions.kornia import binary_focal_loss_with_logits") == set()
    assert "torch" in imported_by("from xbce.conventions.kornia import BinaryFocalLossWithLogits")


@pytest.mark.parametrize("module", MODULES)
def test_public_names(module):
    module = import_module(f"xbce.conventions.{module}")
    assert module.__all__ == sorted(module.__all__)
    for name in module.__all__:
        with step("conventions", module, name):
            assert getattr(module, name).__doc__
            assert name in dir(module)
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        _ = module.nothing_of_that_name
