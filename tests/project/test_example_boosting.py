"""The example of boosting: models of the built-in objectives, losses that they lack, and derivatives by differences."""

import numpy as np
import pytest

import xbce
from tests.project.test_examples import found_by, written

example = pytest.importorskip(
    "boosting", reason="XGBoost, LightGBM, scikit-learn or matplotlib is not installed", exc_type=ImportError
)
DIFFERENCES = "focal, by differences"


@pytest.fixture
def rows():
    """Return digits, and a data set of each library."""
    features, labels = example.eights()
    return features, labels, example.xgboost.DMatrix(features, labels), example.lightgbm.Dataset(features, labels)


def test_models_are_those_of_the_built_in_objectives():
    found = example.the_same()
    for library in ("XGBoost", "LightGBM"):
        after = f"{library} after 15 rounds"
        assert found[f"{after}: largest difference of scores"] < 2e-5, library  # as docs/conventions.md says
        assert found[f"{after}: largest difference of log losses"] < 1e-5, library
        assert found[f"{after}: largest score"] > 1, library


def test_an_objective_has_the_derivatives_of_its_loss_with_positive_hessians(rows):
    _, labels, data, _ = rows
    scores = np.linspace(-8, 8, len(labels))
    gradient, hessian = example.OBJECTIVES["asymmetric"](scores, data)
    exact = xbce.asymmetric_loss.gradient_and_hessian(scores, labels.astype(np.float32), gamma_neg=4.0)
    np.testing.assert_array_equal(gradient, exact[0])
    assert (exact[1] < 0).any()
    np.testing.assert_array_equal(hessian, np.where(exact[1] < 1e-6, 1e-6, exact[1]))


def test_differences_in_float32_do_not_train_and_in_float64_do(rows, monkeypatch):
    """At the score that training starts from, they are 0; a conversion to float64 cures it, as the page says."""
    differences = example.OBJECTIVES[DIFFERENCES]
    assert not differences(np.zeros(len(rows[1]), np.float32), rows[2])[1].any()
    cured = {DIFFERENCES: differences, "cured": lambda scores, data: differences(scores.astype(float), data)}
    monkeypatch.setattr(example, "OBJECTIVES", cured)
    precisions = example.precisions(rounds=15)
    assert precisions[DIFFERENCES][-1] == precisions[DIFFERENCES][0] < 0.1
    assert precisions["cured"][-1] > 0.5


def test_errors_of_hessians():
    errors = example.hessian_errors(np.linspace(-10, 10, 401))
    assert np.median(errors["xbce, float64"]) < 1e-15
    assert np.median(errors["xbce, float32"]) < 1e-6
    assert np.median(errors["differences, float64"]) > 1e-3
    assert np.median(errors["differences, float32"]) >= 1


def test_the_page_names_what_was_found():
    holds(written("boosting")["found"])


def holds(found):
    """Assert what the page says in words."""
    assert found["LightGBM after 100 rounds: largest difference of log losses"] < 1e-12
    assert found["XGBoost after 15 rounds: largest difference of log losses"] < 1e-5
    assert found["XGBoost after 100 rounds: largest difference of log losses"] < 1e-3
    names = ("focal", "asymmetric", DIFFERENCES)
    for name in names:
        assert found[f"LightGBM, {name}: log loss"] > found["LightGBM, built in: log loss"], name
        assert abs(found[f"LightGBM, {name}: average precision, difference"]) < 0.03, name
    assert found["LightGBM, asymmetric: average precision, difference"] > 0
    precision = {name: found[f"XGBoost, {name}: average precision after the last round"] for name in names}
    assert precision[DIFFERENCES] < 0.1 < 0.8 < precision["focal"] < precision["asymmetric"]


@pytest.mark.long
def test_the_script(tmp_path):
    holds(found_by("boosting", tmp_path, repeats=1))
