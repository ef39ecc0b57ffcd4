"""Plots of error against logit and against label, as SVG text."""

import io
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.results.model import Results, Row
from xbce_conformance.subjects.peers import PEERS

_XBCE = "#0b6e4f"
_OWN = {"xbce": _XBCE, "xbce (high)": "#00b884"}
_LABELS = {"0": "label 0", "1": "label 1", "soft": "soft labels"}
_QUANTITIES = ("value", "gradient")
_LEAST = 0.05
"""Errors below are drawn here: the axis is logarithmic."""


_Profile = Callable[[Row], list[float | None]]


def error_plot(results: Results, dtype: str) -> str:
    """Return an SVG of the largest error per interval of the logit: value and gradient by kind of label."""
    middles = _middles(results.profile_edges[dtype])
    kinds = {kind: (f", {text}", middles, _by_logit(kind)) for kind, text in _LABELS.items()}
    return _plot(results, dtype, kinds, "logit")


def label_plot(results: Results, dtype: str) -> str:
    """Return an SVG of the largest error per interval of the soft label."""
    kinds = {"soft": ("", _middles(results.label_edges[dtype]), lambda row: row.profiles.label)}
    return _plot(results, dtype, kinds, "label z, as log2(z / (1 - z))")


def _by_logit(kind: str) -> _Profile:
    return lambda row: row.profiles.logit.get(kind, [])


def _middles(edges: list[float]) -> list[float]:
    return [(a + b) / 2 for a, b in pairwise(edges)]


def _plot(results: Results, dtype: str, kinds: dict[str, tuple[str, list[float], _Profile]], abscissa: str) -> str:
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "xbce", "font.family": "sans-serif", "font.size": 9}):
        figure = Figure(figsize=(11, 5.6), layout="constrained")
        shape = (len(_QUANTITIES), len(kinds)) if len(kinds) > 1 else (1, len(_QUANTITIES))
        grid = figure.subplots(*shape, sharex=True, sharey=True, squeeze=False)
        places = [(quantity, kind) for quantity in _QUANTITIES for kind in kinds]
        legend: dict[str, Any] = {}
        for axes, (quantity, kind) in zip(grid.flat, places, strict=True):
            text, middles, profile = kinds[kind]
            _draw(axes, results, dtype, quantity, kind, middles, profile)
            axes.set_title(f"{quantity}{text}", loc="left", fontsize=9)
            legend |= {name: handle for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)}
        for axes in grid[-1]:
            axes.set_xlabel(abscissa)
        for axes in grid[:, 0]:
            axes.set_ylabel("max error (ULP)")
        columns = min(len(legend), 7)
        figure.legend(legend.values(), legend.keys(), loc="outside upper center", ncols=columns, frameon=False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _draw(
    axes: Axes, results: Results, dtype: str, quantity: str, kind: str, middles: list[float], profile: _Profile
) -> None:
    fmt = FORMATS[dtype]
    top = 2.0 ** (fmt.p + 2)
    chosen = [row for row in results.rows if (row.dtype, row.quantity) == (dtype, quantity) and profile(row)]
    for subject in dict.fromkeys(row.subject for row in sorted(chosen, key=lambda row: row.judged)):
        mine = [row for row in chosen if row.subject == subject]
        errors = np.clip(_largest([profile(row) for row in mine]), _LEAST, top)
        judged = any(row.judged for row in mine)
        label = f"{subject}, all backends" if judged else subject
        axes.plot(middles, errors, label=label, color=_colour(subject), linewidth=2.0 if judged else 1.0)
    bounds: dict[str, float] = {}
    for row in chosen:
        if row.verdict:
            bound = row.verdict.bound["soft" if kind == "soft" else "hard"]
            bounds[row.subject] = max(bound, bounds.get(row.subject, 0.0))
    for subject, bound in bounds.items():
        axes.axhline(bound, color=_colour(subject) or _XBCE, linestyle="--", linewidth=0.8, label="bound")
    axes.axhline(2.0**fmt.p, color="#bbbbbb", linestyle=":", linewidth=0.8, label="all digits lost")
    axes.set_yscale("log", base=10)
    axes.set_ylim(_LEAST, top)
    axes.spines[["top", "right"]].set_visible(False)


def _largest(profiles: list[list[float | None]]) -> list[float]:
    """Return the largest error over rows per interval; NaN where nothing was tried."""
    columns = zip(*profiles, strict=True)
    return [max((e for e in column if e is not None), default=float("nan")) for column in columns]


def _colour(subject: str) -> str | None:
    """Return the colour of a subject; None, for the next one that matplotlib takes, if it is a user's own."""
    if subject in _OWN:
        return _OWN[subject]
    return PEERS[subject].colour if subject in PEERS else None
