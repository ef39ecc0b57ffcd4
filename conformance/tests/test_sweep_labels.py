"""Soft labels of a sweep in float32, one for each logit: which they are, their reference, and what they catch."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from xbce_conformance.cli import main
from xbce_conformance.exact_values.plain_loss import ArrayReference, BallReference
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.subjects.backends import find_backends
from xbce_conformance.sweep.device import array_device, numpy_device
from xbce_conformance.sweep.labels import soft_labels

SINGLE = FORMATS["float32"]
NUMPY = numpy_device(SINGLE)
STARTS = (0, 0x24FFFF00, 0x3F800000, 0x41F00000, 0x4B000000, 0x7F7FFF80)
"""Subnormal numbers, next to 2^-53, 1, 30, 2^23, and into infinity and NaN."""


def labels_from(first, device=NUMPY, count=0x200):
    with np.errstate(all="ignore"):
        x = device.from_function(device.numbers(first, first + count))
        shared = ArrayReference.of(device.xp, x)
        return shared, soft_labels(device, SINGLE, first, first + count, shared)


@pytest.mark.parametrize("sign", [0, 1 << 31], ids=["positive", "negative"])
@pytest.mark.parametrize("first", STARTS, ids=hex)
def test_labels_are_soft_and_of_every_size(first, sign):
    shared, z = labels_from(first | sign)
    assert ((z > 0) & (z < 1)).all()
    assert (z.astype(np.float32) == z).all()
    assert z.min() < 2.0**-90
    assert z.max() > 1 - 2.0**-22
    assert ((z > 0.25) & (z < 0.75)).sum() > 0x30
    finite = np.isfinite(shared.x) & (shared.sigmoid > 2.0**-80) & (shared.sigmoid < 1 - 2.0**-10)
    distance = np.abs(z - shared.sigmoid)[finite] / shared.sigmoid[finite]
    assert not finite.any() or (np.median(np.sort(distance)[: distance.size // 4]) < 2.0**-4)
    assert np.unique(z).size > 0x150


@pytest.mark.parametrize("name", ["torch:cpu", "jax"])
@pytest.mark.parametrize("first", STARTS, ids=hex)
def test_labels_are_the_same_on_every_device(name, first):
    """But next to sigmoid(x), which libraries may round otherwise."""
    backend = find_backends((name,))[0].get(name)
    if backend is None:
        pytest.skip(f"{name} is not installed")
    _, z = labels_from(first)
    _, other = labels_from(first, array_device(backend, SINGLE))
    at_sigmoid = np.arange(first, first + z.size) & 3 == 3
    np.testing.assert_array_equal(backend.to_numpy(other)[~at_sigmoid], z[~at_sigmoid])
    np.testing.assert_allclose(backend.to_numpy(other), z, rtol=2.0**-22)


@pytest.mark.parametrize("quantity", ["value", "gradient"])
@pytest.mark.parametrize("sign", [0, 1 << 31], ids=["positive", "negative"])
@pytest.mark.parametrize("first", [*STARTS[:-1], 0x7F7FFE00], ids=hex)
def test_reference_is_certified(quantity, sign, first):
    """To 3 ULP of float64; and on the right side where the exact value lies next to the middle of two numbers."""
    shared, z = labels_from(first | sign)
    x, labels = shared.x.astype(np.float32), z.astype(np.float32)
    exact = getattr(BallReference(), quantity)(x, labels)
    got, scale = shared.of_soft_labels(quantity, z)
    error = np.abs((got - exact.high) - exact.low)
    assert (error <= 3 * FORMATS["float64"].ulp(exact.scale)).all()
    np.testing.assert_allclose(np.abs(scale), np.abs(exact.scale), rtol=1e-14)
    sure = np.abs(exact.high) > 2.0**-10 * np.abs(exact.scale)
    even = exact.high.view(np.int64) & 1 == 0  # an odd double is no middle of float32 numbers
    towards = np.where((exact.low != 0) & even, np.copysign(np.inf, exact.low), exact.high)
    right = np.nextafter(exact.high, towards)
    with np.errstate(under="ignore"):
        np.testing.assert_array_equal(got.astype(np.float32)[sure], right.astype(np.float32)[sure])


def test_reference_at_infinity_and_nan():
    shared = ArrayReference.of(NUMPY.xp, np.array([np.inf, -np.inf, np.nan]))
    z = np.array([0.25, 0.25, 0.25])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(shared.of_soft_labels("value", z)[0], [np.inf, np.inf, np.nan])
        np.testing.assert_array_equal(shared.of_soft_labels("gradient", z)[0], [0.75, -0.25, np.nan])


# --- what they catch ------------------------------------------------------------------------------------------------

THEIRS = """
import numpy as np
import xbce

def loss(x, z):  # takes every soft label for 0
    return xbce.binary_cross_entropy_with_logits(x, np.where(z == 1, z, 0 * z))

def right(x, z):
    return xbce.binary_cross_entropy_with_logits(x, z)
"""


def test_a_loss_that_is_wrong_for_soft_labels_only(tmp_path, monkeypatch):
    from distributed import LocalCluster

    (tmp_path / "hard_only.py").write_text(THEIRS, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster:

        def swept(name, *options):
            arguments = ("--bits", "40000000:40001000", "--scheduler", cluster.scheduler_address, "--out", name)
            command = ["sweep", "--subject", f"hard_only:{name}", *arguments, "--quantity", "value", *options]
            result = CliRunner().invoke(main, command, catch_exceptions=False)
            rows = json.loads((tmp_path / name / "results.json").read_text("utf-8"))["rows"]
            return result.exit_code, {row["function"]: row for row in rows}

        code, rows = swept("loss")
        assert code == 1
        assert rows["hard_only:loss"]["verdict"]["violations"] == []
        soft = rows["soft labels, hard_only:loss"]
        assert len(soft["verdict"]["violations"]) == 1
        assert soft["figures"]["max_ulp"] == soft["figures"]["max_ulp_soft"] > 1e6
        assert soft["worst"]["regime"] == "every logit, a soft label"
        assert 0 < float.fromhex(soft["worst"]["inputs"]["labels"]) < 1
        assert soft["kind"] == "samples"

        code, rows = swept("right", "--checkpoint", "all")
        assert code == 0
        assert list(rows) == ["hard_only:right", "soft labels, hard_only:right"]
        code, hard = swept("right", "--labels", "hard", "--checkpoint", "hard")
        assert (code, hard) == (0, {"hard_only:right": rows["hard_only:right"]})  # to the last figure
        code, soft = swept("right", "--labels", "soft", "--checkpoint", "soft")
        assert (code, soft) == (0, {"soft labels, hard_only:right": rows["soft labels, hard_only:right"]})
