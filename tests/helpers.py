"""What several test files share."""

import doctest
import shutil
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import ModuleType
from typing import Any

import array_api_compat
import numpy as np
import pytest

from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.subjects.backend import Backend
from xbce_conformance.subjects.backends import find_backends

NUMPY = find_backends(("numpy",))[0]["numpy"]


def approx(expected: Any, *, rel: float) -> Any:
    """Return `expected`, to be compared within the relative tolerance `rel` alone.

    ``pytest.approx`` has an absolute tolerance of 1e-12 besides, unless it is told otherwise: 0 passes for 4.2e-18, and
    for -4.2e-18. This is the only place that may call it (a lint rule keeps all others from it).
    """
    return pytest.approx(expected, rel=rel, abs=0)  # noqa: TID251


@contextmanager
def step(backend: Backend | str, function: Callable[..., Any], /, *details: Any, **options: Any) -> Iterator[None]:
    """Name function, option and backend in whatever fails inside, as a note: for the steps of a loop."""
    try:
        yield
    except (Exception, pytest.fail.Exception) as error:  # an exception that did not come is no AssertionError
        given = ", ".join([*map(_short, details), *(f"{name}={_short(value)}" for name, value in options.items())])
        name = getattr(function, "__qualname__", function)
        error.add_note(f"in {name}({given}) on {getattr(backend, 'name', backend)}")
        raise


def _short(value: Any) -> str:
    return f"<{value.dtype} {tuple(value.shape)}>" if getattr(value, "shape", ()) else repr(value)


def assert_equal(backend: Backend, got: Any, wanted: Any, *, context: str = "") -> None:
    """Compare results, arrays or sequences of them: NaN is equal to NaN, -0 to 0. The dtypes may differ."""
    for place, a, b in _pairs(got, wanted):
        np.testing.assert_array_equal(
            backend.to_numpy(a), backend.to_numpy(b), err_msg=f"{context}{place} on {backend.name}"
        )


def assert_same_bits(backend: Backend, got: Any, wanted: Any, *, context: str = "") -> None:
    """Compare results, arrays or sequences of them: NaN is equal to NaN, -0 is not equal to 0."""
    for place, a, b in _pairs(got, wanted):
        x, y = backend.to_numpy(a), backend.to_numpy(b)
        where = f"{context}{place} on {backend.name}"
        assert (x.dtype, x.shape) == (y.dtype, y.shape), where
        bits = (array.ravel().view(f"u{array.itemsize}") for array in (x, y))
        np.testing.assert_array_equal(*bits, err_msg=where)


def assert_ulp(got: float, exact: float, bound: float, dtype: str, *, context: str = "") -> None:
    """Compare a number with the exact one, within a bound in ULP of the exact one's dtype."""
    ulp = FORMATS[dtype].ulp(exact)
    error = abs(got - exact)
    assert error <= bound * ulp, f"{context}: {got!r} is {error / ulp:.3g} ULP of {dtype} from {exact!r}, not {bound}"


def _pairs(got: Any, wanted: Any) -> Iterator[tuple[str, Any, Any]]:
    """Pair the results, each with its place if there are several."""
    several = isinstance(got, tuple | list)
    got, wanted = (x if isinstance(x, tuple | list) else (x,) for x in (got, wanted))
    for i, (a, b) in enumerate(zip(got, wanted, strict=True)):
        yield f" [{i}]" if several else "", a, b


def device_of(x: Any) -> Any:
    """Return the device of an array; None for one of MLX, whose devices share their memory."""
    return None if type(x).__module__ == "mlx.core" else array_api_compat.device(x)


def some_long(cases: Mapping[str, Any], usual: Container[str]) -> list[Any]:
    """Return the cases as parameters of a test, named; `make test` leaves out those that are not the usual ones."""
    return [
        pytest.param(case, id=name, marks=() if name in usual else pytest.mark.long) for name, case in cases.items()
    ]


def larger_examples(test: Callable[..., Any]) -> Any:
    """Take a third of the examples: for properties of elements, drawn in arrays of 24 instead of 8."""
    from hypothesis import settings  # a machine with a GPU may lack it, and tests/device imports this file

    return settings(max_examples=settings.default.max_examples // 3)(test)


@contextmanager
def chromium() -> Iterator[Any]:
    """Start Chromium; skip where it is absent. Its loop of asyncio runs until it is closed: one for a module."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no chromium is here: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


def leave_out_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let reports be written without their pictures, which take longer than all else of a small run."""
    from xbce_conformance.report import html

    for name in ("error_plot", "label_plot"):
        monkeypatch.setattr(html, name, lambda *_: "")


def jax_float64(on: bool) -> AbstractContextManager[Any]:
    """Return a context in which JAX has float64, or has none."""
    import jax

    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(on)
    from jax.experimental import enable_x64  # before JAX 0.8

    return enable_x64(on)


def forget_plans(loss: Any) -> None:
    """Have the next call of a loss make its plan, and find its program, anew."""
    loss._plans.clear()
    loss._of_any_lengths.clear()
    loss._patterns.clear()


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


def assert_compiles_as_one_graph(criterion: Any, other: Any, data: Callable[[], tuple[Any, Any]]) -> None:
    """Compile a module of PyTorch whole, and compare its loss and gradient with those of another module."""
    import torch

    torch._dynamo.reset()
    results = []
    for module in (torch.compile(criterion, fullgraph=True, backend="aot_eager"), other):
        x, y = data()
        x.requires_grad_()
        loss = module(x, y)
        loss.backward()
        results.append((loss, x.grad))
    torch.testing.assert_close(results[0], results[1])


def docstring_examples(module: ModuleType) -> list[str]:
    """Return the statements in the docstrings of a module's public names, but for those that import PyTorch."""
    docstrings = [getattr(module, name).__doc__ or "" for name in module.__all__]
    parser = doctest.DocTestParser()
    return [e.source for text in docstrings if "import torch" not in text for e in parser.get_examples(text)]
