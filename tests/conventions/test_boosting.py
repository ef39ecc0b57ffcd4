"""`xbce.conventions.boosting` in real XGBoost and LightGBM: the models that their built-in objectives make."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conventions.differential import agree, on
from tests.helpers import approx
from xbce.conventions.boosting import lightgbm_objective, xgboost_objective

xgboost = pytest.importorskip("xgboost")
lightgbm = pytest.importorskip("lightgbm")
datasets = pytest.importorskip("sklearn.datasets")

in_xgboost = pytest.mark.compared("boosting.xgboost_objective", "xgboost-cpu")
in_lightgbm = pytest.mark.compared("boosting.lightgbm_objective", "lightgbm")

ROUNDS = 15
# Scores are of order 1, and sums of 15 leaves, each the quotient of two sums of float32 gradients.
TOLERANCE = 2e-5


@st.composite
def problems(draw, *, soft=False):
    """Draw features without ties, and labels that depend on them."""
    seed, n = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([40, 150]))
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4))
    p = 1 / (1 + np.exp(-(2 * x[:, 0] - x[:, 1] + draw(st.sampled_from([0.0, 1.5])))))
    y = p if soft else rng.random(n) < p
    if not soft:
        y[:2] = 0, 1
    weight = rng.integers(1, 5, n) / 2 if draw(st.booleans()) else None
    return x, y.astype(np.float64), weight


def xgboost_scores(x, y, weight, objective, *, scale_pos_weight=1.0, **options):
    built_in = isinstance(objective, str)
    params = {"max_depth": 3, "eta": 0.3, "nthread": 1, "seed": 0, "base_score": 0.5 if built_in else 0.0, **options}
    if built_in:
        params |= {"objective": objective, "scale_pos_weight": scale_pos_weight}
    data = xgboost.DMatrix(x, label=y, weight=weight)
    booster = xgboost.train(params, data, ROUNDS, obj=None if built_in else objective)
    return booster.predict(data, output_margin=True)


@in_xgboost
@settings(max_examples=25)
@given(problems(), st.sampled_from([1.0, 3.0]), st.sampled_from(["hist", "exact"]))
def test_xgboost(problem, scale, tree_method):
    agree(
        lambda: xgboost_scores(*problem, xgboost_objective(scale_pos_weight=scale), tree_method=tree_method),
        lambda: xgboost_scores(*problem, "binary:logistic", scale_pos_weight=scale, tree_method=tree_method),
        tolerance=TOLERANCE,
    )


@in_xgboost
@settings(max_examples=10)
@given(problems(soft=True), st.sampled_from([1.0, 3.0]))
def test_xgboost_soft_labels(problem, scale):
    """Of which scale_pos_weight scales those that are exactly 1."""
    x, y, weight = problem
    y = np.where(y > 0.8, 1.0, y)
    agree(
        lambda: xgboost_scores(x, y, weight, xgboost_objective(scale_pos_weight=scale)),
        lambda: xgboost_scores(x, y, weight, "reg:logistic", scale_pos_weight=scale),
        tolerance=TOLERANCE,
    )


@in_xgboost
def test_xgboost_on_real_data():
    x, y = datasets.load_breast_cancer(return_X_y=True)
    agree(
        lambda: xgboost_scores(x, y, None, xgboost_objective()),
        lambda: xgboost_scores(x, y, None, "binary:logistic"),
        tolerance=TOLERANCE,
    )


@in_xgboost
@pytest.mark.parametrize("weighted", [True, False])
def test_xgboost_estimator(weighted):
    """The estimator tells the booster "binary:logistic", so that base_score and predict_proba are as ever."""
    x, y = datasets.load_breast_cancer(return_X_y=True)
    weight = np.where(np.arange(len(y)) % 3 == 0, 2.0, 0.5) if weighted else None
    options = {"n_estimators": 10, "max_depth": 3, "n_jobs": 1}

    def scores(**more):
        model = xgboost.XGBClassifier(**options, **more).fit(x, y, sample_weight=weight)
        return np.concatenate([model.predict(x, output_margin=True), model.predict_proba(x)[:, 1]])

    agree(
        lambda: scores(objective=xgboost_objective(), base_score=0.5),
        lambda: scores(objective="binary:logistic", base_score=0.5),
        tolerance=TOLERANCE,
    )


@in_xgboost
def test_xgboost_multilabel():
    x, y = datasets.make_multilabel_classification(100, 5, n_classes=3, random_state=0)
    agree(
        lambda: xgboost_scores(x, y, None, xgboost_objective()),
        lambda: xgboost_scores(x, y, None, "binary:logistic"),
        tolerance=TOLERANCE,
    )


@in_xgboost
@pytest.mark.parametrize("label", [-0.5, 1.5])
def test_xgboost_refuses_labels(label):
    x, y = np.zeros((4, 1)), np.array([0, 1, label, 0])
    agree(
        lambda: xgboost_scores(x, y, None, xgboost_objective()),
        lambda: xgboost_scores(x, y, None, "binary:logistic"),
        tolerance=0,
        errors={"XGBoostError": ValueError},
    )


def lightgbm_scores(x, y, weight, objective, **options):
    params = {
        "objective": objective,
        "num_leaves": 6,
        "verbosity": -1,
        "num_threads": 1,
        "deterministic": True,
        "seed": 0,
    }
    params |= {"min_data_in_leaf": 5, **options}
    if isinstance(objective, str):
        params["boost_from_average"] = False
    data = lightgbm.Dataset(x, label=y, weight=weight, free_raw_data=False)
    return lightgbm.train(params, data, ROUNDS).predict(x, raw_score=True)


@in_lightgbm
@settings(max_examples=25)
@given(
    problems(),
    st.sampled_from([{}, {"scale_pos_weight": 3.0}, {"is_unbalance": True}]),
    st.sampled_from([{}, {"sigmoid": 0.5}]),
)
def test_lightgbm(problem, balance, sigmoid):
    options = balance | sigmoid
    agree(
        lambda: lightgbm_scores(*problem, lightgbm_objective(**options)),
        lambda: lightgbm_scores(*problem, "binary", **options),
        tolerance=TOLERANCE,
    )


@in_lightgbm
@settings(max_examples=10)
@given(problems(soft=True))
def test_lightgbm_soft_labels(problem):
    agree(
        lambda: lightgbm_scores(*problem, lightgbm_objective(objective="cross_entropy")),
        lambda: lightgbm_scores(*problem, "cross_entropy"),
        tolerance=TOLERANCE,
    )


@in_lightgbm
@pytest.mark.parametrize("weighted", [True, False])
def test_lightgbm_estimator(weighted):
    x, y = datasets.load_breast_cancer(return_X_y=True)
    weight = np.where(np.arange(len(y)) % 3 == 0, 2.0, 0.5) if weighted else None
    options = {"n_estimators": 10, "num_leaves": 6, "verbose": -1, "n_jobs": 1, "deterministic": True}

    def scores(**more):
        model = lightgbm.LGBMClassifier(**options, **more).fit(x, y, sample_weight=weight)
        return model.booster_.predict(x, raw_score=True)

    agree(
        lambda: scores(objective=lightgbm_objective()),
        lambda: scores(objective="binary", boost_from_average=False),
        tolerance=TOLERANCE,
    )


@in_lightgbm
def test_lightgbm_on_real_data():
    x, y = datasets.load_breast_cancer(return_X_y=True)
    agree(
        lambda: lightgbm_scores(x, y, None, lightgbm_objective()),
        lambda: lightgbm_scores(x, y, None, "binary"),
        tolerance=TOLERANCE,
    )


@in_lightgbm
@pytest.mark.parametrize("label", [-0.5, 1.5])
def test_lightgbm_refuses_soft_labels_outside(label):
    x, y = np.arange(40.0)[:, None], np.linspace(0, 1, 40)
    y[3] = label
    agree(
        lambda: lightgbm_scores(x, y, None, lightgbm_objective(objective="cross_entropy")),
        lambda: lightgbm_scores(x, y, None, "cross_entropy"),
        tolerance=0,
        errors={"LightGBMError": ValueError},
    )


def test_probabilities_as_the_docstrings_say():
    from xbce.special import expit

    x, y = datasets.load_breast_cancer(return_X_y=True)
    data = xgboost.DMatrix(x, label=y)
    ours = xgboost.train({"base_score": 0, "nthread": 1}, data, 5, obj=xgboost_objective()).predict(data)
    theirs = xgboost.train({"objective": "binary:logistic", "base_score": 0.5, "nthread": 1}, data, 5).predict(data)
    np.testing.assert_allclose(expit(ours), theirs, atol=1e-6)
    scores = lightgbm_scores(x, y, None, lightgbm_objective(sigmoid=0.5))
    params = {"objective": "binary", "sigmoid": 0.5, "num_leaves": 6, "verbosity": -1, "min_data_in_leaf": 5}
    params |= {"boost_from_average": False, "num_threads": 1, "deterministic": True}
    theirs = lightgbm.train(params, lightgbm.Dataset(x, label=y), ROUNDS).predict(x)
    np.testing.assert_allclose(expit(0.5 * scores), theirs, atol=1e-6)


def test_hessian_floor():
    """Below it XGBoost's floor holds, which LightGBM has not."""
    y, x = np.array([0.0, 1.0]), np.array([-40.0, 40.0])
    gradient, hessian = xgboost_objective()(y, x, np.array([1.0, 2.0]))
    np.testing.assert_allclose(hessian, [1e-16, 2e-16], rtol=1e-15)
    np.testing.assert_allclose(gradient, [4.248354255291589e-18, -2 * 4.248354255291589e-18], rtol=1e-14)
    np.testing.assert_allclose(lightgbm_objective()(y, x)[1], 4.248354255291589e-18, rtol=1e-14)


def test_digits_that_the_built_in_objectives_lose():
    """Rows that are already right by a score of 20: one Newton step adds 1, if the gradient is there."""
    data = xgboost.DMatrix(np.arange(4.0)[:, None], label=np.ones(4), base_margin=np.full(4, 20.0))
    params = {"lambda": 0, "min_child_weight": 0, "max_depth": 1, "eta": 1, "nthread": 1}
    own = xgboost.train(params | {"objective": "binary:logistic"}, data, 1).predict(data, output_margin=True)
    ours = xgboost.train(params, data, 1, obj=xgboost_objective()).predict(data, output_margin=True)
    np.testing.assert_array_equal(own, 20)
    np.testing.assert_allclose(ours, 21, rtol=1e-6)
    # LightGBM does not hand out its hessian: its formula, in float64.
    response = -1 / (1 + np.exp(-40.0))
    assert abs(response) * (1 - abs(response)) == 0
    assert lightgbm_objective()(np.ones(1), np.array([-40.0]))[1] == approx(4.248354255291589e-18, rel=1e-14)


@pytest.mark.parametrize("objective", [xgboost_objective(scale_pos_weight=2), lightgbm_objective(is_unbalance=True)])
def test_objectives_are_values(objective):
    assert pickle.loads(pickle.dumps(objective)) == objective  # noqa: S301


@pytest.mark.parametrize(
    ("function", "options", "match"),
    [
        (xgboost_objective, {"scale_pos_weight": 0}, "scale_pos_weight must be a positive number, got 0"),
        (
            lightgbm_objective,
            {"objective": "regression"},
            "objective must be 'binary' or 'cross_entropy', got 'regress",
        ),
        (lightgbm_objective, {"sigmoid": -1.0}, "sigmoid must be a positive number, got -1.0"),
        (lightgbm_objective, {"is_unbalance": True, "scale_pos_weight": 2.0}, "exclude each other"),
        (lightgbm_objective, {"objective": "cross_entropy", "sigmoid": 2.0}, "are for objective='binary'"),
    ],
)
def test_option_errors(function, options, match):
    with pytest.raises(ValueError, match=match):
        function(**options)


def test_any_library(backend):
    y, x, w = [0.0, 1.0, 1.0], [0.5, -2.0, 20.0], [1.0, 2.0, 0.5]
    for objective in (xgboost_objective(scale_pos_weight=2), lightgbm_objective(is_unbalance=True, sigmoid=2.0)):
        expected = objective(np.float32(y), np.float32(x), np.float32(w))
        result = objective(on(backend, y), on(backend, x), on(backend, w))
        for got, wanted in zip(result, expected, strict=True):
            np.testing.assert_allclose(backend.to_numpy(got), wanted, rtol=2e-6)
