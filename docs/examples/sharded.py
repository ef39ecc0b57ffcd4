"""Mean loss and gradient of logits that are spread over four devices, which JAX makes of the CPU.

On a machine with several devices leave out the first statement: the rest is the same.
"""

import os

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"  # before JAX is imported

from functools import partial

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import xbce

loss = xbce.binary_cross_entropy_with_logits
rng = np.random.default_rng(0)
logits, labels = rng.normal(0, 4, 1000).astype("float32"), rng.integers(0, 2, 1000).astype("float32")
whole = loss(logits, labels, reduction="mean", dtype="float64")

mesh = Mesh(np.asarray(jax.devices("cpu")), ("batch",))
logits, labels = (jax.device_put(a, NamedSharding(mesh, PartitionSpec("batch"))) for a in (logits, labels))
mean, gradient = jax.jit(partial(loss.value_and_gradient, reduction="mean"))(logits, labels)

print(f"mean {mean:.5f}, of the whole {whole:.5f}")  # noqa: T201
print(f"the gradient is on {len(gradient.devices())} devices")  # noqa: T201
