"""Every loss of the family: options, identities, special values, on every backend."""

import math

import numpy as np
import pytest
from array_api_compat import array_namespace
from hypothesis import given
from hypothesis import strategies as st

import xbce
from tests.helpers import NUMPY, approx, assert_equal, assert_ulp, device_of, step
from xbce_conformance import contract
from xbce_conformance.inputs.formats import FORMATS

bce = xbce.binary_cross_entropy_with_logits
focal, asymmetric, of_probabilities = xbce.sigmoid_focal_loss, xbce.asymmetric_loss, xbce.binary_cross_entropy


def arrays(backend, dtype="float64", *, probabilities=False, shape=(4, 3), seed=0):
    """Return scores, labels and pos_weight, with hard and soft labels."""
    rng = np.random.default_rng(seed)
    fmt = FORMATS[dtype]
    scores = rng.uniform(0.01, 0.99, shape) if probabilities else rng.normal(0, 4, shape)
    labels = np.where(rng.uniform(size=shape) < 0.5, rng.integers(0, 2, shape), rng.uniform(0, 1, shape))
    pos_weight = rng.uniform(0.2, 4, shape[-1:])
    return tuple(backend.from_numpy(fmt.round(a)) for a in (scores, labels, pos_weight))


QUANTITIES = ("value", "gradient", "hessian", "label_gradient")


def results(loss, *args, **options):
    """Return value, gradient, hessian and label gradient."""
    return [loss(*args, **options)] + [
        getattr(loss, m)(*args, **options) for m in ("gradient", "hessian", "label_gradient")
    ]


def test_namespace_dtype_shape_device(backend, loss, options, probabilities):
    x, z, p = arrays(backend, "float32", probabilities=probabilities)
    for quantity, result in zip(QUANTITIES, results(loss, x, z, pos_weight=p, **options), strict=True):
        with step(backend, loss, quantity, **options):
            assert array_namespace(result) is array_namespace(x)
            assert result.dtype == x.dtype
            assert result.shape == (4, 3)
            assert device_of(result) == device_of(x)


def test_shared_work_gives_the_same_bits(backend, loss, options, probabilities):
    x, z, p = arrays(backend, "float32", probabilities=probabilities)
    for extra in ({}, {"pos_weight": p, "reduction": "mean", "axis": 0}):
        value, gradient, hessian, _ = results(loss, x, z, **options, **extra)
        for method, wanted in (
            (loss.value_and_gradient, (value, gradient)),
            (loss.gradient_and_hessian, (gradient, hessian)),
        ):
            with step(backend, method, **options, **extra):
                assert_equal(backend, method(x, z, **options, **extra), wanted)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "pos_weight"])
def test_derivatives_are_slopes(loss, options, probabilities, weighted):
    """Central differences, good to about step^2; certified derivatives are the conformance suite's part."""
    x, z, p = arrays(NUMPY, probabilities=probabilities)
    z = np.clip(z, 0.01, 0.99)
    step = 1e-5
    if weighted:
        options = {"pos_weight": p, **options}

    def slope(function, dx, dz):
        return (function(x + dx, z + dz, **options) - function(x - dx, z - dz, **options)) / (2 * step)

    _, gradient, hessian, label_gradient = results(loss, x, z, **options)
    np.testing.assert_allclose(gradient, slope(loss, step, 0), rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(hessian, slope(loss.gradient, step, 0), rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(label_gradient, slope(loss, 0, step), rtol=1e-5, atol=1e-9)


def test_a_masked_element_leaves_everything_untouched(backend, loss, options, probabilities):
    x, z, _ = (np.array(backend.to_numpy(a)) for a in arrays(backend, "float32", probabilities=probabilities))
    w = np.float32(np.random.default_rng(1).uniform(0.5, 2, x.shape))
    kept = np.ones(x.shape, bool)
    dropped = ([1, 3, 3], [2, 0, 1])
    kept[dropped] = False
    clean = [backend.from_numpy(a) for a in (x, z, w)]
    for shift, a in enumerate((x, z, w)):
        a[dropped] = np.roll([np.nan, np.inf, -np.inf], shift)
    poisoned = [backend.from_numpy(a) for a in (x, z, w)]
    where = backend.from_numpy(kept)
    for reduced in ({}, {"reduction": "mean"}, {"reduction": "mean", "normalize_by": "weight", "axis": 0}):
        wanted = results(loss, *clean[:2], weight=clean[2], where=where, **reduced, **options)
        got = results(loss, *poisoned[:2], weight=poisoned[2], where=where, **reduced, **options)
        for quantity, a, b in zip(QUANTITIES, got, wanted, strict=True):
            a, b = backend.to_numpy(a), backend.to_numpy(b)  # once: Dask computes each time
            with step(backend, loss, quantity, **reduced, **options):
                np.testing.assert_array_equal(a, b)
                assert np.isfinite(a).all()
                assert quantity == "value" or (a[dropped] == 0).all()


def test_weight_and_mask_commute_with_slicing(backend, loss, options, probabilities):
    x, z, p = arrays(backend, probabilities=probabilities)
    rng = np.random.default_rng(2)
    w, kept = rng.uniform(0, 2, (4, 3)), rng.uniform(size=(4, 3)) < 0.7
    whole = results(loss, x, z, pos_weight=p, weight=backend.from_numpy(w), where=backend.from_numpy(kept), **options)
    for rows in (slice(0, 2), slice(2, 4)):
        part = [
            backend.from_numpy(np.ascontiguousarray(a[rows]))
            for a in (backend.to_numpy(x), backend.to_numpy(z), w, kept)
        ]
        sliced = results(loss, *part[:2], pos_weight=p, weight=part[2], where=part[3], **options)
        for quantity, a, b in zip(QUANTITIES, sliced, whole, strict=True):
            with step(backend, loss, quantity, rows, **options):
                np.testing.assert_array_equal(backend.to_numpy(a), backend.to_numpy(b)[rows])


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
@pytest.mark.parametrize("normalize_by", ["count", "size", "weight", "nonzero", "batch"])
def test_denominators(backend, normalize_by, axis):
    x, z, _ = arrays(backend)
    rng = np.random.default_rng(3)
    w, kept = rng.uniform(0.5, 2, (4, 3)), rng.uniform(size=(4, 3)) < 0.7
    w[0, :2] = 0
    kept[:, 2] = [True, False, True, True]
    losses = np.where(kept, backend.to_numpy(bce(x, z)) * w, 0)
    denominator = {
        "count": kept,
        "size": np.ones_like(w),
        "weight": np.where(kept, w, 0),
        "nonzero": kept & (w != 0),
        "batch": np.ones_like(w),
    }[normalize_by].sum(axis=axis)
    if normalize_by == "batch":
        denominator = 4
    call = {"weight": backend.from_numpy(w), "where": backend.from_numpy(kept)}
    reduced = {"reduction": "mean", "axis": axis, "normalize_by": normalize_by, **call}
    np.testing.assert_allclose(backend.to_numpy(bce(x, z, **reduced)), losses.sum(axis=axis) / denominator, rtol=1e-15)
    per_element = denominator if np.ndim(denominator) == 0 else np.expand_dims(denominator, axis)
    for method in (bce.gradient, bce.hessian, bce.label_gradient):
        with step(backend, method, **reduced):
            elementwise = backend.to_numpy(method(x, z, **call)) / per_element
            np.testing.assert_allclose(backend.to_numpy(method(x, z, **reduced)), elementwise, rtol=1e-15)
    as_reduce = xbce.reduce(bce(x, z), **reduced)
    np.testing.assert_array_equal(backend.to_numpy(as_reduce), backend.to_numpy(bce(x, z, **reduced)))


def test_denominators_of_zero_are_nan(backend, dtype):
    x, z, _ = arrays(backend, dtype)
    nothing = backend.from_numpy(np.zeros((4, 3), bool))
    zero = backend.from_numpy(np.zeros((4, 3), FORMATS[dtype].dtype))
    for options in (
        {"where": nothing},
        {"weight": zero, "normalize_by": "weight"},
        {"weight": 0.0, "normalize_by": "weight"},
        {"weight": zero, "normalize_by": "nonzero"},
        {"where": nothing, "weight": zero, "normalize_by": "weight", "axis": 0},
    ):
        with step(backend, bce, **options):
            assert np.isnan(np.float64(backend.to_numpy(bce(x, z, reduction="mean", **options)))).all()
            gradient = np.float64(backend.to_numpy(bce.gradient(x, z, reduction="mean", **options)))
            assert (gradient == 0).all() if "where" in options else np.isnan(gradient).all()
    # Weights that cancel: the sum is not 0, the denominator is.
    weight = backend.from_numpy(FORMATS[dtype].round([[1], [-1], [2], [-2]]))
    assert math.isnan(float(backend.to_numpy(bce(x, z, weight=weight, reduction="mean", normalize_by="weight"))))


def test_means_over_slices_recombine(backend):
    x, z, _ = arrays(backend, shape=(6, 5))
    whole = float(backend.to_numpy(bce(x, z, reduction="mean")))
    rows = backend.to_numpy(bce(x, z, reduction="mean", axis=1))
    assert whole == approx(float(rows.mean()), rel=1e-15)


def test_scalar_weights_equal_arrays(backend, dtype):
    fmt = FORMATS[dtype]
    x, z, _ = arrays(backend, dtype)
    for name in ("weight", "pos_weight"):
        with step(backend, bce, name, dtype):
            scalar = bce(x, z, **{name: 2.5})
            array = bce(x, z, **{name: backend.from_numpy(np.full((4, 3), 2.5, fmt.dtype))})
            assert scalar.dtype == x.dtype
            np.testing.assert_array_equal(backend.to_numpy(scalar), backend.to_numpy(array))


def test_a_scalar_weight_may_exceed_the_half_types():
    x = np.zeros(3, np.float16)
    assert np.isfinite(bce(x, 1, pos_weight=1e5, weight=1e-5)).all()


def test_arrays_of_options_take_part_in_the_promotion(backend):
    x, z = (backend.from_numpy(np.float32([0.5, -1.0])) for _ in range(2))
    wide = backend.from_numpy(np.array([1.0, 2.0]))
    integer = backend.from_numpy(np.array([1, 2]))
    for name in ("weight", "pos_weight"):
        with step(backend, bce, name):
            assert bce(x, z, **{name: wide}).dtype == backend.dtype_of("float64")
            assert bce(x, z, **{name: integer}).dtype == backend.dtype_of("float32")


def test_pos_weight_of_one_changes_no_bit(backend, dtype):
    x, z, _ = arrays(backend, dtype, shape=(50, 20))
    assert_equal(backend, results(bce, x, z, pos_weight=1.0), results(bce, x, z), context="pos_weight=1")


def test_gamma_of_zero_is_the_cross_entropy(backend, dtype):
    x, z, p = arrays(backend, dtype, shape=(50, 20))
    for extra in ({}, {"pos_weight": p}, {"label_smoothing": 0.2}):
        plain = results(bce, x, z, **extra)
        for loss, exponents in ((focal, {"gamma": 0}), (asymmetric, {"gamma_pos": 0, "gamma_neg": 0})):
            with step(backend, loss, **exponents, **extra):
                assert_equal(backend, results(loss, x, z, **exponents, **extra), plain)


def test_equal_exponents_make_asymmetric_focal(backend, dtype):
    x, z, _ = arrays(backend, dtype)
    wanted = results(asymmetric, x, z, gamma_pos=3, gamma_neg=3)
    assert_equal(backend, results(focal, x, z, gamma=3), wanted, context="gamma=3")


def test_smoothing_equals_smoothed_labels(backend):
    x, z, _ = arrays(backend, shape=(50, 20))
    a = 0.1
    smooth = backend.from_numpy(backend.to_numpy(z) * (1 - a) + a / 2)
    for loss in (bce, focal, asymmetric):
        got, wanted = results(loss, x, z, label_smoothing=a), results(loss, x, smooth)
        wanted[3] = wanted[3] * (1 - a)
        for quantity, g, w in zip(QUANTITIES, got, wanted, strict=True):
            with step(backend, loss, quantity, label_smoothing=a):
                np.testing.assert_allclose(backend.to_numpy(g), backend.to_numpy(w), rtol=1e-13, atol=1e-15)


def test_smoothing_keeps_the_digits_that_smoothed_labels_lose():
    """1 - z' is 5e-10, which is nothing beside the rounding of z' in float32."""
    x, z = np.float32([50.0]), np.float32([1.0])
    exact = 50 * 5e-10
    assert bce(x, z, label_smoothing=1e-9)[0] == approx(exact, rel=1e-6)


def test_focal_is_accurate_in_both_tails(backend):
    """torchvision's form returns 0 at 20 in float32, and its gradient there is NaN for gamma < 1."""
    x = backend.from_numpy(np.float32([-20, 20, -25, 25]))
    z = backend.from_numpy(np.float32([0, 1, 0, 1]))
    q = np.exp(-np.array([20.0, 20, 25, 25]))
    for gamma in (0.5, 1.0, 2.0):
        with step(backend, focal, gamma=gamma):
            value = backend.to_numpy(focal(x, z, gamma=gamma))
            np.testing.assert_allclose(value, q ** (gamma + 1), rtol=2e-6)
            gradient = backend.to_numpy(focal.gradient(x, z, gamma=gamma))
            np.testing.assert_allclose(gradient, (gamma + 1) * q ** (gamma + 1) * np.array([1, -1, 1, -1]), rtol=2e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.5])
def test_derivatives_are_finite_everywhere(backend, gamma):
    fmt = FORMATS["float32"]
    magnitudes = [0.0, fmt.smallest, fmt.tiny, 1.0, 20.0, 80.0, 100.0, 700.0, 6e4, fmt.max / 8, np.inf]
    x = backend.from_numpy(fmt.round(magnitudes + [-m for m in magnitudes]))
    finite = backend.from_numpy(fmt.round(magnitudes[:-1] + [-m for m in magnitudes[:-1]]))
    for label in (0, 1, 0.25):
        for loss, options in ((focal, {"gamma": gamma}), (asymmetric, {"gamma_pos": gamma, "gamma_neg": 2 * gamma})):
            for method in ("gradient", "hessian"):
                with step(backend, getattr(loss, method), label, **options):
                    got = np.float64(backend.to_numpy(getattr(loss, method)(x, label, **options)))
                    assert np.isfinite(got).all()
            with step(backend, loss, label, **options):
                assert not np.isnan(np.float64(backend.to_numpy(loss(x, label, **options)))).any()
                assert not np.isnan(backend.to_numpy(loss.label_gradient(finite, label, **options))).any()


def test_shift_drops_easy_negatives(backend, dtype):
    x = backend.from_numpy(FORMATS[dtype].round([-4.0, -30.0, 0.0, -4.0]))
    z = backend.from_numpy(FORMATS[dtype].round([0, 0, 0, 1]))
    options = {"shift": 0.05, "gamma_pos": 1.0, "gamma_neg": 2.0}
    value, gradient, hessian, _ = (backend.to_numpy(a) for a in results(asymmetric, x, z, **options))
    for quantity, result in zip(QUANTITIES, (value, gradient, hessian), strict=False):
        with step(backend, asymmetric, quantity, **options):
            assert (result[:2] == 0).all()
            assert (result[2:] != 0).all()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0, np.inf, np.inf, 0, np.inf, np.inf]),
        (
            {"clip": 2.0**-7},
            [-math.log1p(-(2.0**-7)), 7 * math.log(2), 7 * math.log(2), -math.log1p(-(2.0**-7)), None, None],
        ),
        ({"log_floor": -100.0}, [0, 100, 100, 0, 50, 50]),
        (
            {"log_offset": 2.0**-20},
            [-math.log1p(2.0**-20), 20 * math.log(2), 20 * math.log(2), -math.log1p(2.0**-20), None, None],
        ),
    ],
    ids=["exact", "clip", "log_floor", "log_offset"],
)
def test_probabilities_of_0_and_1(backend, options, expected):
    u = backend.from_numpy(np.array([0.0, 0.0, 1.0, 1.0, 0.0, 1.0]))
    z = backend.from_numpy(np.array([0.0, 1.0, 0.0, 1.0, 0.5, 0.5]))
    got = backend.to_numpy(of_probabilities(u, z, **options))
    for i, (a, b) in enumerate(zip(got, expected, strict=True)):
        with step(backend, of_probabilities, i, **options):
            if b is not None:
                assert a == approx(b, rel=1e-15)


def test_probabilities_derivatives_at_0_and_1(backend):
    u = backend.from_numpy(np.array([0.0, 0.0, 1.0, 1.0]))
    z = backend.from_numpy(np.array([0.0, 1.0, 0.0, 1.0]))
    np.testing.assert_array_equal(backend.to_numpy(of_probabilities.gradient(u, z)), [1, -np.inf, np.inf, -1])
    np.testing.assert_array_equal(backend.to_numpy(of_probabilities.hessian(u, z)), [1, np.inf, np.inf, 1])
    np.testing.assert_array_equal(
        backend.to_numpy(of_probabilities.label_gradient(u, z)), [np.inf, np.inf, -np.inf, -np.inf]
    )
    np.testing.assert_array_equal(backend.to_numpy(of_probabilities.gradient(u, z, clip=1e-3)), [0, 0, 0, 0])
    np.testing.assert_array_equal(backend.to_numpy(of_probabilities.gradient(u, z, log_floor=-100)), [1, 0, 0, -1])


def test_probabilities_outside_the_unit_interval_are_nan(backend, dtype):
    u = backend.from_numpy(FORMATS[dtype].round([-0.5, 1.5, np.nan, 2.0]))
    assert np.isnan(np.float64(backend.to_numpy(of_probabilities(u, 0.5)))).all()


def test_pos_weight_of_zero_drops_its_term(backend, dtype):
    x = backend.from_numpy(FORMATS[dtype].round([np.inf, -np.inf, -np.inf, 3.0]))
    z = backend.from_numpy(FORMATS[dtype].round([1, 1, 0.5, 1]))
    value, gradient, hessian, label_gradient = (
        np.float64(backend.to_numpy(a)) for a in results(bce, x, z, pos_weight=0.0)
    )
    np.testing.assert_array_equal(value, [0, 0, 0, 0])
    np.testing.assert_array_equal(gradient, [0, 0, 0, 0])
    np.testing.assert_array_equal(hessian, [0, 0, 0, 0])
    assert label_gradient[0] == -np.inf
    np.testing.assert_array_equal(label_gradient[1:3], [0, 0])


def test_weight_of_zero_times_infinity_is_nan(backend, dtype):
    x = backend.from_numpy(FORMATS[dtype].round([np.inf, 1.0]))
    value = backend.to_numpy(bce(x, 0, weight=0.0))
    assert math.isnan(value[0])
    assert value[1] == 0


def test_label_gradient_of_the_plain_loss_is_minus_the_logits(backend, dtype):
    x, z, _ = arrays(backend, dtype)
    np.testing.assert_array_equal(backend.to_numpy(bce.label_gradient(x, z)), -backend.to_numpy(x))


@given(data=st.data())
def test_symmetry_and_convexity(data):
    """L(x, z) = L(-x, 1 - z), and the loss is below its chords."""
    n = 16
    logits = st.lists(st.floats(-700, 700), min_size=n, max_size=n)
    x, y = (np.array(data.draw(logits, label=name)) for name in "xy")
    z = np.array(data.draw(st.lists(st.integers(0, 1024), min_size=n, max_size=n), label="z")) / 1024
    for loss in (bce, focal):
        with step(NUMPY, loss):
            np.testing.assert_allclose(loss(x, z), loss(-x, 1 - z), rtol=1e-14)
            np.testing.assert_allclose(loss.gradient(x, z), -loss.gradient(-x, 1 - z), rtol=1e-13, atol=1e-300)
    assert (bce((x + y) / 2, z) <= (bce(x, z) + bce(y, z)) / 2 * (1 + 1e-14)).all()


def test_mean_of_ten_million_half_losses():
    """Summed in float16 they would overflow at 65504; rounded first, they would be off by 3e-4."""
    torch = pytest.importorskip("torch")
    x = np.zeros(10**7, np.float16)
    bound = contract.bound("mean", "float16", hard=True)
    for logits in (x, torch.from_numpy(x), torch.from_numpy(x).to(torch.bfloat16)):
        mean = float(bce(logits, 0, reduction="mean"))
        few = bound if logits is x or logits.dtype == torch.float16 else 8 * bound
        assert_ulp(mean, math.log(2), few, "float16", context=f"the mean of {type(logits)} of {logits.dtype}")
    # And no drift: in float32 the mean is right to the last digit.
    assert abs(float(bce(x.astype(np.float32), 0, reduction="mean")) - math.log(2)) <= 2.0**-24
