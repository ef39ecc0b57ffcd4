"""Numbers beside arrays of a device; arrays that are not there are refused, and never copied."""

import re

import numpy as np
import pytest
from array_api_compat import device as device_of

import xbce
from tests.device.family import arguments, bce, numbers

NUMBERS = {
    "Python": lambda _device, number: number,
    "NumPy": lambda _device, number: np.float32(number),
    "NumPy, float64": lambda _device, number: np.float64(number),
    "0-d of NumPy": lambda _device, number: np.asarray(number, np.float32),
    "0-d of the device": lambda device, number: device.from_numpy(np.asarray(number, np.float32)),
}


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_numbers_do_what_arrays_of_them_do(device, number, reduction):
    x = arguments(device, "float32")[0]
    given = [number(device, a) for a in (1.0, 2.5, 0.25)]
    full = [device.from_numpy(np.full((6, 5), a, np.float32)) for a in (1.0, 2.5, 0.25)]
    for method in (bce.value_and_gradient, bce.gradient_and_hessian):
        got, wanted = (
            method(x, z, pos_weight=p, weight=w, reduction=reduction) for z, p, w in (given, full)
        )  # fmt: skip
        for a, b in zip(got, wanted, strict=True):
            assert device_of(a) == device_of(x)
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            # Another kernel: its products and sums may be contracted otherwise.
            np.testing.assert_allclose(device.to_numpy(a), device.to_numpy(b), rtol=4 * 2.0**-23, atol=0)


@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "uint8"])
def test_labels_of_any_dtype(device, dtype):
    x = arguments(device, "float32")[0]
    hard = numbers("float32")[1] > 0.5
    got = bce.value_and_gradient(x, device.from_numpy(hard.astype(dtype)), reduction="mean")
    wanted = bce.value_and_gradient(x, device.from_numpy(hard.astype(np.float32)), reduction="mean")
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(device.to_numpy(a), device.to_numpy(b), rtol=4 * 2.0**-23, atol=0)


@pytest.mark.parametrize("name", ["labels", "pos_weight", "weight", "where"])
def test_arrays_of_another_library_are_refused(device, name):
    if device.name.startswith("jax"):
        pytest.skip("JAX takes arrays of NumPy, and so do its losses")
    x, z, *_ = arguments(device, "float32")
    other, library = np.zeros((6, 5), bool if name == "where" else np.float32), "numpy"
    if device.name == "numpy":
        other, library = pytest.importorskip("torch").from_numpy(other), "torch"
    text = (
        f"{name} must be an array of the same library as logits ({device.name.partition(':')[0]}), "
        f"got an array of {library}; convert it first, nothing is transferred silently"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        bce(x, other) if name == "labels" else bce(x, z, **{name: other})


def test_arrays_of_numpy_beside_those_of_jax(jax_device):
    x, z, p, w, kept = arguments(jax_device, "float32")
    got = bce(x, *numbers("float32")[1:2], pos_weight=numbers("float32")[2], where=numbers("float32")[4])
    assert device_of(got) == device_of(x)
    np.testing.assert_array_equal(got, bce(x, z, pos_weight=p, where=kept))
    # NumPy's logits, too, are taken to the device of what is beside them.
    got = bce(numbers("float32")[0], z, weight=w)
    assert device_of(got) == device_of(z)
    np.testing.assert_array_equal(got, bce(x, z, weight=w))


@pytest.mark.parametrize("shape", [(6, 5), ()])
@pytest.mark.parametrize("name", ["labels", "pos_weight", "weight", "where"])
def test_tensors_on_another_device_are_refused(torch_device, name, shape):
    torch = pytest.importorskip("torch")
    x, z, *_ = arguments(torch_device, "float32")
    here, there = str(x.device), "cpu" if x.device.type == "cuda" else "meta"
    other = torch.ones(shape, device=there, dtype=torch.bool if name == "where" else torch.float32)
    text = f"{name} must be on the device of logits ({here}), got {there}; nothing is transferred silently"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        bce(x, other) if name == "labels" else bce(x, z, **{name: other})


def test_arrays_of_jax_on_another_device_are_refused(jax_only):
    jax = pytest.importorskip("jax")
    x = jax.device_put(jax_only.from_numpy(numbers("float32")[0]), jax.devices("cuda")[0])
    z = jax.device_put(numbers("float32")[1], jax.devices("cpu")[0])
    with pytest.raises(ValueError, match=r"^labels must be on the device of logits \(.*\), got .*cpu"):
        bce(x, z)


def test_check_labels_looks_at_labels_on_the_device(device):
    labels = numbers("float32")[1].copy()
    xbce.check_labels(device.from_numpy(labels))
    labels[3, 2] = 1.5
    with pytest.raises(ValueError, match=r"^labels must be in \[0, 1\], got 1.5 at index \(3, 2\)$"):
        xbce.check_labels(device.from_numpy(labels))


def test_empty_arrays(device):
    empty = device.from_numpy(np.zeros((0, 5), np.float32))
    assert bce(empty, empty).shape == (0, 5)
    assert float(device.to_numpy(bce(empty, empty, reduction="sum"))) == 0
    assert np.isnan(float(device.to_numpy(bce(empty, empty, reduction="mean"))))
    mean, gradient = bce.value_and_gradient(empty, empty, reduction="mean", axis=1)
    assert (mean.shape, gradient.shape) == ((0,), (0, 5))
