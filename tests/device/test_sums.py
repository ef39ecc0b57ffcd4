"""Sums of half precision do not overflow on the way, and means of ten million losses are right."""

import math

import numpy as np
import pytest

import xbce
from tests.device.family import bce
from xbce_conformance import contract
from xbce_conformance.inputs.formats import FORMATS


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_mean_of_ten_million_losses(device, dtype):
    if dtype not in device.dtypes:
        pytest.skip(f"{device.name} has no {dtype}")
    few = FORMATS[dtype].round(np.linspace(-12, 9, 100))
    # On CPUs there is a test of ten million already, in test_family.py.
    repeats = 10**5 if device.name.endswith(("cuda", "cupy")) else 10**4
    x = device.from_numpy(np.tile(few, repeats))
    wanted = math.fsum(max(a, 0) + math.log1p(math.exp(-abs(a))) for a in map(float, few)) / 100
    mean = float(device.to_numpy(bce(x, 0, reduction="mean")))
    assert abs(mean - wanted) <= contract.bound("mean", dtype, hard=True) * FORMATS[dtype].ulp(wanted)


def test_sums_that_float16_does_not_hold_on_the_way(device):
    x = device.from_numpy(np.full(10**5, 60000, np.float16))
    assert float(device.to_numpy(bce(x, 0, reduction="mean"))) == 60000
    assert float(device.to_numpy(bce(x, 0, weight=2.0**-20, reduction="sum"))) == float(
        np.float16(60000 * 10**5 * 2.0**-20)
    )
    assert float(device.to_numpy(xbce.reduce(x))) == 60000
    assert float(device.to_numpy(bce(x, 0, reduction="sum"))) == math.inf
    slopes = device.to_numpy(bce.gradient(x, 0, weight=1e5, reduction="mean"))
    assert (slopes == 1).all()
