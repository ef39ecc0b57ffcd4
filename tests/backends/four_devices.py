"""Checks of xbce on four devices of JAX, in a process of its own: `python -m tests.backends.four_devices`.

It writes JSON: of each check the traceback, or null. `--all` takes more shardings, dtypes and losses.
"""

import os
import re
import sys
from functools import partial

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"  # before JAX is imported
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as Spec

import xbce
from tests.backends.checks import Checks, say
from tests.device.family import bce, call_of, numbers, of_probabilities
from tests.device.test_transfers import OPTIONS
from tests.helpers import NUMPY, assert_same_bits
from xbce_conformance.cases import METHODS, WITH_NUMBERS

check = Checks()
SHAPE = (16, 8)
DEVICES = jax.devices("cpu")
MESH = Mesh(np.asarray(DEVICES).reshape(2, 2), ("rows", "columns"))
SHARDINGS = {
    "rows": Spec(("rows", "columns"), None),
    "both": Spec("rows", "columns"),
    "columns": Spec(None, ("columns", "rows")),
    "replicated": Spec(),
}
EVERYTHING = "--all" in sys.argv
CHOSEN = SHARDINGS if EVERYTHING else dict(list(SHARDINGS.items())[:2])


def placed(arrays, place):
    """Return scores, labels, weight and mask on a device or with a sharding."""
    return [jax.device_put(a, place) for a in arrays]


def four(case, dtype="float32"):
    x, z, _, w, kept = numbers(dtype, SHAPE, probabilities=of_probabilities(case))
    return x, z, w, kept


def close(got, wanted, ulps=16):
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=ulps * float(np.finfo(np.float32).eps), atol=0)


@check
def results_stay_on_their_device():
    """Under guards: nothing goes to the host, or from a device to another."""
    for case in WITH_NUMBERS if EVERYTHING else WITH_NUMBERS[:1]:
        x, z, w, kept = placed(four(case), DEVICES[2])
        with jax.transfer_guard_device_to_device("disallow"), jax.transfer_guard_device_to_host("disallow"):
            for options in OPTIONS[:2]:  # without counts: JAX copies what ones_like makes
                for method in METHODS:
                    results = call_of(case, method)(x, z, weight=w, where=kept, **options)
                    if case is WITH_NUMBERS[0]:  # others compute with the numbers alone, which JAX does elsewhere
                        results += call_of(case, method)(x, 1.0, weight=0.5, **options)
                    assert all(a.devices() == {DEVICES[2]} for a in results), (case.name, method)
        slope = jax.grad(lambda x, z: call_of(case)(x, z, reduction="mean")[0])  # noqa: B023 - called here
        assert slope(x, z).devices() == {DEVICES[2]}  # the 1 that it begins with, JAX copies
        compiled = jax.jit(slope)
        compiled(x, z)
        with jax.transfer_guard("disallow"):
            assert compiled(x, z).devices() == {DEVICES[2]}


@check
def high_precision_stays_on_its_device():
    x, z, w, kept = placed(four(WITH_NUMBERS[0]), DEVICES[3])
    with jax.enable_x64(True):
        high = jax.jit(partial(bce.value_and_gradient, reduction="mean", precision="high"))
        high(x, z, weight=w, where=kept)  # compiles, with its tables as constants
        with jax.transfer_guard("disallow"):
            results = high(x, z, weight=w, where=kept)
        assert all(a.devices() == {DEVICES[3]} for a in results)


@check
def errors_name_the_devices():
    x, z, w, _ = placed(four(WITH_NUMBERS[0]), DEVICES[1])
    there = jax.device_put(w, DEVICES[2])
    text = "{} must be on the device of logits ({}), got {}; nothing is transferred silently"
    calls = {
        "labels": lambda: bce(x, there),
        "pos_weight": lambda: bce(x, z, pos_weight=there),
        "weight": lambda: bce(x, z, weight=there),
        "where": lambda: bce(x, z, where=there > 0),
        "gamma": lambda: xbce.sigmoid_focal_loss(x, z, gamma=there),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match=f"^{re.escape(text.format(name, DEVICES[1], DEVICES[2]))}$"):
            call()


@check
def sharded_arrays():
    """Losses and gradients keep the sharding; means and sums are those of the whole."""
    case = WITH_NUMBERS[0]
    arrays = four(case)
    for name, spec in CHOSEN.items():
        place = NamedSharding(MESH, spec)
        x, z, w, kept = placed(arrays, place)
        for options in ({}, {"reduction": "mean", "normalize_by": "weight"}, {"reduction": "sum", "axis": 0})[
            1 - EVERYTHING :
        ]:
            call = partial(call_of(case, "value_and_gradient"), **options)
            wanted = call(*map(jnp.asarray, arrays[:2]), weight=jnp.asarray(arrays[2]), where=jnp.asarray(arrays[3]))
            for run in (call, jax.jit(call)):
                value, slope = run(x, z, weight=w, where=kept)
                close((value, slope), wanted)
                assert slope.sharding.is_equivalent_to(place, 2), (name, slope.sharding)
        slope = jax.jit(jax.grad(lambda x: bce(x, z, weight=w, where=kept, reduction="mean")))(x)  # noqa: B023
        close((slope,), (bce.gradient(*arrays[:2], weight=arrays[2], where=arrays[3], reduction="mean"),))
        assert slope.sharding.is_equivalent_to(place, 2)


@check
def high_precision_has_the_same_bits_sharded_or_not():
    case = WITH_NUMBERS[0]
    for dtype in ("float32", "float64") if EVERYTHING else ("float32",):
        arrays = four(case, dtype)
        with jax.enable_x64(True):
            for options in ({"reduction": "sum"}, {"reduction": "mean", "axis": 1})[: 1 + EVERYTHING]:
                call = partial(call_of(case, "value_and_gradient"), precision="high", **options)
                wanted = call(*arrays[:2], weight=arrays[2], where=arrays[3])
                for spec in CHOSEN.values():
                    x, z, w, kept = placed(arrays, NamedSharding(MESH, spec))
                    got = call(x, z, weight=w, where=kept)
                    assert_same_bits(NUMPY, [np.asarray(a) for a in got], wanted, context=str(spec))


@check
def shard_map():
    """Each device sums its part; psum adds the sums and the counts."""
    x, z, _, kept = four(WITH_NUMBERS[0])
    mesh = Mesh(np.asarray(DEVICES), ("i",))

    @jax.jit
    @partial(jax.shard_map, mesh=mesh, in_specs=Spec("i"), out_specs=(Spec(), Spec("i")))
    def parts(x, z, kept):
        total, slope = bce.value_and_gradient(x, z, where=kept, reduction="sum")
        count = jax.lax.psum(kept.sum(), "i")
        return jax.lax.psum(total, "i") / count, slope / count

    close(parts(x, z, kept), bce.value_and_gradient(x, z, where=kept, reduction="mean"))


@check
def pmap():
    x, z, *_ = (a.reshape(4, 4, 8) for a in four(WITH_NUMBERS[0]))
    step = jax.pmap(lambda x, z: jax.lax.pmean(bce(x, z, reduction="mean"), "i"), axis_name="i")
    close((step(x, z)[0],), (bce(x, z, reduction="mean"),))
    slopes = jax.pmap(jax.grad(lambda x, z: bce(x, z, reduction="mean")))(x, z)
    close((slopes,), (bce.gradient(x, z, reduction="mean", axis=(1, 2)),))
    assert len(slopes.devices()) == 4


def parts_of_a_sum():
    """What each device holds is added by an accumulator: the bits of the sum of the whole."""
    with jax.enable_x64(True):
        x, z, *_ = four(WITH_NUMBERS[0], "float64")
        losses = jax.device_put(bce(jnp.asarray(x), jnp.asarray(z)), NamedSharding(MESH, SHARDINGS["both"]))
        total = xbce.SumAccumulator()
        for shard in reversed(losses.addressable_shards):
            assert isinstance(shard.data.sharding, SingleDeviceSharding)
            total.add(shard.data)
        assert total.result() == float(xbce.reduce(losses, reduction="sum", precision="high"))
        assert total.count == x.size


if EVERYTHING:
    check(parts_of_a_sum)  # compiles for each device


if __name__ == "__main__":
    assert len(DEVICES) == 4
    say(check.found())
