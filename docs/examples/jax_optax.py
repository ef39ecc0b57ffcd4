"""Train with JAX and optax's optimisers: optax's own loss against xbce's, in float32 and in bfloat16.

Run it as ``python jax_optax.py [DIRECTORY]``; it writes jax_optax.json and jax_optax.png there, or where it is called,
and prints what it found. It needs record_example.py beside it, JAX, optax, scikit-learn and matplotlib, and less than a
minute. jax_optax.md says what it shows.

The data are scikit-learn's: 569 tumours, 30 measurements of each, malignant or benign. In the bfloat16 runs the
parameters stay in float32; activations, logits and the losses of the elements are bfloat16, their mean is float32.
"""

import os
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure
from record_example import apart, over_steps, save, writable
from sklearn.datasets import load_breast_cancer

import xbce

RATE, HIDDEN = 0.01, 32


def of_optax(logits, labels):
    """Return the mean of optax's loss."""
    return optax.sigmoid_binary_cross_entropy(logits, labels).mean(dtype=jnp.float32)


def of_xbce(logits, labels):
    """Return the mean of xbce's loss."""
    return xbce.binary_cross_entropy_with_logits(logits, labels, reduction="mean", dtype=jnp.float32)


LOSSES = {"optax": of_optax, "xbce": of_xbce}
DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def data():
    """Return measurements with mean 0 and variance 1, and a column of 0 and 1."""
    features, labels = load_breast_cancer(return_X_y=True)
    features = (features - features.mean(0)) / features.std(0)
    return jnp.asarray(features, jnp.float32), jnp.asarray(labels[:, None], jnp.float32)


def parameters(seed):
    """Return the weights and biases of a network of one hidden layer."""
    keys = jax.random.split(jax.random.key(seed))
    first = jax.random.normal(keys[0], (30, HIDDEN)) / np.sqrt(30)
    return [(first, jnp.zeros(HIDDEN)), (jax.random.normal(keys[1], (HIDDEN, 1)) / np.sqrt(HIDDEN), jnp.zeros(1))]


def network(weights, features):
    """Return logits in the dtype of the features."""
    for w, b in weights[:-1]:
        features = jax.nn.relu(features @ w.astype(features.dtype) + b.astype(features.dtype))
    w, b = weights[-1]
    return features @ w.astype(features.dtype) + b.astype(features.dtype)


@partial(jax.jit, static_argnames=("loss_of", "optimizer"))
def step(weights, state, features, labels, loss_of, optimizer):
    """Return the parameters and the state after a step of the optimiser, the loss, and the logits."""

    def objective(weights):
        logits = network(weights, features)
        return loss_of(logits, labels.astype(logits.dtype)), logits

    (loss, logits), gradient = jax.value_and_grad(objective, has_aux=True)(weights)
    updates, state = optimizer.update(gradient, state)
    return optax.apply_updates(weights, updates), state, loss, logits


def train(loss_of, dtype, steps):
    """Return the loss as computed and exact, and the error of its gradient, at each step.

    Lost are gradients that are 0 although the exact ones are normal numbers of the dtype.
    """
    features, labels = data()
    features = features.astype(dtype)
    weights = parameters(0)
    optimizer = optax.adam(RATE)
    state = optimizer.init(weights)
    gradient_of = jax.jit(jax.grad(loss_of))
    history = {"loss": [], "exact loss": [], "lost gradients": [], "gradient error": [], "largest logit": []}
    bce = xbce.binary_cross_entropy_with_logits
    for _ in range(steps):
        weights, state, loss, logits = step(weights, state, features, labels, loss_of, optimizer)
        gradient = np.asarray(gradient_of(logits, labels.astype(dtype)), np.float64)
        x, z = np.asarray(logits, np.float64), np.asarray(labels, np.float64)
        exact, slope = bce.value_and_gradient(x, z, reduction="mean")  # NumPy, in float64
        history["loss"].append(float(loss))
        history["exact loss"].append(float(exact))
        lost = (gradient == 0) & (np.abs(slope) > jnp.finfo(dtype).tiny)
        history["lost gradients"].append(float(lost.mean()))
        history["gradient error"].append(float(np.abs(gradient - slope).sum() / np.abs(slope).sum()))
        history["largest logit"].append(float(np.abs(x).max()))
    return history


def summary(results):
    """Return the figures of the page."""
    found = {}
    for dtype, histories in results.items():
        differences = apart(histories["optax"]["loss"], histories["xbce"]["loss"])
        found[f"{dtype}: relative difference of the losses, at most"] = max(differences)
        for name, history in histories.items():
            found[f"{dtype}, {name}: error of the loss, at most"] = max(apart(history["loss"], history["exact loss"]))
            found[f"{dtype}, {name}: error of the gradient, at most"] = max(history["gradient error"])
            found[f"{dtype}, {name}: lost gradients, at most"] = max(history["lost gradients"])
            for key in ("loss", "exact loss", "largest logit"):
                found[f"{dtype}, {name}: {key} at the end"] = history[key][-1]
    return found


def plot(results):
    """Draw the losses and the errors of loss and gradient."""
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    axes = figure.subplots(1, 3)
    for dtype, histories in results.items():
        for name, history in histories.items():
            look = {"color": {"optax": "tab:orange", "xbce": "tab:blue"}[name], "label": f"{name}, {dtype}"}
            look["linewidth"] = 3 if name == "optax" else 1  # so that both can be seen where they are one
            look["linestyle"] = {"float32": "-", "bfloat16": "--"}[dtype]
            errors = apart(history["loss"], history["exact loss"])
            for axis, curve in zip(axes, (history["loss"], errors, history["gradient error"]), strict=True):
                axis.plot(curve, **look)
    for axis in axes:
        axis.set_yscale("log")
    over_steps(axes, ("loss", "error of the loss, relative", "error of the gradient in the logits"))
    return figure


def main(directory=".", steps=300):
    """Run, record, draw."""
    directory = writable(directory)
    results = {dtype: {name: train(loss, DTYPES[dtype], steps) for name, loss in LOSSES.items()} for dtype in DTYPES}
    save(
        __file__,
        summary(results),
        plot(results),
        settings={"steps": steps, "hidden units": HIDDEN, "learning rate": RATE, "rows": 569, "columns": 30},
        threads=os.cpu_count(),  # which JAX takes
        packages=("jax", "optax", "scikit-learn"),
        directory=directory,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
