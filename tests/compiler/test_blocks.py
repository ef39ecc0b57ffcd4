"""Large arrays are worked on in blocks, of any layout: little memory, the kernel's bits, the layout of the argument."""

import math
import tracemalloc

import numpy as np
import pytest

import xbce
from tests.helpers import step
from xbce._compiler import threads as _threads
from xbce._compiler.cache import Compiled
from xbce._compiler.layout import memory_order

numpy_runner = pytest.importorskip("xbce._backends.numpy")
loss = xbce.binary_cross_entropy_with_logits


@pytest.fixture(autouse=True)
def _threads_of_its_own(monkeypatch):
    """Let no test depend on the threads of BLAS, whose limit holds once any test has imported threadpoolctl."""
    monkeypatch.setattr(_threads, "_blas_libraries", lambda _: [])
    monkeypatch.setattr(_threads, "_chosen", 1)
    monkeypatch.setattr(_threads, "_pool", None)


@pytest.fixture
def torch():
    """Return PyTorch, held to two threads, which its blocks are as large as."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield torch
    torch.set_num_threads(before)


def numbers(count):
    rng = np.random.default_rng(0)
    x, z = rng.normal(0, 4, count), rng.integers(0, 2, count)
    return x.astype("f4"), z.astype("f4"), rng.uniform(size=count) < 0.9, rng.uniform(0.5, 2, count).astype("f4")


# name: how a vector becomes the logits and labels, and how one becomes the mask and the weights
LAYOUTS = {
    "vector": (lambda a: a, lambda a: a),
    "one row, vector": (lambda a: a.reshape(1, -1), lambda a: a),
    "one column, column": (lambda a: a.reshape(-1, 1), lambda a: a.reshape(-1, 1)),
    "two rows, vector": (lambda a: a.reshape(2, -1), lambda a: a[::2]),
    "two rows, column": (lambda a: a.reshape(2, -1), lambda a: a[-2:].reshape(2, 1)),
    "two columns, vector": (lambda a: a.reshape(-1, 2), lambda a: a[-2:]),
    "two columns, column": (lambda a: a.reshape(-1, 2), lambda a: a[::2].reshape(-1, 1)),
    "two rows in F order, vector": (lambda a: a.reshape(-1, 2).T, lambda a: a[::2]),
    "two columns in F order, column": (lambda a: a.reshape(2, -1).T, lambda a: a[::2].reshape(-1, 1)),
    "C order, F order": (lambda a: a.reshape(1000, -1), lambda a: a.reshape(-1, 1000).T),
    "one row, strided": (lambda a: a.reshape(1, -1)[:, ::2], lambda a: a[::2]),
    "two rows, cut": (lambda a: a.reshape(2, -1)[:, 5:], lambda a: a[10::2]),
    "two rows, reversed": (lambda a: a.reshape(2, -1)[::-1, ::-1], lambda a: a[::2]),
    "3-d, middle": (lambda a: a.reshape(2, -1, 3), lambda a: a[::6].reshape(-1, 1)),
    "channels last, channels": (
        lambda a: a.reshape(2, -1, 200, 5).transpose(0, 3, 1, 2),
        lambda a: a[:5].reshape(5, 1, 1),
    ),
}


def arguments(layout, count):
    full, other = LAYOUTS[layout]
    x, z, where, weight = numbers(count)
    return full(x), full(z), {"where": other(where), "weight": other(weight)}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("normalize_by", ["count", "weight"])
def test_a_mean_takes_little_memory(layout, normalize_by):
    x, z, options = arguments(layout, 1_200_000)
    bytes_ = peak(lambda: loss(x, z, reduction="mean", normalize_by=normalize_by, **options))
    assert bytes_ < 2.5e6  # for blocks of 2^15 elements, while a float64 for each of the array's took 9.6e6


@pytest.mark.parametrize("layout", LAYOUTS)
def test_losses_and_gradients_take_little_more_memory_than_they_have(layout):
    x, z, options = arguments(layout, 1_200_000)
    assert peak(lambda: loss(x, z, **options)) < x.nbytes + 3e6
    assert peak(lambda: loss.value_and_gradient(x, z, reduction="mean", **options)) < x.nbytes + 3e6


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("shape", [(100, 12_000), (3, 400_000), (12_000, 100), (400_000, 3)])
def test_sums_over_an_axis_take_the_memory_of_their_results(shape, axis):
    x, z, _, _ = numbers(1_200_000)
    x, z = x.reshape(shape), z.reshape(shape)
    result = 8 * shape[1 - axis]  # sums in float64, which are rounded at the end
    assert peak(lambda: loss(x, z, reduction="sum", axis=axis)) < 2 * result + 1.5e6


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("methods", [("value",), ("value", "gradient")], ids=str)
def test_blocks_have_the_bits_of_the_kernel(layout, methods):
    x, z, options = arguments(layout, 240_000)
    plan, arrays = loss._planned(methods, (x, z), {"reduction": "none", **options})
    with np.errstate(all="ignore"):
        exact = plan.kernel(numpy_runner.NAMESPACE, *arrays, *plan.numbers)
    for method, result, expected in zip(methods, plan.results(arrays), exact, strict=True):
        with step("numpy", loss, method, layout):
            np.testing.assert_array_equal(result, expected, strict=True)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("axis", [None, 0, -1, (0, -1)])
@pytest.mark.parametrize("dtype", ["f4", pytest.param("f8", marks=pytest.mark.long)])
def test_sums_are_accurate_and_have_the_same_bits_for_any_number_of_threads(layout, axis, dtype, monkeypatch):
    monkeypatch.setattr(numpy_runner, "_SHARED", 2**16)
    x, z, options = arguments(layout, 240_000)
    x, axis = x.astype(dtype), 0 if x.ndim == 1 and axis == (0, -1) else axis
    results = []
    for threads in (1, 3):
        monkeypatch.setattr(_threads, "_chosen", threads)
        both = loss.value_and_gradient(x, z, reduction="sum", axis=axis, **options)
        results.append([*both, loss(x, z, reduction="mean", axis=axis, **options)])
    for quantity, once, again in zip(("sum", "gradient", "mean"), *results, strict=True):
        with step("numpy", loss, quantity, layout, dtype, axis=axis):
            np.testing.assert_array_equal(again, once, strict=True)
    # A weight multiplies in the dtype that sums run in.
    losses = loss(x, z, where=options["where"]).astype("f8") * options["weight"]
    expected = exact_sums(losses, axis)
    rtol = {"f4": 2**-24, "f8": 4e-16}[dtype] + 4e-16  # the last rounding, and pairwise sums
    np.testing.assert_allclose(results[0][0], expected, rtol=rtol, atol=0)
    assert np.shape(results[0][0]) == expected.shape


def exact_sums(losses, axis):
    """Return exact sums, each rounded once."""
    axes = range(losses.ndim) if axis is None else [i % losses.ndim for i in np.atleast_1d(axis)]
    kept = [i for i in range(losses.ndim) if i not in axes]
    shape = tuple(losses.shape[i] for i in kept)
    rows = losses.transpose(*kept, *axes).reshape(math.prod(shape), -1)
    return np.reshape([math.fsum(row) for row in rows.tolist()], shape)


def peak(function):
    """Return the most bytes that were allocated at once, beyond those at the beginning."""
    function()  # makes programs and plans, which are kept
    tracemalloc.start()
    try:
        result = function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        del result


def blocks_of(monkeypatch, call):
    """Return the shapes of the blocks that a call is worked on in, each once, and how many there are."""
    shapes = []
    run = Compiled.run

    def spy(self, arrays, scratch, outputs):
        shapes.append(tuple(arrays[0].shape))
        run(self, arrays, scratch, outputs)

    monkeypatch.setattr(Compiled, "run", spy)
    call()
    return list(dict.fromkeys(shapes)), len(shapes)


@pytest.mark.parametrize(
    ("threads", "dtype", "count", "shapes", "blocks"),
    [
        (1, "f4", 2**20, [(2**15,)], 32),
        (1, "f8", 2**20, [(2**15,)], 32),
        (2, "f4", 2**19 - 1, [(2**15,), (2**15 - 1,)], 16),  # few enough for one thread
        (2, "f4", 2**20, [(2**17,)], 8),
        (2, "f8", 2**20, [(2**16,)], 16),
        (2, "f2", 2**20, [(2**17,)], 8),
        (8, "f4", 2**19, [(2**16,)], 8),
        (5, "f4", 2**19, [(2**17,)], 4),
        (32, "f4", 2**19, [(2**15,)], 16),
    ],
)
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_blocks_of_vectors(threads, dtype, count, shapes, blocks, reduction, monkeypatch):
    monkeypatch.setattr(_threads, "_chosen", threads)
    monkeypatch.setattr(numpy_runner, "in_threads", lambda work, parts, _: [work(part) for part in parts])
    x = np.zeros(count, dtype)
    assert blocks_of(monkeypatch, lambda: loss(x, x, reduction=reduction)) == (shapes, blocks)


@pytest.mark.parametrize(
    ("threads", "count", "shapes", "blocks"),
    [
        (1, 2**20 + 1, [(2**15 + 64,), (30_785,)], 32),
        (1, 2**17 + 100, [(32_832,), (32_676,)], 4),
        (1, 140_000, [(35_008,), (34_976,)], 4),
        (2, 2**19 - 1, [(2**15,), (2**15 - 1,)], 16),
        (2, 2**20, [(2**17,)], 8),
    ],
)
def test_blocks_on_one_thread_are_even_where_nothing_is_summed(threads, count, shapes, blocks, monkeypatch):
    monkeypatch.setattr(_threads, "_chosen", threads)
    monkeypatch.setattr(numpy_runner, "in_threads", lambda work, parts, _: [work(part) for part in parts])
    x = np.zeros(count, np.float32)
    assert blocks_of(monkeypatch, lambda: loss(x, x, reduction="none")) == (shapes, blocks)


@pytest.mark.parametrize(
    ("threads", "shape", "where", "axis", "shapes", "blocks"),
    [
        # Rows as they come, unless one is longer than a block.
        (1, (1000, 1000), (1000,), None, [(32, 1000), (8, 1000)], 32),
        (1, (1000, 1000), (1000, 1), None, [(32, 1000), (8, 1000)], 32),
        (1, (2, 500_000), (500_000,), None, [(1, 31_250)], 32),
        (1, (500_000, 2), (2,), None, [(16_130, 2), (16_100, 2)], 31),
        (1, (20, 50, 1000), (50, 1), None, [(1, 25, 1000)], 40),
        # Axes that are one in memory.
        (1, (20, 50, 1000), (50, 1000), None, [(1, 25_000)], 40),
        (1, (20, 50, 1000), (20, 1, 1), None, [(1, 25_000)], 40),
        (1, (1, 1000, 1, 1000), (1000, 1, 1000), None, [(32_768,), (16_960,)], 31),
        # A block sums 64 elements at least, and what it keeps is the shorter for it.
        (1, (1000, 1000), (), 0, [(63, 500), (55, 500)], 32),
        (1, (1000, 1000), (), 1, [(32, 1000), (8, 1000)], 32),
        (1, (10, 30_000), (), 0, [(10, 3000)], 10),
        (1, (10, 100_000), (), 1, [(1, 25_000)], 40),
        (1, (10, 1000, 100), (), (0, 2), [(1, 250, 100)], 40),
        (1, (1000, 250, 4), (), (0, 2), [(32, 250, 4), (8, 250, 4)], 32),
        # Sums of blocks that threads must not change; others may be larger.
        (2, (1000, 1000), (), 0, [(63, 500), (55, 500)], 32),
        (2, (1000, 1000), (), 1, [(125, 1000)], 8),
        (2, (1000, 1000), (1000,), None, [(32, 1000), (8, 1000)], 32),
        (2, (20, 50_000), (), 1, [(1, 25_000)], 40),
    ],
)
def test_blocks_of_other_arrays(threads, shape, where, axis, shapes, blocks, monkeypatch):
    monkeypatch.setattr(_threads, "_chosen", threads)
    monkeypatch.setattr(numpy_runner, "in_threads", lambda work, parts, _: [work(part) for part in parts])
    x = np.zeros(shape, "f4")
    options = {"where": np.ones(where, bool), "normalize_by": "size", "reduction": "mean", "axis": axis}
    assert blocks_of(monkeypatch, lambda: loss(x, x, **options)) == (shapes, blocks)


def test_blocks_of_tensors(torch, monkeypatch):
    x = torch.zeros(2**19 + 1)
    assert blocks_of(monkeypatch, lambda: loss(x, x)) == ([(2**18,), (1,)], 3)
    rows = torch.zeros(3, 2**18 + 2)
    where = rows[0] == 0
    assert blocks_of(monkeypatch, lambda: loss(rows, rows, where=where)) == ([(1, 2**17 + 1)], 6)


@pytest.mark.parametrize(
    ("shape", "strides", "order"),
    [
        ((2, 3, 4), (12, 4, 1), (0, 1, 2)),
        ((2, 3, 4), (1, 2, 6), (2, 1, 0)),
        ((2, 3, 4), (12, 1, 3), (0, 2, 1)),
        ((2, 3, 4), (-12, -1, 3), (0, 2, 1)),
        ((2, 1, 4), (4, 1, 1), (0, 2, 1)),
        ((2, 3, 4), (0, 1, 3), (0, 2, 1)),
        ((2, 3, 4), (1, 0, 2), (2, 1, 0)),
        ((2, 3), (0, 1), (0, 1)),
        ((2, 3), (1, 0), (0, 1)),
        ((2, 3), (0, 0), (0, 1)),
    ],
)
def test_memory_order(shape, strides, order):
    assert memory_order(shape, strides) == order


ORDERS = {
    "C order": lambda a: a,
    "F order": lambda a: a.transpose(3, 2, 1, 0),
    "channels last": lambda a: a.transpose(0, 3, 1, 2),
    "one channel, last": lambda a: a[..., :1].copy().transpose(0, 3, 1, 2),
    "cut channels last": lambda a: a.transpose(0, 3, 1, 2)[:, :2, 1:],
    "reversed": lambda a: a.transpose(0, 3, 1, 2)[::-1, :, ::-1],
    "broadcast along the first axis": lambda a: np.broadcast_to(a[0].transpose(2, 0, 1), (4, 3, *a.shape[1:3])),
    "broadcast along the last axis": lambda a: np.broadcast_to(a[..., :1], a.shape),
    "broadcast along the first of two axes": lambda a: np.broadcast_to(a.reshape(-1), (2, a.size)),
}


def layout_of(x):
    """Return what is certain of an array's strides: not those along axes of length 1."""
    return x.shape, [stride for stride, n in zip(x.strides, x.shape, strict=True) if n > 1]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("width", [4, 200], ids=["small", "large"])
def test_results_have_the_memory_layout_of_the_logits(order, width):
    x = ORDERS[order](np.linspace(-5, 5, 4 * width**2 * 3, dtype="f4").reshape(4, width, width, 3))
    value, gradient = loss.value_and_gradient(x, 1)
    assert layout_of(value) == layout_of(gradient) == layout_of(x + np.float32(1))
    np.testing.assert_array_equal(value, loss(np.array(x, order="C"), 1), strict=True)
    result = loss.gradient(x, 1, reduction="mean", axis=1)
    assert layout_of(result) == layout_of(value)
    np.testing.assert_allclose(result, gradient / x.shape[1], rtol=3e-7)
    sums = loss(x, 1, reduction="sum", axis=1)
    np.testing.assert_allclose(sums, value.sum(1, dtype="f8"), rtol=3e-7)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("width", [4, 200], ids=["small", "large"])
def test_results_have_the_memory_layout_of_the_logits_in_pytorch(order, width, torch):
    a = torch.linspace(-5, 5, 4 * width**2 * 3).reshape(4, width, width, 3)
    strided = ORDERS[order](a.numpy())
    if any(stride < 0 for stride in strided.strides):
        pytest.skip("PyTorch has no negative strides")
    x = a.as_strided(strided.shape, [stride // 4 for stride in strided.strides])
    z = torch.ones_like(x)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(x, z, reduction="none")
    value, gradient = loss.value_and_gradient(x, z)
    assert value.stride() == gradient.stride() == expected.stride()
    torch.testing.assert_close(value, expected)
    x.requires_grad_()
    (slope,) = torch.autograd.grad(loss(x, z, reduction="mean"), x)
    assert slope.stride() == expected.stride()
    torch.testing.assert_close(slope, gradient / x.numel())


def test_channels_last_survives_large_images(torch):
    x = torch.randn(8, 3, 256, 256).to(memory_format=torch.channels_last)
    for method, reduction in ((loss, "none"), (loss.gradient, "mean")):
        with step("torch", method, reduction=reduction):
            result = method(x, torch.ones_like(x), reduction=reduction)
            assert result.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("layout", ["vector", "one row, vector", "two rows, vector", "two columns in F order, column"])
@pytest.mark.parametrize("trains", [False, True], ids=["value", "with backward"])
def test_a_mean_in_pytorch_makes_no_large_tensor(layout, trains, torch):
    x, z, options = arguments(layout, 1_200_000)
    x, z, options = torch.asarray(x), torch.asarray(z), {k: torch.asarray(v) for k, v in options.items()}
    x.requires_grad_(trains)

    def mean():
        value = loss(x, z, reduction="mean", normalize_by="weight", **options)
        if trains:
            value.backward()

    mean()
    x.grad = None
    with torch.profiler.profile(profile_memory=True) as profile:
        mean()
        x.grad = None
    freed = sorted(-event.cpu_memory_usage for event in profile.events() if event.name == "[memory]")
    if trains:
        assert freed.pop() == 4 * x.numel()  # the gradient
    assert freed[-1] <= 8 * 2**18  # float64 for a block


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if "reversed" not in name])
@pytest.mark.parametrize("axis", [None, 0, pytest.param(-1, marks=pytest.mark.long)])
def test_sums_in_blocks_of_pytorch_are_accurate(layout, axis, torch):
    x, z, options = arguments(layout, 240_000)
    tensors = {k: torch.asarray(v) for k, v in options.items()}
    result, gradient = loss.value_and_gradient(
        torch.asarray(x), torch.asarray(z), reduction="sum", axis=axis, **tensors
    )
    losses = loss(torch.asarray(x), torch.asarray(z), where=tensors["where"]).double() * tensors["weight"]
    np.testing.assert_allclose(result, exact_sums(losses.numpy(), axis), rtol=2**-23, atol=0)
    expected = loss.gradient(x, z, **options)
    np.testing.assert_allclose(gradient, expected, rtol=2e-6, atol=0)
    assert tuple(gradient.shape) == expected.shape


@pytest.mark.parametrize("count", [2**15 + 1, 100_000, 2**17])
def test_a_mean_of_few_elements_is_one_block_with_the_bits_of_several(count, monkeypatch):
    monkeypatch.setattr(_threads, "_chosen", 1)
    x = np.random.default_rng(0).normal(0, 4, count).astype(np.float32)
    z = (x > 1).astype(np.float32)
    results = []
    for whole, blocks in ((numpy_runner._WHOLE, 1), (0, -(-count // 2**15))):
        monkeypatch.setattr(numpy_runner, "_WHOLE", whole)
        shapes = blocks_of(monkeypatch, lambda: results.append(loss(x, z, reduction="mean")))
        assert shapes[1] == blocks
    assert results[0] == results[1]
