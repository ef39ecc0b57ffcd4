"""JAX on a device: jit, grad, vmap, a sharding over the device, donated arguments."""

from functools import partial

import numpy as np
import pytest
from array_api_compat import device as device_of

from tests.device.family import arguments, bce, call_of, every_case, of_probabilities
from tests.helpers import assert_same_bits

jax = pytest.importorskip("jax")

CLOSE = {"rtol": 32 * 2.0**-23, "atol": 2.0**-23}


@every_case
def test_jit_and_grad(jax_device, case):
    x, z, _, w, kept = arguments(jax_device, "float32", probabilities=of_probabilities(case))

    def mean(x, z, w, kept):
        return call_of(case)(x, z, weight=w, where=kept, reduction="mean", normalize_by="weight")[0]

    closed = call_of(case, "gradient")(x, z, weight=w, where=kept, reduction="mean", normalize_by="weight")[0]
    value, gradient = jax.jit(jax.value_and_grad(mean))(x, z, w, kept)
    assert device_of(value) == device_of(gradient) == device_of(x)
    assert value.dtype == gradient.dtype == x.dtype
    np.testing.assert_allclose(value, mean(x, z, w, kept), rtol=4 * 2.0**-23, atol=0)
    scale = float(abs(closed).max())
    np.testing.assert_allclose(gradient / scale, closed / scale, **CLOSE)


def test_jitted_calls_give_the_same_bits_in_any_batch(jax_device):
    x, z, *_ = (a.ravel() for a in arguments(jax_device, "float32", (300, 40)))
    call = jax.jit(bce.value_and_gradient)
    whole = call(x, z)
    assert_same_bits(jax_device, call(x, z), whole)
    assert_same_bits(jax_device, call(x[:1000], z[:1000]), tuple(a[:1000] for a in whole))


def test_vmap(jax_device):
    x, z, *_ = arguments(jax_device, "float32")
    rows = jax.vmap(jax.grad(partial(bce, reduction="mean")))(x, z)
    np.testing.assert_allclose(rows, bce.gradient(x, z, reduction="mean", axis=1), **CLOSE)
    hessians = jax.vmap(jax.grad(jax.grad(bce)))(x.ravel(), z.ravel())
    np.testing.assert_allclose(hessians, bce.hessian(x, z).ravel(), rtol=8 * 2.0**-23, atol=0)


@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jitted"])
def test_sharded_over_the_device(jax_device, jitted):
    from jax.sharding import NamedSharding, PartitionSpec

    x, z, p, w, kept = arguments(jax_device, "float32")
    (device,) = x.devices()
    mesh = jax.sharding.Mesh(np.array([device]), ("rows",))
    sharded = [jax.device_put(a, NamedSharding(mesh, PartitionSpec("rows"))) for a in (x, z, w, kept)]
    p = jax.device_put(p, NamedSharding(mesh, PartitionSpec()))
    for reduced in ({}, {"reduction": "mean"}):
        call = partial(bce.value_and_gradient, **reduced)
        call = jax.jit(call) if jitted else call
        x_, z_, w_, kept_ = sharded
        got = call(x_, z_, pos_weight=p, weight=w_, where=kept_)
        wanted = bce.value_and_gradient(x, z, pos_weight=p, weight=w, where=kept, **reduced)
        for a, b in zip(got, wanted, strict=True):
            assert a.devices() == {device}
            np.testing.assert_allclose(a, b, **CLOSE)


def test_donated_arguments(jax_device):
    x, z, *_ = arguments(jax_device, "float32")
    wanted = jax.jit(bce.gradient)(x, z)
    given = jax.numpy.array(x, copy=True)
    got = jax.jit(bce.gradient, donate_argnums=0)(given, z)
    assert_same_bits(jax_device, got, wanted)
    assert given.is_deleted()
