"""The same numbers give the same bits: twice, in any memory layout, in any batch, on any stream."""

import numpy as np
import pytest

from tests.device.family import arguments, bce, call_of, every_case, numbers, of_probabilities
from tests.helpers import assert_same_bits

VIEWS = {
    "transposed": lambda a: a.T,
    "strided": lambda a: a[::2, 1::2],
    "a row": lambda a: a[3],
    "a column": lambda a: a[:, 2],
    "one element": lambda a: a[3:4, 2:3],
    "no dimensions": lambda a: a[3, 2],
}


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@every_case
def test_twice(device, case, reduction):
    """The second call takes the plan, and the kernel, of the first."""
    x, z, _, w, _ = arguments(device, "float32", probabilities=of_probabilities(case))
    first, *others = [call_of(case, "value_and_gradient")(x, z, weight=w, reduction=reduction) for _ in range(3)]
    for other in others:
        assert_same_bits(device, other, first)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_views(strided_device, view, dtype):
    x, z, *_ = arguments(strided_device, dtype)
    copies = [strided_device.from_numpy(np.array(view(a), order="C")) for a in numbers(dtype)[:2]]
    for method in (bce.value_and_gradient, bce.gradient_and_hessian):
        assert_same_bits(strided_device, method(view(x), view(z)), method(*copies))


def test_views_of_different_layouts_in_one_call(strided_device):
    x = strided_device.from_numpy(np.array(numbers("float32")[0].T, order="C")).T
    _, z, p, w, kept = arguments(strided_device, "float32")
    w = strided_device.from_numpy(np.repeat(numbers("float32")[3], 2, axis=1))[:, ::2]
    got = bce.value_and_gradient(x, z, pos_weight=p, weight=w, where=kept)
    x, z, p, w, kept = arguments(strided_device, "float32")
    assert_same_bits(strided_device, got, bce.value_and_gradient(x, z, pos_weight=p, weight=w, where=kept))


@pytest.mark.parametrize("n", [1, 33, 1000])
def test_an_element_does_not_depend_on_its_batch(device, n):
    x, z = (device.from_numpy(a.ravel()) for a in numbers("float32", (300, 40))[:2])
    whole = bce.value_and_gradient(x, z)
    for start in (0, 5):
        part = slice(start, start + n)
        assert_same_bits(device, bce.value_and_gradient(x[part], z[part]), tuple(a[part] for a in whole))


def test_on_another_stream_of_pytorch(cuda_only):
    torch = pytest.importorskip("torch")
    x, z, _, w, kept = arguments(cuda_only, "float32", (300, 40))
    wanted = bce.value_and_gradient(x, z, weight=w, where=kept, reduction="mean", normalize_by="weight")
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        got = bce.value_and_gradient(x, z, weight=w, where=kept, reduction="mean", normalize_by="weight")
    stream.synchronize()
    assert_same_bits(cuda_only, got, wanted)


def test_on_another_stream_of_cupy(cupy_only):
    cupy = pytest.importorskip("cupy")
    x, z, _, w, kept = arguments(cupy_only, "float32", (300, 40))
    wanted = bce.value_and_gradient(x, z, weight=w, where=kept, reduction="mean", normalize_by="weight")
    cupy.cuda.Device().synchronize()
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        got = bce.value_and_gradient(x, z, weight=w, where=kept, reduction="mean", normalize_by="weight")
    stream.synchronize()
    assert_same_bits(cupy_only, got, wanted)
