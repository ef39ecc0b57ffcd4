"""Errors name the argument, what came and what was expected; the same for every backend."""

import re

import numpy as np
import pytest

import xbce
from xbce_conformance.backends import find_backends
from xbce_conformance.formats import FORMATS

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
    one = backend.from_numpy(np.zeros(()))
    with raises(ValueError, "labels must have the shape of logits, got labels () and logits (3,)"):
        method(z, one)


@pytest.mark.parametrize("kind", ["int64", "bool", "complex128"])
def test_dtype_of_logits(backend, kind):
    x = backend.from_numpy(np.zeros(3, kind))
    with raises(TypeError, f"logits must have one of the dtypes float16, bfloat16, float32, float64, got {kind}"):
        loss(x, 0)


def test_dtype_of_labels(backend):
    x, z = backend.from_numpy(np.zeros(3)), backend.from_numpy(np.zeros(3, "complex128"))
    text = "labels must be boolean, integer or one of float16, bfloat16, float32, float64, got complex128"
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
    others = [other for name, other in find_backends()[0].items() if name.partition(":")[0] != backend.name]
    x = backend.from_numpy(np.zeros(2))
    for other in others:
        if other.name.partition(":")[0] == backend.name.partition(":")[0]:
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


def test_masked_array():
    masked = np.ma.masked_array([0.0, 1.0], mask=[True, False])
    with raises(TypeError, "logits must not be a masked array: its mask would be ignored"):
        loss(masked, 0)
    with raises(TypeError, "labels must not be a masked array: its mask would be ignored"):
        loss(np.zeros(2), masked)


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
    for axis in (1.0, True, "0", [0]):
        with raises(TypeError, f"axis must be an int, a tuple of ints or None, got {axis!r}"):
            method(x, 0, reduction="sum", axis=axis)


def test_arguments_are_positional_or_keyword_only():
    x = np.zeros(2)
    with pytest.raises(TypeError, match="positional-only"):
        loss(logits=x, labels=x)
    with pytest.raises(TypeError, match="positional"):
        loss(x, x, "mean")
    with pytest.raises(TypeError, match="unexpected keyword argument 'weights'"):
        loss(x, x, weights=x)


FAMILY = [loss, xbce.sigmoid_focal_loss, xbce.asymmetric_loss, xbce.binary_cross_entropy]
each_loss = pytest.mark.parametrize("any_loss", FAMILY, ids=lambda loss: loss.__name__)


@each_loss
def test_options_may_not_enlarge_the_shape(backend, any_loss):
    x = backend.from_numpy(np.full((2, 1), 0.5))
    name = "probabilities" if any_loss is xbce.binary_cross_entropy else "logits"
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
        text = f"{option} must be boolean, integer or one of float16, bfloat16, float32, float64, got complex128"
        with raises(TypeError, text):
            any_loss(x, 1, **{option: backend.from_numpy(np.ones(2, complex))})
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
        (loss, {"label_smoothing": None}, TypeError, "label_smoothing must be a Python number, got NoneType"),
        (loss, {"label_smoothing": True}, TypeError, "label_smoothing must be a Python number, got bool"),
        (xbce.sigmoid_focal_loss, {"gamma": -1}, ValueError, "gamma must be at least 0, got -1"),
        (xbce.sigmoid_focal_loss, {"gamma": "2"}, TypeError, "gamma must be a Python number, got str"),
        (xbce.sigmoid_focal_loss, {"alpha": 2}, ValueError, "alpha must be at least 0 and at most 1, got 2"),
        (xbce.asymmetric_loss, {"gamma_pos": -1}, ValueError, "gamma_pos must be at least 0, got -1"),
        (xbce.asymmetric_loss, {"gamma_neg": np.nan}, ValueError, "gamma_neg must be at least 0, got nan"),
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


def test_check_labels_of_other_dtypes():
    xbce.check_labels(np.array([True, False]))
    xbce.check_labels(np.array([], np.float32))
    with raises(ValueError, "labels must be in [0, 1], got 2 at index (1,)"):
        xbce.check_labels(np.array([1, 2]))
    with pytest.raises(TypeError, match=r"^labels must be an array of .* got list$"):
        xbce.check_labels([0, 1])
    jax = pytest.importorskip("jax")
    with pytest.raises(TypeError, match=r"^labels must have values that can be looked at, got a lazy or traced array"):
        jax.jit(lambda z: xbce.check_labels(z))(jax.numpy.zeros(2))
