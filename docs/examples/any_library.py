"""One script, any array library: a multilabel loss with class weights, ignored labels and its derivatives.

Run it as ``python any_library.py numpy`` (or torch, jax, dask). Nothing below `main` knows the library.
"""

import sys
from importlib import import_module

import xbce

LOGITS = [[2.5, -1.0, 0.0], [-30.0, 12.0, 4.0], [0.5, 0.5, -0.5], [20.0, -3.0, 1.0]]
LABELS = [[1, 0, 1], [0, 1, 0], [1, 0, -1], [1, -1, 1]]  # -1: not known
POSITIVES_COUNT = [1.0, 2.0, 0.5]


def report(logits, labels, pos_weight):
    """Print the loss and what an optimiser or a boosting library would ask for."""
    known = labels >= 0
    options = {"pos_weight": pos_weight, "where": known, "label_smoothing": 0.05}
    loss = xbce.binary_cross_entropy_with_logits
    mean, gradient = loss.value_and_gradient(logits, labels, reduction="mean", **options)
    per_class = loss(logits, labels, reduction="mean", axis=0, **options)
    _, hessian = loss.gradient_and_hessian(logits, labels, **options)
    focal = xbce.sigmoid_focal_loss(logits, labels, gamma=2.0, where=known, reduction="sum")
    probabilities = xbce.special.expit(logits)
    for name, result in (
        ("mean loss", mean),
        ("mean loss per class", per_class),
        ("gradient of the mean, first row", gradient[0, ...]),
        ("hessian, first row", hessian[0, ...]),
        ("focal loss, sum", focal),
        ("probabilities, first row", probabilities[0, ...]),
    ):
        values = result.compute() if hasattr(result, "compute") else result
        numbers = [values] if values.ndim == 0 else values
        print(f"{name}: {' '.join(f'{float(number):.6f}' for number in numbers)}")  # noqa: T201


def main(library):
    """Make the arrays with one library."""
    modules = {"jax": "jax.numpy", "dask": "dask.array"}
    xp = import_module(modules.get(library, library))
    report(xp.asarray(LOGITS), xp.asarray(LABELS), xp.asarray(POSITIVES_COUNT))


if __name__ == "__main__":
    main(*sys.argv[1:])
