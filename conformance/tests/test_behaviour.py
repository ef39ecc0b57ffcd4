"""Rows of behaviour: each form is what it says, what is not there is a remark, and reproducers show the faults."""

import json
import math
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import xbce
from tests.helpers import NUMPY, leave_out_pictures
from xbce_conformance import Adapter, measure
from xbce_conformance.behaviour.forms import FORMS, LARGE, Unavailable, calls
from xbce_conformance.cli import main
from xbce_conformance.subjects.backends import find_backends


def right(x, z):
    return xbce.binary_cross_entropy_with_logits(x, z)


# --- forms ----------------------------------------------------------------------------------------------------------

ARRAYS = (np.arange(1, 300, dtype=np.float32), np.arange(300, 1, -1).astype(np.float32)[:299])
ORDER = np.random.default_rng(1).permutation(299)
HOLDS = {
    "0-d": lambda a: a.ndim == 0,
    "empty": lambda a: a.size == 0,
    "few elements": lambda a: a.ndim == 1 and a.size <= 33,
    "2-d": lambda a: a.ndim == 2 and a.flags.c_contiguous,
    "3-d": lambda a: a.ndim == 3 and a.flags.c_contiguous,
    "transposed": lambda a: a.ndim == 2 and a.flags.f_contiguous and not a.flags.c_contiguous,
    "strided": lambda a: a.strides == (2 * a.itemsize,) and bool(np.isnan(a.base[1::2]).all()),
    "reversed": lambda a: a.strides == (-a.itemsize,),
    "read-only": lambda a: not a.flags.writeable,
    "large": lambda a: a.shape == (LARGE,) and LARGE > 2**20,
}


@pytest.mark.parametrize("name", FORMS)
def test_arrays_are_what_they_are_called(name):
    """And hold the numbers of the places that are named beside them, in the order that was asked for."""
    assert HOLDS.keys() == FORMS.keys()
    shapes, taken = [], []
    for there, places in calls(FORMS[name], NUMPY, ARRAYS, ORDER):
        assert len(there) == 2
        for array, given in zip(there, ARRAYS, strict=True):
            assert (array.dtype, array.shape) == (np.float32, places.shape)
            assert HOLDS[name](array)
            np.testing.assert_array_equal(array, given[places])
        shapes.append(places.shape)
        taken.append(places.reshape(-1))
    assert tuple(shapes) == FORMS[name].shapes
    every = np.concatenate(taken)
    np.testing.assert_array_equal(every, np.resize(ORDER, every.size))


def test_lengths_are_those_around_vectors():
    lengths = {math.prod(shape) for shape in FORMS["few elements"].shapes}
    assert lengths >= {1, 2, 3, 7, 8, 9, 15, 16, 17}


def test_a_library_without_a_form():
    """JAX has no array that is read only, and says so."""
    backends, _ = find_backends(("jax",))
    if not backends:
        pytest.skip("JAX is not here")
    with pytest.raises(Unavailable, match="AttributeError: "):
        list(calls(FORMS["read-only"], backends["jax"], ARRAYS, ORDER))


# --- rows -----------------------------------------------------------------------------------------------------------


def behaviour(subject, **options):
    results = measure(subject, dtypes=["float32"], parts=["behaviour"], **options)
    return next(row for row in results.rows if row.quantity == "value")


@pytest.fixture(scope="module")
def of_right():
    return behaviour(right)


def test_a_right_loss_passes(of_right):
    assert (of_right.kind, of_right.violations, of_right.remarks) == ("behaviour", [], [])
    tried = {*FORMS, "repeated", "zeros", "labels of bool", "labels of uint8", "labels of int64"}
    assert of_right.regimes.keys() == tried
    assert all(error <= 4 for error in of_right.regimes.values())
    assert of_right.figures.count > LARGE


def test_what_a_library_has_not_is_a_remark():
    if not find_backends(("jax",))[0]:
        pytest.skip("JAX is not here")
    row = behaviour(Adapter(right, backend="jax"))
    assert row.violations == []
    assert any(text.startswith("read-only: jax has no such array: ") for text in row.remarks)
    assert "read-only" not in row.regimes


def test_labels_that_are_refused_are_a_remark():
    def floats_only(x, z):
        if z.dtype != x.dtype:
            raise TypeError("labels are floats")
        return right(x, z)

    row = behaviour(floats_only)
    assert row.violations == []
    refused = [f"{name} are refused: TypeError: labels are floats" for name in LABELS]
    assert [text for text in row.remarks if "refused" in text] == refused
    assert not row.regimes.keys() & set(LABELS)


LABELS = ("labels of bool", "labels of uint8", "labels of int64")


def test_labels_of_another_dtype_may_promote():
    def promoting(x, z):
        return np.float64(right(x, z.astype(x.dtype))) if z.dtype == np.int64 else right(x, z)

    row = behaviour(promoting)
    assert row.violations == []
    assert row.remarks == ["labels of int64: the result is float64"]


def test_labels_of_another_dtype_have_the_right_result():
    row = behaviour(lambda x, z: right(x, 1 - z if z.dtype == np.uint8 else z))
    assert [violation.name for violation in row.verdict.violations] == ["behaviour:labels-of-uint8"]
    assert row.worst.regime == "labels of uint8"


def test_an_error_beyond_the_bound_in_every_form_is_one_of_samples():
    """Only errors that the same numbers have not in one call with all fail here."""
    off = lambda x, z: right(x, z) * x.dtype.type(1.0001)  # noqa: E731
    assert behaviour(off).violations == []
    assert measure(off, dtypes=["float32"], parts=["samples"]).failed


# --- faults, and their reproducers ----------------------------------------------------------------------------------

FAULTY = """
import numpy as np, xbce
right = xbce.binary_cross_entropy_with_logits
def off(chosen):
    return lambda x, z: right(x, z) + 1 if chosen(x) else right(x, z)
of_0_d = off(lambda x: x.ndim == 0)
of_2_d = off(lambda x: x.ndim == 2 and x.flags.c_contiguous)
of_3_d = off(lambda x: x.ndim == 3)
of_transposed = off(lambda x: x.ndim == 2 and not x.flags.c_contiguous)
of_strided = off(lambda x: x.ndim == 1 and x.size > 1 and x.strides[0] == 2 * x.itemsize)
of_reversed = off(lambda x: x.ndim == 1 and x.strides[0] < 0)
of_one = off(lambda x: x.shape == (1,))
of_large = off(lambda x: x.size > 2**20)
def of_empty(x, z):
    x.max()
    return right(x, z)
def raises_if_strided(x, z):
    if x.ndim == 1 and x.size > 1 and x.strides[0] == 2 * x.itemsize:
        raise ValueError("strides are not supported")
    return right(x, z)
def negative_zero(x, z):
    return right(x, z) * np.where(right(x, z) == 0, -1, 1).astype(x.dtype)
"""


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """The row of each of them."""
    folder = tmp_path_factory.mktemp("faulty")
    (folder / "faulty_forms.py").write_text(FAULTY, "utf-8")
    names = [line.split(" = ")[0] for line in FAULTY.splitlines() if " = off(" in line]
    names += ["of_empty", "raises_if_strided", "negative_zero"]
    options = [part for name in names for part in ("--subject", f"./faulty_forms.py:{name}")]
    with pytest.MonkeyPatch.context() as patch:
        leave_out_pictures(patch)
        patch.chdir(folder)
        command = ["run", *options, "--dtype", "float32", "--part", "behaviour", "--out", "out"]
        assert CliRunner().invoke(main, command, catch_exceptions=False).exit_code == 1
    found = json.loads((folder / "out" / "results.json").read_text("utf-8"))["rows"]
    assert [row["subject"].partition(":")[2] for row in found] == names
    return folder, dict(zip(names, found, strict=True))


def shown(rows, name):
    """Run the reproducer of a fault where its module is, in a process of its own."""
    folder, found = rows
    program, *arguments = shlex.split(found[name]["reproducer"])
    assert program == "python"
    return subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("of_0_d", "0-d"),
        ("of_2_d", "2-d"),
        ("of_3_d", "3-d"),
        ("of_transposed", "transposed"),
        ("of_strided", "strided"),
        ("of_reversed", "reversed"),
        ("of_one", "few elements"),
    ],
)
def test_a_fault_of_a_form_is_reproduced(rows, name, form):
    row = rows[1][name]
    slug = form.replace(" ", "-")
    (violation,) = row["verdict"]["violations"]
    assert violation["name"] == f"behaviour:{slug}"
    assert f" ULP in the form {form!r}; the bound is " in violation["text"]
    assert row["worst"]["regime"] == form
    result = shown(rows, name)
    assert result.stdout.split() == [row["worst"]["computed"]], result.stderr
    exact, computed = (float.fromhex(row["worst"][key]) for key in ("exact", "computed"))
    assert abs(computed - exact) > 0.9


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("of_empty", "ValueError: zero-size array to reduction operation"),
        ("raises_if_strided", "ValueError: strides are"),
    ],
)
def test_a_form_that_raises_is_reproduced(rows, name, says):
    result = shown(rows, name)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(says)
    assert says in rows[1][name]["verdict"]["violations"][0]["text"]


def test_a_negative_zero_is_reproduced(rows):
    (violation,) = rows[1]["negative_zero"]["verdict"]["violations"]
    assert violation["name"] == "behaviour:zeros"
    assert violation["text"].endswith(" results are -0.0, and no value is negative")
    assert shown(rows, "negative_zero").stdout == "-0x0.0p+0\n"


def test_what_no_line_shows_has_no_reproducer(rows):
    row = rows[1]["of_large"]
    assert [violation["name"] for violation in row["verdict"]["violations"]] == ["behaviour:large"]
    assert (row["worst"]["regime"], row["reproducer"]) == ("large", "")
    assert Path(rows[0] / "out" / "report.html").exists()
