"""Arrays of two libraries in one call: an error that names the argument, what came and what was expected."""

import re

import numpy as np
import pytest

from tests.conventions.gathered import gathered
from tests.helpers import approx, step

FUNCTIONS = gathered("ARRAYS")
# Options that are numbers in the first place, also in the error texts.
NUMBERS = {
    (name, option)
    for name in ("kornia.binary_focal_loss_with_logits", "pytorch.sigmoid_focal_loss")
    for option in ("alpha", "gamma")
}
TORCH_MODULES = {"AsymmetricLoss", "BCELoss", "BCEWithLogitsLoss", "BinaryFocalLossWithLogits", "FocalLoss"}
OTHERS = [(name, argument) for name, (_, arguments) in FUNCTIONS.items() for argument in list(arguments)[1:]]


def in_numpy(x, dtype="float32"):
    return np.array(x, dtype)


def in_torch(x, dtype="float32"):
    torch = pytest.importorskip("torch")
    return torch.tensor(x).to(getattr(torch, dtype))


def in_strict(x, dtype="float32"):
    strict = pytest.importorskip("array_api_strict")
    return strict.asarray(np.array(x, dtype))


PAIRS = [
    ("numpy", in_numpy, "torch", in_torch),
    ("torch", in_torch, "numpy", in_numpy),
    ("torch", in_torch, "array_api_strict", in_strict),
]


def called(name, argument, make, make_other, dtype="float32"):
    function, arguments = FUNCTIONS[name]
    return function(
        **{key: make_other(x, dtype) if key == argument else make(x) for key, x in arguments.items()},
    )


@pytest.mark.parametrize(("name", "argument"), OTHERS)
def test_two_libraries(name, argument):
    """Whatever the dtype: no cast comes before the check."""
    first = next(iter(FUNCTIONS[name][1]))
    for library, make, other, make_other in PAIRS:
        text = (
            f"{argument} must be an array of the same library as {first} ({library}), got an array of {other}; "
            "convert it first, nothing is transferred silently"
        )
        for dtype in ("float32", "int32", "bool"):
            refused = pytest.raises(TypeError, match=f"^{re.escape(text)}$")
            with step(f"{library} and {other}", FUNCTIONS[name][0], argument, dtype), refused:
                called(name, argument, make, make_other, dtype)


@pytest.mark.parametrize(("name", "argument"), OTHERS)
def test_one_library(name, argument):
    """The same calls with arrays of one library are no errors."""
    dtype = "bool" if argument == "mask" else "float32"
    for make in (in_numpy, in_torch, in_strict):
        with step(make.__name__, FUNCTIONS[name][0], argument, dtype):
            called(name, argument, make, make, dtype)


@pytest.mark.parametrize(("name", "argument"), OTHERS)
def test_what_is_no_array(name, argument):
    """A set becomes an array nowhere."""
    number = (name, argument) in NUMBERS
    expected = "a number or an array" if number else "an array of a library that follows .*"
    with pytest.raises(TypeError, match=rf"^{argument} must be {expected}, got set$"):
        called(name, argument, in_numpy, lambda _x, _dtype: {1})


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_no_array_first(name):
    first = next(iter(FUNCTIONS[name][1]))
    with pytest.raises(TypeError, match=rf"^{first} must be an array of a library that follows .*, got set$"):
        called(name, first, in_numpy, lambda _x, _dtype: {1})


@pytest.mark.parametrize(("name", "argument"), OTHERS)
def test_masked_arrays(name, argument):
    """Are named as the system names them."""
    with pytest.raises(TypeError, match=rf"^{argument} must not be a masked array"):
        called(name, argument, in_numpy, lambda x, dtype: np.ma.masked_array(np.array(x, dtype), mask=False))


def test_every_array_is_here():
    """A new function of a convention belongs into the table."""
    names = {name.partition(".")[0] for name in FUNCTIONS}
    from xbce import conventions

    assert names == set(conventions.__all__) - {"sklearn"}  # which makes NumPy arrays of what is none, as scikit-learn
    for module in names - {"caffe", "boosting", "numpy_reference"}:
        with step("conventions", gathered, module):
            public = set(getattr(conventions, module).__all__) - {"Reduction", *TORCH_MODULES}
            assert public == {name.partition(".")[2] for name in FUNCTIONS if name.startswith(module)}


@pytest.mark.parametrize("other", ["numpy", "torch", "jax", "array_api_strict"])
@pytest.mark.parametrize("library", ["numpy", "torch", "jax", "array_api_strict"])
def test_scikit_learn_takes_them_all(library, other):
    """By way of NumPy, as scikit-learn itself makes arrays of what it is given."""
    from xbce.conventions.sklearn import log_loss

    def make(name, x):
        if name == "numpy":
            return np.array(x)
        if name == "torch":
            return pytest.importorskip("torch").tensor(x)
        module = pytest.importorskip("jax.numpy" if name == "jax" else name)
        return module.asarray(x)

    y, p, w = [0, 1, 1], np.array([0.25, 0.5, 0.75]), [1.0, 2.0, 0.5]
    expected = log_loss(np.array(y), p, sample_weight=w, labels=[0, 1])
    got = log_loss(make(other, y), make(library, p), sample_weight=make(other, w), labels=make(other, [0, 1]))
    assert got == approx(expected, rel=1e-6)
