"""Large NumPy arrays: blocks and threads change no bit, and survive forks."""

import os
import subprocess
import sys

import numpy as np
import pytest

import xbce

loss = xbce.binary_cross_entropy_with_logits
rng = np.random.default_rng(0)
LARGE = 1_200_000


@pytest.fixture(autouse=True)
def _restore_threads():
    before = xbce.get_num_threads()
    yield
    xbce.set_num_threads(before)


def all_results(x, z, **options):
    return [
        *loss.value_and_gradient(x, z, **options),
        *loss.gradient_and_hessian(x, z, **options),
        loss(x, z, reduction="mean", **options),
        xbce.sigmoid_focal_loss(x, z, **options),
    ]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    "view",
    [
        lambda a: a,
        lambda a: a.reshape(2, -1),
        lambda a: a.reshape(-1, 4),
        lambda a: a.reshape(1, -1),
        lambda a: a[::2],
        lambda a: a.reshape(400, -1).T,
        lambda a: a.reshape(2, -1)[:, ::-1],
    ],
    ids=["1-d", "wide", "tall", "one row", "strided", "transposed", "reversed"],
)
def test_same_bits_for_any_number_of_threads_and_any_layout(view, dtype):
    x = view(rng.normal(0, 10, LARGE).astype(dtype))
    z = view(rng.uniform(0, 1, LARGE).astype(dtype))
    options = {
        "pos_weight": np.asarray(rng.uniform(0.5, 2, x.shape[-1:] if x.ndim > 1 else ()), dtype),
        "where": view(rng.uniform(size=LARGE) < 0.9),
    }
    for extra in ({}, options):
        xbce.set_num_threads(1)
        once = all_results(x, z, **extra)
        xbce.set_num_threads(3)
        for a, b in zip(all_results(x, z, **extra), once, strict=True):
            np.testing.assert_array_equal(a, b)
        # And those of small pieces, which are not cut into blocks. Only the whole array has the mean.
        rows = slice(0, max(1, 1000 // max(1, x[0].size)))
        part = {k: (v[rows] if k == "where" else v) for k, v in extra.items()}
        for i, (a, b) in enumerate(zip(all_results(x[rows], z[rows], **part), once, strict=True)):
            if i != 4:
                np.testing.assert_array_equal(a, b[rows])


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 2), (1, 2)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_same_bits_of_sums_over_axes_for_any_number_of_threads(axis, order):
    x = np.asarray(rng.normal(0, 10, (120, 100, 100)), order=order)
    z = np.asarray(rng.uniform(0, 1, x.shape), order=order)
    w = rng.uniform(0.5, 2, 100)
    results = []
    for threads in (1, 3):
        xbce.set_num_threads(threads)
        results.append(loss.value_and_gradient(x, z, weight=w, reduction="sum", axis=axis))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(results[0][0], (loss(x, z) * w).sum(axis), rtol=1e-13)


def test_values_in_blocks_are_finite_where_they_should_be():
    x = np.where(np.arange(LARGE) % 2 == 0, np.inf, -np.inf)
    with np.errstate(all="raise"):
        value, gradient = loss.value_and_gradient(x, np.arange(LARGE) % 2 == 0)
    assert not value.any()
    assert not gradient.any()


def test_number_of_threads():
    xbce.set_num_threads(np.int64(3))
    assert xbce.get_num_threads() == 3
    with pytest.raises(ValueError, match=r"^n must be at least 1, got -1$"):
        xbce.set_num_threads(-1)
    for bad in (1.0, "2", True, None):
        with pytest.raises(TypeError, match=f"^n must be an int, got {type(bad).__name__}$"):
            xbce.set_num_threads(bad)


@pytest.mark.parametrize(
    ("environment", "threads"),
    [
        ({"XBCE_NUM_THREADS": "5", "OMP_NUM_THREADS": "7"}, 5),
        ({"OMP_NUM_THREADS": "7,2"}, 7),
        ({"XBCE_NUM_THREADS": "0", "OMP_NUM_THREADS": "x"}, None),
    ],
)
def test_default_number_of_threads(environment, threads):
    names = ("XBCE_NUM_THREADS", "OMP_NUM_THREADS")
    clean = {name: value for name, value in os.environ.items() if name not in names}
    code = "import os, xbce; print(xbce.get_num_threads(), len(os.sched_getaffinity(0)))"
    run = subprocess.run(
        [sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True, check=True
    )
    got, cpus = map(int, run.stdout.split())
    assert got == (cpus if threads is None else threads)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_works_after_a_fork():
    code = """
import os, numpy, xbce
xbce.set_num_threads(2)
x = numpy.zeros(300_000)
total = float(xbce.binary_cross_entropy_with_logits(x, 1, reduction="sum"))
child = os.fork()
if child == 0:
    os._exit(float(xbce.binary_cross_entropy_with_logits(x, 1, reduction="sum")) != total)
print(os.waitpid(child, 0)[1])
"""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "0"
