"""Errors name the argument, what came and what was expected; the same for every backend."""

import re

import numpy as np
import pytest

import xbce
from xbce_conformance.backends import find_backends

loss = xbce.binary_cross_entropy_with_logits
METHODS = [loss, loss.gradient, loss.hessian, loss.value_and_gradient]
methods = pytest.mark.parametrize("method", METHODS, ids=["value", "gradient", "hessian", "value_and_gradient"])


def raises(error, text):
    """Expect exactly this text."""
    return pytest.raises(error, match=f"^{re.escape(text)}$")


@methods
def test_shapes(backend, method):
    x = backend.from_numpy(np.zeros((3, 1)))
    z = backend.from_numpy(np.zeros(3))
    with raises(ValueError, "labels must have the shape of logits, got labels (3,) and logits (3, 1)"):
        method(x, z)
    with raises(ValueError, "labels must have the shape of logits, got labels (3, 1) and logits (3,)"):
        method(z, x)
    one = backend.from_numpy(np.zeros(()))
    with raises(ValueError, "labels must have the shape of logits, got labels () and logits (3,)"):
        method(z, one)


@pytest.mark.parametrize("kind", ["int64", "bool", "complex128"])
def test_dtype_of_logits(backend, kind):
    x = backend.from_numpy(np.zeros(3, kind))
    with raises(TypeError, f"logits must have one of the dtypes float16, bfloat16, float32, float64, got {kind}"):
        loss(x, 0)


def test_dtype_of_labels(backend):
    x, z = backend.from_numpy(np.zeros(3)), backend.from_numpy(np.zeros(3, "complex128"))
    text = "labels must be boolean, integer or one of float16, bfloat16, float32, float64, got complex128"
    with raises(TypeError, text):
        loss(x, z)


def test_unusual_numpy_dtypes():
    longdouble = np.dtype(np.longdouble)  # its name is the platform's
    with raises(TypeError, f"logits must have one of the dtypes float16, bfloat16, float32, float64, got {longdouble}"):
        loss(np.zeros(3, longdouble), 0)
    for labels in (np.array(["a"]), np.array([None]), np.array(["2020-01-01"], "M8[D]")):
        with pytest.raises(TypeError, match=r"^labels must be boolean, integer or one of "):
            loss(np.zeros(1), labels)


@pytest.mark.parametrize("logits", [[0.0, 1.0], 0.5, None, "x"], ids=["list", "float", "None", "str"])
def test_logits_that_are_no_array(logits):
    text = (
        "logits must be an array of a library that follows the array API standard "
        f"(NumPy, CuPy, PyTorch, JAX, Dask, ...), got {type(logits).__name__}"
    )
    with raises(TypeError, text):
        loss(logits, 0)


@pytest.mark.parametrize("labels", [[0.0, 1.0], None, 1j], ids=["list", "None", "complex"])
def test_labels_that_are_no_array(backend, labels):
    with pytest.raises(TypeError, match=f"^labels must be an array of .* got {type(labels).__name__}$"):
        loss(backend.from_numpy(np.zeros(2)), labels)


def test_mixed_libraries(backend):
    others = [other for name, other in find_backends()[0].items() if name.partition(":")[0] != backend.name]
    x = backend.from_numpy(np.zeros(2))
    for other in others:
        if other.name.partition(":")[0] == backend.name.partition(":")[0]:
            continue
        z = other.from_numpy(np.zeros(2))
        with pytest.raises(
            TypeError, match=r"^labels must be an array of the same library as logits .* got an array of"
        ):
            loss(x, z)


def test_mixed_devices():
    strict = pytest.importorskip("array_api_strict")
    x = strict.zeros(2)
    z = strict.zeros(2, device=strict.Device("device1"))
    with pytest.raises(ValueError, match=r"^labels must be on the device of logits .*nothing is transferred silently$"):
        loss(x, z)
    torch = pytest.importorskip("torch")
    with raises(ValueError, "labels must be on the device of logits (cpu), got meta; nothing is transferred silently"):
        loss(torch.zeros(2), torch.zeros(2, device="meta"))


def test_masked_array():
    masked = np.ma.masked_array([0.0, 1.0], mask=[True, False])
    with raises(TypeError, "logits must not be a masked array: its mask would be ignored"):
        loss(masked, 0)
    with raises(TypeError, "labels must not be a masked array: its mask would be ignored"):
        loss(np.zeros(2), masked)


@methods
def test_reduction(backend, method):
    x = backend.from_numpy(np.zeros(2))
    with raises(ValueError, "reduction must be one of 'none', 'mean', 'sum', got 'average'"):
        method(x, 0, reduction="average")
    with raises(ValueError, "reduction must be one of 'none', 'mean', 'sum', got None"):
        method(x, 0, reduction=None)


@methods
def test_axis(backend, method):
    x = backend.from_numpy(np.zeros((2, 3)))
    with raises(ValueError, "axis is for reduction='mean' and reduction='sum'; got axis=0 with reduction='none'"):
        method(x, 0, axis=0)
    with raises(ValueError, "axis 2 is out of bounds for logits with 2 dimensions"):
        method(x, 0, reduction="sum", axis=2)
    with raises(ValueError, "axis -3 is out of bounds for logits with 2 dimensions"):
        method(x, 0, reduction="sum", axis=(0, -3))
    with raises(ValueError, "axis must not name an axis twice, got (0, -2) for logits with 2 dimensions"):
        method(x, 0, reduction="sum", axis=(0, -2))
    for axis in (1.0, True, "0", [0]):
        with raises(TypeError, f"axis must be an int, a tuple of ints or None, got {axis!r}"):
            method(x, 0, reduction="sum", axis=axis)


def test_arguments_are_positional_or_keyword_only():
    x = np.zeros(2)
    with pytest.raises(TypeError, match="positional-only"):
        loss(logits=x, labels=x)
    with pytest.raises(TypeError, match="positional"):
        loss(x, x, "mean")
    with pytest.raises(TypeError, match="unexpected keyword argument 'weights'"):
        loss(x, x, weights=x)
