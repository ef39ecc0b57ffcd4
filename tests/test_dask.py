"""Dask: nothing is computed in a call; chunks of any size, unknown ones too; sums as trees; and on a real cluster."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import xbce

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

bce = xbce.binary_cross_entropy_with_logits
ROOT = Path(__file__).parents[1]
rng = np.random.default_rng(0)
X, Z, W = rng.normal(0, 4, (60, 6)), rng.uniform(0, 1, (60, 6)), rng.uniform(0.5, 2, 6)
KEPT = rng.uniform(size=(60, 6)) < 0.7
OPTIONS = [
    {},
    {"reduction": "sum", "axis": 0},
    {"reduction": "mean"},
    {"reduction": "mean", "axis": 1, "normalize_by": "size"},
    {"reduction": "mean", "axis": -2, "normalize_by": "weight", "pos_weight": W, "weight": W, "where": KEPT},
    {"reduction": "mean", "normalize_by": "nonzero", "weight": W[:1], "where": KEPT[:, :1]},
]


def lazy(value, chunks):
    """Return an option as a Dask array with chunks of its own."""
    return da.from_array(value, chunks=chunks[: value.ndim]) if isinstance(value, np.ndarray) else value


def never(*_args, **_kwargs):
    msg = "something was computed during the call"
    raise AssertionError(msg)


@pytest.fixture
def nothing_computed():
    with dask.config.set(scheduler=never):
        yield


@pytest.mark.usefixtures("nothing_computed")
@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
@pytest.mark.parametrize("chunks", [(60, 6), (7, 4), (1, 6)])
def test_lazy_and_equal_to_numpy(options, chunks):
    # Labels, weights and mask are in chunks that do not match.
    x, z = da.from_array(X, chunks), da.from_array(Z, (60, 2))
    keywords = {name: lazy(value, (13, 5)) for name, value in options.items()}
    for method in ("__call__", "gradient", "hessian", "label_gradient", "value_and_gradient"):
        got, wanted = getattr(bce, method)(x, z, **keywords), getattr(bce, method)(X, Z, **options)
        for a, b in zip(got, wanted, strict=True) if isinstance(got, tuple) else [(got, wanted)]:
            assert isinstance(a, da.Array)
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            assert type(a._meta) is np.ndarray
            assert a._meta.ndim == b.ndim
            with dask.config.set(scheduler="synchronous"):
                np.testing.assert_allclose(a.compute(), b, rtol=1e-14, atol=0)


@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
def test_unknown_chunk_sizes(options):
    rows = X[:, 0] > 0
    x, z = (da.from_array(a, (7, 6))[da.from_array(rows, 7)] for a in (X, Z))
    assert np.isnan(x.shape[0])
    cut = {k: v[rows] if isinstance(v, np.ndarray) and len(v) == 60 else v for k, v in options.items()}
    keywords = {
        k: da.from_array(options[k], (7, 6))[da.from_array(rows, 7)]
        if isinstance(v, np.ndarray) and v.ndim == 2
        else lazy(v, (6,))
        for k, v in cut.items()
    }
    for method in ("__call__", "gradient"):
        got, wanted = getattr(bce, method)(x, z, **keywords), getattr(bce, method)(X[rows], Z[rows], **cut)
        np.testing.assert_allclose(got.compute(), wanted, rtol=1e-14, atol=0)


def test_an_unknown_batch_is_an_error():
    x = da.from_array(X, (7, 6))
    x = x[x[:, 0] > 0]
    message = (
        r"^normalize_by='batch' divides by the length of axis 0, but that of logits is not known yet; "
        r"call its method compute_chunk_sizes first$"
    )
    with pytest.raises(ValueError, match=message):
        bce(x, x, reduction="mean", normalize_by="batch")
    known = x.compute_chunk_sizes()
    wanted = bce(known.compute(), known.compute(), reduction="mean", normalize_by="batch")
    np.testing.assert_allclose(bce(known, known, reduction="mean", normalize_by="batch").compute(), wanted, rtol=1e-15)


def test_sums_are_trees_over_chunks():
    n = 512
    x = da.zeros(n, chunks=1)
    total = bce(x, x, reduction="sum")
    # No task may depend on many chunks.
    graph = dict(total.__dask_graph__())
    widest = max(len(dask.core.get_dependencies(graph, key)) for key in graph)
    assert widest <= 16
    np.testing.assert_allclose(total.compute(), n * np.log(2), rtol=1e-15)


@pytest.mark.parametrize("axis", [0, None])
def test_long_sums_keep_their_digits(axis):
    """Within the promise of 4 ULP, though NumPy's own sum along axis 0 is off by thousands."""
    x = da.full((2_000_000, 2), 0.1, chunks=(1_000_000, 2))
    mean = bce(x, da.zeros_like(x), reduction="mean", axis=axis).compute()
    np.testing.assert_allclose(mean, bce(np.asarray(0.1), 0.0), rtol=4 * np.finfo(float).eps, atol=0)


def test_the_two_of_value_and_gradient_are_made_once():
    calls = []

    def counted(block):
        calls.append(len(block))
        return block

    x = da.from_array(X, (20, 6)).map_blocks(counted, dtype=X.dtype, meta=X[:0])
    value, gradient = bce.value_and_gradient(x, da.from_array(Z, (20, 6)), reduction="mean")
    dask.compute(value, gradient.sum(), scheduler="synchronous")
    assert calls == [20, 20, 20]


def test_primitives_reduce_and_check_labels():
    x = da.from_array(X, (7, 6))
    with dask.config.set(scheduler=never):
        results = [xbce.special.softplus(x), xbce.special.xlogy(x, x * x), xbce.reduce(x, axis=0)]
    wanted = [xbce.special.softplus(X), xbce.special.xlogy(X, X * X), xbce.reduce(X, axis=0)]
    for a, b in zip(results, wanted, strict=True):
        np.testing.assert_allclose(a.compute(), b, rtol=1e-14, atol=0)
    with pytest.raises(TypeError, match=r"^labels must have values that can be looked at, got a lazy or traced array$"):
        xbce.check_labels(x)


def test_example_on_a_cluster():
    pytest.importorskip("distributed")
    command = [sys.executable, ROOT / "docs" / "examples" / "billion.py", "3e6"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    lines = run.stdout.splitlines()
    assert lines[0] == "3,000,000 elements, 0.012 GB for each float32 array of them"
    # The model's own expectation, by quadrature.
    from scipy.integrate import quad

    def mean_of(function):
        return quad(lambda t: function(t) * np.exp(-t * t / 2) / np.sqrt(2 * np.pi), -12, 12)[0]

    def probability(t):
        return 1 / (1 + np.exp(0.5 - 1.5 * t))

    def slope(t):
        return 1 / (1 + np.exp(-t)) - probability(t)

    expected = [
        mean_of(lambda t: np.log1p(np.exp(t)) - t * probability(t)),
        mean_of(lambda t: slope(t) * t),
        mean_of(slope),
    ]
    numbers = [float(word.rstrip(",")) for word in lines[1].split() if word[-2:].strip(",").isdecimal()]
    np.testing.assert_allclose(numbers, expected, atol=3e-3)
