"""array-api-strict at every version of the standard that it can play and xbce takes: the same bits, no warning."""

import warnings

import numpy as np
import pytest

import xbce
from tests.helpers import step
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
