"""Logistic regression and its calibration on the arrays of any library, with scikit-learn's coefficients.

Run it as ``python logistic_regression.py [DIRECTORY]``; it writes logistic_regression.json and .png there, or where it
is called, and prints what it found. It needs record_example.py beside it, scikit-learn, PyTorch, JAX, matplotlib and a
minute or two. `LogisticRegression` and `calibration` are what to copy, or to import: they name no library.
"""

import sys
from functools import partial
from importlib import import_module
from itertools import product

import numpy as np
from array_api_compat import array_namespace

import xbce

LIBRARIES = {"NumPy": "numpy", "PyTorch": "torch", "JAX": "jax.numpy"}
DTYPES = ("float64", "float32")
DEFAULT = ("scikit-learn's default",)
SWEEP = tuple(10.0**n for n in range(-2, 9))
PENALTIES = {0.01: "tab:green", 1.0: "tab:blue", 1e6: "tab:orange"}
loss = xbce.binary_cross_entropy_with_logits


class LogisticRegression:
    """Logistic regression with an L2 penalty: scikit-learn's objective, by Newton's method, on any array library.

    Parameters
    ----------
    C : float, optional
        Factor of the sum of losses, to which half of the squared norm of `coef_` is added.
    max_iter : int, optional
        Most steps of Newton's method.
    """

    def __init__(self, C=1.0, max_iter=100):  # noqa: N803
        self.C, self.max_iter = float(C), max_iter  # a float of NumPy would make float64 of float32

    def fit(self, X, y, sample_weight=None):  # noqa: N803
        """Fit features of shape (n, k) and labels 0 and 1 of shape (n,)."""
        xp = array_namespace(X, y)
        options = {"reduction": "sum", "weight": sample_weight}
        features = xp.concat([X, xp.ones_like(X[:, :1])], axis=1)
        penalty = xp.where(xp.arange(features.shape[1]) < X.shape[1], xp.ones_like(features[0, :]), 0)

        def objective(w):
            return self.C * loss(features @ w, y, **options) + 0.5 * xp.sum(penalty * w * w)

        w, identity = xp.zeros_like(features[0, :]), xp.eye(features.shape[1], dtype=X.dtype)
        for _ in range(self.max_iter):
            gradient, hessian = loss.gradient_and_hessian(features @ w, y, **options)
            slope = self.C * (features.T @ gradient) + penalty * w
            curvature = self.C * (features.T @ (hessian[:, None] * features)) + penalty * identity
            step = xp.linalg.solve(curvature, slope[:, None])[:, 0]
            value = objective(w)
            last = 0.5 * xp.sum(slope * step) <= 4 * xp.finfo(X.dtype).eps * value  # too small a gain to be seen
            while not last and objective(w - step) > value:  # too far
                step = 0.5 * step
            w = w - step
            if last:
                break
        self.coef_, self.intercept_ = w[:-1], w[-1]
        return self

    def decision_function(self, X):  # noqa: N803
        """Return the logits."""
        return X @ self.coef_ + self.intercept_

    def predict_proba(self, X):  # noqa: N803
        """Return a column of probabilities for each class."""
        xp = array_namespace(X)
        logits = self.decision_function(X)
        return xp.stack([xbce.special.expit(-logits), xbce.special.expit(logits)], axis=1)


def calibration(probabilities, labels, bins=10):
    """Return the reliability curve, its counts, and the expected calibration error."""
    xp = array_namespace(probabilities, labels)
    which = xp.clip(xp.floor(probabilities * bins), 0, bins - 1)
    inside = xp.astype(which[:, None] == xp.arange(bins, dtype=which.dtype)[None, :], probabilities.dtype)
    counts = xp.sum(inside, axis=0)
    n = xp.where(counts > 0, counts, 1)
    predicted, observed = (probabilities @ inside) / n, (xp.astype(labels, probabilities.dtype) @ inside) / n
    error = xp.sum(counts * xp.abs(predicted - observed)) / probabilities.shape[0]
    return predicted, observed, counts, error


def data():
    """Return features in [0, 1] and labels: tumours, malignant or benign, and digits, odd or even."""
    from sklearn.datasets import load_breast_cancer, load_digits
    from sklearn.preprocessing import minmax_scale

    tumours, benign = load_breast_cancer(return_X_y=True)
    images, digits = load_digits(return_X_y=True)
    return {"tumours": (minmax_scale(tumours), benign), "digits": (images / 16, digits % 2)}


def fitted(library, dtype, X, y, C=1.0):  # noqa: N803
    """Return a model fitted to arrays of a library, and a function that makes such arrays."""
    xp = import_module(LIBRARIES[library])
    array = partial(xp.asarray, dtype=getattr(xp, dtype))
    return LogisticRegression(C).fit(array(X), array(y)), array


def coefficients(model):
    """Return coefficients and intercept as one NumPy array of float64."""
    return np.append(np.ravel(model.coef_), np.ravel(model.intercept_)).astype(np.float64)


def compare_coefficients(X, y):  # noqa: N803
    """Return differences from scikit-learn's coefficients at a tolerance of 1e-14, relative to the largest of them."""
    from sklearn.linear_model import LogisticRegression as Reference

    exact = coefficients(Reference(solver="newton-cholesky", tol=1e-14, max_iter=1000).fit(X, y))
    models = {DEFAULT: Reference(max_iter=1000).fit(X, y)}
    models |= {(name, dtype): fitted(name, dtype, X, y)[0] for name in LIBRARIES for dtype in DTYPES}
    return {key: np.abs(coefficients(model) - exact) / np.abs(exact).max() for key, model in models.items()}


def check(library, dtype, C, X, y):  # noqa: N803
    """Fit the first half, and return what there is to see of the second one."""
    from sklearn.metrics import log_loss

    half = len(y) // 2
    model, array = fitted(library, dtype, X[:half], y[:half], C)
    features, labels = array(X[half:]), array(y[half:])
    probabilities = model.predict_proba(features)[:, 1]
    predicted, observed, counts, error = (np.asarray(x) for x in calibration(probabilities, labels))
    return {
        "curve": np.asarray([predicted[counts > 0], observed[counts > 0]]),
        "calibration error": float(error),
        "log loss": float(loss(model.decision_function(features), labels, reduction="mean")),
        "sklearn's log loss": log_loss(y[half:], np.asarray(probabilities)),
    }


def summary(differences, checks):
    """Return the figures that the page gives."""
    found = {}
    for name, models in differences.items():
        found |= {f"{name}: largest difference, {' '.join(key)}": float(one.max()) for key, one in models.items()}
    for (library, dtype, penalty), one in checks.items():
        for key, values in one.items():
            if library == "NumPy" and key != "curve":
                found[f"C = {penalty:g}, {dtype}: {key}"] = values
            difference = float(np.abs(values - checks["NumPy", dtype, penalty][key]).max())
            name = f"{dtype}: {key}, largest difference between libraries"
            found[name] = max(difference, found.get(name, 0.0))
    return found


def plot(differences, checks, sweep):
    """Draw coefficients, reliability curves and log losses."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 4.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for (key, difference), marker in zip(differences.items(), ".oo++xx", strict=True):
        color = "tab:orange" if key == DEFAULT else "tab:blue" if "float64" in key else "tab:green"
        left.semilogy(np.maximum(difference, 1e-18), marker, color=color, fillstyle="none", label=" ".join(key))
    left.set(title="Coefficients against scikit-learn's at tol=1e-14", xlabel="coefficient", ylim=(1e-19, 1e6))
    left.set_ylabel("relative difference")
    middle.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    for (penalty, color), (library, style) in product(PENALTIES.items(), zip(LIBRARIES, ("-", "--", ":"), strict=True)):
        curve = checks[library, "float64", penalty]["curve"]
        middle.plot(*curve, style, color=color, label=f"C = {penalty:g}, {library}")
    middle.set(title="Reliability: odd or even?", xlabel="predicted probability", ylabel="share of odd digits")
    for key, of in (("log loss", "xbce, logits"), ("sklearn's log loss", "scikit-learn, probabilities")):
        for dtype, style in zip(DTYPES, ("-", "--"), strict=True):
            color = "tab:blue" if key == "log loss" else "tab:orange"
            heights = [one[key] for one in sweep[dtype].values()]
            right.semilogx(list(sweep[dtype]), heights, style, color=color, label=f"{of}, {dtype}")
    right.set(title="Mean log loss of the other half of the digits", xlabel="C", ylabel="mean log loss")
    for axis in (left, middle, right):
        axis.legend(fontsize="x-small", ncols=2 if axis is left else 1)
    return figure


def main(directory=".", sweep=SWEEP):
    """Run, record, draw."""
    import jax
    import torch
    from record_example import save, writable

    directory = writable(directory)
    jax.config.update("jax_enable_x64", True)
    sets = data()
    differences = {name: compare_coefficients(X, y) for name, (X, y) in sets.items()}
    digits = sets["digits"]
    checks = {one: check(*one, *digits) for one in product(LIBRARIES, DTYPES, PENALTIES)}
    curves = {dtype: {C: check("NumPy", dtype, C, *digits) for C in sweep} for dtype in DTYPES}
    save(
        __file__,
        summary(differences, checks),
        plot(differences["digits"], checks, curves),
        settings={name: len(labels) for name, (_, labels) in sets.items()} | {"bins": 10, "C": list(sweep)},
        threads=torch.get_num_threads(),
        packages=("numpy", "torch", "jax", "scikit-learn"),
        directory=directory,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
