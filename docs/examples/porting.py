"""One loss in TensorFlow, PyTorch, JAX and Keras, as they say it and as xbce says it: the same numbers.

Run it as ``python porting.py``; it needs all of these systems. docs/porting.md explains the steps.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax.numpy as jnp
import keras
import numpy as np
import optax
import tensorflow as tf
import torch
import torch.nn.functional as F  # noqa: N812

import xbce

LOGITS = np.float32([[-2.75, -1.25], [-3.5, 4]])
LABELS = np.float32([[1, 0], [1, 1]])
WEIGHTS = np.float32([[0, 0], [1, 2]])
POS_WEIGHT = np.float32([1, 2])
KEPT = np.array([[True, True], [True, False]])

bce = xbce.binary_cross_entropy_with_logits
t = torch.as_tensor


def steps():
    """Return, for each step, its name, what the systems have, and xbce's options."""
    x, z, w, q, m = LOGITS, LABELS, WEIGHTS, POS_WEIGHT, KEPT
    v1 = tf.compat.v1.losses
    each_tf = tf.nn.sigmoid_cross_entropy_with_logits(labels=z, logits=x)
    each_torch = F.binary_cross_entropy_with_logits(t(x), t(z), reduction="none")
    each_optax = optax.sigmoid_binary_cross_entropy(jnp.asarray(x), jnp.asarray(z))
    smooth = z * 0.9 + 0.05
    return {
        "mean over all elements": (
            {
                "tf.reduce_mean": tf.reduce_mean(each_tf),
                "F.binary_cross_entropy_with_logits": F.binary_cross_entropy_with_logits(t(x), t(z)),
                "optax + jnp.mean": jnp.mean(each_optax),
                "keras.losses.BinaryCrossentropy": keras.losses.BinaryCrossentropy(from_logits=True)(z, x),
            },
            {"reduction": "mean"},
        ),
        "positive term weighted per class": (
            {
                "tf.nn.weighted_cross_entropy_with_logits": tf.reduce_mean(
                    tf.nn.weighted_cross_entropy_with_logits(z, x, q)
                ),
                "F, pos_weight=": F.binary_cross_entropy_with_logits(t(x), t(z), pos_weight=t(q)),
            },
            {"reduction": "mean", "pos_weight": q},
        ),
        "weights, divided by the number that is not 0": (
            {
                "tf.compat.v1.losses (its default)": v1.sigmoid_cross_entropy(z, x, w),
                "F, by hand": (each_torch * t(w)).sum() / (t(w) != 0).sum(),
                "optax, by hand": jnp.sum(each_optax * w) / jnp.sum(w != 0),
            },
            {"reduction": "mean", "weight": w, "normalize_by": "nonzero"},
        ),
        "weights, divided by their sum": (
            {
                "tf.compat.v1.losses, MEAN": v1.sigmoid_cross_entropy(z, x, w, reduction=v1.Reduction.MEAN),
                "F, by hand": (each_torch * t(w)).sum() / t(w).sum(),
                "optax, by hand": jnp.sum(each_optax * w) / jnp.sum(w),
            },
            {"reduction": "mean", "weight": w, "normalize_by": "weight"},
        ),
        "weights, divided by the number of elements": (
            {
                "tf.compat.v1.losses, SUM_OVER_BATCH_SIZE": v1.sigmoid_cross_entropy(
                    z, x, w, reduction=v1.Reduction.SUM_OVER_BATCH_SIZE
                ),
                "F, weight=": F.binary_cross_entropy_with_logits(t(x), t(z), t(w)),
                "optax, by hand": jnp.mean(each_optax * w),
            },
            {"reduction": "mean", "weight": w},
        ),
        "label smoothing 0.1": (
            {
                "tf.compat.v1.losses": v1.sigmoid_cross_entropy(z, x, label_smoothing=0.1),
                "F, by hand": F.binary_cross_entropy_with_logits(t(x), t(smooth)),
                "optax, by hand": jnp.mean(optax.sigmoid_binary_cross_entropy(jnp.asarray(x), jnp.asarray(smooth))),
                "keras.losses.BinaryCrossentropy": keras.losses.BinaryCrossentropy(True, 0.1)(z, x),
            },
            {"reduction": "mean", "label_smoothing": 0.1},
        ),
        "some elements ignored": (
            {
                "tf.boolean_mask": tf.reduce_mean(tf.boolean_mask(each_tf, m)),
                "F, indexed": F.binary_cross_entropy_with_logits(t(x)[m], t(z)[m]),
                "optax, jnp.mean(where=)": jnp.mean(each_optax, where=m),
            },
            {"reduction": "mean", "where": m},
        ),
    }


def report():
    """Return the lines: per step, every system's number, and xbce's on each library's arrays."""
    lines = []
    for step, (systems, options) in steps().items():
        lines.append(step)
        ours = {}
        for library, convert in (("NumPy", np.asarray), ("PyTorch", t), ("JAX", jnp.asarray)):
            converted = {name: convert(x) if isinstance(x, np.ndarray) else x for name, x in options.items()}
            ours[f"xbce on {library}"] = bce(convert(LOGITS), convert(LABELS), **converted)
        lines += [f"  {name:<42}{float(value):.4f}" for name, value in (systems | ours).items()]
    return lines


if __name__ == "__main__":
    print("\n".join(report()))  # noqa: T201
