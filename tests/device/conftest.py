"""Fixtures: each device, or the CPU in its place where it is absent. Every test of this folder is marked `device`."""

from pathlib import Path

import pytest

from gpu.parts import STAND_INS
from xbce_conformance.subjects.backends import BACKEND_NAMES, find_backends

_NAMES = (*STAND_INS, *STAND_INS.values())
_FOUND, _MISSING = find_backends(tuple(name for name in _NAMES if name in BACKEND_NAMES))
_FIXTURES = {
    "device": _NAMES,
    "strided_device": ("cupy", "torch:cuda", "numpy", "torch:cpu"),
    "cupy_device": ("cupy", "numpy"),
    "torch_device": ("torch:cuda", "torch:cpu"),
    "jax_device": ("jax:cuda", "jax"),
    "cupy_only": ("cupy",),
    "cuda_only": ("torch:cuda",),
    "jax_only": ("jax:cuda",),
}
_LAST = ("test_compiled", "test_large")
"""What takes longest: a session that is cut off has the rest."""
_USUAL = ("binary_cross_entropy_with_logits", "binary_cross_entropy(clip=1e-07)", "sigmoid_focal_loss(gamma=0.5)")
"""The cases that a stand-in has in `make test`: tests/api has all of them on the CPU already."""


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, and put the longest at the end; CuPy may warn that it looks for CUDA itself."""
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in here:
        item.add_marker("device")
        item.add_marker(pytest.mark.filterwarnings("ignore:CUDA path could not be detected:UserWarning"))
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        stands_in = any(getattr(parameters.get(name), "name", "") in STAND_INS.values() for name in _FIXTURES)
        if stands_in and "case" in parameters and parameters["case"].name not in _USUAL:
            item.add_marker("long")
    others = [item for item in items if item not in set(here)]
    items[:] = others + sorted(here, key=lambda item: item.path.stem in _LAST)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests once for each device; what is absent is skipped with its reason."""
    for fixture, names in _FIXTURES.items():
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, [_parameter(name) for name in names])


def _parameter(name: str) -> object:
    """Return a backend, or a skipped test with the reason: a stand-in is needed only where its device is absent."""
    reason = _MISSING.get(name, "unknown backend")
    for device, stand_in in STAND_INS.items():
        if name == stand_in and device in _FOUND:
            reason = f"{device} is here, {name} need not stand in for it"
            return pytest.param(None, id=name, marks=pytest.mark.skip(reason=reason))
    if name in _FOUND:
        return pytest.param(_FOUND[name], id=name)
    return pytest.param(None, id=name, marks=pytest.mark.skip(reason=f"{name}: {reason}"))
