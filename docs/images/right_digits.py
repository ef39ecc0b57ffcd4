"""Draw right_digits.png: the decimal digits that each system has right in float32, along the logit.

Run it as ``python docs/images/right_digits.py`` after ``xbce-conformance explore`` has written
``docs/interactive/tables.json`` anew: that is what is drawn.
"""

from pathlib import Path

import numpy as np

from xbce_conformance.explore import expand, read
from xbce_conformance.report.digits import digits_lost, digits_of

HERE = Path(__file__).parent
DTYPE, LABEL = "float32", 1.0
LARGEST = 87.0
"""The losses of larger logits are subnormal numbers, which JAX takes for 0."""
SYSTEMS = {
    "xbce": "xbce",
    "torch": "PyTorch",
    "tensorflow": "TensorFlow",
    "keras": "Keras",
    "optax": "optax",
    "sklearn": "scikit-learn, Cython",
    "sklearn-array-api": "scikit-learn, array API",
    "scipy": "by SciPy's expit, log_expit",
    "textbook": "textbook, log(sigmoid(x))",
}
"""What is drawn, by the name of the subject."""
ALL = digits_of(DTYPE)
"""The digits that the format holds."""


def right_digits(table, subject, quantity):
    """Return the right digits at each logit, or None where a system has no such result.

    An error is the distance from the correctly rounded result, counted in numbers of the format.
    """
    at = table["labels"].index(LABEL)
    loss = table["losses"][0]
    ways = [system for system in table["systems"] if system["subject"] == subject and DTYPE in of_dtypes(system)]
    results = [r for way in ways for r in way["results"] if (r["case"], r["quantity"]) == (loss["case"], quantity)]
    if not results:
        return None
    steps = np.array([expand(result["steps"][DTYPE][at]) for result in results], float)
    worst = np.where(np.isnan(steps).any(axis=0), np.inf, np.abs(steps).max(axis=0))
    return np.array([ALL - digits_lost(error, DTYPE) for error in worst])


def of_dtypes(system):
    """Return the dtypes that a system was measured in."""
    return {dtype for result in system["results"] for dtype in result["steps"]}


def main():
    """Draw one row per system and one column per quantity."""
    import matplotlib as mpl

    mpl.use("agg")
    mpl.rcParams.update({"font.size": 11, "savefig.dpi": 120})
    from matplotlib import pyplot as plt

    table = read(HERE.parent / "interactive" / "tables.json")
    logits = np.array(table["logits"])
    near = np.abs(logits) <= LARGEST
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.2), sharey=True, layout="constrained")
    for axis, quantity in zip(axes, ("value", "gradient"), strict=True):
        axis.set_title(f"{'loss' if quantity == 'value' else quantity}, label 1, {DTYPE}")
        for row, subject in enumerate(SYSTEMS):
            digits = right_digits(table, subject, quantity)
            if digits is None:
                continue
            edges = np.interp(np.arange(near.sum() + 1) - 0.5, np.arange(near.sum()), logits[near])
            image = axis.pcolormesh(
                edges, [row - 0.4, row + 0.4], digits[None, near], cmap="RdYlBu", vmin=0, vmax=ALL, antialiased=False
            )
        axis.set_xlabel("logit")
        axis.set_xscale("symlog", linthresh=5)
        axis.set_xticks([-80, -20, -5, 0, 5, 20, 80], [-80, -20, -5, 0, 5, 20, 80])
    axes[0].set_yticks(range(len(SYSTEMS)), list(SYSTEMS.values()))
    axes[0].invert_yaxis()
    bar = figure.colorbar(image, ax=axes, label="right decimal digits", pad=0.01)
    bar.set_ticks([0, 2, 4, 6, ALL], labels=["0", "2", "4", "6", "all"])
    figure.savefig(HERE / "right_digits.png")


if __name__ == "__main__":
    main()
