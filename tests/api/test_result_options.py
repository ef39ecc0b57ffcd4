"""`keepdims` and `dtype` of a mean or sum, as NumPy and the array API have them, on every library and method."""

import numpy as np
import pytest

import xbce
from tests.helpers import assert_same_bits, step

bce = xbce.binary_cross_entropy_with_logits
X = np.array([[0.5, -2.0, 30.0], [3.0, -0.25, 7.0]])
Z = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.25]])
W = np.array([[1.0, 0.5, 2.0], [0.0, 4.0, 1.0]])
AXES = (None, 0, 1, (0, 1), -1, ())


def arrays(backend, dtype="float32"):
    return [backend.from_numpy(a.astype("float32" if dtype == "bfloat16" else dtype)) for a in (X, Z, W)]


def test_keepdims_leaves_the_axes(backend):
    x, z, w = arrays(backend)
    for axis in AXES:
        for reduction in ("sum", "mean"):
            with step(backend, bce, axis=axis, reduction=reduction):
                options = {"weight": w, "axis": axis, "reduction": reduction}
                wanted = backend.to_numpy(bce(x, z, **options))
                for call in (bce, lambda *a, **o: bce.value_and_gradient(*a, **o)[0]):
                    kept = backend.to_numpy(call(x, z, **options, keepdims=True))
                    assert kept.shape == X.sum(axis=axis, keepdims=True).shape
                    assert (kept.reshape(wanted.shape) == wanted).all()


def test_dtype_is_that_of_the_result(backend, dtype):
    """Not of its parts: the sum is the unrounded one, rounded once; derivatives keep their dtype."""
    x, z, _ = arrays(backend, dtype)
    exact = backend.to_numpy(bce(x, z, reduction="mean", dtype=backend.dtype_of("float64")))
    assert exact.dtype == np.float64
    for name in backend.dtypes:
        with step(backend, bce, dtype=name):
            options = {"reduction": "mean", "dtype": backend.dtype_of(name)}
            value, gradient = bce.value_and_gradient(x, z, **options)
            assert value.dtype == backend.dtype_of(name)
            assert gradient.dtype == x.dtype
            if name in ("float16", "float32"):
                assert backend.to_numpy(value) == exact.astype(name)
    assert bce(x, z, reduction="mean").dtype == x.dtype


def test_a_mean_of_a_half_type_has_more_digits_than_its_losses(backend):
    if "bfloat16" not in backend.dtypes:
        pytest.skip(f"{backend.name} has no bfloat16")
    import ml_dtypes

    logits = np.linspace(-8, 8, 1001).astype(ml_dtypes.bfloat16)
    x, z = backend.from_numpy(logits), backend.from_numpy(np.zeros_like(logits))
    exact = np.logaddexp(0, logits.astype(np.float64)).mean()
    short = float(backend.to_numpy(bce(x, z, reduction="mean")))
    long = float(backend.to_numpy(bce(x, z, reduction="mean", dtype=backend.dtype_of("float32"))))
    assert abs(long - exact) < 1e-6 * exact
    assert abs(short - exact) > 1e-4 * exact


def test_reduce_has_both(backend):
    x, _, w = arrays(backend)
    options = {"weight": w, "reduction": "sum", "axis": 1}
    got = xbce.reduce(x, **options, keepdims=True, dtype=backend.dtype_of("float64"))
    assert got.shape == (2, 1)
    np.testing.assert_array_equal(backend.to_numpy(got), (X * W).sum(axis=1, keepdims=True))


def test_plans_tell_them_apart(backend):
    """A call that is like an earlier one but for these options is another call."""
    x, z, _ = arrays(backend)
    for _ in range(2):
        plain = bce(x, z, reduction="sum")
        kept = bce(x, z, reduction="sum", keepdims=True)
        wide = bce(x, z, reduction="sum", dtype=backend.dtype_of("float64"))
        assert (plain.shape, kept.shape, wide.shape) == ((), (1, 1), ())
        assert (plain.dtype, wide.dtype) == (x.dtype, backend.dtype_of("float64"))


def test_autodiff_and_compilers():
    torch = pytest.importorskip("torch")
    x, z = (torch.tensor(a, dtype=torch.bfloat16) for a in (X, Z))
    x.requires_grad_()

    def mean(x):
        return bce(x, z, reduction="mean", keepdims=True, dtype=torch.float32)

    value = mean(x)
    value.sum().backward()
    assert (value.dtype, value.shape, x.grad.dtype) == (torch.float32, (1, 1), torch.bfloat16)
    assert torch.equal(x.grad, bce.gradient(x.detach(), z, reduction="mean"))
    traced = torch.compile(mean, fullgraph=True)(x.detach())
    torch.testing.assert_close(traced, mean(x.detach()), rtol=2.5e-7, atol=0)  # two ULP: compiled, log1p is a series
    jax = pytest.importorskip("jax")

    def of_jax(x):
        return bce(x, Z.astype("float32"), reduction="mean", axis=1, keepdims=True, dtype=jax.numpy.float64)

    array = jax.numpy.asarray(X, "float32")
    assert jax.jit(of_jax)(array).shape == (2, 1)
    assert jax.jit(of_jax)(array).dtype == of_jax(array).dtype == "float64"
    assert jax.grad(lambda x: of_jax(x).sum())(array).dtype == "float32"


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"keepdims": 1, "reduction": "sum"}, TypeError, "keepdims must be True or False, got 1"),
        ({"keepdims": None, "reduction": "sum"}, TypeError, "keepdims must be True or False, got None"),
        (
            {"keepdims": True},
            ValueError,
            "keepdims is for reduction='mean' and reduction='sum'; got keepdims=True with reduction='none'",
        ),
        ({"dtype": np.float64}, ValueError, "dtype is for reduction='mean' and reduction='sum'; got dtype="),
        (
            {"dtype": np.int32, "reduction": "sum"},
            TypeError,
            "dtype must be a floating dtype of the library of the arrays, such as <class 'numpy.float32'>; got ",
        ),
        ({"dtype": "nothing", "reduction": "sum"}, TypeError, "got 'nothing'"),
        ({"dtype": np.complex64, "reduction": "sum"}, TypeError, "got <class 'numpy.complex64'>"),
        ({"dtype": [], "reduction": "sum"}, TypeError, r"got \[\]"),
    ],
)
@pytest.mark.parametrize("function", [bce, xbce.reduce], ids=["loss", "reduce"])
def test_errors(function, options, error, says):
    arguments = (X,) if function is xbce.reduce else (X, Z)
    with pytest.raises(error, match=says):
        function(*arguments, **{"reduction": "none"} | options)


def test_a_dtype_of_another_library_is_refused(backend):
    other = "torch" if not backend.name.startswith("torch") else "jax.numpy"
    dtype = pytest.importorskip(other).float32
    if backend.name in ("numpy", "dask", "array-api-strict", "jax") and other == "jax.numpy":
        pytest.skip("JAX's dtypes are NumPy's")
    x, z, _ = arrays(backend)
    with pytest.raises(TypeError, match="dtype must be a floating dtype of the library of the arrays, such as "):
        bce(x, z, reduction="mean", dtype=dtype)


def test_bits_are_those_without(backend):
    x, z, w = arrays(backend)
    same = {"weight": w, "reduction": "mean", "axis": 0}
    assert_same_bits(backend, bce(x, z, **same, keepdims=False, dtype=None), bce(x, z, **same))
