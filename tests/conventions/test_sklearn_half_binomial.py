"""`xbce.conventions.sklearn.HalfBinomialLoss` against scikit-learn's class, and inside its LogisticRegression."""

import re

import numpy as np
import pytest

import xbce
from tests.conventions.differential import TALLY, agree, on
from tests.helpers import approx
from xbce.conventions.sklearn import HalfBinomialLoss

peer = pytest.importorskip("sklearn._loss.loss")

compared = pytest.mark.compared("sklearn.HalfBinomialLoss", "scikit-learn")
OUTS = {
    "loss": ["loss_out"],
    "gradient": ["gradient_out"],
    "loss_gradient": ["loss_out", "gradient_out"],
    "gradient_hessian": ["gradient_out", "hessian_out"],
}
OURS, THEIRS = HalfBinomialLoss(), peer.HalfBinomialLoss()
Y = np.float32([0, 1, 0.25, 1, 0])
X = np.float32([-3, 4, 0.5, -0.125, 2])
WEIGHT = np.float32([1, 2, 0.5, 0, 3])


def several(result):
    return result if isinstance(result, tuple) else (result,)


@compared
@pytest.mark.parametrize("method", OUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("dtypes_out", [(None, None), ("float32", None), ("float64", None), ("float64", "float64")])
@pytest.mark.parametrize("column", [True, False])
def test_values_shapes_and_dtypes(method, dtype, dtypes_out, column):
    y, x, weight = (a.astype(dtype) for a in (Y, X, WEIGHT))
    names = [(name, kind) for name, kind in zip(OUTS[method], dtypes_out, strict=False) if kind is not None]

    def call(loss, sample_weight):
        outs = {name: np.full(len(y), np.nan, kind) for name, kind in names}
        result = getattr(loss, method)(y, x[:, None] if column else x, sample_weight, **outs, n_threads=2)
        of_name = dict(zip(OUTS[method], several(result), strict=True))
        assert all(of_name[name] is out or np.shares_memory(of_name[name], out) for name, out in outs.items())
        return of_name.values()

    for sample_weight in (None, weight):
        for ours, theirs in zip(call(OURS, sample_weight), call(THEIRS, sample_weight), strict=True):
            assert ours.dtype == theirs.dtype
            if not (column and theirs.ndim == 2):  # an array that scikit-learn made itself stays a column
                assert ours.shape == theirs.shape
            eps = float(np.finfo(theirs.dtype).eps)
            np.testing.assert_allclose(ours, theirs.reshape(ours.shape), rtol=4 * max(eps, 2e-16), atol=8 * eps)
            TALLY.cases += 1


@compared
def test_everything_else():
    y, x, weight = (a.astype("float64") for a in (Y, X, WEIGHT))
    agree(lambda: OURS(y, x), lambda: float(THEIRS(y, x)), tolerance=1e-15)
    for w in (None, weight):
        agree(lambda w=w: OURS(y, x, w), lambda w=w: float(THEIRS(y, x, w)), tolerance=1e-15)
        for name in ("fit_intercept_only", "constant_to_optimal_zero"):
            for labels in (y, np.zeros(5), np.ones(5), np.array([0, 1, 1, 0, 1])):
                ours, theirs = (np.asarray(getattr(loss, name)(labels, w)) for loss in (OURS, THEIRS))
                assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
                np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-15)
                TALLY.cases += 1
    np.testing.assert_allclose(OURS.predict_proba(x[:, None]), THEIRS.predict_proba(x[:, None]), rtol=1e-15, atol=2e-16)
    for name in ("in_y_true_range", "in_y_pred_range"):
        for p in ([0.5], [0.0], [1.0], [-0.1], [1.1], [np.nan]):
            assert getattr(OURS, name)(np.array(p)) is getattr(THEIRS, name)(np.array(p))
    attributes = ("n_classes", "differentiable", "is_multiclass", "approx_hessian", "constant_hessian")
    assert [getattr(OURS, name) for name in attributes] == [getattr(THEIRS, name) for name in attributes]
    np.testing.assert_allclose(OURS.link.inverse(OURS.link.link(np.array([0.25]))), [0.25])


def test_any_library(backend):
    y, x, weight = (on(backend, a) for a in (Y, X, WEIGHT))
    for method in OUTS:
        for got, expected in zip(
            several(getattr(OURS, method)(y, x, weight)),
            several(getattr(THEIRS, method)(*(a.astype("float64") for a in (Y, X, WEIGHT)))),
            strict=True,
        ):
            np.testing.assert_allclose(np.float64(backend.to_numpy(got)), expected, rtol=1e-6, atol=1e-7)
    assert OURS(y, x, weight) == approx(THEIRS(*(a.astype("float64") for a in (Y, X, WEIGHT))), rel=1e-6)


@pytest.mark.parametrize("library", ["torch", "array_api_strict"])
def test_arrays_to_write_into(library):
    xp = pytest.importorskip(library)
    loss = HalfBinomialLoss(xp=xp)
    for dtype in (xp.float32, xp.float64):
        gradient, hessian = loss.init_gradient_and_hessian(5, dtype)
        got = loss.gradient_hessian(xp.asarray(Y), xp.asarray(X), None, gradient, hessian)
        assert got[0] is gradient
        assert got[1] is hessian
        expected = THEIRS.gradient_hessian(Y.astype("float64"), X.astype("float64"))
        tolerance = 1e-14 if dtype == xp.float64 else 1e-6
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_allclose(np.from_dlpack(a), b, rtol=tolerance)


def test_digits_that_scikit_learn_loses():
    """The certified values of softplus(-40), and of its derivatives, in float64."""
    y, x = np.array([1.0]), np.array([40.0])
    exact = 4.248354255291589e-18  # exp(-40) to 18 digits; softplus(-40) and sigmoid(-40) differ from it by 2e-18 of it
    assert THEIRS.loss(y, x)[0] == 0
    assert OURS.loss(y, x)[0] == approx(exact, rel=4e-16)
    assert OURS.gradient(y, x)[0] == approx(-exact, rel=4e-16)
    assert OURS.gradient_hessian(y, x)[1][0] == approx(exact, rel=4e-16)


def test_one_thread_unless_asked(monkeypatch):
    """As many as xbce may use for any other number; the bits are the same."""
    from xbce._compiler.threads import usable_threads
    from xbce.conventions._half_binomial import _threads

    monkeypatch.setattr("xbce._compiler.threads._chosen", 3)
    monkeypatch.delitem(__import__("sys").modules, "threadpoolctl", raising=False)
    with _threads(1):
        assert usable_threads() == 1
    with _threads(2):
        assert usable_threads() == 3
    x = np.linspace(-9, 9, 300_000)
    y = (x > 1).astype(float)
    np.testing.assert_array_equal(OURS.loss(y, x, n_threads=1), OURS.loss(y, x, n_threads=2))


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"y_true": Y[1:]}, ValueError, "y_true must have the shape of raw_prediction, got (4,) and (5,)"),
        (
            {"sample_weight": Y[1:]},
            ValueError,
            "sample_weight must have the shape of raw_prediction, got (4,) and (5,)",
        ),
        ({"loss_out": Y[1:]}, ValueError, "loss_out must have the shape of raw_prediction, got (4,) and (5,)"),
        ({"gradient_out": Y[1:]}, ValueError, "gradient_out must have the shape of raw_prediction, got (4,) and (5,)"),
        ({"raw_prediction": [1.0]}, TypeError, "raw_prediction must be an array of a library that follows"),
    ],
)
def test_refusals(arguments, error, text):
    with pytest.raises(error, match=f"^{re.escape(text)}"):
        OURS.loss_gradient(**{"y_true": Y, "raw_prediction": X} | arguments)


def test_refused_dtype():
    with pytest.raises(
        ValueError, match=r"^Valid options for 'dtype' are .*float32.* and .*float64.*Got dtype=int instead\.$"
    ):
        OURS.init_gradient_and_hessian(3, "int")


def data_of(name):
    from sklearn import datasets
    from sklearn.preprocessing import StandardScaler

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return StandardScaler().fit_transform(x), y if name == "breast_cancer" else np.int64(y == 8)


def fitted(monkeypatch, x, y, *, ours, **options):
    """Fit with or without xbce's class, and return the coefficients."""
    from sklearn.linear_model import LogisticRegression, _logistic

    with monkeypatch.context() as patch:
        calls = []
        if ours:

            def make(**arguments):
                calls.append(HalfBinomialLoss(**arguments))
                return calls[-1]

            patch.setattr(_logistic, "HalfBinomialLoss", make)
            patch.setattr(_logistic, "HalfBinomialLossArrayAPI", make)
        model = LogisticRegression(max_iter=10_000, **options).fit(x, y)
        assert bool(calls) is ours
    return np.append(np.asarray(model.coef_), np.asarray(model.intercept_))


@compared
@pytest.mark.parametrize("name", ["breast_cancer", "digits"])
@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg", "newton-cholesky"])
def test_logistic_regression(monkeypatch, name, solver):
    """The same coefficients, to 1e-6 of the largest: where the solver stops depends on the last digits."""
    x, y = data_of(name)
    fits = [fitted(monkeypatch, x, y, ours=ours, solver=solver, tol=1e-8) for ours in (True, False)]
    np.testing.assert_allclose(*fits, rtol=0, atol=1e-6 * abs(fits[1]).max())
    TALLY.cases += 1


def test_logistic_regression_of_tensors(monkeypatch):
    torch = pytest.importorskip("torch")
    from sklearn import config_context

    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    x, y = data_of("breast_cancer")
    with config_context(array_api_dispatch=True):
        tensors = torch.asarray(x), torch.asarray(y)
        fits = [fitted(monkeypatch, *tensors, ours=ours, solver="lbfgs", tol=1e-8) for ours in (True, False)]
    np.testing.assert_allclose(*fits, rtol=0, atol=1e-6 * abs(fits[1]).max())


def test_needs_no_scikit_learn():
    assert not issubclass(HalfBinomialLoss, peer.BaseLoss)
    assert xbce.conventions.sklearn.HalfBinomialLoss.__mro__ == (HalfBinomialLoss, object)
