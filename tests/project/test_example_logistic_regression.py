"""The example of logistic regression: scikit-learn's coefficients on every library, and what its page says."""

from importlib import import_module

import array_api_compat
import logistic_regression as example
import numpy as np
import pytest

from tests.helpers import approx
from tests.project.test_examples import found_by, threads_of_torch, written

linear_model = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is not installed")
Reference = linear_model.LogisticRegression
LIBRARIES = ["array_api_strict", "torch", pytest.param("jax.numpy", marks=pytest.mark.long), "numpy"]
TUMOURS = example.data()["tumours"]


def on(library, dtype, *arrays):
    xp = pytest.importorskip(library, reason=f"{library} is not installed")
    if library == "jax.numpy" and dtype == "float64" and xp.zeros(1, dtype=dtype).dtype != "float64":
        pytest.skip("JAX has no float64 here")
    return [xp.asarray(one, dtype=getattr(xp, dtype)) for one in arrays]


def from_reference(model, *, C=1.0, weight=None):  # noqa: N803
    """Return the largest difference from scikit-learn's coefficients, relative to the largest of them."""
    reference = Reference(C=C, solver="newton-cholesky", tol=1e-14, max_iter=1000).fit(*TUMOURS, sample_weight=weight)
    exact = example.coefficients(reference)
    return np.abs(example.coefficients(model) - exact).max() / np.abs(exact).max()


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("dtype", "bound"), [("float64", 1e-12), ("float32", 1e-4)])
def test_coefficients_are_those_of_scikit_learn(library, dtype, bound):
    features, labels = on(library, dtype, *TUMOURS)
    model = example.LogisticRegression().fit(features, labels)
    assert model.coef_.dtype == features.dtype
    assert array_api_compat.array_namespace(model.coef_) is array_api_compat.array_namespace(features)
    assert from_reference(model) < bound
    probabilities = model.predict_proba(features)
    reference = Reference(solver="newton-cholesky", tol=1e-14, max_iter=1000).fit(*TUMOURS)
    assert np.abs(np.asarray(probabilities) - reference.predict_proba(TUMOURS[0])).max() < bound


def test_weights_count_as_in_scikit_learn():
    weight = np.random.default_rng(0).uniform(0, 2, len(TUMOURS[1]))
    assert from_reference(example.LogisticRegression().fit(*TUMOURS, sample_weight=weight), weight=weight) < 1e-12


def test_a_step_that_goes_too_far_is_halved():
    """Here whole steps end at a singular matrix: the fifth one multiplies the loss by 18."""
    columns = [2.1, 1.5, -0.7, 0.8, -1, -1.5, -1.9, -53.6], [1, 1.5, -0.2, -10.3, -0.1, -0.6, -1.6, -2]
    data = np.array(columns).T, np.array([1.0, 0, 0, 0, 0, 0, 0, 0])
    coefficients = example.LogisticRegression(C=100).fit(*data).coef_
    exact = Reference(C=100, tol=1e-12, max_iter=100000).fit(*data).coef_[0]
    np.testing.assert_allclose(coefficients, exact, rtol=1e-5)


def test_the_penalty_is_a_number_of_python():
    """A float64 of NumPy would make float64 of the coefficients."""
    features, labels = on("numpy", "float32", *TUMOURS)
    assert example.LogisticRegression(C=np.float64(1)).fit(features, labels).coef_.dtype == np.float32


def test_calibration_is_scikit_learns():
    rng = np.random.default_rng(0)
    probabilities = np.concatenate([rng.uniform(0, 0.45, 500), rng.uniform(0.71, 1, 500), [0.0, 1.0]])
    labels = (rng.random(1002) < probabilities**2).astype(float)
    predicted, observed, counts, error = example.calibration(probabilities, labels)
    expected = pytest.importorskip("sklearn.calibration").calibration_curve(labels, probabilities, n_bins=10)
    assert list(counts == 0).count(True) == 2
    for one, other in zip((observed, predicted), expected, strict=True):
        np.testing.assert_allclose(one[counts > 0], other, rtol=1e-12)
    assert error == approx(np.abs(predicted - observed) @ counts / 1002, rel=1e-12)


def test_the_page_names_what_was_found():
    holds(written("logistic_regression")["found"])


def holds(found):
    """Assert what the page says in words."""
    for name, value in found.items():
        if "float64" in name and "difference" in name:
            assert value < 1e-12, name
        if "largest difference, " in name and "float32" in name:
            assert value < 1e-4, name
    for data_set in ("tumours", "digits"):
        assert found[f"{data_set}: largest difference, scikit-learn's default"] > 1e-4
    for dtype in ("float64", "float32"):
        assert found[f"C = 1, {dtype}: sklearn's log loss"] == approx(found[f"C = 1, {dtype}: log loss"], rel=1e-6)
        assert found[f"C = 1e+06, {dtype}: sklearn's log loss"] < found[f"C = 1e+06, {dtype}: log loss"]
    assert found["C = 1e+06, float32: sklearn's log loss"] < 0.95 * found["C = 1e+06, float32: log loss"]
    assert found["C = 1e+06, float32: log loss"] == approx(found["C = 1e+06, float64: log loss"], rel=0.01)


@pytest.mark.long
def test_the_script(tmp_path):
    pytest.importorskip("jax", reason="JAX is not installed")
    with threads_of_torch():
        enabled = import_module("jax").config.jax_enable_x64
        try:
            found = found_by("logistic_regression", tmp_path, sweep=(1.0, 1e6))
        finally:
            import_module("jax").config.update("jax_enable_x64", enabled)
    holds(found)
