"""Dask: nothing is computed in a call; chunks of any size, unknown ones too; sums as trees; and on a real cluster."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import xbce
from tests.helpers import step

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

bce = xbce.binary_cross_entropy_with_logits
ROOT = Path(__file__).parents[2]
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
@pytest.mark.parametrize("chunks", [pytest.param((60, 6), marks=pytest.mark.long), (7, 4), (1, 6)])
def test_lazy_and_equal_to_numpy(options, chunks):
    # Labels, weights and mask are in chunks that do not match.
    x, z = da.from_array(X, chunks), da.from_array(Z, (60, 2))
    keywords = {name: lazy(value, (13, 5)) for name, value in options.items()}
    for method in ("__call__", "gradient", "hessian", "label_gradient", "value_and_gradient"):
        got, wanted = getattr(bce, method)(x, z, **keywords), getattr(bce, method)(X, Z, **options)
        for a, b in zip(got, wanted, strict=True) if isinstance(got, tuple) else [(got, wanted)]:
            with step("dask", getattr(bce, method), **options):
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
        with step("dask", getattr(bce, method), **options):
            got, wanted = getattr(bce, method)(x, z, **keywords), getattr(bce, method)(X[rows], Z[rows], **cut)
            np.testing.assert_allclose(got.compute(), wanted, rtol=1e-14, atol=0)


def raises(error, text):
    """Expect exactly this text."""
    return pytest.raises(error, match=f"^{re.escape(text)}$")


# Each puts an array in the place of one argument; `x` is a good one.
PLACES = {
    "logits": lambda x, bad: bce(bad, x, reduction="mean"),
    "labels": lambda x, bad: bce.value_and_gradient(x, bad, reduction="mean")[1],
    "probabilities": lambda x, bad: xbce.binary_cross_entropy.gradient(bad, x),
    "pos_weight": lambda x, bad: xbce.sigmoid_focal_loss.hessian(x, x, pos_weight=bad),
    "weight": lambda x, bad: xbce.asymmetric_loss(x, 1, weight=bad, reduction="mean", normalize_by="weight"),
    "where": lambda x, bad: bce(x, x, where=bad, reduction="mean"),
    "losses": lambda _, bad: xbce.reduce(bad),
    "weight of reduce": lambda x, bad: xbce.reduce(x, weight=bad, normalize_by="nonzero"),
    "where of reduce": lambda x, bad: xbce.reduce(x, where=bad),
    "x": lambda x, bad: xbce.special.xlogy(bad, x),
    "y": lambda x, bad: xbce.special.xlog1py(x, bad),
}
each_place = pytest.mark.parametrize("place", PLACES)


def masked(block):
    return np.ma.masked_array(block, mask=np.arange(len(block)) % 2 == 0)


class WithUnit(np.ndarray):
    unit = "kg"


class Foreign:
    """A chunk of a library that Dask's operations do not know as a chunk."""

    def __init__(self, block):
        self.shape, self.dtype, self.ndim = block.shape, block.dtype, block.ndim


KINDS = {
    "masked": (masked, "must not be a masked array: its mask would be ignored"),
    "unit": (
        lambda block: block.view(WithUnit),
        f"must not carry a unit, which would be ignored: pass its numbers; got {__name__}.WithUnit",
    ),
    "foreign": (Foreign, f"must have chunks that are NumPy or CuPy arrays, got chunks of type {__name__}.Foreign"),
}


def for_place(place, x):
    return x > 0 if place.startswith("where") else x


@pytest.mark.usefixtures("nothing_computed")
@pytest.mark.parametrize("kind", ["masked", "unit"])
@each_place
def test_chunks_that_hold_more_than_numbers(place, kind):
    convert, text = KINDS[kind]
    x = da.from_array(np.ones(4), chunks=2)
    good = for_place(place, x)
    bad = good.map_blocks(convert, dtype=good.dtype, meta=convert(np.empty(0, good.dtype)))
    with raises(TypeError, f"{place.partition(' ')[0]} {text}"):
        PLACES[place](x, bad)


@pytest.mark.parametrize("kind", KINDS)
@each_place
def test_chunks_of_another_kind_than_announced(place, kind):
    convert, text = KINDS[kind]
    x = da.from_array(np.ones(4), chunks=2)
    good = for_place(place, x)
    bad = good.map_blocks(convert, dtype=good.dtype, meta=np.empty(0, good.dtype))
    result = PLACES[place](x, bad)
    with raises(TypeError, f"{place.partition(' ')[0]} {text}"):
        result.compute(scheduler="synchronous")


def test_masked_arrays_of_dask():
    """The mask was ignored: 13.1222, where Dask's own mean gives 0.82959."""
    x, z, mask = (
        da.from_array(np.array(a), chunks=2) for a in ([1.0, 2, 3, 50], [1.0, 0, 1, 0], [False, False, False, True])
    )
    with raises(TypeError, "logits must not be a masked array: its mask would be ignored"):
        bce(da.ma.masked_array(x, mask=mask), z, reduction="mean")
    np.testing.assert_allclose(bce(x, z, where=~mask, reduction="mean").compute(), 0.8295923, rtol=1e-6)


@pytest.mark.parametrize("cls", [np.recarray, np.matrix, np.memmap])
def test_chunks_of_subclasses_that_mean_the_same(cls, tmp_path):
    def convert(block):
        if cls is not np.memmap:
            return block.view(cls)
        mapped = np.memmap(tmp_path / f"{block[0, 0]}", block.dtype, "w+", shape=block.shape)
        mapped[:] = block
        return mapped

    x, z = (da.from_array(a, (20, 6)) for a in (X, Z))
    y = x.map_blocks(convert, dtype=x.dtype, meta=np.empty((0, 0)))
    np.testing.assert_array_equal(bce(y, z, weight=y).compute(), bce(x, z, weight=x).compute())


@pytest.mark.parametrize(
    ("place", "announced", "dtype", "text"),
    [
        ("logits", "float64", "int64", "must have one of the dtypes float16, bfloat16, float32, float64, got int64"),
        ("y", "float64", "int64", "must have one of the dtypes float16, bfloat16, float32, float64, got int64"),
        (
            "labels",
            "float64",
            "complex128",
            "must be boolean, integer or one of float16, bfloat16, float32, float64, got complex128",
        ),
        ("where", "bool", "float64", "must be boolean (True keeps an element), got float64"),
    ],
)
def test_chunks_of_another_dtype_than_announced(place, announced, dtype, text):
    x = da.from_array(np.ones(4), chunks=2)
    bad = x.map_blocks(lambda block: block.astype(dtype), dtype=announced, meta=np.empty(0, announced))
    with raises(TypeError, f"{place} {text}"):
        PLACES[place](x, bad).compute(scheduler="synchronous")


def cut(kept, chunks=4):
    """Return an array of as many elements as there are True in `kept`, and of unknown length."""
    kept = np.array(kept, bool)
    return da.from_array(np.ones(len(kept)), chunks)[da.from_array(kept, chunks)]


FOUR, ONE, TWO = [1, 1, 1, 1], [0, 1, 0, 0], [1, 0, 1, 0]


def test_labels_of_another_unknown_length():
    """One label was broadcast to four logits: 1.62673 without an error."""
    x, z = (da.from_array(np.array(a), chunks=4) for a in ([1.0, 2, 3, -4], [1.0, 0, 0, 1]))
    with raises(ValueError, "labels must have the shape of logits, got labels (1,) and logits (4,)"):
        bce(x[x > -9], z[x > 2.5], reduction="mean").compute()


SAME = "labels must have the shape of {}, got labels ({},) and {} ({},)"
FITS = "{} must broadcast to the shape of {} without enlarging it, got {} ({},) and {} ({},)"


@pytest.mark.parametrize(
    ("place", "good", "bad", "text"),
    [
        ("logits", FOUR, ONE, SAME.format("logits", 4, "logits", 1)),
        ("labels", FOUR, TWO, SAME.format("logits", 2, "logits", 4)),
        ("labels", ONE, FOUR, SAME.format("logits", 4, "logits", 1)),
        ("probabilities", TWO, ONE, SAME.format("probabilities", 2, "probabilities", 1)),
        ("pos_weight", FOUR, TWO, FITS.format("pos_weight", "logits", "pos_weight", 2, "logits", 4)),
        ("pos_weight", ONE, FOUR, FITS.format("pos_weight", "logits", "pos_weight", 4, "logits", 1)),
        ("weight", ONE, TWO, FITS.format("weight", "logits", "weight", 2, "logits", 1)),
        ("where", ONE, TWO, FITS.format("where", "logits", "where", 2, "logits", 1)),
        ("weight of reduce", ONE, FOUR, FITS.format("weight", "losses", "weight", 4, "losses", 1)),
        ("where of reduce", ONE, FOUR, FITS.format("where", "losses", "where", 4, "losses", 1)),
        ("x", FOUR, TWO, "y and x must broadcast together, got y (4,) and x (2,)"),
        ("y", FOUR, TWO, "y and x must broadcast together, got y (2,) and x (4,)"),
    ],
)
def test_unknown_lengths_that_differ(place, good, bad, text):
    result = PLACES[place](cut(good), for_place(place, cut(bad)))
    with raises(ValueError, text):
        result.compute(scheduler="synchronous")


def test_an_unknown_length_may_be_1_where_1_may_be():
    x, one = cut(FOUR), cut(ONE)
    wanted = bce(np.ones(4), np.ones(4), weight=np.ones(1))
    np.testing.assert_array_equal(bce(x, x, weight=one, pos_weight=one, where=one > 0).compute(), wanted)
    np.testing.assert_array_equal(xbce.special.xlogy(x, one).compute(), np.zeros(4))
    np.testing.assert_array_equal(xbce.special.xlogy(one, x).compute(), np.zeros(4))


@pytest.mark.parametrize("place", ["weight", "where", "pos_weight", "y"])
def test_a_chunk_of_length_1_is_not_broadcast_to_a_longer_one(place):
    """Two weights in two chunks were broadcast to four logits."""
    x, bad = cut(FOUR, 2), cut([0, 1, 0, 1], 2)
    first = "x" if place == "y" else "logits"
    text = f"{place} must have the chunks of {first} along axis -1, got one of length 1 and one of length 2"
    with raises(ValueError, text):
        PLACES[place](x, for_place(place, bad)).compute(scheduler="synchronous")


@pytest.mark.usefixtures("nothing_computed")
@pytest.mark.parametrize(
    ("good", "bad", "shown"),
    [
        (cut(FOUR), cut(FOUR, 2), "(nan, nan) and (nan,)"),
        (cut(FOUR), da.ones(4, chunks=4), "(4,) and (nan,)"),
        (da.ones(4, chunks=2), cut(FOUR, 2), "(nan, nan) and (2, 2)"),
    ],
    ids=["numbers of chunks", "known", "unknown"],
)
@pytest.mark.parametrize("place", ["labels", "pos_weight", "weight", "where", "where of reduce", "y"])
def test_unknown_chunks_that_cannot_be_matched(place, good, bad, shown):
    """One chunk of unknown length was broadcast to two."""
    name = place.partition(" ")[0]
    first = {"y": "x", "where of reduce": "losses"}.get(place, "logits")
    text = f"{name} must have the chunks of {first} along axis -1, where a length is not known yet, got {shown}; "
    with raises(ValueError, f"{text}call the method compute_chunk_sizes of both first"):
        PLACES[place](good, for_place(place, bad))


def test_known_lengths_of_1_beside_unknown_ones():
    x, one = cut([1, 0, 1, 1], 2), da.ones(1, chunks=1)
    np.testing.assert_array_equal(
        bce(x, 1, weight=one, where=one > 0, reduction="sum").compute(), bce(np.ones(3), 1, reduction="sum")
    )
    with raises(ValueError, "labels must have the shape of logits, got labels (1,) and logits (2,)"):
        bce(x, one).compute(scheduler="synchronous")


def test_graphs_have_names_that_depend_on_nothing_else():
    x, z = (da.from_array(a, (7, 6)) for a in (X, Z))
    with dask.config.set({"tokenize.ensure-deterministic": True}):
        names = [bce(x, z, weight=x, reduction="mean").name for _ in range(2)]
        names += [xbce.special.xlogy(x, z).name for _ in range(2)]
    assert names[0] == names[1]
    assert names[2] == names[3]
    assert bce(x, z, weight=z, reduction="mean").name != names[0]


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


@pytest.mark.thread_unsafe(reason="the scheduler that must not be called is that of all threads")
def test_primitives_reduce_and_check_labels():
    x = da.from_array(X, (7, 6))
    with dask.config.set(scheduler=never):
        results = [xbce.special.softplus(x), xbce.special.xlogy(x, x * x), xbce.reduce(x, axis=0)]
    wanted = [xbce.special.softplus(X), xbce.special.xlogy(X, X * X), xbce.reduce(X, axis=0)]
    for i, (a, b) in enumerate(zip(results, wanted, strict=True)):
        with step("dask", xbce.special, i):
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


ODD = ((1, 17, 5, 30, 7), (4, 1, 1))
ON_A_CLUSTER = [
    {},
    {"reduction": "mean", "normalize_by": "weight", "weight": W, "where": KEPT},
    {"reduction": "sum", "axis": 0},
    {"reduction": "sum", "precision": "high"},
    {"reduction": "mean", "axis": 1, "precision": "high"},
]


def compare_on_a_cluster(options):
    """Compute with chunks of any length on the workers; with high precision the bits are those of NumPy."""
    x, z = da.from_array(X, ODD), da.from_array(Z, (13, 6))
    keywords = {name: lazy(value, (19, 4)) for name, value in options.items()}
    got, wanted = dask.compute(*bce.value_and_gradient(x, z, **keywords)), bce.value_and_gradient(X, Z, **options)
    for a, b in zip(got, wanted, strict=True):
        with step("dask", bce.value_and_gradient, **options):
            np.testing.assert_allclose(a, b, rtol=0 if "precision" in options else 1e-14, atol=0)


def test_odd_chunks_on_a_cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=None):
        for options in ON_A_CLUSTER:
            compare_on_a_cluster(options)


_EACH_A_GPU = """
import os

import dask
from distributed import Client, Nanny, Scheduler, SpecCluster, get_worker

from tests.backends import test_dask

if __name__ == "__main__":
    workers = {
        i: {
            "cls": Nanny,
            "options": {"nthreads": 1, "resources": {"GPU": 1}, "env": {"CUDA_VISIBLE_DEVICES": str(i)}},
        }
        for i in range(2)
    }
    scheduler = {"cls": Scheduler, "options": {"dashboard": False}}
    with SpecCluster(workers=workers, scheduler=scheduler) as cluster, Client(cluster) as client:
        seen = client.run(lambda: os.environ["CUDA_VISIBLE_DEVICES"])
        assert sorted(seen.values()) == ["0", "1"], seen
        with dask.annotate(resources={"GPU": 1}), dask.config.set({"optimization.fuse.active": False}):
            for options in test_dask.ON_A_CLUSTER:
                test_dask.compare_on_a_cluster(options)
        print("compared")
"""


@pytest.mark.long
def test_a_cluster_with_a_gpu_for_each_worker(tmp_path):
    """As dask-cuda has it, but without GPUs: a worker sees one of them, and tasks ask for one."""
    pytest.importorskip("distributed")
    script = tmp_path / "each_a_gpu.py"
    script.write_text(_EACH_A_GPU, "utf-8")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "conformance")))}
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, env=environment)
    assert run.stdout.splitlines()[-1:] == ["compared"], run.stderr[-3000:]
