"""CuPy: one kernel for each kind of call, results that are arrays of CuPy, and arrays taken from PyTorch."""

import numpy as np
import pytest

from tests.device.family import arguments, bce, numbers
from tests.helpers import assert_same_bits


def test_a_kernel_is_fused_once(cupy_only):
    from xbce._backends import cupy as _cupy

    x, z, _, w, kept = arguments(cupy_only, "float32")

    def calls(x, z, w, kept):
        bce(x, z, weight=w, where=kept, reduction="mean")
        bce.value_and_gradient(x, z, weight=w, where=kept, reduction="mean")
        bce.gradient_and_hessian(x, z)

    calls(x, z, w, kept)
    before = _cupy.fused.cache_info()
    calls(x, z, w, kept)
    calls(x[:3], z[:3], w[:3], kept[:3])
    after = _cupy.fused.cache_info()
    assert after.misses == before.misses
    assert after.hits > before.hits


def test_results_without_dimensions_are_arrays(cupy_device):
    x, z, *_ = arguments(cupy_device, "float32")
    for result in (
        bce(x, z, reduction="mean"),
        bce(x, z, reduction="sum", axis=(0, 1)),
        *bce.value_and_gradient(x[0, 0], z[0, 0]),
    ):
        assert isinstance(result, (type(x), np.generic))
        assert (result.shape, result.dtype) == ((), x.dtype)


def test_arrays_of_pytorch_are_taken_by_dlpack(cupy_only, cuda_only):
    cupy, torch = pytest.importorskip("cupy"), pytest.importorskip("torch")
    tensors = arguments(cuda_only, "float32")[:2]
    torch.cuda.synchronize()
    x, z = map(cupy.from_dlpack, tensors)
    assert [x.data.ptr, z.data.ptr] == [t.data_ptr() for t in tensors]
    wanted = bce.value_and_gradient(*map(cupy.asarray, numbers("float32")[:2]), reduction="mean")
    got = bce.value_and_gradient(x, z, reduction="mean")
    assert_same_bits(cupy_only, got, wanted)
    back = torch.from_dlpack(got[1])
    assert back.device == tensors[0].device
    np.testing.assert_array_equal(back.cpu().numpy(), cupy.asnumpy(wanted[1]))


def test_on_another_current_device(cupy_only):
    cupy = pytest.importorskip("cupy")
    if cupy.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("one GPU")
    x, z, *_ = arguments(cupy_only, "float32")
    with cupy.cuda.Device(1):
        x, z = cupy.asarray(numbers("float32")[0]), cupy.asarray(numbers("float32")[1])
    value, gradient = bce.value_and_gradient(x, z, reduction="mean")
    assert value.device == gradient.device == cupy.cuda.Device(1)
