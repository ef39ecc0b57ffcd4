"""More than 2^31 elements, whose positions 32 bits do not hold; on a device with the memory for them."""

import math

import numpy as np
import pytest

from tests.device.family import bce
from xbce_conformance import contract
from xbce_conformance.inputs.formats import FORMATS

N = 2**31 + 2**10


# Half of the logits are -1, the others 3.
def softplus(x):
    return max(x, 0) + math.log1p(math.exp(-abs(x)))


def require(free, bytes_per_element):
    if free < bytes_per_element * N:
        pytest.skip(f"{bytes_per_element * N / 2**30:.0f} GiB of memory are needed, {free / 2**30:.0f} are free")


def assert_right(mean, first, last, dtype):
    fmt = FORMATS[dtype]
    for got, x in ((first, -1.0), (last, 3.0)):
        assert abs(got - softplus(x)) <= contract.bound("value", dtype, hard=True) * fmt.ulp(softplus(x))
    wanted = (softplus(-1.0) + softplus(3.0)) / 2
    assert abs(mean - wanted) <= contract.bound("mean", dtype, hard=True) * fmt.ulp(wanted)


def test_pytorch(cuda_only):
    torch = pytest.importorskip("torch")
    torch.cuda.empty_cache()
    require(torch.cuda.mem_get_info()[0], 30)  # seven arrays of float32 at once
    x = torch.full((N,), -1.0, dtype=torch.bfloat16, device=cuda_only.from_numpy(np.zeros(1)).device)
    x[N // 2 :] = 3.0
    mean = float(bce(x, 0, reduction="mean"))
    losses = bce(x, 0)
    first, last = float(losses[0]), float(losses[-1])
    del x, losses
    torch.cuda.empty_cache()
    assert_right(mean, first, last, "bfloat16")


def test_cupy(cupy_only):
    cupy = pytest.importorskip("cupy")
    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()
    require(cupy.cuda.runtime.memGetInfo()[0], 8)
    x = cupy.full(N, -1.0, cupy_only.dtype_of("float16"))
    x[N // 2 :] = 3.0
    mean = float(bce(x, 0, reduction="mean"))
    losses = bce(x, 0)
    first, last = float(losses[0]), float(losses[-1])
    del x, losses
    pool.free_all_blocks()
    assert_right(mean, first, last, "float16")


def test_jax(jax_only):
    jax = pytest.importorskip("jax")
    numpy, bfloat16 = jax.numpy, jax_only.dtype_of("bfloat16")
    (device,) = jax_only.from_numpy(np.zeros(1)).devices()
    memory = device.memory_stats()
    require(memory["bytes_limit"] - memory["bytes_in_use"], 10)
    with jax.default_device(device):
        x = jax.jit(
            lambda: numpy.concatenate([numpy.full(N // 2, -1.0, bfloat16), numpy.full(N // 2, 3.0, bfloat16)])
        )()
        mean = float(jax.jit(lambda x: bce(x, 0, reduction="mean"))(x))
        losses = jax.jit(lambda x: bce(x, 0))(x)
        first, last = float(losses[0]), float(losses[-1])
    assert_right(mean, first, last, "bfloat16")
