"""`precision="high"`: the exact result rounded once, the same bits on every library, whatever the parts of a sum.

The suite measures it against ball arithmetic (`xbce-conformance run --precision high`).
"""

import math
import pickle
from fractions import Fraction

import numpy as np
import pytest

import xbce
from tests.helpers import NUMPY, assert_same_bits, jax_float64, step
from xbce._precision import tables
from xbce_conformance.cases.losses import FAMILY
from xbce_conformance.inputs.formats import FORMATS

bce = xbce.binary_cross_entropy_with_logits
RANDOM = np.random.default_rng(18)
LOGITS = np.concatenate(
    [RANDOM.normal(0, 6, 300), RANDOM.uniform(-80, 80, 90), [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-30]]
)
LABELS = np.where(RANDOM.random(396) < 0.5, RANDOM.integers(0, 2, 396), RANDOM.random(396))
WEIGHTS = RANDOM.exponential(1, 396)
OPTIONS = {
    "binary_cross_entropy_with_logits": {"pos_weight": 0.3, "label_smoothing": 0.1},
    "binary_cross_entropy": {"clip": 1e-7},
    "sigmoid_focal_loss": {"gamma": 1.3, "alpha": 0.25},
    "asymmetric_loss": {"shift": 0.05},
}


def inputs(name, dtype):
    finite = np.where(np.isfinite(LOGITS), LOGITS, 0)
    scores = abs(finite) % 1 if name == "binary_cross_entropy" else LOGITS
    return scores.astype(dtype), LABELS.astype(dtype)


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIONS)
def test_the_bits_are_those_of_numpy(backend, name, kind):
    if backend.name == "jax" and (name, kind) == ("asymmetric_loss", "float64"):
        pytest.skip("XLA takes a minute to compile it; `xbce-conformance hashes` compares it")
    scores, labels = inputs(name, kind)
    wanted = getattr(xbce, name).value_and_gradient(scores, labels, precision="high", **OPTIONS[name])
    x, z = backend.from_numpy(scores), backend.from_numpy(labels)
    got = getattr(xbce, name).value_and_gradient(x, z, precision="high", **OPTIONS[name])
    for a, b in zip(got, wanted, strict=True):
        a = backend.to_numpy(a)
        if backend.name.startswith("jax"):  # it flushes subnormal results
            normal = ~(np.abs(b) < np.finfo(kind).smallest_normal)
            a, b = a[normal], b[normal]
        np.testing.assert_array_equal(a, b, err_msg=f"{name} on {backend.name}")


def test_every_loss_of_the_family_is_here():
    assert {*OPTIONS} == {*FAMILY}


def test_native_is_the_default():
    x, z = inputs("binary_cross_entropy_with_logits", "float32")
    assert_same_bits(NUMPY, bce(x, z, precision="native"), bce(x, z))
    assert (bce(x, z, precision="high") != bce(x, z))[np.isfinite(x)].any()


# Float64 rounded once gets these wrong (the suite's hard cases have the others).
@pytest.mark.parametrize(
    ("method", "logit", "right"),
    [
        ("__call__", "0x1.d483a0p-12", "0x1.63017a0000000p-1"),
        ("gradient", "-0x1.0p-24", "0x1.0000000000000p-1"),
        ("gradient", "0x1.0p-23", "0x1.0000000000000p-1"),
        ("gradient", "-0x1.8p-23", "0x1.fffffe0000000p-2"),
    ],
)
def test_what_lies_next_to_the_middle_of_two_numbers_is_rounded_to_the_nearer_one(backend, method, logit, right):
    x = backend.from_numpy(np.full(3, float.fromhex(logit), np.float32))
    with step(backend, bce, method, logit):
        got = backend.to_numpy(getattr(bce, method)(x, 0, precision="high"))
        assert got.tolist() == [float.fromhex(right)] * 3


def test_what_lies_next_to_half_of_the_smallest_number_is_rounded_right(backend):
    if "float16" not in backend.dtypes or backend.flushes_subnormals(FORMATS["float16"]):
        pytest.skip(f"{backend.name} has no subnormal numbers of float16")
    least = 2.0**-24
    x = backend.from_numpy(np.array([-least, least], np.float16))
    # log(1 - 2^-24) / 2 is -2^-25 - 2^-50: float32 does not tell it from the middle between 0 and -2^-24.
    got = backend.to_numpy(xbce.special.xlog1py(0.5, x, precision="high"))
    assert got.tolist() == [-least, 0]


def test_a_result_does_not_depend_on_its_neighbours():
    x, z = inputs("binary_cross_entropy_with_logits", "float32")
    whole = bce(np.tile(x, 200), np.tile(z, 200), precision="high")
    assert_same_bits(NUMPY, whole, np.tile(bce(x, z, precision="high"), 200))
    assert_same_bits(NUMPY, np.array([bce(x[i], z[i], precision="high") for i in range(396)]), whole[:396])


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
@pytest.mark.parametrize("options", [{}, {"weight": WEIGHTS}, {"where": WEIGHTS < 1, "normalize_by": "size"}])
def test_a_sum_does_not_depend_on_the_order(kind, options):
    x, z = (np.nan_to_num(a, posinf=1, neginf=2) for a in inputs("binary_cross_entropy_with_logits", kind))
    options = {name: a.astype(kind) if name == "weight" else a for name, a in options.items()}
    for reduction in ("sum", "mean"):
        wanted = bce(x, z, reduction=reduction, precision="high", **options)
        for _ in range(20):
            order = RANDOM.permutation(x.size)
            of_arrays = {name: a[order] if isinstance(a, np.ndarray) else a for name, a in options.items()}
            assert bce(x[order], z[order], reduction=reduction, precision="high", **of_arrays) == wanted


def test_a_sum_has_the_bits_of_numpy_in_any_chunks(backend):
    x = RANDOM.normal(0, 9, 70001).astype(np.float32)
    z = RANDOM.integers(0, 2, 70001).astype(np.float32)
    for options in ({"reduction": "sum"}, {"reduction": "mean"}, {"reduction": "mean", "weight": x * x}):
        wanted = bce(x, z, precision="high", **options)
        of_arrays = {name: backend.from_numpy(a) if name == "weight" else a for name, a in options.items()}
        got = bce(backend.from_numpy(x), backend.from_numpy(z), precision="high", **of_arrays)
        assert backend.to_numpy(got) == wanted, (backend.name, options)


def test_a_sum_is_the_exact_one_rounded_once():
    losses = RANDOM.normal(0, 1, 10001) * np.exp2(RANDOM.uniform(-30, 30, 10001))
    exact = float(sum(map(Fraction, losses.tolist())))
    assert xbce.reduce(losses, reduction="sum", precision="high") == exact
    mean = bce(LOGITS[:300].astype(np.float32), 1, reduction="mean", precision="high", dtype=np.float64)
    terms = bce(LOGITS[:300].astype(np.float32).astype(np.float64), 1, precision="high")
    assert mean == float(sum(map(Fraction, terms.tolist()))) / 300


def test_a_sum_with_what_is_not_finite():
    total = {"reduction": "sum", "precision": "high"}
    assert xbce.reduce(np.array([1.0, np.inf]), **total) == np.inf
    assert np.isnan(xbce.reduce(np.array([-np.inf, np.inf, 2.0]), **total))
    assert np.isnan(xbce.reduce(np.array([np.nan, 1.0]), **total))
    assert xbce.reduce(np.array([1.0, np.nan]), where=np.array([True, False]), **total) == 1
    assert xbce.reduce(np.zeros(0), **total) == 0
    assert np.isnan(xbce.reduce(np.zeros(0), precision="high"))
    assert xbce.reduce(np.array([1.7e308, 1.7e308, -1.7e308]), **total) == 1.7e308
    assert xbce.reduce(np.array([5e-324, 5e-324]), **total) == 1e-323


def test_an_accumulator_refuses_a_traced_array():
    jax = pytest.importorskip("jax")

    def add(losses):
        xbce.SumAccumulator().add(losses)
        return losses

    with (
        jax_float64(on=True),
        pytest.raises(TypeError, match="losses must have values that can be looked at, got a lazy"),
    ):
        jax.jit(add)(jax.numpy.ones(3))


@pytest.mark.parametrize("shards", [1, 7])
def test_an_accumulator_has_the_bits_of_the_whole(backend, shards):
    losses = (RANDOM.normal(0, 1, 640) * np.exp2(RANDOM.uniform(-90, 90, 640))).astype(np.float64)
    weight, where = RANDOM.random(640), RANDOM.random(640) < 0.9
    wanted = xbce.reduce(losses, weight=weight, where=where, reduction="sum", precision="high")
    total = xbce.SumAccumulator()
    for part in np.array_split(RANDOM.permutation(640), shards):
        own = xbce.SumAccumulator()
        x, w, m = (backend.from_numpy(a[part]) for a in (losses, weight, where))
        own.add(x, weight=w, where=m)
        total.merge(pickle.loads(pickle.dumps(own)))  # noqa: S301 - our own bytes
    assert total.result() == wanted
    assert total.count == where.sum()


def test_an_accumulator_of_nothing_and_of_what_is_not_finite():
    total = xbce.SumAccumulator()
    assert (total.result(), total.count) == (0.0, 0)
    total.add(np.zeros((0, 3)))
    assert (total.result(), total.count) == (0.0, 0)
    total.add(np.float32([[1.5]]))
    total.add(np.array(2.0))
    assert (total.result(), total.count) == (3.5, 2)
    total.add(np.array([np.inf]))
    assert total.result() == math.inf
    total.add(np.array([-np.inf]))
    assert math.isnan(total.result())


def test_an_accumulator_refuses_other_precisions():
    with pytest.raises(ValueError, match=r"precision must be one of 'high', got 'native'"):
        xbce.SumAccumulator(precision="native")


def test_torch_differentiates_to_the_closed_forms():
    torch = pytest.importorskip("torch")
    for dtype in ("float32", "float64"):
        x, z = (torch.asarray(a) for a in inputs("binary_cross_entropy_with_logits", dtype))
        x.requires_grad_()
        gradient, hessian = bce.gradient_and_hessian(x.detach(), z, precision="high")
        (once,) = torch.autograd.grad(bce(x, z, precision="high").sum(), x, create_graph=True)
        (twice,) = torch.autograd.grad(once.sum(), x)
        for got, wanted in ((once, gradient), (twice, hessian)):
            np.testing.assert_array_equal(got.detach(), wanted)
        finite = torch.isfinite(x.detach())
        x = x.detach()[finite].requires_grad_()
        bce(x, z[finite], reduction="sum", precision="high").backward()
        np.testing.assert_array_equal(x.grad, gradient[finite])


def test_jax_differentiates_to_the_closed_forms():
    jax = pytest.importorskip("jax")
    x, z = (a[:390] for a in inputs("binary_cross_entropy_with_logits", "float32"))
    with jax_float64(True):
        got = jax.grad(lambda x: bce(x, jax.numpy.asarray(z), reduction="sum", precision="high"))(jax.numpy.asarray(x))
    np.testing.assert_array_equal(got, bce.gradient(x, z, precision="high"))


def test_float64_must_be_there():
    jax = pytest.importorskip("jax")
    with (
        jax_float64(False),
        pytest.raises(ValueError, match=r"^precision='high' needs float64, .* set jax_enable_x64$"),
    ):
        bce(jax.numpy.zeros(3), 1, precision="high")


def test_a_precision_is_one_of_two():
    for call in (bce, bce.gradient, xbce.reduce, xbce.special.expit):
        arguments = (np.zeros(3),) if call in (xbce.reduce, xbce.special.expit) else (np.zeros(3), 1)
        with pytest.raises(ValueError, match=r"precision must be one of 'native', 'high', got 'double'"):
            call(*arguments, precision="double")


def test_options_that_are_arrays_give_what_their_numbers_give(backend):
    x, z = (backend.from_numpy(a[:6].astype("float32")) for a in (LOGITS, LABELS))
    gamma = np.linspace(0, 3, 6, dtype=np.float32)
    got = backend.to_numpy(xbce.sigmoid_focal_loss(x, z, gamma=backend.from_numpy(gamma), precision="high"))
    of_numbers = [
        xbce.sigmoid_focal_loss(np.float32([a]), np.float32([b]), gamma=float(g), precision="high")
        for a, b, g in zip(LOGITS, LABELS, gamma, strict=False)
    ]
    np.testing.assert_array_equal(got, np.concatenate(of_numbers))


def test_primitives_keep_special_values(backend):
    x = backend.from_numpy(np.array([np.inf, -np.inf, np.nan, 0.0]))
    special = xbce.special
    for function, wanted in {
        special.expit: [1, 0, np.nan, 0.5],
        special.softplus: [np.inf, 0, np.nan, math.log(2)],
        special.log_expit: [0, -np.inf, np.nan, -math.log(2)],
        special.log1mexp: [np.nan, 0, np.nan, -np.inf],
    }.items():
        with step(backend, function):
            np.testing.assert_array_equal(backend.to_numpy(function(x, precision="high")), wanted)
    p = backend.from_numpy(np.array([0.0, 1.0, 0.5, np.nan, 2.0]))
    wanted = [-np.inf, np.inf, 0, np.nan, np.nan]
    np.testing.assert_array_equal(backend.to_numpy(special.logit(p, precision="high")), wanted)
    zero = backend.from_numpy(np.zeros(3))
    y = backend.from_numpy(np.array([0.0, np.inf, np.nan]))
    for function in (special.xlogy, special.xlog1py):
        with step(backend, function):
            np.testing.assert_array_equal(backend.to_numpy(function(zero, y, precision="high")), [0, 0, np.nan])


class _Device:
    """A device as CuPy's: it has a name, and cannot be hashed."""

    __hash__ = None

    def __init__(self, name):
        self.name = name

    def __str__(self):
        return self.name


class _Indices(np.ndarray):
    device = None


def test_tables_are_kept_for_each_device_even_one_that_cannot_be_hashed():
    made = []

    class Library:
        float64, reshape = np.float64, staticmethod(np.reshape)

        @staticmethod
        def asarray(numbers, *, dtype, device):
            made.append(str(device))
            return np.asarray(numbers, dtype)

        @staticmethod
        def take(array, index, *, axis):
            return np.take(array, np.asarray(index), axis=axis)

    index = np.array([[0, 1], [2, 1023]]).view(_Indices)
    for name in ("device 0", "device 1", "device 0", "device 1"):
        index.device = _Device(name)
        found = tables.lookup(Library, tables.POWER, index)
        wanted = np.asarray(tables.POWER.numbers)[np.asarray(index)]
        assert_same_bits(NUMPY, np.asarray(found), wanted, context=name)
    assert made == ["device 0", "device 1"]
