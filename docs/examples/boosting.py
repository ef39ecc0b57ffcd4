"""Objectives for XGBoost and LightGBM: the built-in one again, and focal and asymmetric loss, which they have not.

Run it as ``python boosting.py [DIRECTORY]``; it writes boosting.json and boosting.png there, or where it is called, and
prints what it found. It needs record_example.py beside it, XGBoost, LightGBM, scikit-learn, matplotlib and a minute.
boosting.md says what it shows.

`objective` is what to copy: every loss of xbce, as an objective of either library.
"""

import sys

import lightgbm
import numpy as np
import xgboost
from matplotlib.figure import Figure
from record_example import save, writable
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.metrics import average_precision_score
from sklearn.model_selection import RepeatedStratifiedKFold

import xbce
from xbce.conventions.boosting import lightgbm_metric, lightgbm_objective, xgboost_metric, xgboost_objective

# One thread, so that sums are added in one order; both libraries regularise as LightGBM does by default.
XGBOOST = {"nthread": 1, "max_depth": 4, "eta": 0.1, "lambda": 0, "min_child_weight": 1e-3, "base_score": 0.0}
LIGHTGBM = {"num_threads": 1, "deterministic": True, "num_leaves": 15, "verbose": -1}


def objective(loss, **options):
    """Return a loss of xbce as an objective: gradient and hessian of scores.

    Focal and asymmetric losses are not convex: for negative hessians, which boosting cannot use, it gets a small one.
    """

    def gradient_and_hessian(scores, data):
        gradient, hessian = loss.gradient_and_hessian(scores, data.get_label(), **options)
        return gradient, np.maximum(hessian, 1e-6)

    return gradient_and_hessian


def by_differences(gamma, alpha, dx=1e-6):
    """Return focal loss as an objective in the way of widely copied recipes: by differences of the textbook formula."""

    def gradient_and_hessian(scores, data):
        labels = data.get_label()

        def loss(x):
            p = 1 / (1 + np.exp(-x))
            weight = alpha * labels + (1 - alpha) * (1 - labels)
            wrong = 1 - (labels * p + (1 - labels) * (1 - p))
            return -weight * wrong**gamma * (labels * np.log(p) + (1 - labels) * np.log(1 - p))

        above, here, below = loss(scores + dx), loss(scores), loss(scores - dx)
        return (above - below) / (2 * dx), (above - 2 * here + below) / dx**2

    return gradient_and_hessian


FOCAL = {"gamma": 2.0, "alpha": 0.25}
OBJECTIVES = {
    "built in": None,
    "focal": objective(xbce.sigmoid_focal_loss, **FOCAL),
    "asymmetric": objective(xbce.asymmetric_loss, gamma_neg=4.0),
    "focal, by differences": by_differences(**FOCAL),
}


def train_xgboost(train, valid, objective=None, metric=None, rounds=100):
    """Train, and return for the validation data the scores, and metrics by round."""
    built_in = {"objective": "binary:logistic", "base_score": 0.5, "eval_metric": "logloss"}
    parameters = XGBOOST | ({"base_score": 0.0, "disable_default_eval_metric": True} if objective else built_in)
    train, valid, curve = xgboost.DMatrix(*train), xgboost.DMatrix(*valid), {}
    watch = {"evals": [(valid, "valid")], "evals_result": curve, "verbose_eval": False}
    booster = xgboost.train(parameters, train, rounds, obj=objective, custom_metric=metric, **watch)
    return booster.predict(valid, output_margin=True), curve["valid"]


def train_lightgbm(train, valid, objective=None, metric=None, rounds=100):
    """Do the same with LightGBM."""
    parameters = LIGHTGBM | {"objective": objective or "binary", "boost_from_average": False}
    data, curve = lightgbm.Dataset(*train), {}
    watch = {"valid_sets": [lightgbm.Dataset(*valid, reference=data)], "valid_names": ["valid"]}
    callbacks = [lightgbm.record_evaluation(curve)]
    booster = lightgbm.train(parameters, data, rounds, feval=metric, callbacks=callbacks, **watch)
    return booster.predict(valid[0], raw_score=True), curve.get("valid")


def the_same(fewer=15):
    """Compare xbce's objectives and metrics with the built-in ones, on breast cancer data, half and half."""
    features, labels = load_breast_cancer(return_X_y=True)
    data, found = ((features[::2], labels[::2]), (features[1::2], labels[1::2])), {}
    for name, train, own, metric, log_loss in (
        ("XGBoost", train_xgboost, xgboost_objective(), xgboost_metric(), "logloss"),
        ("LightGBM", train_lightgbm, lightgbm_objective(), lightgbm_metric(), "binary_logloss"),
    ):
        for rounds in (fewer, 100):
            (scores, curves), (own_scores, own_curves) = train(*data, rounds=rounds), train(*data, own, metric, rounds)
            after = f"{name} after {rounds} rounds"
            found[f"{after}: largest score"] = float(np.abs(scores).max())
            found[f"{after}: largest difference of scores"] = float(np.abs(scores - own_scores).max())
            difference = np.subtract(curves[log_loss], own_curves[log_loss])
            found[f"{after}: largest difference of log losses"] = float(np.abs(difference).max())
    return found


def eights():
    """Return scikit-learn's digits, and which are an 8: one in ten."""
    features, digits = load_digits(return_X_y=True)
    return features, (digits == 8).astype(float)


def precisions(rounds=100):
    """Return the average precision on the other half of the digits after each round of XGBoost, for each objective."""
    features, labels = eights()
    data = (features[::2], labels[::2]), (features[1::2], labels[1::2])

    def metric(scores, valid):
        return "precision", average_precision_score(valid.get_label(), scores)

    return {name: train_xgboost(*data, one, metric, rounds)[1]["precision"] for name, one in OBJECTIVES.items()}


def cross_validated(repeats):
    """Return average precision and log loss of LightGBM in each fold, for each objective."""
    features, labels = eights()
    results = {name: [] for name in OBJECTIVES}
    for train, valid in RepeatedStratifiedKFold(n_splits=4, n_repeats=repeats, random_state=0).split(features, labels):
        data = (features[train], labels[train]), (features[valid], labels[valid])
        for name, one in OBJECTIVES.items():
            scores, _ = train_lightgbm(*data, one)
            log_loss = float(xbce.binary_cross_entropy_with_logits(scores, labels[valid], reduction="mean"))
            results[name].append((average_precision_score(labels[valid], scores), log_loss))
    return {name: np.transpose(folds) for name, folds in results.items()}


def hessian_errors(scores):
    """Return relative errors of the hessian of rows with label 0, by xbce and by differences."""
    errors, derivatives = {}, xbce.sigmoid_focal_loss.gradient_and_hessian
    for dtype in ("float64", "float32"):
        x = scores.astype(dtype)
        exact = derivatives(np.float64(x), 0.0, **FOCAL, precision="high")[1]
        by = by_differences(**FOCAL)(x, lightgbm.Dataset(x[:, None], np.zeros_like(x)))[1]
        for name, hessian in (("xbce", derivatives(x, 0.0, **FOCAL)[1]), ("differences", by)):
            errors[f"{name}, {dtype}"] = np.abs(hessian - exact) / np.abs(exact)
    return errors


def summary(curves, folds, errors):
    """Return the figures that the page gives."""
    found = {f"XGBoost, {name}: average precision after the last round": curve[-1] for name, curve in curves.items()}
    for name, results in folds.items():
        for row, quantity in enumerate(("average precision", "log loss")):
            values, built_in = results[row], folds["built in"][row]
            found[f"LightGBM, {name}: {quantity}"] = float(values.mean())
            if name != "built in":
                found[f"LightGBM, {name}: {quantity}, difference"] = float((values - built_in).mean())
                found[f"LightGBM, {name}: {quantity}, folds above"] = int((values > built_in).sum())
    return found | {f"error of the hessian, {name}: median": float(np.median(one)) for name, one in errors.items()}


def plot(curves, folds, scores, errors):
    """Draw average precision by round and by fold, and the error of hessians."""
    figure = Figure(figsize=(14, 4.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    colors = dict(zip(OBJECTIVES, ("black", "tab:blue", "tab:green", "tab:orange"), strict=True))
    for place, (name, color) in enumerate(colors.items()):
        left.plot(range(1, len(curves[name]) + 1), curves[name], color=color, label=name)
        difference = folds[name][0] - folds["built in"][0]
        middle.plot(np.full_like(difference, place), difference, "o", color=color, fillstyle="none")
        middle.plot([place - 0.3, place + 0.3], [difference.mean()] * 2, color=color)
    left.set(title="XGBoost: is it an 8?", xlabel="round", ylabel="average precision, other half of the digits")
    middle.set(title="LightGBM: each fold, and the mean", ylabel="average precision less that of the built-in one")
    middle.set_xticks(range(len(folds)), [name.replace(", ", ",\n") for name in folds])
    for name, error in errors.items():
        color = colors["focal" if name.startswith("xbce") else "focal, by differences"]
        right.semilogy(scores, np.maximum(error, 1e-18), "--" if "32" in name else "-", color=color, label=name)
    right.set(title="Hessian of focal loss, label 0", xlabel="score", ylabel="relative error", ylim=(None, 1e16))
    left.legend(fontsize="small")
    right.legend(fontsize="small", ncols=2)
    return figure


def main(directory=".", repeats=5):
    """Run, record, draw."""
    directory = writable(directory)
    scores, positives = np.linspace(-10, 10, 401), int(eights()[1].sum())
    curves, folds, errors = precisions(), cross_validated(repeats), hessian_errors(scores)
    save(
        __file__,
        the_same() | summary(curves, folds, errors),
        plot(curves, folds, scores, errors),
        settings={"rounds": 100, "folds": 4 * repeats, "rows": len(eights()[1]), "positives": positives} | FOCAL,
        threads=1,
        packages=("xgboost-cpu", "lightgbm", "numpy", "scikit-learn"),
        directory=directory,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
