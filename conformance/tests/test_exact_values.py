"""Exact values that are kept in a folder: the same to the last bit, and never another function's."""

from pathlib import Path

import numpy as np
import pytest

import xbce_conformance
from xbce_conformance.cases import BY_NAME
from xbce_conformance.exact_values import kept as kept_values
from xbce_conformance.exact_values.kept import KeptReference
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.measurement.trial import Trial
from xbce_conformance.sweep import facts

X, Z = np.float32([-3.5, 0.25, 100]), np.float32([0, 0.3, 1])


class Counting:
    """A reference that counts its calls."""

    def __init__(self, reference):
        self.calls = 0
        self._reference = reference

    def exact(self, quantity, arrays):
        self.calls += 1
        return self._reference.exact(quantity, arrays)


def kept(name, folder, dtype="float32"):
    counting = Counting(BY_NAME[name].reference(FORMATS[dtype]))
    return counting, KeptReference(counting, BY_NAME[name].key, folder)


def assert_same(found, wanted):
    assert list(found) == list(wanted)
    for name, exact in wanted.items():
        for field in ("high", "low", "scale"):
            a, b = getattr(found[name], field), getattr(exact, field)
            assert a.dtype == b.dtype
            assert a.tobytes() == b.tobytes()


FOCAL = "sigmoid_focal_loss(gamma=2, alpha=0.25)"


@pytest.mark.parametrize("quantity", ["value", "label_gradient"])
@pytest.mark.parametrize(("name", "dtype"), [(FOCAL, "float32"), ("binary_cross_entropy_with_logits", "float64")])
def test_they_are_computed_once(tmp_path, name, dtype, quantity):
    arrays = X.astype(dtype), Z.astype(dtype)
    wanted = BY_NAME[name].reference(FORMATS[dtype]).exact(quantity, arrays)
    first, reference = kept(name, tmp_path, dtype)
    assert_same(reference.exact(quantity, arrays), wanted)
    second, reference = kept(name, tmp_path, dtype)
    assert_same(reference.exact(quantity, arrays), wanted)
    assert (first.calls, second.calls) == (1, 0)


def test_what_differs_is_computed(tmp_path, monkeypatch):
    """Another case, quantity, argument, dtype or state of the code; a file that was half written is none."""
    kept(FOCAL, tmp_path)[1].exact("value", (X, Z))
    (file,) = tmp_path.iterdir()
    others = [
        ("sigmoid_focal_loss(gamma=5)", "value", (X, Z)),
        (FOCAL, "label_gradient", (X, Z)),
        (FOCAL, "value", (X, np.nextafter(Z, np.float32(0.5)))),
        (FOCAL, "value", (np.float64(X), np.float64(Z))),
        (FOCAL, "value", (X[:2], Z[:2])),
    ]
    for name, quantity, arrays in others:
        counting, reference = kept(name, tmp_path)
        reference.exact(quantity, arrays)
        assert counting.calls == 1, (name, quantity)
    monkeypatch.setattr(kept_values, "_code", lambda: (b"other",))
    counting, reference = kept(FOCAL, tmp_path)
    reference.exact("value", (X, Z))
    assert counting.calls == 1
    assert len(list(tmp_path.iterdir())) == 1 + len(others) + 1
    monkeypatch.undo()
    file.rename(file.with_suffix(".123.part"))
    counting, reference = kept(FOCAL, tmp_path)
    reference.exact("value", (X, Z))
    assert counting.calls == 1


def test_a_trial_uses_them(tmp_path):
    """All exact values of a case, those of flushed inputs among them; the fast reference of the plain loss is left."""
    half = FORMATS["float16"]
    case = BY_NAME["special.expit"]
    plain = Trial(case, half, "quick")
    for _ in range(2):
        trial = Trial(case, half, "quick", tmp_path)
        assert_same({"value": trial.exact("value")}, {"value": plain.exact("value")})
        assert_same({"value": trial.exact_of_flushed("value")}, {"value": plain.exact_of_flushed("value")})
        assert len(list(tmp_path.glob("*.npz"))) == 2
    folder = tmp_path / "plain"
    Trial(BY_NAME["binary_cross_entropy_with_logits"], half, "quick", folder).exact("value")
    assert not folder.exists()


@pytest.mark.parametrize("module", [kept_values, facts])
def test_the_rooms_whose_code_counts_are_there(module):
    """A room that was renamed would be left out of the digest, and results of older code taken for those of newer."""
    for room in module._ROOMS:
        assert list(Path(xbce_conformance.__file__).with_name(room).glob("*.py")), room
