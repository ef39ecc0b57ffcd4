"""A Python or NumPy scalar, or an array without dimensions, never widens, and is taken wherever a number is."""

import re
import subprocess
import sys
from functools import partial

import flint
import ml_dtypes
import numpy as np
import pytest

import xbce
from tests.helpers import jax_float64, some_long, step
from xbce import special
from xbce_conformance.cases.losses import COMMON, FAMILY
from xbce_conformance.inputs.formats import FORMATS

bce = xbce.binary_cross_entropy_with_logits
NUMPY_SCALARS = {
    **{kind: np.dtype(kind).type(2) for kind in ("float16", "float32", "float64", "int8", "int64", "uint16")},
    "bfloat16": ml_dtypes.bfloat16(2),
    "0-d float32": np.array(2.0, np.float32),
    "0-d float64": np.array(2.0),
    "0-d int64": np.array(2),
}
"""Every one of them is 2."""


def raises(error, text):
    return pytest.raises(error, match=f"^{re.escape(text)}$")


def exact(function, *numbers):
    """Return a function of numbers, as they are, in ball arithmetic."""
    with flint.ctx.workprec(200):
        return float(function(*map(flint.arb, numbers)))


def softplus(x):
    return x.exp().log1p()


def logits_of(backend, dtype):
    return backend.from_numpy(FORMATS[dtype].round([[-2.0, 0.5, 3.0]]))


def assert_same(backend, got, wanted):
    got, wanted = backend.to_numpy(got), backend.to_numpy(wanted)
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(got, wanted)


options = pytest.mark.parametrize("option", ["label", "weight", "pos_weight"])


def results_of(x, option, scalar):
    """Return a mean and its gradient with a scalar in the place of an argument."""
    arguments = {} if option == "label" else {option: scalar}
    return bce.value_and_gradient(x, scalar if option == "label" else 1, reduction="mean", **arguments)


@options
def test_numpy_scalars_of_any_width_are_numbers(backend, dtype, option):
    x = logits_of(backend, dtype)
    wanted = results_of(x, option, 2.0)
    for name, scalar in NUMPY_SCALARS.items():
        for got, right in zip(results_of(x, option, scalar), wanted, strict=True):
            with step(backend, bce.value_and_gradient, dtype, **{option: name}):
                assert got.dtype == x.dtype
                assert_same(backend, got, right)


@options
def test_arrays_without_dimensions_are_numbers(backend, dtype, option):
    x = logits_of(backend, dtype)
    wanted = results_of(x, option, 1.0)
    for kind in ("float64", "int64", "bool"):
        results = results_of(x, option, backend.from_numpy(np.array(1, kind)))
        for got, right in zip(results, wanted, strict=True):
            with step(backend, bce.value_and_gradient, dtype, **{option: f"0-d {kind}"}):
                assert got.dtype == x.dtype
                assert_same(backend, got, right)


@pytest.mark.parametrize("method", ["__call__", "gradient", "hessian", "label_gradient"])
def test_labels_without_dimensions_in_every_method(backend, method):
    x, function = logits_of(backend, "float32"), getattr(bce, method)
    label = np.array(0.25, np.float32)
    wanted = function(x, backend.from_numpy(np.full((1, 3), label)))
    for given in (label, backend.from_numpy(label), 0.25):
        with step(backend, function, given):
            assert_same(backend, function(x, given), wanted)


def test_mean_of_wider_weights_as_a_weight(backend):
    """In NumPy it is a scalar, elsewhere an array without dimensions: nowhere does it widen."""
    x = backend.from_numpy(np.float32([0.0, 0.0]))
    weight = backend.from_numpy(np.array([0.5, 1.0]))
    losses = bce(x, x, weight=weight.mean() if hasattr(weight, "mean") else backend.from_numpy(np.array(0.75)))
    assert losses.dtype == x.dtype
    wanted = exact(lambda w: w * flint.arb.const_log2(), 0.75)
    np.testing.assert_array_max_ulp(backend.to_numpy(losses), np.float32([wanted] * 2), 1)
    assert bce(x, x, weight=weight).dtype == weight.dtype


def test_logits_without_dimensions(backend):
    """Beside them arrays without dimensions are arrays like any other; scalars are not."""
    x, wide = backend.from_numpy(np.array(0.5, np.float32)), backend.from_numpy(np.array(1.0))
    assert bce(x, wide).dtype == bce(x, 1, weight=wide).dtype == wide.dtype
    for scalar in (1.0, np.float64(1)):
        with step(backend, bce, type(scalar), weight=scalar):
            assert bce(x, scalar, weight=scalar).dtype == x.dtype
            assert_same(backend, bce(x, scalar, weight=scalar), bce(x, 1))


def test_numpy_scalars_as_logits():
    assert bce(np.float32(-20), np.float64(0)).dtype == np.float32
    assert bce(np.float16(0.5), np.float32(1), weight=np.float64(2)).dtype == np.float16


@pytest.mark.parametrize("label", [np.float32(0.1), np.float64(0.1), np.array(0.1, np.float32)])
def test_label_keeps_the_digits_of_its_own_dtype(backend, label):
    """Next to sigmoid(x) = z the gradient shows every digit of z. A Python scalar is rounded to the logits' dtype."""
    x = np.array([-2.197], np.float16)
    wanted = exact(lambda x, z: 1 / (1 + (-x).exp()) - z, float(x[0]), float(label))
    rounded = exact(lambda x, z: 1 / (1 + (-x).exp()) - z, float(x[0]), float(np.float16(0.1)))
    assert abs(wanted - rounded) > 2e-5
    if "float16" not in backend.dtypes:
        pytest.skip(f"{backend.name} has no float16")
    x = backend.from_numpy(x)
    assert abs(float(backend.to_numpy(bce.gradient(x, label))[0]) - wanted) < 1e-7
    assert abs(float(backend.to_numpy(bce.gradient(x, 0.1))[0]) - rounded) < 1e-7


def test_scalar_keeps_all_digits_of_float64(backend):
    x, w = backend.from_numpy(np.float64([0.0])), 1 + 2.0**-40
    wanted = exact(lambda w: w * flint.arb.const_log2(), w)
    for weight in (w, np.float64(w), np.array(w), backend.from_numpy(np.array(w))):
        with step(backend, bce, type(weight), weight=weight):
            np.testing.assert_array_max_ulp(backend.to_numpy(bce(x, 1, weight=weight)), np.array([wanted]), 1)


def test_integer_weights_are_not_rounded_to_the_dtype_of_the_logits(backend, dtype):
    """70000 is infinite in float16; the mean of weighted losses is not."""
    x = backend.from_numpy(np.zeros(2, FORMATS[dtype].dtype))
    arrays = [backend.from_numpy(np.array(a)) for a in ([70000, 70000], 70000)]
    for weight in (*arrays, 70000, np.int32(70000)):
        with step(backend, bce, dtype, type(weight), weight=weight):
            mean = bce(x, 0, weight=weight, reduction="mean", normalize_by="weight")
            wanted = exact(lambda: flint.arb.const_log2())
            assert abs(float(backend.to_numpy(mean)) - wanted) <= FORMATS[dtype].ulp(wanted)


def test_integers_beyond_int64(backend):
    x = backend.from_numpy(np.float64([0.0]))
    assert float(backend.to_numpy(bce(x, 0, weight=2**70))[0]) == 2**70 * float(backend.to_numpy(bce(x, 0))[0])
    for option, arguments in {"labels": (10**400, {}), "weight": (0, {"weight": 10**400})}.items():
        with raises(ValueError, f"{option} must be a number that float64 can hold, got an int of 1329 bits"):
            bce(x, arguments[0], **arguments[1])


OPTIONS = {
    "label_smoothing": (bce, COMMON["label_smoothing"].whole),
    **{name: (getattr(xbce, loss.name), of.whole) for loss in FAMILY.values() for name, of in loss.options.items()},
}


@pytest.mark.parametrize(
    "kind",
    [np.float16, np.float32, np.float64, np.int8, np.int64, ml_dtypes.bfloat16, np.array],
    ids=lambda k: k.__name__,
)
@pytest.mark.parametrize("name", OPTIONS)
def test_options_are_numbers_of_python_or_numpy(name, kind):
    loss, number = OPTIONS[name]
    x = np.array([0.25, 0.75])
    np.testing.assert_array_equal(loss(x, x, **{name: kind(number)}), loss(x, x, **{name: number}))
    for bad in (np.bool_(True), np.array(True), np.complex128(1), np.longdouble(1), "1"):
        kind = type(bad).__qualname__ if isinstance(bad, str) else f"numpy.{type(bad).__qualname__}"
        with raises(TypeError, f"{name} must be a number or an array, got {kind}"):
            loss(x, x, **{name: bad})


@pytest.mark.parametrize("bad", [np.float32(-1), np.int64(-2), np.float64("nan")], ids=repr)
def test_numpy_scalars_are_checked_as_numbers_are(backend, bad):
    with raises(ValueError, f"pos_weight must not be negative or NaN, got {bad!r}"):
        bce(logits_of(backend, "float32"), 1, pos_weight=bad)


@pytest.mark.parametrize(
    "bad", [np.complex128(1), np.str_("1"), np.longdouble(1), np.datetime64("2020-01-01")], ids=repr
)
def test_numpy_scalars_that_are_no_real_numbers(backend, bad):
    with pytest.raises(
        TypeError, match=r"^weight must be (boolean, integer or|an array of the same library as logits)"
    ):
        bce(logits_of(backend, "float32"), 1, weight=bad)


def test_masked_scalar(backend):
    with pytest.raises(TypeError, match=r"^weight must (not be a masked array|be an array of the same library)"):
        bce(logits_of(backend, "float32"), 1, weight=np.ma.masked)


def test_plans_of_earlier_calls_are_for_the_same_kinds_of_scalars():
    """A call like an earlier one takes its plan: dimensions, dtypes and libraries are part of the likeness."""
    torch = pytest.importorskip("torch")
    narrow, wide = np.float32([0.5]), np.float64([2.0])
    for time in ("first", "again"):
        with step("numpy and torch", bce, time):
            assert bce(narrow, narrow, weight=wide).dtype == np.float64
            assert bce(narrow, narrow, weight=wide[0]).dtype == np.float32
            assert bce(narrow, narrow, weight=np.array(2.0)).dtype == np.float32
            tensor = bce(torch.tensor(narrow), torch.tensor(narrow), weight=np.array(2.0))
            assert isinstance(tensor, torch.Tensor)
            with pytest.raises(TypeError, match=r"^weight must be an array of the same library as logits"):
                bce(torch.tensor(narrow), torch.tensor(narrow), weight=wide)


def test_options_that_are_minus_zero_are_zero():
    x = np.array([0.25])
    for loss, name in ((xbce.binary_cross_entropy, "log_floor"), (xbce.sigmoid_focal_loss, "gamma")):
        with step("numpy", loss.value_and_gradient, name):
            first, second = (loss.value_and_gradient(x, 1, **{name: zero}) for zero in (-0.0, 0.0))
            assert [a.tobytes() for a in first] == [a.tobytes() for a in second]


@pytest.mark.parametrize("name", ["xlogy", "xlog1py"])
def test_scalars_in_primitives(backend, dtype, name):
    x = backend.from_numpy(FORMATS[dtype].round([0.25, 2.0]))
    function = getattr(special, name)
    full = backend.from_numpy(np.full(2, 2, FORMATS[dtype].dtype))
    second, first = function(x, full), function(full, x)
    for kind, scalar in {"Python": 2.0, **NUMPY_SCALARS}.items():
        with step(backend, function, dtype, kind):
            assert_same(backend, function(x, scalar), second)
            assert_same(backend, function(scalar, x), first)
    wide = backend.from_numpy(np.array(2.0))
    assert function(x, wide).dtype == function(wide, x).dtype == x.dtype


def test_primitives_of_scalars_alone():
    """Equals have no first one that decides."""
    assert special.xlogy(np.float32(2), np.float64(3)).dtype == np.float64
    assert special.xlogy(np.float64(2), np.float32(3)).dtype == np.float64
    assert special.xlogy(np.array(2.0, np.float32), np.array(3.0)).dtype == np.float64
    assert special.xlogy(np.float32(2), 3.0).dtype == np.float32
    with raises(
        TypeError,
        "x must be an array of a library that follows the array API standard "
        "(NumPy, CuPy, PyTorch, JAX, Dask, ...), got float",
    ):
        special.xlogy(2.0, 3.0)


@pytest.mark.parametrize("name", ["weight", "pos_weight", "label"])
def test_torch_differentiates_in_wider_scalars(name):
    torch = pytest.importorskip("torch")
    x = torch.tensor([0.5, -1.0], requires_grad=True)
    scalar = torch.tensor(0.75, dtype=torch.float64, requires_grad=True)
    losses = bce(x, scalar) if name == "label" else bce(x, torch.ones(2), **{name: scalar})
    assert losses.dtype == torch.float32
    losses.sum().backward()
    assert scalar.grad.dtype == torch.float64
    assert scalar.grad.shape == ()
    assert x.grad.dtype == torch.float32
    np.testing.assert_allclose(scalar.grad.item(), slope_in(name), rtol=1e-6)


@pytest.mark.parametrize("name", ["weight", "pos_weight", "label"])
@pytest.mark.parametrize("jitted", [False, True])
def test_jax_differentiates_in_wider_scalars(name, jitted):
    jax = pytest.importorskip("jax")

    def total(x, scalar):
        losses = bce(x, scalar) if name == "label" else bce(x, jax.numpy.ones_like(x), **{name: scalar})
        assert losses.dtype == x.dtype
        return losses.sum()

    with jax_float64(True):
        x, scalar = jax.numpy.asarray([0.5, -1.0], "float32"), jax.numpy.asarray(0.75, "float64")
        slope = (jax.jit if jitted else lambda f: f)(jax.grad(total, 1))(x, scalar)
    assert slope.dtype == np.float64
    np.testing.assert_allclose(slope, slope_in(name), rtol=1e-6)


def slope_in(name):
    """Return the derivative of the sum of the losses of 0.5 and -1 with label 1: exact, and -x in a label."""
    return -(0.5 - 1.0) if name == "label" else exact(lambda x, y: softplus(-x) + softplus(-y), 0.5, -1.0)


class TestJax:
    """What JAX takes for numbers: Python's as arguments of compiled functions, and NumPy's arrays for arrays."""

    @pytest.fixture(autouse=True, params=["x64", "x32"])
    def _precision(self, request):
        jax = pytest.importorskip("jax")
        with jax_float64(request.param == "x64"), jax.numpy_dtype_promotion("strict"):
            yield

    @pytest.mark.parametrize("name", ["weight", "pos_weight", "label"])
    @pytest.mark.parametrize("dtype", some_long({d: d for d in ("bfloat16", "float16", "float32")}, {"bfloat16"}))
    @pytest.mark.parametrize("logits", [[-2.0, 0.5, 3.0], 0.5], ids=["array", "no dimensions"])
    def test_python_scalars_as_arguments_of_compiled_functions(self, logits, dtype, name):
        import jax

        def loss(x, number):
            return (
                bce.value_and_gradient(x, number) if name == "label" else bce.value_and_gradient(x, 1, **{name: number})
            )

        x = jax.numpy.asarray(logits, dtype)
        eps = float(jax.numpy.finfo(dtype).eps)
        jitted = jax.jit(loss)  # compiles once for each type
        for number in (2.0, 0.1, 2, True):
            for got, wanted in zip(jitted(x, number), loss(x, number), strict=True):
                with step("jax", bce.value_and_gradient, dtype, **{name: number}):
                    assert got.dtype == wanted.dtype == x.dtype
                    np.testing.assert_allclose(np.float64(got), np.float64(wanted), rtol=8 * eps)

    def test_weakly_typed_arrays_never_widen(self):
        import jax

        x = jax.numpy.zeros(3, "bfloat16")
        weak = jax.numpy.full(3, 2.0)
        assert weak.weak_type
        assert bce(x, x, weight=weak).dtype == "bfloat16"
        assert special.xlogy(weak, x).dtype == "bfloat16"

    @pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jitted"])
    @pytest.mark.parametrize("which", ["logits", "labels", "weight", "pos_weight", "where"])
    def test_numpy_arrays_beside_jax_arrays(self, which, jitted):
        import jax

        x, z = np.array([[-2.0, 0.5, 3.0]]), np.array([[1, 0, 0]], np.int8)
        arrays = {"logits": x, "labels": z, "weight": np.array([1.0, 2, 3]), "pos_weight": np.array([[2.0]])}
        arrays["where"] = np.array([True, False, True])

        def results(**arrays):
            x, z = arrays.pop("logits"), arrays.pop("labels")
            return bce.value_and_gradient(x, z, reduction="mean", **arrays)

        own = {name: jax.numpy.asarray(a) for name, a in arrays.items()}
        mixed = own | {which: arrays[which]}
        only = {name: arrays[name] if name != which else own[name] for name in own}
        for given in (mixed, only):
            jax_given = {name: a for name, a in given.items() if isinstance(a, jax.Array)}
            constant = {name: a for name, a in given.items() if name not in jax_given}
            function = partial(results, **constant)
            got = (jax.jit(function) if jitted else function)(**jax_given)
            for quantity, a, b in zip(("value", "gradient"), got, results(**own), strict=True):
                with step("jax", function, quantity, sorted(constant)):
                    assert isinstance(a, jax.Array)
                    assert a.dtype == b.dtype
                    np.testing.assert_allclose(a, b, rtol=4 * float(jax.numpy.finfo(b.dtype).eps))

    def test_dtype_of_numpy_arrays_is_the_one_that_jax_gives_them(self):
        import jax

        x = jax.numpy.zeros(2, "float32")
        for labels in (np.zeros(2), np.zeros(2, ">f8")):
            with step("jax", bce, labels.dtype):
                wanted = jax.numpy.asarray(np.zeros(2)).dtype
                assert bce(x, labels).dtype == bce(labels, x).dtype == special.xlogy(x, labels).dtype == wanted
        assert bce(x, np.zeros(2, np.float32)).dtype == np.float32
        assert xbce.reduce(np.zeros(2, np.float32), weight=x).dtype == np.float32

    def test_numpy_arrays_are_copied(self):
        """What is kept for a derivative must not change with them."""
        import jax

        labels = np.zeros(1000, np.float32)
        _, pull = jax.vjp(lambda x: bce(x, labels), jax.numpy.zeros(1000, "float32"))
        labels[:] = 1
        np.testing.assert_array_equal(pull(jax.numpy.ones(1000, "float32"))[0], np.full(1000, 0.5))

    def test_refused_numpy_arrays(self):
        import jax

        x = jax.numpy.zeros(2, "float32")
        with raises(TypeError, "labels must not be a masked array: its mask would be ignored"):
            bce(x, np.ma.masked_array([0.0, 1.0], mask=[True, False]))
        with raises(TypeError, "logits must not be a masked array: its mask would be ignored"):
            bce(np.ma.masked_array([0.0, 1.0], mask=[True, False]), x)
        with pytest.raises(TypeError, match=r"^labels must be boolean, integer or one of .* got str32$"):
            bce(x, np.array(["a", "b"]))
        with raises(TypeError, "where must be boolean (True keeps an element), got float64"):
            bce(x, 1, where=np.zeros(2))
        with raises(ValueError, "labels must have the shape of logits, got labels (1,) and logits (2,)"):
            bce(x, np.zeros(1))


SHARDED = """
import jax, numpy as np, xbce
from jax.sharding import NamedSharding, PartitionSpec
from xbce.conventions import caffe, keras, sklearn, tensorflow
bce = xbce.binary_cross_entropy_with_logits
mesh = jax.make_mesh((2,), ("d",), axis_types=(jax.sharding.AxisType.{axes},))
x = jax.device_put(jax.numpy.zeros((4, 2)), NamedSharding(mesh, PartitionSpec("d")))
half = jax.pmap(lambda x: x + 0.5)(jax.numpy.zeros((2, 2)))
log2 = float(np.log(np.float32(2)))
for losses in (
    bce(x, 1), bce(x, np.float32(1)), bce(x, np.ones((4, 2), np.float32)), bce(x, 1, pos_weight=1, weight=1.0),
    xbce.binary_cross_entropy(half, 1, weight=1), xbce.reduce(bce(x, 1), weight=1.0, reduction="none"),
    tensorflow.weighted_cross_entropy_with_logits(x, x, 2.0), tensorflow.sigmoid_cross_entropy(x, x),
    tensorflow.log_loss(x, x + 0.5), tensorflow.sigmoid_cross_entropy_with_logits(labels=x, logits=x),
    keras.BinaryCrossentropy(from_logits=True)([[1.0, 0.0]] * 4, x),
    caffe.SigmoidCrossEntropyLoss(normalization="FULL", loss_weight=1.0).forward(x, x),
    sklearn.log_loss(np.array([0, 1, 0, 1]), x + 0.5),
):
    np.testing.assert_allclose(losses, log2, rtol=1e-6)
assert bce(x, 1).sharding.is_equivalent_to(x.sharding, 2)
set_mesh = jax.set_mesh if hasattr(jax, "set_mesh") else jax.sharding.use_mesh  # before JAX 0.7
with set_mesh(mesh):  # which JAX's own gradients need, too
    np.testing.assert_allclose(jax.grad(lambda x: bce(x, 1, weight=2.0, reduction="mean"))(x), -0.125, rtol=1e-6)
"""


@pytest.mark.parametrize("axes", [pytest.param("Auto", marks=pytest.mark.long), "Explicit"])
def test_scalars_beside_arrays_on_several_devices_of_jax(axes):
    pytest.importorskip("jax")
    environment = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    run_python(SHARDED.format(axes=axes), environment)


def run_python(code, environment):
    import os

    command = [sys.executable, "-W", "error", "-c", code]
    run = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | environment, timeout=240
    )
    assert run.returncode == 0, run.stderr
