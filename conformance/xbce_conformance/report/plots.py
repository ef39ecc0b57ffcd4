"""Plots of error against logit, as SVG text."""

import io
from itertools import pairwise

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xbce_conformance.formats import FORMATS
from xbce_conformance.results import Results, Row

_COLOURS = {
    "xbce": "#0b6e4f",
    "torch": "#d1495b",
    "optax": "#3d5a98",
    "sklearn": "#e08e1b",
    "tf-formula": "#8f4fa8",
    "textbook": "#888888",
}
_LABELS = {"0": "label 0", "1": "label 1", "soft": "soft labels"}
_QUANTITIES = ("value", "gradient")
_LEAST = 0.05
"""Errors below are drawn here: the axis is logarithmic."""


def error_plot(results: Results, dtype: str) -> str:
    """Return an SVG of the largest error per interval of the logit: value and gradient by kind of label."""
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "xbce", "font.family": "sans-serif", "font.size": 9}):
        figure = Figure(figsize=(11, 5.6), layout="constrained")
        grid = figure.subplots(len(_QUANTITIES), len(_LABELS), sharex=True, sharey=True)
        for row_of_axes, quantity in zip(grid, _QUANTITIES, strict=True):
            for axes, kind in zip(row_of_axes, _LABELS, strict=True):
                _draw(axes, results, dtype, quantity, kind)
                axes.set_title(f"{quantity}, {_LABELS[kind]}", loc="left", fontsize=9)
        for axes in grid[-1]:
            axes.set_xlabel("logit")
        for axes in grid[:, 0]:
            axes.set_ylabel("max error (ULP)")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        more_handles, more_labels = grid[1, 0].get_legend_handles_labels()
        legend = dict(zip(labels + more_labels, handles + more_handles, strict=True))
        figure.legend(legend.values(), legend.keys(), loc="outside upper center", ncols=len(legend), frameon=False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _draw(axes: Axes, results: Results, dtype: str, quantity: str, kind: str) -> None:
    fmt = FORMATS[dtype]
    top = 2.0 ** (fmt.p + 2)
    middles = [(a + b) / 2 for a, b in pairwise(results.profile_edges[dtype])]
    chosen = [row for row in results.rows if (row.dtype, row.quantity) == (dtype, quantity) and row.profile]
    for subject in dict.fromkeys(row.subject for row in sorted(chosen, key=lambda row: row.judged)):
        profile = np.clip(_largest([row for row in chosen if row.subject == subject], kind), _LEAST, top)
        judged = any(row.judged for row in chosen if row.subject == subject)
        label = f"{subject}, all backends" if judged else subject
        axes.plot(middles, profile, label=label, color=_COLOURS.get(subject), linewidth=2.0 if judged else 1.0)
    bounds = [row.bound["soft" if kind == "soft" else "hard"] for row in chosen if row.judged]
    if bounds:
        axes.axhline(max(bounds), color=_COLOURS["xbce"], linestyle="--", linewidth=0.8, label="promise of xbce")
    axes.axhline(2.0**fmt.p, color="#bbbbbb", linestyle=":", linewidth=0.8, label="all digits lost")
    axes.set_yscale("log", base=10)
    axes.set_ylim(_LEAST, top)
    axes.spines[["top", "right"]].set_visible(False)


def _largest(rows: list[Row], kind: str) -> list[float]:
    """Return the largest error over rows per interval; NaN where nothing was tried."""
    columns = zip(*(row.profile[kind] for row in rows), strict=True)
    return [max((e for e in column if e is not None), default=float("nan")) for column in columns]
