"""Importing xbce imports no array library; a call imports only the library of its arrays."""

import subprocess
import sys

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


def test_public_names():
    import xbce

    assert set(xbce.__all__) <= set(dir(xbce))
    for name in xbce.__all__:
        assert getattr(xbce, name).__doc__
