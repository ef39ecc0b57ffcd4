"""`xbce.conventions.boosting` in real XGBoost and LightGBM: the models that their built-in objectives make."""

import pickle
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conventions.differential import agree, on
from tests.conventions.gathered import VECTOR
from tests.helpers import approx, step
from xbce.conventions.boosting import lightgbm_metric, lightgbm_objective, xgboost_metric, xgboost_objective

xgboost = pytest.importorskip("xgboost")
lightgbm = pytest.importorskip("lightgbm")
datasets = pytest.importorskip("sklearn.datasets")

in_xgboost = pytest.mark.compared("boosting.xgboost_objective", "xgboost-cpu")
in_lightgbm = pytest.mark.compared("boosting.lightgbm_objective", "lightgbm")
metric_in_xgboost = pytest.mark.compared("boosting.xgboost_metric", "xgboost-cpu")
metric_in_lightgbm = pytest.mark.compared("boosting.lightgbm_metric", "lightgbm")

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


def margins_on_real_data(own, **options):
    x, y = datasets.load_breast_cancer(return_X_y=True)
    data = xgboost.DMatrix(x, label=y)
    params = {"max_depth": 4, "nthread": 1, "seed": 0, **options}
    return xgboost.train(params, data, 10, obj=own).predict(data, output_margin=True)


NAMED = {"objective": "binary:logistic", "base_score": 0.5}


@in_xgboost
@pytest.mark.parametrize("booster", ["gbtree", "dart"])
@pytest.mark.parametrize("tree_method", ["hist", "exact", "approx"])
def test_xgboost_beside_the_objectives_name(tree_method, booster):
    """The docstring's rule, for every way to grow trees: the parameters name the objective, and give base_score."""
    options = NAMED | {"tree_method": tree_method, "booster": booster, "rate_drop": 0.3}
    if booster == "gbtree":
        del options["rate_drop"]
    agree(
        lambda: margins_on_real_data(xgboost_objective(), **options),
        lambda: margins_on_real_data(None, **options),
        tolerance=2e-6,  # measured: 4.8e-7
    )


def test_xgboost_approx_without_the_objectives_name():
    """The docstring's exception: another model, by any objective that XGBoost does not know."""

    def textbook(scores, data):
        p = 1 / (1 + np.exp(-scores.astype(np.float64)))
        return p - data.get_label(), p * (1 - p)

    unnamed = {"tree_method": "approx", "base_score": 0}
    own = margins_on_real_data(None, **NAMED, tree_method="approx")
    ours = margins_on_real_data(xgboost_objective(), **unnamed)
    assert np.max(np.abs(ours - own)) > 0.5
    np.testing.assert_allclose(margins_on_real_data(textbook, **unnamed), ours, rtol=0, atol=2e-6)


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


def test_lightgbm_dart_as_with_the_textbooks_objective():
    """What the docstring says of dart is not this objective's doing: after the same runs another one gives the same."""
    x, y = datasets.load_breast_cancer(return_X_y=True)

    def textbook(scores, data):
        p = 1 / (1 + np.exp(-scores))
        return p - data.get_label(), p * (1 - p)

    scores = []
    for objective in (lightgbm_objective(), textbook):
        lightgbm_scores(x, y, None, "binary", boosting="dart")
        scores.append(lightgbm_scores(x, y, None, objective, boosting="dart"))
    np.testing.assert_allclose(scores[0], scores[1], rtol=0, atol=TOLERANCE)


def test_lightgbm_refuses_objectives_for_random_forests():
    options = {"boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1}
    with pytest.raises(lightgbm.basic.LightGBMError, match="RF mode do not support custom objective"):
        lightgbm_scores(
            *(a[:40] for a in datasets.load_breast_cancer(return_X_y=True)), None, lightgbm_objective(), **options
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


def split(x, y, weight):
    """Train and validate on halves, so that there is something to stop for."""
    weight = np.ones(len(y)) if weight is None else weight
    return (x[::2], y[::2], weight[::2]), (x[1::2], y[1::2], weight[1::2])


def xgboost_history(problem, objective, metric, stop=None, **options):
    """The validation's log loss of each round, and the best round if training stops early."""
    built_in = isinstance(objective, str)
    params = {"max_depth": 3, "eta": 1.0, "nthread": 1, "base_score": 0.5 if built_in else 0.0, **options}
    params |= {"objective": objective, "eval_metric": metric} if built_in else {"disable_default_eval_metric": True}
    train, valid = (xgboost.DMatrix(x, label=y, weight=weight) for x, y, weight in split(*problem))
    history = {}
    booster = xgboost.train(
        params,
        train,
        ROUNDS,
        obj=None if built_in else objective,
        custom_metric=None if built_in else metric,
        evals=[(valid, "valid")],
        evals_result=history,
        verbose_eval=False,
        early_stopping_rounds=stop,
    )
    return history["valid"]["logloss"], booster.best_iteration if stop else None


@metric_in_xgboost
@settings(max_examples=40)
@given(problems(), st.sampled_from([1.0, 3.0]))
def test_xgboost_metric(problem, scale):
    """In each round that of the built-in objective, of which scale_pos_weight is no part."""
    ours = xgboost_history(problem, xgboost_objective(scale_pos_weight=scale), xgboost_metric())
    theirs = xgboost_history(problem, "binary:logistic", "logloss", scale_pos_weight=scale)
    # XGBoost prints six decimals of a metric that is not its own, and reads them back.
    agree(lambda: ours[0], lambda: theirs[0], tolerance=2e-5)


@metric_in_xgboost
@settings(max_examples=10)
@given(problems(soft=True))
def test_xgboost_metric_of_soft_labels(problem):
    ours = xgboost_history(problem, xgboost_objective(), xgboost_metric())
    theirs = xgboost_history(problem, "reg:logistic", "logloss")
    agree(lambda: ours[0], lambda: theirs[0], tolerance=2e-5)


@metric_in_xgboost
@pytest.mark.parametrize("weighted", [True, False])
def test_xgboost_metric_of_the_estimator(weighted):
    x, y = datasets.load_breast_cancer(return_X_y=True)
    weight = np.where(np.arange(len(y)) % 3 == 0, 2.0, 0.5) if weighted else None

    def history(**options):
        model = xgboost.XGBClassifier(n_estimators=5, base_score=0.5, n_jobs=1, **options)
        model.fit(x, y, sample_weight=weight, eval_set=[(x, y)], sample_weight_eval_set=[weight], verbose=False)
        return model.evals_result()["validation_0"]["logloss"]

    agree(
        lambda: history(objective=xgboost_objective(), eval_metric=xgboost_metric(), disable_default_eval_metric=True),
        lambda: history(objective="binary:logistic", eval_metric="logloss"),
        tolerance=2e-6,
    )


@metric_in_xgboost
def test_xgboost_metric_of_several_labels():
    """Each weight counts for every label of its row."""
    x, y = datasets.make_multilabel_classification(100, 5, n_classes=3, random_state=0)
    problem = x, y, np.where(np.arange(100) % 4 < 2, 2.0, 0.5)
    ours = xgboost_history(problem, xgboost_objective(), xgboost_metric())
    agree(lambda: ours[0], lambda: xgboost_history(problem, "binary:logistic", "logloss")[0], tolerance=2e-5)


@metric_in_xgboost
@pytest.mark.parametrize("weight", [[0.0, 0.0], [2.0, 0.0], [0.5, 3.0]])
def test_xgboost_metric_of_weights_that_are_0(weight):
    data = xgboost.DMatrix(np.zeros((2, 1)), label=[0, 1], weight=weight, base_margin=[3.0, 1.0])
    history = {}
    params = NAMED | {"eval_metric": "logloss", "eta": 0, "nthread": 1}
    xgboost.train(params, data, 1, evals=[(data, "data")], evals_result=history, verbose_eval=False)
    agree(
        lambda: xgboost_metric()(np.float32([3.0, 1.0]), data)[1],
        lambda: history["data"]["logloss"][0],
        tolerance=2e-6,
    )


def lightgbm_history(problem, objective, metric, stop=None, **options):
    """The name and the validation's log loss of each round, and the best round if training stops early."""
    built_in = isinstance(objective, str)
    params = {
        "num_leaves": 6,
        "learning_rate": 0.7,
        "verbosity": -1,
        "num_threads": 1,
        "deterministic": True,
        "seed": 0,
    }
    params |= {"min_data_in_leaf": 5, "objective": objective, **options}
    if built_in:
        params |= {"metric": metric, "boost_from_average": False}
    (x, y, weight), valid = split(*problem)
    train = lightgbm.Dataset(x, label=y, weight=weight, free_raw_data=False)
    valid = lightgbm.Dataset(valid[0], label=valid[1], weight=valid[2], reference=train, free_raw_data=False)
    history = {}
    booster = lightgbm.train(
        params,
        train,
        ROUNDS,
        valid_sets=[valid],
        valid_names=["valid"],
        feval=None if built_in else metric,
        callbacks=[
            lightgbm.record_evaluation(history),
            *([lightgbm.early_stopping(stop, verbose=False)] if stop else []),
        ],
    )
    (losses,) = history["valid"].values()
    return list(history["valid"]), [float(x) for x in losses], booster.best_iteration if stop else None


@metric_in_lightgbm
@settings(max_examples=40)
@given(
    problems(), st.sampled_from([{}, {"scale_pos_weight": 3.0}, {"is_unbalance": True}]), st.sampled_from([1.0, 0.5])
)
def test_lightgbm_metric(problem, balance, sigmoid):
    """In each round that of the built-in objective, of which the weights of labels are no part."""
    options = balance | {"sigmoid": sigmoid}
    ours = lightgbm_history(problem, lightgbm_objective(**options), lightgbm_metric(sigmoid=sigmoid))
    theirs = lightgbm_history(problem, "binary", "binary_logloss", **options)
    assert ours[0] == theirs[0]
    agree(lambda: ours[1], lambda: theirs[1], tolerance=TOLERANCE)


@metric_in_lightgbm
@settings(max_examples=10)
@given(problems(soft=True))
def test_lightgbm_metric_of_soft_labels(problem):
    ours = lightgbm_history(
        problem, lightgbm_objective(objective="cross_entropy"), lightgbm_metric(objective="cross_entropy")
    )
    theirs = lightgbm_history(problem, "cross_entropy", "cross_entropy")
    assert ours[0] == theirs[0]
    agree(lambda: ours[1], lambda: theirs[1], tolerance=TOLERANCE)


@metric_in_lightgbm
@pytest.mark.parametrize("weighted", [True, False])
def test_lightgbm_metric_of_the_estimator(weighted):
    x, y = datasets.load_breast_cancer(return_X_y=True)
    weight = np.where(np.arange(len(y)) % 3 == 0, 2.0, 0.5) if weighted else None
    options = {"n_estimators": 5, "num_leaves": 6, "verbose": -1, "n_jobs": 1, "deterministic": True}

    def history(eval_metric=None, **more):
        model = lightgbm.LGBMClassifier(**options, **more)
        weights = None if weight is None else [weight]
        model.fit(x, y, weight, eval_X=x, eval_y=y, eval_sample_weight=weights, eval_metric=eval_metric)
        return [float(x) for x in model.evals_result_["valid_0"]["binary_logloss"]]

    agree(
        lambda: history(lightgbm_metric(), objective=lightgbm_objective(), metric="None"),
        lambda: history(objective="binary", boost_from_average=False),
        tolerance=TOLERANCE,
    )


def noisy_problem():
    """Of which many rounds learn the noise: the best round is clearly an early one."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(300, 4))
    return x, (x[:, 0] + 2 * rng.normal(size=300) > 0).astype(np.float64), rng.integers(1, 5, 300) / 2


@metric_in_xgboost
def test_xgboost_stops_early():
    ours = xgboost_history(noisy_problem(), xgboost_objective(), xgboost_metric(), stop=3, eta=0.3)
    theirs = xgboost_history(noisy_problem(), "binary:logistic", "logloss", stop=3, eta=0.3)
    assert ours[1] == theirs[1] < ROUNDS - 4
    agree(lambda: ours[0], lambda: theirs[0], tolerance=2e-5)


@metric_in_lightgbm
def test_lightgbm_stops_early():
    ours = lightgbm_history(noisy_problem(), lightgbm_objective(), lightgbm_metric(), stop=3, learning_rate=0.3)
    theirs = lightgbm_history(noisy_problem(), "binary", "binary_logloss", stop=3, learning_rate=0.3)
    assert ours[2] == theirs[2] < ROUNDS - 4
    agree(lambda: ours[1], lambda: theirs[1], tolerance=TOLERANCE)


def test_metrics_beside_the_built_in_ones():
    """What the docstrings say of the list that two metrics of one name are written to."""
    x, y = datasets.load_breast_cancer(return_X_y=True)
    model = xgboost.XGBClassifier(n_estimators=2, objective=xgboost_objective(), eval_metric=xgboost_metric(), n_jobs=1)
    model.fit(x, y, eval_set=[(x, y)], verbose=False)
    own, ours, *rest = model.evals_result()["validation_0"]["logloss"]
    assert len(rest) == 2
    assert own == approx(ours, rel=1e-5)
    model = lightgbm.LGBMClassifier(n_estimators=2, objective=lightgbm_objective(), n_jobs=1, verbose=-1)
    model.fit(x, y, eval_X=x, eval_y=y, eval_metric=lightgbm_metric())
    own, ours, *rest = model.evals_result_["valid_0"]["binary_logloss"]
    assert len(rest) == 2
    assert own > 2 * ours  # scores taken for probabilities


def test_losses_that_the_built_in_metrics_cut_off():
    """The numbers that the docstrings state."""
    data = xgboost.DMatrix(np.zeros((1, 1)), label=[0.0], base_margin=[40.0])
    history = {}
    params = NAMED | {"eval_metric": "logloss", "eta": 0, "nthread": 1}
    xgboost.train(params, data, 1, evals=[(data, "data")], evals_result=history, verbose_eval=False)
    assert history["data"]["logloss"][0] == approx(36.84, rel=2e-4)
    assert xgboost_metric()(np.zeros(1), np.array([40.0])) == 40
    for objective, metric, cut_off in (("binary", "binary_logloss", 34.54), ("cross_entropy",) * 2 + (27.63,)):
        with step("lightgbm", lightgbm_metric, objective):
            label = np.r_[1.0, np.zeros(19)]  # LightGBM takes no data of one label
            data = lightgbm.Dataset(
                np.zeros((20, 1)), label=label, init_score=np.full(20, 40.0), params={"verbosity": -1}
            )
            params = {
                "objective": objective,
                "metric": metric,
                "learning_rate": 1e-9,
                "verbosity": -1,
                "num_threads": 1,
            }
            history = {}
            callbacks = [lightgbm.record_evaluation(history)]
            lightgbm.train(params | {"boost_from_average": False}, data, 1, valid_sets=[data], callbacks=callbacks)
            assert history["training"][metric][0] * 20 / 19 == approx(cut_off, rel=2e-4)
            assert lightgbm_metric(objective=objective)(np.zeros(1), np.array([40.0]))[1] == 40


@pytest.mark.parametrize("label", [-0.5, 1.5, np.nan])
@pytest.mark.parametrize(
    "function",
    [
        xgboost_objective(),
        xgboost_metric(),
        lightgbm_objective(objective="cross_entropy"),
        lightgbm_metric(objective="cross_entropy"),
    ],
)
def test_labels_that_are_refused(function, label):
    with pytest.raises(ValueError, match=rf"^labels must be in \[0, 1\], got {label} at index \(1,\)$"):
        function(np.array([0.0, label]), np.zeros(2))


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


@pytest.mark.parametrize(
    "value",
    [
        xgboost_objective(scale_pos_weight=2),
        lightgbm_objective(is_unbalance=True),
        xgboost_metric(),
        lightgbm_metric(sigmoid=0.5),
    ],
)
def test_objectives_and_metrics_are_values(value):
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301


FOR_BINARY = "sigmoid, scale_pos_weight and is_unbalance are for objective='binary'"
REFUSALS = [
    *(
        (function, {name: value}, f"{name} must be a positive number, got {value!r}")
        for function, name in (
            (xgboost_objective, "scale_pos_weight"),
            (lightgbm_objective, "scale_pos_weight"),
            (lightgbm_objective, "sigmoid"),
            (lightgbm_metric, "sigmoid"),
        )
        for value in (0, -1.0, float("nan"), True, "2", None)
    ),
    *(
        (function, {"objective": "regression"}, "objective must be 'binary' or 'cross_entropy', got 'regression'")
        for function in (lightgbm_objective, lightgbm_metric)
    ),
    (
        lightgbm_objective,
        {"is_unbalance": True, "scale_pos_weight": 2.0},
        "is_unbalance and scale_pos_weight=2.0 exclude each other",
    ),
    (lightgbm_objective, {"objective": "cross_entropy", "sigmoid": 2.0}, FOR_BINARY),
    (lightgbm_objective, {"objective": "cross_entropy", "scale_pos_weight": 2.0}, FOR_BINARY),
    (lightgbm_objective, {"objective": "cross_entropy", "is_unbalance": True}, FOR_BINARY),
    (
        lightgbm_metric,
        {"objective": "cross_entropy", "sigmoid": 2.0},
        "sigmoid is for objective='binary', got sigmoid=2.0 with objective='cross_entropy'",
    ),
]


@pytest.mark.parametrize(("function", "options", "text"), REFUSALS)
def test_option_refusals(function, options, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        function(**options)


def test_any_library(backend):
    y, x, w = [0.0, 1.0, 1.0], [0.5, -2.0, 20.0], [1.0, 2.0, 0.5]
    for objective in (xgboost_objective(scale_pos_weight=2), lightgbm_objective(is_unbalance=True, sigmoid=2.0)):
        expected = objective(np.float32(y), np.float32(x), np.float32(w))
        result = objective(on(backend, y), on(backend, x), on(backend, w))
        for i, (got, wanted) in enumerate(zip(result, expected, strict=True)):
            with step(backend, type(result), i):
                np.testing.assert_allclose(backend.to_numpy(got), wanted, rtol=2e-6)
    for metric in (xgboost_metric(), lightgbm_metric(sigmoid=2.0), lightgbm_metric(objective="cross_entropy")):
        with step(backend, metric):
            expected = metric(np.float32(y), np.float32(x), np.float32(w))
            result = metric(on(backend, y), on(backend, x), on(backend, w))
            # A number alone, or between the name and the direction.
            result, expected = (r if isinstance(r, float) else r[1] for r in (result, expected))
            assert result == approx(expected, rel=2e-6)


# --- what the tests of all conventions call ----------------------------------------------------------------------

ARRAYS = {
    f"boosting.{type(function).__name__}": (
        lambda scores, labels, weight=None, function=function: function(labels, scores, weight),
        {"scores": VECTOR, "labels": VECTOR, "weight": VECTOR},
    )
    for function in (xgboost_objective(), lightgbm_objective(), xgboost_metric(), lightgbm_metric())
}
TRACED = {
    "xgboost": lambda x, z, w: xgboost_objective(scale_pos_weight=2)(z[:, 0], x[:, 0], w[:, 0])[0],
    "lightgbm": lambda x, z, w: lightgbm_objective(sigmoid=2.0)(z[:, 0], x[:, 0], w[:, 0])[1],
}
