"""array-api-strict: the same bits at every version of the standard that it can play; nothing leaves its device."""

import re
import warnings

import numpy as np
import pytest

import xbce
from tests.device.family import call_of
from tests.device.test_transfers import OPTIONS
from tests.helpers import step
from xbce_conformance.cases import METHODS, WITH_NUMBERS
from xbce_conformance.cases.losses import FAMILY

strict = pytest.importorskip("array_api_strict")
flags = pytest.importorskip("array_api_strict._flags")
VERSIONS = [
    version for version in (*flags.supported_versions, getattr(flags, "draft_version", "")) if version >= "2024.12"
]
EXTENSIONS = {"boolean_indexing": False, "data_dependent_shapes": False}
RNG = np.random.default_rng(0)
X = RNG.normal(0, 8, (7, 3))
Z = RNG.random((7, 3))


@pytest.fixture
def play():
    """Set flags of array-api-strict; it warns of versions that are drafts."""

    def set_flags(**chosen):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            strict.set_array_api_strict_flags(**chosen)

    yield set_flags
    strict.reset_array_api_strict_flags()


def results():
    """Return every method of every loss, and reductions, in NumPy."""
    z = strict.asarray(Z)
    for name, loss in FAMILY.items():
        x = strict.asarray(X if loss.first == "logits" else 1 / (1 + np.exp(-X)))
        function = getattr(xbce, name)
        with step(name, name):
            yield name, function(x, z)
            yield f"{name}.gradient", function.gradient(x, z)
            yield f"{name}.hessian", function.hessian(x, z)
            yield f"{name}, mean", function(x, z, reduction="mean", weight=z, where=z > 0.5, axis=0)
            yield f"{name}, high", function(x, z, precision="high")


def as_numpy(array):
    return np.from_dlpack(array).copy()


def test_there_are_versions_to_play():
    assert "2024.12" in VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_versions_of_the_standard(play, version):
    expected = {name: as_numpy(array) for name, array in results()}
    play(api_version=version, **EXTENSIONS)
    for name, array in results():
        assert np.array_equal(as_numpy(array), expected[name], equal_nan=True), name


def on(device, *arrays):
    """Put arrays of NumPy on a device, in float32: not every device has float64."""
    return [strict.asarray(a if a.dtype == bool else a.astype(np.float32), device=device) for a in arrays]


def back(array):
    return as_numpy(array.to_device(strict.Device("CPU_DEVICE")))


DEVICES = [device for device in strict.__array_namespace_info__().devices() if str(device).find("CPU") < 0]


@pytest.mark.parametrize(
    "cases", [WITH_NUMBERS[:1], pytest.param(WITH_NUMBERS, marks=pytest.mark.long)], ids=["one", "all"]
)
@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_everything_stays_on_its_device(device, cases):
    """array-api-strict makes arrays on the CPU unless told otherwise, and refuses two devices in an operation."""
    kept = Z > 0.5
    calls = 0
    for case in cases:
        x, z, w, where = on(device, X if case.arguments[0] == "logits" else 1 / (1 + np.exp(-X)), Z, Z + 0.5, kept)
        cpu = on(strict.Device("CPU_DEVICE"), back(x), back(z), back(w), kept)
        for options in OPTIONS:
            for method in METHODS:
                with step(str(device), f"{case.name}, {method}", **options):
                    got = call_of(case, method)(x, z, weight=w, where=where, **options)
                    wanted = call_of(case, method)(*cpu[:2], weight=cpu[2], where=cpu[3], **options)
                    got += call_of(case, method)(x, 1.0, weight=0.5, pos_weight=2.0, **options)
                    wanted += call_of(case, method)(cpu[0], 1.0, weight=0.5, pos_weight=2.0, **options)
                    calls += 2
                    for a, b in zip(got, wanted, strict=True):
                        assert a.device == device
                        # Sums are accumulated in float64 where the device has it.
                        np.testing.assert_allclose(back(a), as_numpy(b), rtol=1e-5, atol=1e-7)
        assert xbce.reduce(x, weight=w, where=where, dtype=strict.float32, keepdims=True).device == device
    assert calls == 2 * len(cases) * len(OPTIONS) * len(METHODS)


@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_high_precision_on_a_device(device):
    x, z, where = on(device, X, Z, Z > 0.5)
    bce = xbce.binary_cross_entropy_with_logits
    floats = strict.__array_namespace_info__().dtypes(device=device, kind="real floating")
    if "float64" not in floats:
        text = f"precision='high' needs float64, which array_api_strict has not on {device}"
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            bce(x, z, precision="high")
        with pytest.raises(TypeError, match=r"^dtype must be a floating dtype of the library of the arrays, such as "):
            bce(x, z, reduction="mean", dtype=strict.float64)
        return
    got = bce.value_and_gradient(x, z, where=where, precision="high", reduction="mean")
    cpu = on(strict.Device("CPU_DEVICE"), X, Z, Z > 0.5)
    for a, b in zip(
        got, bce.value_and_gradient(*cpu[:2], where=cpu[2], precision="high", reduction="mean"), strict=True
    ):
        assert a.device == device
        assert np.array_equal(back(a), as_numpy(b))


@pytest.mark.parametrize("name", ["labels", "pos_weight", "weight", "where", "label_smoothing"])
def test_another_device_is_refused(name):
    first, second = (strict.Device(f"device{i}") for i in (1, 2))
    x, z = on(first, X, Z)
    (other,) = on(second, Z > 0.5 if name == "where" else Z)
    text = f"{name} must be on the device of logits ({first}), got {second}; nothing is transferred silently"
    bce = xbce.binary_cross_entropy_with_logits
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        bce(x, other) if name == "labels" else bce(x, z, **{name: other})
