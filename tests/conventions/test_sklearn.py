"""`xbce.conventions.sklearn` against the installed scikit-learn, and under its own tests."""

import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conventions.differential import PROBABILITIES, TALLY, WEIGHTS, agree, on
from tests.helpers import approx
from xbce.conventions.sklearn import log_loss

metrics = pytest.importorskip("sklearn.metrics")

# A class of scikit-learn's own, which is a ValueError.
ERRORS = {"InvalidParameterError": ValueError}

compared = pytest.mark.compared("sklearn.log_loss", "scikit-learn")
FLOATS = st.sampled_from(["float64", "float32", "float16"])


def with_warnings(function):
    """Call and return the result with the types of the warnings, which must agree, too."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = function()
    return value, [w.category for w in caught]


def compare(y_true, y_proba, *, tolerance, **options):
    said = []

    def noted(function):
        value, categories = with_warnings(lambda: function(y_true, y_proba, **options))
        said.append(categories)
        return value

    agree(lambda: noted(log_loss), lambda: noted(metrics.log_loss), tolerance=tolerance, errors=ERRORS)
    assert len(said) < 2 or said[0] == said[1]


def draw_labels(data, n, classes):
    names = data.draw(st.sampled_from(["int", "str", "float", "bool", "array"]), label="names")
    of_class = {
        "int": [3, 5, 8, 9],
        "str": ["ant", "bee", "cat", "dog"],
        "float": [-1.0, 0.0, 2.0, 3.0],
        "bool": [False, True],
        "array": [0, 1, 2, 3],
    }[names][:classes]
    y = data.draw(st.lists(st.sampled_from(of_class), min_size=n, max_size=n), label="y")
    return (np.array(y) if names == "array" else y), of_class


@compared
@settings(max_examples=400)
@given(st.data())
def test_binary(data):
    n, dtype = data.draw(st.integers(1, 6), label="n"), data.draw(FLOATS, label="dtype")
    y, classes = draw_labels(data, n, 2)
    p = np.array(data.draw(st.lists(PROBABILITIES, min_size=n, max_size=n), label="p"), dtype)
    options = draw_options(data, n, classes)
    # scikit-learn rounds 1 - p, and adds in the dtype of p.
    eps = float(np.finfo(dtype).eps)
    clipped = np.clip(np.float64(p), eps, 1 - eps)
    size = 2 + 1 / clipped.clip(0.25) + np.abs(np.log(clipped)) + np.abs(np.log1p(-clipped))
    weight = np.array(options.get("sample_weight", np.ones(n)))
    total = np.sum(size * weight) / (max(weight.sum(), 1e-300) if options["normalize"] else 1)
    column = data.draw(st.booleans(), label="column")
    compare(y, p[:, None] if column else p, tolerance=8 * eps * total, **options)


def draw_options(data, n, classes):
    options = {"normalize": data.draw(st.booleans(), label="normalize")}
    if data.draw(st.booleans(), label="with sample_weight"):
        options["sample_weight"] = data.draw(st.lists(WEIGHTS, min_size=n, max_size=n), label="sample_weight")
    if data.draw(st.booleans(), label="with labels"):
        options["labels"] = data.draw(
            st.sampled_from([classes, classes[::-1], classes[:1], np.array(classes)]), label="labels"
        )
    return options


@compared
@settings(max_examples=300)
@given(st.data())
def test_multiclass(data):
    n, k, dtype = (
        data.draw(st.integers(1, 6), label="n"),
        data.draw(st.integers(2, 4), label="k"),
        data.draw(FLOATS, label="dtype"),
    )
    y, classes = draw_labels(data, n, k)
    p = np.array(data.draw(st.lists(PROBABILITIES, min_size=n * k, max_size=n * k), label="p"), np.float64).reshape(
        n, k
    )
    if data.draw(st.booleans(), label="rows add up to 1"):  # else the rows do not add up to 1, which warns
        p = (p + 0.01) / (p + 0.01).sum(1, keepdims=True)
    p = p.astype(dtype)
    options = draw_options(data, n, classes)
    eps = float(np.finfo(dtype).eps)
    size = (2 + np.abs(np.log(np.clip(np.float64(p), eps, 1)))).max(1)
    weight = np.array(options.get("sample_weight", np.ones(n)))
    total = np.sum(size * weight) / (max(weight.sum(), 1e-300) if options["normalize"] else 1)
    compare(y, p, tolerance=8 * eps * total, **options)


@compared
@settings(max_examples=100)
@given(st.data())
def test_indicator_matrix(data):
    n, k = data.draw(st.integers(1, 5), label="n"), data.draw(st.integers(2, 3), label="k")
    y = np.array(data.draw(st.lists(st.integers(0, 1), min_size=n * k, max_size=n * k), label="y")).reshape(n, k)
    p = np.full((n, k), 1 / k)
    p[:, 0] = data.draw(st.sampled_from([1 / k, 0.25]), label="first column")
    compare(y, p, tolerance=1e-13, normalize=data.draw(st.booleans(), label="normalize"))


Y, P = [0, 1, 1], np.array([0.25, 0.5, 1.0])
WRONG = {
    "all weights 0": {"sample_weight": [0, 0, 0]},
    "weights that add up to 0": {"sample_weight": [1, -1, 0]},
    "a sum with such weights": {"sample_weight": [1, -1, 0], "normalize": False},
    "a number for weights": {"sample_weight": 2.0},
    "a column for weights": {"sample_weight": [[1], [1], [1]]},
    "too few weights": {"sample_weight": [1, 2]},
    "NaN for a weight": {"sample_weight": [1, 2, np.nan]},
    "a number for normalize": {"normalize": 1},
    "None for normalize": {"normalize": None},
    "a matrix with labels": {"y_true": [[0, 1], [1, 0], [1, 1]], "labels": [0, 1]},
    "a matrix that is no indicator": {"y_true": [[0, 2], [1, 0], [1, 1]]},
    "soft labels": {"y_true": [0.1, 0.2, 0.3]},
    "soft labels in a matrix": {"y_true": [[0.1, 1], [1, 0], [1, 1]]},
    "objects": {"y_true": np.array([0, 1, 1], dtype=object)},
    "NaN for a probability": {"y_proba": P * np.nan},
    "an infinite probability": {"y_proba": P * np.inf},
    "probabilities above 1": {"y_proba": P + 1},
    "probabilities below 0": {"y_proba": P - 1},
    "nothing": {"y_true": [], "y_proba": []},
    "no probabilities": {"y_proba": None},
    "a row of probabilities": {"y_proba": P[None]},
    "three dimensions": {"y_proba": P[:, None, None]},
    "a number for probabilities": {"y_proba": 0.5},
    "a number for labels": {"y_true": 1},
    "a string for labels": {"y_true": "abc"},
    "strings for probabilities": {"y_proba": ["a", "b", "c"]},
    "complex probabilities": {"y_proba": P.astype(complex)},
    "integer probabilities": {"y_proba": [0, 1, 1]},
    "boolean probabilities": {"y_proba": [True, False, True]},
    "strings among numbers": {"y_true": ["a", 1, "a"]},
    "one class": {"y_true": [2, 2, 2]},
    "one class in labels": {"labels": [1]},
    "too many labels": {"labels": [0, 1, 2]},
    "a class named twice": {"labels": [0, 1, 1]},
    "unsorted labels": {"labels": [1, 0]},
    "a class that labels lacks": {"labels": [0, 2]},
    "soft labels in labels": {"labels": [0.5, 1]},
    "a string for the classes": {"labels": "ab"},
    "no labels in labels": {"labels": []},
    "too many classes": {"y_true": [0, 1, 2]},
}


@compared
@pytest.mark.parametrize("wrong", WRONG)
def test_errors(wrong):
    arguments = {"y_true": Y, "y_proba": P} | WRONG[wrong]
    compare(arguments.pop("y_true"), arguments.pop("y_proba"), tolerance=1e-14, **arguments)


@compared
def test_scorer():
    """As a scorer in cross-validation of a real model it gives the numbers of the built-in one."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    scorer = metrics.make_scorer(log_loss, response_method="predict_proba", greater_is_better=False)
    agree(
        lambda: cross_val_score(model, x, y, scoring=scorer),
        lambda: cross_val_score(model, x, y, scoring="neg_log_loss"),
        tolerance=1e-14,
    )


PLUGIN = """
import atexit
import sklearn.metrics
import sklearn.metrics._classification as classification
from xbce.conventions.sklearn import log_loss

calls = [0]

def counted(*args, **kwargs):
    calls[0] += 1
    return log_loss(*args, **kwargs)

counted.__name__ = "log_loss"
classification.log_loss = sklearn.metrics.log_loss = counted
atexit.register(lambda: print("calls of xbce's log_loss:", calls[0]))
"""


@compared
@pytest.mark.parametrize(
    ("module", "fewest"),
    [("test_classification", 12), pytest.param("test_common", 20, marks=pytest.mark.long)],
)
def test_scikit_learns_own_tests(tmp_path, module, fewest):
    """Its tests whose name has log_loss in it pass with xbce's in place."""
    (tmp_path / "with_xbce.py").write_text(PLUGIN)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "with_xbce", "-p", "no:cacheprovider", "-p", "no:xdist", "-q"]
    command += ["-c", str(tmp_path / "pytest.ini"), "--pyargs", f"sklearn.metrics.tests.{module}", "-k", "log_loss"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    passed = int(re.search(r"(\d+) passed", run.stdout)[1])
    assert passed >= fewest
    assert int(re.search(r"calls of xbce's log_loss: (\d+)", run.stdout)[1]) >= fewest
    TALLY.cases += passed


def test_digits_that_scikit_learn_loses():
    assert metrics.log_loss([0, 1], [1e-10, 1], normalize=False) == approx(1.00000008e-10 + 2**-52, rel=1e-8)
    assert log_loss([0, 1], [1e-10, 1], normalize=False) == approx(1.00000000005e-10 + 2**-52, rel=1e-15)


@pytest.mark.parametrize("single", [True, False])
def test_any_library(single, backend):
    y, w = [0, 1, 1, 0], [1.0, 2.0, 0.5, 0.0]
    p = np.float32([0.25, 0.5, 1.0, 0.75])
    p = p if single else np.stack([1 - p, p], 1)
    expected = metrics.log_loss(y, p.astype(float), sample_weight=w)
    eps = np.log1p(-np.finfo(np.float32).eps) / 7  # the clip depends on the dtype
    labels = on(backend, y, "int32")
    result = log_loss(labels, on(backend, p), sample_weight=on(backend, w))
    assert type(result) is float
    assert result == approx(expected - eps, rel=1e-6)
    assert log_loss(y, on(backend, p), sample_weight=w) == approx(result, rel=1e-6)
    assert log_loss(list("nyyn"), on(backend, p), sample_weight=w) == approx(result, rel=1e-6)


@pytest.mark.parametrize("foreign", [("y_true",), ("y_proba",), ("y_true", "y_proba"), ("sample_weight",), ("labels",)])
def test_arrays_that_numpy_cannot_read(foreign):
    """Of a device of array-api-strict beside its CPU, whose arrays other libraries get by DLPack only."""
    strict = pytest.importorskip("array_api_strict")
    arguments = {"y_true": [0, 1, 1], "y_proba": P, "sample_weight": np.array([1.0, 2.0, 0.5]), "labels": [0, 1]}
    expected = log_loss(**arguments)
    arguments |= {name: strict.asarray(arguments[name], device=strict.Device("device1")) for name in foreign}
    assert log_loss(**arguments) == expected


# --- what the tests of all conventions call ----------------------------------------------------------------------

# It makes NumPy arrays of what is none, and reads their values, as scikit-learn does.
ARRAYS = {}
TRACED = {}
