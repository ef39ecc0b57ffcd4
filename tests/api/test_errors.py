"""Errors name the argument, what came and what was expected; the same for every backend."""

import os
import re
import subprocess
import sys
import types
import warnings

import numpy as np
import pytest

import xbce
from tests.helpers import step
from xbce_conformance.cases.losses import FAMILY
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.subjects.backends import find_backends

loss = xbce.binary_cross_entropy_with_logits
METHODS = [loss, loss.gradient, loss.hessian, loss.value_and_gradient]
methods = pytest.mark.parametrize("method", METHODS, ids=["value", "gradient", "hessian", "value_and_gradient"])


def raises(error, text):
    """Expect exactly this text."""
    return pytest.raises(error, match=f"^{re.escape(text)}$")


@methods
def test_shapes(backend, method):
    x = backend.from_numpy(np.zeros((3, 1)))
    z = backend.from_numpy(np.zeros(3))
    with raises(ValueError, "labels must have the shape of logits, got labels (3,) and logits (3, 1)"):
        method(x, z)
    with raises(ValueError, "labels must have the shape of logits, got labels (3, 1) and logits (3,)"):
        method(z, x)
    one = backend.from_numpy(np.zeros(1))
    with raises(ValueError, "labels must have the shape of logits, got labels (1,) and logits (3,)"):
        method(z, one)


@pytest.mark.parametrize("kind", ["int64", "bool", "complex64"])
def test_dtype_of_logits(backend, kind):
    x = backend.from_numpy(np.zeros(3, kind))
    with raises(TypeError, f"logits must have one of the dtypes float16, bfloat16, float32, float64, got {kind}"):
        loss(x, 0)


def test_dtype_of_labels(backend):
    x, z = backend.from_numpy(np.zeros(3)), backend.from_numpy(np.zeros(3, "complex64"))
    text = "labels must be boolean, integer or one of float16, bfloat16, float32, float64, got complex64"
    with raises(TypeError, text):
        loss(x, z)


def test_unusual_numpy_dtypes():
    longdouble = np.dtype(np.longdouble)  # its name is the platform's
    with raises(TypeError, f"logits must have one of the dtypes float16, bfloat16, float32, float64, got {longdouble}"):
        loss(np.zeros(3, longdouble), 0)
    for labels in (np.array(["a"]), np.array([None]), np.array(["2020-01-01"], "M8[D]")):
        with pytest.raises(TypeError, match=r"^labels must be boolean, integer or one of "):
            loss(np.zeros(1), labels)


@pytest.mark.parametrize("logits", [[0.0, 1.0], 0.5, None, "x"], ids=["list", "float", "None", "str"])
def test_logits_that_are_no_array(logits):
    text = (
        "logits must be an array of a library that follows the array API standard "
        f"(NumPy, CuPy, PyTorch, JAX, Dask, ...), got {type(logits).__name__}"
    )
    with raises(TypeError, text):
        loss(logits, 0)


@pytest.mark.parametrize("labels", [[0.0, 1.0], None, 1j], ids=["list", "None", "complex"])
def test_labels_that_are_no_array(backend, labels):
    with pytest.raises(TypeError, match=f"^labels must be an array of .* got {type(labels).__name__}$"):
        loss(backend.from_numpy(np.zeros(2)), labels)


def test_mixed_libraries(backend):
    x = backend.from_numpy(np.zeros(2))
    for other in find_backends()[0].values():
        libraries = {other.name.partition(":")[0], backend.name.partition(":")[0]}
        if len(libraries) == 1 or libraries == {"numpy", "jax"}:  # those are taken, as JAX itself takes them
            continue
        z = other.from_numpy(np.zeros(2))
        with pytest.raises(
            TypeError, match=r"^labels must be an array of the same library as logits .* got an array of"
        ):
            loss(x, z)


def test_mixed_devices():
    strict = pytest.importorskip("array_api_strict")
    x = strict.zeros(2)
    z = strict.zeros(2, device=strict.Device("device1"))
    with pytest.raises(ValueError, match=r"^labels must be on the device of logits .*nothing is transferred silently$"):
        loss(x, z)
    torch = pytest.importorskip("torch")
    with raises(ValueError, "labels must be on the device of logits (cpu), got meta; nothing is transferred silently"):
        loss(torch.zeros(2), torch.zeros(2, device="meta"))


# Each puts an array in the place of one argument; `x` is a good one.
PLACES = {
    "logits": lambda _, bad: loss(bad, 1),
    "labels": lambda x, bad: loss(x, bad),
    "probabilities": lambda _, bad: xbce.binary_cross_entropy.gradient(bad, 1),
    "pos_weight": lambda x, bad: xbce.sigmoid_focal_loss(x, 1, pos_weight=bad),
    "weight": lambda x, bad: xbce.asymmetric_loss(x, 1, weight=bad),
    "where": lambda x, bad: loss(x, 1, where=bad),
    "losses": lambda _, bad: xbce.reduce(bad),
    "weight of reduce": lambda x, bad: xbce.reduce(x, weight=bad),
    "x": lambda _, bad: xbce.special.expit(bad),
    "y": lambda x, bad: xbce.special.xlogy(x, bad),
    "labels of check_labels": lambda _, bad: xbce.check_labels(bad),
}
each_place = pytest.mark.parametrize("place", PLACES)


def refuses(place, x, bad, text):
    """Expect a TypeError that names the argument, for a first call and for the next."""
    for _ in range(2):
        with raises(TypeError, f"{place.partition(' ')[0]} {text}"):
            PLACES[place](x, bad)


@each_place
def test_masked_array(place):
    masked = np.ma.masked_array([0.0, 1.0], mask=[True, False])
    refuses(place, np.zeros(2), masked, "must not be a masked array: its mask would be ignored")


class WithUnit(np.ndarray):
    """As python-quantities and pymatgen have them: NumPy's functions see plain numbers."""

    unit = "s/h"


class Redefining(np.ndarray):
    """As Astropy's and unyt's: `exp` of seconds per hour divides by 3600 first."""

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        numbers = [np.asarray(x) / 3600 if isinstance(x, Redefining) else x for x in inputs]
        return getattr(ufunc, method)(*numbers, **kwargs)


class Redispatching(np.ndarray):
    def __array_function__(self, function, types, args, kwargs):
        raise NotImplementedError


@each_place
def test_numpy_subclasses_that_carry_units(place):
    text = f"must not carry a unit, which would be ignored: pass its numbers; got {__name__}.WithUnit"
    refuses(place, np.zeros(2), np.zeros(2).view(WithUnit), text)


@pytest.mark.parametrize(
    ("cls", "method"), [(Redefining, "__array_ufunc__"), (Redispatching, "__array_function__")], ids=["ufunc", "func"]
)
@each_place
def test_numpy_subclasses_that_mean_something_else(place, cls, method):
    text = "must not redefine NumPy's functions, as that would be ignored: pass its numbers; "
    text += f"{__name__}.{cls.__name__} has its own {method}"
    refuses(place, np.zeros(2), np.zeros(2).view(cls), text)


class WithAttribute(np.ndarray):
    """The example of NumPy's own manual."""

    def __array_finalize__(self, other):
        self.info = getattr(other, "info", None)


@pytest.mark.parametrize("kind", ["memmap", "recarray", "matrix", "subclass"])
def test_numpy_subclasses_that_mean_the_same(kind, tmp_path):
    x, w = np.array([[0.5, -2.0, 40.0]]), np.array([[2.0, 0.5, 3.0]])
    if kind == "memmap":
        other = np.memmap(tmp_path / "x", x.dtype, "w+", shape=x.shape)
        other[:] = x
    else:
        other = x.view({"recarray": np.recarray, "matrix": np.matrix, "subclass": WithAttribute}[kind])
    got = loss(other, other, weight=w.view(type(other)), pos_weight=w.view(type(other)), reduction="mean")
    assert got == loss(x, x, weight=w, pos_weight=w, reduction="mean")
    assert type(loss(other, 1)) is np.ndarray
    assert xbce.check_labels(other[:, :1]) is None


def tensors_of_other_kinds():
    torch = pytest.importorskip("torch")
    x = torch.zeros(2, 4)
    sparse = "must be a dense tensor, got one of layout torch.{}: call its method to_dense first"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that they are in beta state
        return {
            "coo": (x.to_sparse(), sparse.format("sparse_coo")),
            "csr": (x.to_sparse_csr(), sparse.format("sparse_csr")),
            "csc": (x.to_sparse_csc(), sparse.format("sparse_csc")),
            "bsr": (x.to_sparse_bsr((1, 2)), sparse.format("sparse_bsr")),
            "bsc": (x.to_sparse_bsc((1, 2)), sparse.format("sparse_bsc")),
            "mkldnn": (x.to_mkldnn(), sparse.format("_mkldnn")),
            "nested": (
                torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
                "must not be a nested tensor of layout torch.strided: make it with layout=torch.jagged",
            ),
            "masked": (
                torch.masked.masked_tensor(x, x == 0),
                "must not be a masked array: its mask would be ignored",
            ),
            "unit": (
                x.as_subclass(type("Metres", (torch.Tensor,), {"unit": "m", "__module__": "si"})),
                "must not carry a unit, which would be ignored: pass its numbers; got si.Metres",
            ),
        }


@pytest.mark.parametrize("kind", ["coo", "csr", "csc", "bsr", "bsc", "mkldnn", "nested", "masked", "unit"])
@each_place
def test_tensors_that_are_not_dense_numbers(place, kind):
    torch = pytest.importorskip("torch")
    bad, text = tensors_of_other_kinds()[kind]
    x = torch.zeros(2, 4)
    PLACES[place](x, x == 0 if place == "where" else x)  # a dense one is remembered, and may not stand for the other
    refuses(place, x, bad, text)


@pytest.mark.parametrize("place", ["logits", "labels", "weight"])
@pytest.mark.filterwarnings("ignore:.*quantize_per_tensor")
def test_quantized_tensors(place):
    torch = pytest.importorskip("torch")
    bad = torch.quantize_per_tensor(torch.zeros(2), 0.1, 0, torch.qint8)
    with pytest.raises(TypeError, match=rf"^{place} must .*, got qint8$"):
        PLACES[place](torch.zeros(2), bad)


@pytest.mark.parametrize("kind", ["parameter", "buffer", "subclass", "fake", "grad", "vmap"])
def test_tensors_that_mean_the_same(kind):
    torch = pytest.importorskip("torch")
    from torch._subclasses import FakeTensorMode

    x = torch.tensor([[0.5, -2.0, 40.0], [1.0, 2.0, 3.0]])
    wanted = loss(x, x, weight=x)
    match kind:
        case "parameter" | "buffer":
            x = (torch.nn.Parameter if kind == "parameter" else torch.nn.Buffer)(x)
            assert torch.equal(loss(x, x, weight=x), wanted)
        case "subclass":
            y = x.as_subclass(type("Named", (torch.Tensor,), {}))
            got = loss(y, y, weight=y)
            assert type(got) is type(y)
            assert torch.equal(got.as_subclass(torch.Tensor), wanted)
        case "fake":
            with FakeTensorMode() as mode:
                y = mode.from_tensor(x)
                assert loss(y, y, weight=y).shape == x.shape
        case "grad":
            total = torch.func.grad(lambda y: loss(y, x, weight=x).sum())(x)
            assert torch.equal(total, loss.gradient(x, x, weight=x))
        case "vmap":
            assert torch.equal(torch.func.vmap(lambda y: loss(y, y, weight=y))(x), wanted)


def test_distributed_tensors():
    torch = pytest.importorskip("torch")
    distributed = pytest.importorskip("torch.distributed.tensor")
    dist = torch.distributed
    if not dist.is_available() or not dist.is_gloo_available():
        pytest.skip("this PyTorch has no gloo")
    x = torch.tensor([[0.5, -2.0, 40.0], [1.0, 2.0, 3.0]])
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        mesh = distributed.init_device_mesh("cpu", (1,))
        y = distributed.distribute_tensor(x, mesh, [distributed.Shard(0)])
        assert torch.equal(loss(y, y, weight=y).to_local(), loss(x, x, weight=x))
    finally:
        dist.destroy_process_group()


@each_place
def test_sparse_arrays_of_jax(place):
    jax = pytest.importorskip("jax")
    sparse = pytest.importorskip("jax.experimental.sparse")
    bad = sparse.BCOO.fromdense(jax.numpy.zeros(2))
    text = "must be an array of a library that follows the array API standard (NumPy, CuPy, PyTorch, JAX, Dask, ...), "
    refuses(place, jax.numpy.zeros(2), bad, f"{text}got jax.experimental.sparse.bcoo.BCOO")


JAX_ON_TWO_DEVICES = """
import jax, jax.numpy as jnp, xbce
a, b = jax.devices()
x, z, free = jax.device_put(jnp.ones(4), a), jax.device_put(jnp.ones(4), b), jnp.ones(4)
mesh = jax.sharding.Mesh([a, b], ("d",))
both = jax.device_put(jnp.ones(4), jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("d")))
bce = xbce.binary_cross_entropy_with_logits
for call in (
    lambda: bce(x, z),
    lambda: bce.gradient(z, free, weight=x),
    lambda: bce(both, free, where=x > 0),
    lambda: xbce.special.xlogy(x, z),
    lambda: bce(z, free), lambda: bce(free, z), lambda: bce(both, both), lambda: jax.jit(bce)(both, free),
):
    try:
        print(call().shape)
    except ValueError as error:
        print(error)
"""


def test_jax_arrays_on_two_devices():
    pytest.importorskip("jax")
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", JAX_ON_TWO_DEVICES]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    names = [str(name) for name in re.findall(r"\(([^()]+)\), got ([^;]+);", run.stdout)[0]]
    assert len(set(names)) == 2
    a, b = names
    assert run.stdout.splitlines() == [
        f"labels must be on the device of logits ({a}), got {b}; nothing is transferred silently",
        f"weight must be on the device of logits ({b}), got {a}; nothing is transferred silently",
        f"where must be on the device of logits ({a}, {b}), got {a}; nothing is transferred silently",
        f"y must be on the device of x ({a}), got {b}; nothing is transferred silently",
        *["(4,)"] * 4,
    ]


@pytest.fixture
def strict_2022():
    strict = pytest.importorskip("array_api_strict")
    strict.set_array_api_strict_flags(api_version="2022.12")
    yield strict
    strict.reset_array_api_strict_flags()


@pytest.mark.parametrize("name", ["logits", "probabilities", "losses", "x", "labels of check_labels"])
def test_an_old_version_of_the_standard(strict_2022, name):
    x = strict_2022.ones(2)
    text = "must be an array of a library that follows the array API standard, version 2024.12 or later; "
    refuses(name, x, x, f"{text}array_api_strict follows 2022.12")


class WithoutDevice:
    """As arrays of MLX are, but of a library without an adapter."""

    dtype = np.dtype("float32")
    shape = (2,)
    ndim = 1

    def __array_namespace__(self, api_version=None):
        return types.ModuleType("abacus.core")


@pytest.mark.parametrize("name", ["logits", "losses", "x"])
def test_a_library_whose_arrays_have_no_device(name):
    text = "must be an array of a library that follows the array API standard, version 2024.12 or later; "
    refuses(name, np.zeros(2), WithoutDevice(), f"{text}abacus has arrays without a device")


@methods
def test_reduction(backend, method):
    x = backend.from_numpy(np.zeros(2))
    with raises(ValueError, "reduction must be one of 'none', 'mean', 'sum', got 'average'"):
        method(x, 0, reduction="average")
    with raises(ValueError, "reduction must be one of 'none', 'mean', 'sum', got None"):
        method(x, 0, reduction=None)


@methods
def test_axis(backend, method):
    x = backend.from_numpy(np.zeros((2, 3)))
    with raises(ValueError, "axis is for reduction='mean' and reduction='sum'; got axis=0 with reduction='none'"):
        method(x, 0, axis=0)
    with raises(ValueError, "axis 2 is out of bounds for logits with 2 dimensions"):
        method(x, 0, reduction="sum", axis=2)
    with raises(ValueError, "axis -3 is out of bounds for logits with 2 dimensions"):
        method(x, 0, reduction="sum", axis=(0, -3))
    with raises(ValueError, "axis must not name an axis twice, got (0, -2) for logits with 2 dimensions"):
        method(x, 0, reduction="sum", axis=(0, -2))
    with raises(ValueError, "axis an int of 1329 bits is out of bounds for logits with 2 dimensions"):
        method(x, 0, reduction="sum", axis=10**400)


NO_AXES = [
    *(1.0, True, "0", [0], [0, 1], np.array([0, 1]), np.array([0]), np.array(True), np.True_),
    *((np.array([0, 1]),), (0, None)),
]


@methods
def test_axis_that_is_no_int(backend, method):
    x = backend.from_numpy(np.zeros((2, 3)))
    for axis in NO_AXES:
        text = f"axis must be an int, a tuple of ints or None, got {axis!r}"
        with step(backend, method, axis=axis), raises(TypeError, text):
            method(x, 0, reduction="sum", axis=axis)


@pytest.mark.parametrize("axis", [np.int64(-1), np.uint8(1), np.array(1), (np.int32(1),)], ids=repr)
def test_axis_that_is_an_int_of_numpy(backend, axis):
    x = backend.from_numpy(np.arange(6.0).reshape(2, 3))
    got, wanted = (backend.to_numpy(loss(x, 0, reduction="sum", axis=a)) for a in (axis, 1))
    np.testing.assert_array_equal(got, wanted)


def test_axis_that_is_a_tensor():
    torch = pytest.importorskip("torch")
    x = torch.zeros(2, 3)
    assert loss(x, 0, reduction="sum", axis=torch.tensor(1)).shape == (2,)
    with raises(TypeError, "axis must be an int, a tuple of ints or None, got tensor(True)"):
        loss(x, 0, reduction="sum", axis=torch.tensor(True))


@methods
@pytest.mark.parametrize("option", ["reduction", "normalize_by"])
@pytest.mark.parametrize("bad", [np.array(["mean", "size"]), ["mean"], ("size",), 1], ids=repr)
def test_choices_that_are_no_text(method, option, bad):
    choices = {
        "reduction": "'none', 'mean', 'sum'",
        "normalize_by": "'count', 'size', 'weight', 'nonzero', 'batch'",
    }
    with raises(ValueError, f"{option} must be one of {choices[option]}, got {bad!r}"):
        method(np.zeros(2), 0, **{"reduction": "mean", option: bad})


def test_arguments_are_positional_or_keyword_only():
    x = np.zeros(2)
    with pytest.raises(TypeError, match="positional-only"):
        loss(logits=x, labels=x)
    with pytest.raises(TypeError, match="positional"):
        loss(x, x, "mean")
    with pytest.raises(TypeError, match="unexpected keyword argument 'weights'"):
        loss(x, x, weights=x)


each_loss = pytest.mark.parametrize("any_loss", [getattr(xbce, name) for name in FAMILY], ids=FAMILY)


@each_loss
def test_options_may_not_enlarge_the_shape(backend, any_loss):
    x = backend.from_numpy(np.full((2, 1), 0.5))
    name = FAMILY[any_loss.__name__].first
    for option, shape in (("pos_weight", (3,)), ("weight", (2, 3)), ("weight", (1, 2, 1)), ("where", (4,))):
        array = backend.from_numpy(np.ones(shape, bool if option == "where" else float))
        text = f"{option} must broadcast to the shape of {name} without enlarging it, got {option} {shape} and "
        text += f"{name} (2, 1)"
        with raises(ValueError, text):
            any_loss(x, 1, **{option: array})


@each_loss
def test_dtypes_of_options(backend, any_loss):
    x = backend.from_numpy(np.full(2, 0.5))
    for dtype in ("float64", "int64"):
        with raises(TypeError, f"where must be boolean (True keeps an element), got {dtype}"):
            any_loss(x, 1, where=backend.from_numpy(np.ones(2, dtype)))
    for option in ("weight", "pos_weight"):
        text = f"{option} must be boolean, integer or one of float16, bfloat16, float32, float64, got complex64"
        with raises(TypeError, text):
            any_loss(x, 1, **{option: backend.from_numpy(np.ones(2, "complex64"))})
        with pytest.raises(TypeError, match=rf"^{option} must be an array of .* got list$"):
            any_loss(x, 1, **{option: [1.0, 2.0]})


@each_loss
@pytest.mark.parametrize("bad", [-1, -0.5, float("nan")])
def test_negative_pos_weight(any_loss, bad):
    with raises(ValueError, f"pos_weight must not be negative or NaN, got {bad!r}"):
        any_loss(np.zeros(2), 1, pos_weight=bad)


@pytest.mark.parametrize(
    ("any_loss", "options", "error", "text"),
    [
        (loss, {"label_smoothing": 1.5}, ValueError, "label_smoothing must be at least 0 and at most 1, got 1.5"),
        (loss, {"label_smoothing": -0.1}, ValueError, "label_smoothing must be at least 0 and at most 1, got -0.1"),
        (loss, {"label_smoothing": None}, TypeError, "label_smoothing must be a number or an array, got NoneType"),
        (loss, {"label_smoothing": True}, TypeError, "label_smoothing must be a number or an array, got bool"),
        (xbce.sigmoid_focal_loss, {"gamma": -1}, ValueError, "gamma must be at least 0, got -1"),
        (xbce.sigmoid_focal_loss, {"gamma": "2"}, TypeError, "gamma must be a number or an array, got str"),
        (xbce.sigmoid_focal_loss, {"alpha": 2}, ValueError, "alpha must be at least 0 and at most 1, got 2"),
        (xbce.asymmetric_loss, {"gamma_pos": -1}, ValueError, "gamma_pos must be at least 0, got -1"),
        (xbce.asymmetric_loss, {"gamma_neg": np.nan}, ValueError, "gamma_neg must be at least 0, got nan"),
        (
            loss,
            {"label_smoothing": 2**1000},
            ValueError,
            "label_smoothing must be at least 0 and at most 1, got an int of 1001 bits",
        ),
        (
            xbce.sigmoid_focal_loss,
            {"gamma": 10**400},
            ValueError,
            "gamma must be a number that float64 can hold, got an int of 1329 bits",
        ),
        (
            xbce.asymmetric_loss,
            {"gamma_neg": -(10**5000)},
            ValueError,
            "gamma_neg must be at least 0, got an int of 16610 bits",
        ),
        (
            loss,
            {"pos_weight": -(10**5000)},
            ValueError,
            "pos_weight must not be negative or NaN, got an int of 16610 bits",
        ),
        (
            xbce.binary_cross_entropy,
            {"log_floor": -(10**400)},
            ValueError,
            "log_floor must be a number that float64 can hold, got an int of 1329 bits",
        ),
        (xbce.asymmetric_loss, {"shift": 1}, ValueError, "shift must be at least 0 and below 1, got 1"),
        (xbce.binary_cross_entropy, {"clip": 0.5}, ValueError, "clip must be at least 0 and below 0.5, got 0.5"),
        (xbce.binary_cross_entropy, {"log_floor": 3}, ValueError, "log_floor must be at most 0, got 3"),
        (xbce.binary_cross_entropy, {"log_offset": -1e-7}, ValueError, "log_offset must be at least 0, got -1e-07"),
        (
            xbce.binary_cross_entropy,
            {"clip": 1e-7, "log_offset": 1e-7},
            ValueError,
            "at most one of clip, log_floor, log_offset may be given, got clip and log_offset",
        ),
    ],
)
def test_static_options(any_loss, options, error, text):
    with raises(error, text):
        any_loss(np.full(2, 0.5), 1, **options)


@methods
def test_normalize_by(backend, method):
    x = backend.from_numpy(np.zeros(2))
    text = "normalize_by must be one of 'count', 'size', 'weight', 'nonzero', 'batch', got 'n'"
    with raises(ValueError, text):
        method(x, 0, normalize_by="n")
    text = "normalize_by='batch' divides by the length of axis 0, but logits has 0 dimensions"
    with raises(ValueError, text):
        method(backend.from_numpy(np.zeros(())), 0, reduction="mean", normalize_by="batch")


def test_reduce(backend):
    x = backend.from_numpy(np.zeros((2, 3)))
    with raises(ValueError, "axis 2 is out of bounds for losses with 2 dimensions"):
        xbce.reduce(x, axis=2)
    text = "weight must broadcast to the shape of losses without enlarging it, got weight (2,) and losses (2, 3)"
    with raises(ValueError, text):
        xbce.reduce(x, weight=backend.from_numpy(np.zeros(2)))
    with raises(TypeError, "losses must have one of the dtypes float16, bfloat16, float32, float64, got int64"):
        xbce.reduce(backend.from_numpy(np.zeros(2, int)))


@pytest.mark.parametrize("function", [xbce.special.xlogy, xbce.special.xlog1py])
def test_shapes_of_equals(backend, function):
    x, y = (backend.from_numpy(np.ones(shape)) for shape in ((2, 3), (4, 1, 2)))
    with raises(ValueError, "y and x must broadcast together, got y (4, 1, 2) and x (2, 3)"):
        function(x, y)


@pytest.mark.parametrize("bad", [1.5, -0.25, np.nan])
def test_check_labels(backend, dtype, bad):
    good = np.zeros((2, 3))
    labels = np.array(good)
    labels[1, 2] = bad
    arrays = [backend.from_numpy(FORMATS[dtype].round(a)) for a in (good, labels)]
    if backend.name == "dask":
        for array in arrays:
            with raises(TypeError, "labels must have values that can be looked at, got a lazy or traced array"):
                xbce.check_labels(array)
        return
    assert xbce.check_labels(arrays[0]) is None
    with raises(ValueError, f"labels must be in [0, 1], got {bad:g} at index (1, 2)"):
        xbce.check_labels(arrays[1])


NEAR = {"float16": "1.001", "bfloat16": "1.01", "float32": "1.0000001", "float64": "1.0000000000000002"}


@pytest.mark.parametrize("sign", [1, -1])
def test_check_labels_shows_what_tells_a_label_from_1(backend, dtype, sign):
    if backend.name == "dask":
        pytest.skip("Dask has no values yet")
    label = FORMATS[dtype].round(np.asarray(sign * float(NEAR[dtype])))
    assert label != sign
    text = f"labels must be in [0, 1], got {'-' if sign < 0 else ''}{NEAR[dtype]} at index (0,)"
    with raises(ValueError, text):
        xbce.check_labels(backend.from_numpy(label[None]))


@pytest.mark.parametrize(
    ("bad", "shown"),
    [
        (65504, "65500"),
        (-5.9604645e-08, "-6e-08"),
        (np.inf, "inf"),
        (4, "4"),
        (-0.1, "-0.1"),
    ],
)
def test_check_labels_shows_few_digits(bad, shown):
    with raises(ValueError, f"labels must be in [0, 1], got {shown} at index (0,)"):
        xbce.check_labels(np.float16([bad]))


@pytest.mark.parametrize("bad", [2, 2**62 + 1, -(2**63), 2**64 - 1])
def test_check_labels_shows_ints_exactly(backend, bad):
    if backend.name in ("dask", "jax", "jax:cuda"):
        pytest.skip("no values yet, or no wide integers by default")
    labels = backend.from_numpy(np.array([0, 1, bad], np.uint64 if bad >= 2**63 else np.int64))
    with raises(ValueError, f"labels must be in [0, 1], got {bad} at index (2,)"):
        xbce.check_labels(labels)


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64", "bool", "int8"])
def test_check_labels_of_integer_tensors(dtype):
    torch = pytest.importorskip("torch")
    assert xbce.check_labels(torch.tensor([0, 1], dtype=getattr(torch, dtype))) is None


def test_check_labels_of_tensors_that_need_gradients():
    torch = pytest.importorskip("torch")
    with raises(ValueError, "labels must be in [0, 1], got 2 at index (1,)"):
        xbce.check_labels(torch.tensor([0.0, 2.0], requires_grad=True))
    with raises(ValueError, "labels must be in [0, 1], got 2 at index (1,)"):
        torch.func.grad(lambda z: (xbce.check_labels(z), z.sum())[1])(torch.tensor([0.0, 2.0]))


def test_check_labels_in_a_compiled_function():
    torch = pytest.importorskip("torch")
    check = torch.compile(lambda z: (xbce.check_labels(z), z)[1], backend="eager")
    assert check(torch.ones(2)).tolist() == [1, 1]
    with raises(ValueError, "labels must be in [0, 1], got 2 at index (1,)"):
        check(torch.tensor([0.0, 2.0]))


def test_check_labels_of_jagged_tensors():
    torch = pytest.importorskip("torch")
    good, bad = (
        torch.nested.nested_tensor([torch.zeros(2), torch.zeros(0), torch.tensor([0, 1, x])], layout=torch.jagged)
        for x in (1.0, 1.5)
    )
    assert xbce.check_labels(good) is None
    with raises(ValueError, "labels must be in [0, 1], got 1.5 at index (2, 2)"):
        xbce.check_labels(bad)


def labels_without_values():
    torch, jax, da = (pytest.importorskip(name) for name in ("torch", "jax", "dask.array"))
    from torch._subclasses import FakeTensorMode

    return {
        "meta": lambda check: check(torch.zeros(2, device="meta")),
        "fake": lambda check: check(FakeTensorMode().from_tensor(torch.zeros(2))),
        "torch.vmap": lambda check: torch.func.vmap(lambda z: check(z) or z)(torch.zeros(2, 2)),
        "jit": lambda check: jax.jit(check)(jax.numpy.zeros(2)),
        "jax.vmap": lambda check: jax.vmap(check)(jax.numpy.zeros((2, 2))),
        "dask": lambda check: check(da.zeros(2)),
    }


@pytest.mark.parametrize("kind", ["meta", "fake", "torch.vmap", "jit", "jax.vmap", "dask"])
def test_check_labels_without_values(kind):
    # JAX adds a note to the text.
    with pytest.raises(TypeError, match=r"^labels must have values that can be looked at, got a lazy or traced array"):
        labels_without_values()[kind](xbce.check_labels)


def test_check_labels_of_other_dtypes():
    xbce.check_labels(np.array([True, False]))
    xbce.check_labels(np.array([], np.float32))
    with raises(ValueError, "labels must be in [0, 1], got 2 at index (1,)"):
        xbce.check_labels(np.array([1, 2]))
    with pytest.raises(TypeError, match=r"^labels must be an array of .* got list$"):
        xbce.check_labels([0, 1])


@pytest.mark.parametrize("dtype", ["int2", "int4", "uint2", "uint4"])
@pytest.mark.parametrize("library", ["numpy", "jax.numpy"])
def test_narrow_integers_of_ml_dtypes(library, dtype):
    ml_dtypes, xp = pytest.importorskip("ml_dtypes"), pytest.importorskip(library)
    x = xp.asarray([-1.0, 2.0])
    z = xp.asarray(np.array([0, 1]).astype(getattr(ml_dtypes, dtype)))
    assert xbce.check_labels(z) is None
    ones = xp.ones_like(z)
    np.testing.assert_array_equal(
        loss(x, z, weight=ones, pos_weight=ones, reduction="mean"), loss(x, xp.asarray([0, 1]), reduction="mean")
    )


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", "float4_e2m1fn"])
@pytest.mark.parametrize("place", ["logits", "labels", "weight", "labels of check_labels"])
def test_narrow_floats_of_ml_dtypes(place, dtype):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    floats = "float16, bfloat16, float32, float64"
    expected = f"have one of the dtypes {floats}" if place == "logits" else f"be boolean, integer or one of {floats}"
    text = f"must {expected}, got {dtype}; cast it to float32, which holds its numbers"
    refuses(place, np.zeros(2), np.zeros(2, getattr(ml_dtypes, dtype)), text)


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2"])
def test_narrow_floats_of_pytorch(dtype):
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"got float8_\w+; cast it to float32, which holds its numbers"):
        loss(torch.ones(3).to(getattr(torch, dtype)), torch.ones(3))


HUGE = {
    "int64": np.array([2**63 - 1, -(2**63)]),
    "float64": np.array([1e300, -1e300]),
    "float32": np.array([1e38, -1e38], np.float32),
}


@pytest.mark.parametrize("labels", HUGE.values(), ids=HUGE)
@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("library", ["numpy", "array_api_strict", "dask.array"])
def test_no_warning_where_labels_overflow(library, dtype, labels):
    """Warnings are errors in these tests. The value is that of the label rounded to the dtype of the result."""
    if library == "array_api_strict" and dtype == "float16":
        pytest.skip("array-api-strict has no float16")
    xp = pytest.importorskip(library)
    x = np.zeros(2, dtype)
    z = labels.astype(np.float64)
    wanted = np.log(2) + 0 * z if dtype == "float32" or labels.dtype.kind == "f" else np.array([np.nan, np.nan])
    for reduction in ("none", "sum"):
        with step(library, loss, dtype, reduction=reduction):
            got = loss(xp.asarray(x), xp.asarray(labels), reduction=reduction)
            got = np.asarray(got.compute() if library == "dask.array" else got)
            np.testing.assert_allclose(got, wanted if reduction == "none" else wanted.sum(), rtol=1e-6)


@pytest.mark.parametrize("library", ["numpy", "array_api_strict", "dask.array"])
@pytest.mark.parametrize("option", ["labels", "weight", "pos_weight"])
def test_no_warning_where_numbers_overflow(library, option):
    xp = pytest.importorskip(library)
    x = xp.asarray(np.array([1.0, -1.0], np.float32))
    got = loss(x, 1e300) if option == "labels" else loss(x, 1, **{option: 1e300})
    wanted = [-np.inf, np.inf] if option == "labels" else [np.inf, np.inf]
    np.testing.assert_array_equal(np.asarray(got.compute() if library == "dask.array" else got), wanted)


@pytest.mark.parametrize("option", ["labels", "weight", "pos_weight", "y"])
def test_numbers_that_float64_cannot_hold(backend, option):
    x = backend.from_numpy(np.ones(2))
    with raises(ValueError, f"{option} must be a number that float64 can hold, got an int of 16610 bits"):
        PLACES[option](x, 10**5000)


def test_numbers_that_int64_cannot_hold(backend):
    x = backend.from_numpy(np.zeros(2))
    np.testing.assert_array_equal(backend.to_numpy(loss.gradient(x, 2**70)), [0.5 - 2**70] * 2)
    np.testing.assert_array_equal(backend.to_numpy(loss.gradient(x, 1, weight=2**70)), [-(2**69)] * 2)


@pytest.mark.parametrize("library", ["numpy", "array_api_strict", "dask.array"])
def test_no_warning_where_sums_are_not_finite(library):
    xp = pytest.importorskip(library)
    for losses, wanted in (([np.inf, -np.inf], np.nan), ([1e308, 1e308], np.inf)):
        x = xp.asarray(np.array(losses), **({"chunks": 1} if library == "dask.array" else {}))
        total = xbce.reduce(x, reduction="sum")
        np.testing.assert_equal(np.asarray(total.compute() if library == "dask.array" else total), wanted)
