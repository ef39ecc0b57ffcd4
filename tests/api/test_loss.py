"""The loss and its closed-form derivatives: values, dtypes, shapes, reductions, labels of every kind."""

import inspect
import math
import pickle
import warnings

import numpy as np
import pytest
from array_api_compat import array_namespace

import xbce
from tests.helpers import approx, assert_equal, device_of, step
from xbce_conformance import contract
from xbce_conformance.inputs.formats import FORMATS

loss = xbce.binary_cross_entropy_with_logits

# Of the source document; the mean in ball arithmetic is 5.196604231088620577...
LOGITS, LABELS = np.array([[9.7], [0.0]]), np.array([[0], [1]])
MEAN = 5.1966042310886205


def test_worked_example(backend, dtype):
    fmt = FORMATS[dtype]
    x = fmt.round(LOGITS)
    # Exact for the rounded logits: softplus(x) and log 2.
    exact = (math.log1p(math.exp(-float(x[0, 0]))) + float(x[0, 0]) + math.log(2)) / 2
    mean = loss(backend.from_numpy(x), backend.from_numpy(fmt.round(LABELS)), reduction="mean")
    assert backend.to_numpy(mean).dtype == fmt.dtype
    assert abs(float(backend.to_numpy(mean)) - exact) <= fmt.ulp(exact)


def test_worked_example_in_float64_has_all_digits(backend):
    mean = loss(backend.from_numpy(LOGITS), backend.from_numpy(np.float64(LABELS)), reduction="mean")
    assert abs(float(backend.to_numpy(mean)) - MEAN) <= 2 * math.ulp(MEAN)


def test_naive_function_of_the_document_broadcasts():
    """As the document prints it, the function pairs every logit with every label; mended, it is close."""

    def textbook(logits, labels):
        m = labels.shape[0]
        labels = labels.reshape(m)
        s = 1 / (1 + np.exp(-logits))
        return np.sum(-labels * np.log(s) - (1 - labels) * np.log(1 - s)) / m

    assert textbook(LOGITS, LABELS) == approx(5.543208462176, rel=1e-12)
    mended = textbook(LOGITS.reshape(2), LABELS)
    assert mended == approx(MEAN, rel=1e-12)
    assert mended != loss(LOGITS, LABELS, reduction="mean")
    with pytest.raises(ValueError, match="labels must have the shape of logits"):
        loss(LOGITS, LABELS.reshape(2))


def test_tail_that_others_lose(backend):
    x = backend.from_numpy(np.float32([-20, 20]))
    z = backend.from_numpy(np.float32([0, 1]))
    exact = np.float32([math.log1p(math.exp(-20))] * 2)
    np.testing.assert_array_max_ulp(backend.to_numpy(loss(x, z)), exact, 3)
    np.testing.assert_array_max_ulp(backend.to_numpy(loss.gradient(x, z)), exact * np.float32([1, -1]), 3)


def test_namespace_dtype_shape_device(backend, dtype):
    x = backend.from_numpy(FORMATS[dtype].round(np.linspace(-3, 3, 6).reshape(2, 3)))
    z = backend.from_numpy(FORMATS[dtype].round(np.eye(2, 3)))
    value, gradient = loss.value_and_gradient(x, z)
    for number, result in enumerate((loss(x, z), loss.gradient(x, z), loss.hessian(x, z), value, gradient)):
        with step(backend, loss, f"result {number}"):
            assert array_namespace(result) is array_namespace(x)
            assert result.dtype == x.dtype
            assert result.shape == (2, 3)
            assert device_of(result) == device_of(x)
    assert loss(x, z, reduction="mean").dtype == x.dtype
    assert loss(x, z, reduction="mean").shape == ()
    assert loss(x, z, reduction="sum", axis=1).shape == (2,)
    assert loss(x, z, reduction="sum", axis=(-1, 0)).shape == ()


def test_value_and_gradient_agree_with_each_alone(backend, dtype):
    rng = np.random.default_rng(1)
    fmt = FORMATS[dtype]
    x = backend.from_numpy(fmt.round(rng.normal(0, 10, 200)))
    z = backend.from_numpy(fmt.round(rng.uniform(0, 1, 200)))
    for options in ({}, {"reduction": "mean"}, {"reduction": "sum"}):
        with step(backend, loss.value_and_gradient, dtype, **options):
            value, gradient = loss.value_and_gradient(x, z, **options)
            np.testing.assert_array_equal(backend.to_numpy(value), backend.to_numpy(loss(x, z, **options)))
            np.testing.assert_array_equal(backend.to_numpy(gradient), backend.to_numpy(loss.gradient(x, z, **options)))


@pytest.mark.parametrize(
    ("logits", "labels", "result"),
    [
        ("float32", "float64", "float64"),
        ("float64", "float32", "float64"),
        ("float16", "float32", "float32"),
        ("float32", "float16", "float32"),
        ("float16", "bfloat16", "float32"),
        ("bfloat16", "float16", "float32"),
        ("bfloat16", "float32", "float32"),
        ("float16", "float64", "float64"),
    ],
)
def test_dtype_of_mixed_arrays(backend, logits, labels, result):
    if not {logits, labels} <= set(backend.dtypes):
        pytest.skip(f"{backend.name} has no {logits} or no {labels}")
    x = backend.from_numpy(FORMATS[logits].round([-1.5, 0.25]))
    z = backend.from_numpy(FORMATS[labels].round([0.0, 0.75]))
    for method, reduced in ((loss, {}), (loss.gradient, {}), (loss.hessian, {}), (loss, {"reduction": "mean"})):
        with step(backend, method, logits, labels, **reduced):
            assert method(x, z, **reduced).dtype == backend.dtype_of(result)


def test_labels_of_other_dtypes(backend, dtype):
    x = backend.from_numpy(FORMATS[dtype].round([-2.0, 0.5, 3.0]))
    wanted = loss(x, backend.from_numpy(FORMATS[dtype].round([1, 0, 1])))
    for labels in ("bool", "int8", "int32", "int64", "uint8"):
        got = loss(x, backend.from_numpy(np.array([1, 0, 1]).astype(labels)))
        with step(backend, loss, dtype, labels=labels):
            assert got.dtype == x.dtype
            assert_equal(backend, got, wanted)


def test_label_as_python_scalar(backend, dtype):
    fmt = FORMATS[dtype]
    x = backend.from_numpy(fmt.round([[-2.0, 0.5, 3.0]]))
    for label in (0, 1, True, False, 0.25, 0.1):
        full = backend.from_numpy(np.full((1, 3), label, fmt.dtype))
        for method in (loss, loss.gradient, loss.hessian):
            got = method(x, label)
            with step(backend, method, dtype, label=label):
                assert got.dtype == x.dtype
                assert_equal(backend, got, method(x, full))


def test_labels_outside_the_unit_interval_follow_the_formula(backend):
    x = backend.from_numpy(np.array([2.0, -1.0]))
    z = backend.from_numpy(np.array([1.5, -0.5]))
    softplus = np.log1p(np.exp([2.0, -1.0])), np.log1p(np.exp([-2.0, 1.0]))
    expected = np.array([-0.5, 1.5]) * softplus[0] + np.array([1.5, -0.5]) * softplus[1]
    np.testing.assert_allclose(backend.to_numpy(loss(x, z)), expected, rtol=1e-14)


def test_zero_dimensions(backend, dtype):
    x, z = (backend.from_numpy(FORMATS[dtype].round(a)) for a in (0.5, 1.0))
    for options in ({}, {"reduction": "sum"}, {"reduction": "mean"}):
        with step(backend, loss, **options):
            assert loss(x, z, **options).shape == ()
            assert float(backend.to_numpy(loss(x, z, **options))) == approx(0.4741, rel=1e-2)
            assert float(backend.to_numpy(loss.gradient(x, z, **options))) == approx(-0.3775, rel=1e-2)


def test_empty(backend, dtype):
    x = backend.from_numpy(np.zeros((0, 3), FORMATS[dtype].dtype))
    assert loss(x, x).shape == (0, 3)
    assert loss.gradient(x, x, reduction="mean").shape == (0, 3)
    assert float(backend.to_numpy(loss(x, x, reduction="sum"))) == 0
    assert math.isnan(float(backend.to_numpy(loss(x, x, reduction="mean"))))
    np.testing.assert_array_equal(np.float64(backend.to_numpy(loss(x, x, reduction="sum", axis=0))), np.zeros(3))
    assert np.isnan(np.float64(backend.to_numpy(loss(x, x, reduction="mean", axis=0)))).all()
    assert loss(x, x, reduction="mean", axis=1).shape == (0,)


@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1, (0, 2), (1, -1), (2, 0, 1), ()])
def test_reductions_over_axes(backend, axis):
    rng = np.random.default_rng(2)
    x, z = rng.normal(0, 3, (2, 3, 4)), rng.uniform(0, 1, (2, 3, 4))
    arrays = backend.from_numpy(x), backend.from_numpy(z)
    losses = backend.to_numpy(loss(*arrays))
    for reduction, reduce in (("sum", np.sum), ("mean", np.mean)):
        with step(backend, loss, reduction=reduction, axis=axis):
            got = backend.to_numpy(loss(*arrays, reduction=reduction, axis=axis))
            np.testing.assert_allclose(got, reduce(losses, axis=axis), rtol=1e-15)


def test_derivatives_of_reductions(backend):
    x, z = backend.from_numpy(np.array([[0.5, -2.0, 3.0]])), backend.from_numpy(np.array([[1.0, 0.0, 0.5]]))
    for method in (loss.gradient, loss.hessian):
        with step(backend, method):
            elementwise = backend.to_numpy(method(x, z))
            np.testing.assert_array_equal(backend.to_numpy(method(x, z, reduction="sum")), elementwise)
            np.testing.assert_array_equal(backend.to_numpy(method(x, z, reduction="sum", axis=0)), elementwise)
            np.testing.assert_array_max_ulp(backend.to_numpy(method(x, z, reduction="mean")), elementwise / 3, 1)
            np.testing.assert_array_equal(backend.to_numpy(method(x, z, reduction="mean", axis=0)), elementwise)


def test_half_types_reduce_unrounded_losses(backend, dtype):
    """log 2 rounded to a half type is off by up to 3e-3; a sum of rounded losses would be off by as much."""
    fmt = FORMATS[dtype]
    x = backend.from_numpy(np.zeros(60, fmt.dtype))
    total = float(backend.to_numpy(loss(x, 0, reduction="sum")))
    assert abs(total - 60 * math.log(2)) <= contract.bound("sum", dtype, hard=True) * fmt.ulp(60 * math.log(2))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axis", [0, 1, None])
def test_numpy_sums_stay_accurate_along_any_axis(order, axis):
    """Plain numpy.sum along the first axis of this array is off by hundreds of ULP."""
    x = np.asarray(np.zeros((200_000, 4)), order=order)[:, ::2]
    expected = math.log(2) * (x.size if axis is None else x.shape[axis])
    total = loss(x, 0, reduction="sum", axis=axis)
    assert np.abs(total - expected).max() <= 2 * math.ulp(expected)


@pytest.mark.parametrize(
    "view",
    [lambda a: a[::2], lambda a: a[::-1], lambda a: a.T, lambda a: a[:, 1:2]],
    ids=["strided", "reversed", "transposed", "column"],
)
def test_views_and_read_only_numpy_arrays(view):
    rng = np.random.default_rng(3)
    x, z = view(rng.normal(0, 5, (6, 4))), view(rng.uniform(0, 1, (6, 4)))
    x.flags.writeable = False
    z.flags.writeable = False
    before = x.copy()
    for method in (loss, loss.gradient, loss.hessian):
        with step("numpy", method, view):
            np.testing.assert_array_equal(method(x, z), method(np.array(x), np.array(z)))
    np.testing.assert_array_equal(x, before)


def test_numpy_scalars_matrices_and_byte_order():
    assert loss(np.float32(-20), np.float32(0)) == approx(2.061153620314381e-09, rel=4 * 2.0**-23)
    with warnings.catch_warnings(action="ignore", category=PendingDeprecationWarning):
        matrices = np.asmatrix(LOGITS), np.asmatrix(LABELS)
    np.testing.assert_array_equal(loss(*matrices), loss(LOGITS, LABELS))  # `*` of matrices is another product
    swapped = LOGITS.astype(LOGITS.dtype.newbyteorder())
    assert loss(swapped, LABELS).dtype == np.float64
    np.testing.assert_array_equal(loss(swapped, LABELS), loss(LOGITS, LABELS))


def test_no_floating_point_warning_whatever_the_state():
    x = np.array([np.inf, -np.inf, 800.0, -800.0, np.nan, 5e-324])
    with np.errstate(all="raise"):
        for label in (0, 1, 0.5):
            loss.value_and_gradient(x, label, reduction="mean")
            loss.hessian(x, label)
        assert loss(np.full(10, 60000, np.float16), 0, reduction="sum") == np.inf


def test_it_is_one_object_like_a_ufunc():
    assert pickle.loads(pickle.dumps(loss)) is loss  # noqa: S301
    assert repr(loss) == "<loss xbce.binary_cross_entropy_with_logits>"
    assert loss.__name__ == "binary_cross_entropy_with_logits"
    assert loss.__doc__.startswith("Binary cross-entropy")
    kinds = [parameter.kind.name for parameter in inspect.signature(loss).parameters.values()]
    assert kinds == ["POSITIONAL_ONLY"] * 2 + ["KEYWORD_ONLY"] * 10
    assert list(inspect.signature(loss).parameters)[:3] == ["logits", "labels", "pos_weight"]
    assert "pos_weight : array or scalar, optional" in loss.__doc__
