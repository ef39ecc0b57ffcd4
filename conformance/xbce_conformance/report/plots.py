"""Plots of error against logit and against label, as SVG text."""

import io
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, pairwise
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.results.model import Results, Row
from xbce_conformance.subjects.peers import PEERS

_XBCE = "#0b8a5f"
_OWN = {"xbce": _XBCE, "xbce (high)": "#2fa37c"}
_LABELS = {"0": "label 0", "1": "label 1", "soft": "soft labels"}
_QUANTITIES = ("value", "gradient")
_LEAST = 0.05
"""Errors below are drawn here: the axis is logarithmic."""
_INK = "#010203"
"""Stands for the colour of the text around, which an SVG file calls currentColor and matplotlib does not know."""
_GREY = "#808890"
_USERS = ("#2f7bbf", "#bf6a0a", "#2c9432", "#d04a4a", "#9068bd")
"""Of subjects that users name. As all colours of lines: with a contrast of 3 to white and to a dark page."""
_STYLES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))
_FAR = 0.35
"""The part of a half axis that is logarithmic, beside the part that is linear."""
_STYLE = "<style>svg{color:#1b1f24}@media (prefers-color-scheme:dark){svg{color:#e6e8eb}}</style>"

_Profile = Callable[[Row], list[float | None]]


@dataclass(frozen=True)
class _Panel:
    """One set of axes: a quantity at labels of one kind."""

    quantity: str
    kind: str
    title: str
    profile: _Profile


@dataclass(frozen=True)
class _Abscissa:
    """What lies along the axis."""

    label: str
    edges: list[float]
    place: Callable[[float], float]
    """Where a number is drawn: between -1 and 1, or a little beyond."""
    of_worst: Callable[[dict[str, str]], float]
    """The number that the worst inputs have on this axis."""
    ticks: list[float]

    @property
    def middles(self) -> list[float]:
        return [self.place((a + b) / 2) for a, b in pairwise(self.edges)]


@dataclass(frozen=True)
class _Look:
    """How the lines of a subject look."""

    colour: str
    style: Any


def error_plot(results: Results, dtype: str) -> str:
    """Return an SVG of the largest error per interval of the logit: value and gradient by kind of label."""
    limit, largest = results.profile_edges[dtype][-1], FORMATS[dtype].max
    step = _round_number(0.7 * limit)
    abscissa = _Abscissa(
        "logit",
        results.profile_edges[dtype],
        lambda x: _linear_then_logarithmic(x, limit, largest),
        lambda inputs: float.fromhex(inputs["logits"]),
        [-largest, -step, 0.0, step, largest],
    )
    panels = [
        _Panel(quantity, kind, f"{quantity}, {text}", _by_logit(kind))
        for quantity in _QUANTITIES
        for kind, text in _LABELS.items()
    ]
    return _plot(results, dtype, abscissa, panels, f"Largest error by logit, {dtype}")


def label_plot(results: Results, dtype: str) -> str:
    """Return an SVG of the largest error per interval of the soft label."""
    edges = results.label_edges[dtype]
    step = 5 * math.floor(edges[-1] / 10)
    abscissa = _Abscissa(
        "label z, as log2(z / (1 - z))",
        edges,
        lambda x: min(max(x / edges[-1], -1.0), 1.0),
        lambda inputs: _log_odds(float.fromhex(inputs["labels"])),
        [-2.0 * step, -step, 0.0, step, 2.0 * step],
    )
    panels = [_Panel(quantity, "soft", quantity, lambda row: row.profiles.label) for quantity in _QUANTITIES]
    return _plot(results, dtype, abscissa, panels, f"Largest error by soft label, {dtype}")


def as_file(svg: str) -> str:
    """Return an SVG that follows a dark screen by itself, as a file of its own."""
    head, _, rest = svg.partition(">")
    return f"{head}>{_STYLE}{rest}"


def _by_logit(kind: str) -> _Profile:
    return lambda row: row.profiles.logit.get(kind, [])


def _linear_then_logarithmic(x: float, limit: float, largest: float) -> float:
    if abs(x) <= limit:
        return (1 - _FAR) * x / limit
    far = math.log(min(abs(x), largest) / limit) / math.log(largest / limit)
    return math.copysign(1 - _FAR + _FAR * far, x)


def _log_odds(z: float) -> float:
    return math.log2(z) - math.log1p(-z) / math.log(2) if 0 < z < 1 else math.copysign(math.inf, z - 0.5)


def _chosen(results: Results, dtype: str, panel: _Panel) -> list[Row]:
    rows = [row for row in results.rows if (row.dtype, row.quantity) == (dtype, panel.quantity)]
    return [row for row in rows if any(error is not None for error in panel.profile(row))]


def _plot(results: Results, dtype: str, abscissa: _Abscissa, panels: list[_Panel], title: str) -> str:
    """Draw the panels that have something to show; nothing, if none has."""
    rows = {panel: found for panel in panels if (found := _chosen(results, dtype, panel))}
    if not rows:
        return ""
    looks = _looks([row for found in rows.values() for row in found])
    lines = len({panel.quantity for panel in rows}) if len(panels) > len(_QUANTITIES) else 1
    with mpl.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "xbce",
            "font.family": "sans-serif",
            "font.size": 9,
            "text.parse_math": False,
            "text.color": _INK,
            "axes.labelcolor": _INK,
            "axes.edgecolor": _INK,
            "xtick.color": _INK,
            "ytick.color": _INK,
        }
    ):
        figure = Figure(figsize=(11, 3 + 2.6 * (lines - 1)), layout="constrained", facecolor="none")
        grid = figure.subplots(lines, -(-len(rows) // lines), sharex=True, sharey=True, squeeze=False)
        legend: dict[str, Any] = {}
        for axes, (panel, found) in zip(grid.flat, rows.items(), strict=False):
            _draw(axes, found, dtype, panel, abscissa, looks)
            legend |= {name: handle for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)}
        for axes in grid.flat[len(rows) :]:
            axes.remove()
        for axes in grid[-1]:
            axes.set_xlabel(abscissa.label)
        for axes in grid[:, 0]:
            axes.set_ylabel("max error (ULP)")
        columns = min(len(legend), 7)
        figure.legend(legend.values(), legend.keys(), loc="outside upper center", ncols=columns, frameon=False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return _inline(buffer.getvalue(), title)


def _inline(text: str, title: str) -> str:
    """Return an SVG with a title, the colour of the text around it, and names that no other on the page has."""
    prefix = re.sub(r"\W+", "-", title.lower())
    text = re.sub(r"<[^>]+>", lambda tag: _rewritten(tag[0], prefix), text[text.index("<svg") :])
    head, _, rest = text.partition(">")
    return f'{head} role="img" aria-label={quoteattr(title)}>\n <title>{escape(title)}</title>{rest}'


def _rewritten(tag: str, prefix: str) -> str:
    tag = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", tag.replace(_INK, "currentColor"))
    return re.sub(r"(\d\.\d\d)\d+", r"\1", tag)  # hundredths of a point are enough


def _draw(axes: Axes, rows: list[Row], dtype: str, panel: _Panel, abscissa: _Abscissa, looks: dict[str, _Look]) -> None:
    p = FORMATS[dtype].p
    top = 2.0 ** (p + 2)
    for subject in dict.fromkeys(row.subject for row in sorted(rows, key=lambda row: row.judged)):
        mine = [row for row in rows if row.subject == subject]
        judged = any(row.judged for row in mine)
        axes.plot(
            abscissa.middles,
            np.clip(_largest([panel.profile(row) for row in mine]), _LEAST, top),
            label=f"{subject}, all backends" if judged and len({row.backend for row in mine}) > 1 else subject,
            color=looks[subject].colour,
            linewidth=2.0 if judged else 1.0,
            linestyle=looks[subject].style,
        )
        if worst := _worst(mine, panel):
            place, error = abscissa.place(abscissa.of_worst(worst.worst.inputs)), min(worst.figures.max_ulp, top)
            axes.plot(place, max(error, _LEAST), "x", color=looks[subject].colour, markersize=6, clip_on=False)
    bounds: dict[str, float] = {}
    for row in rows:
        if row.verdict:
            bound = row.verdict.bound["soft" if panel.kind == "soft" else "hard"]
            bounds[row.subject] = max(bound, bounds.get(row.subject, 0.0))
    for subject, bound in bounds.items():
        axes.axhline(bound, color=looks[subject].colour, linestyle="--", linewidth=0.8, label="bound")
    axes.axhline(2.0**p, color=_GREY, linestyle=":", linewidth=0.8, label="all digits lost")
    for side in (-1, 1):  # what lies beyond the intervals
        axes.axvspan(*sorted((side * abscissa.place(abscissa.edges[-1]), side)), color=_GREY, alpha=0.12, linewidth=0)
    axes.set_xticks([abscissa.place(x) for x in abscissa.ticks], [_tick(x) for x in abscissa.ticks])
    axes.set_xlim(-1.03, 1.03)
    axes.set_yscale("log", base=10)
    axes.yaxis.set_major_formatter(lambda y, _: _tick(y))
    axes.set_ylim(_LEAST, top)
    axes.set_title(panel.title, loc="left", fontsize=9)
    axes.set_facecolor("none")
    axes.spines[["top", "right"]].set_visible(False)


def _round_number(x: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20 and so on that is at most x."""
    power = 10.0 ** math.floor(math.log10(x))
    return max(n * power for n in (1, 2, 5) if n * power <= x)


def _tick(x: float) -> str:
    return f"{x:.2g}".replace("e+0", "e").replace("e+", "e")


def _worst(rows: list[Row], panel: _Panel) -> Row | None:
    """Return the row with the largest error of those whose worst input is in this panel."""
    here = [row for row in rows if row.worst.inputs and _kind(row.worst.inputs) == panel.kind]
    return max(here, key=lambda row: row.figures.max_ulp, default=None)


def _kind(inputs: dict[str, str]) -> str:
    return {0.0: "0", 1.0: "1"}.get(float.fromhex(inputs["labels"]), "soft")


def _largest(profiles: list[list[float | None]]) -> list[float]:
    """Return the largest error over rows per interval; NaN where nothing was tried."""
    columns = zip(*profiles, strict=True)
    return [max((e for e in column if e is not None), default=float("nan")) for column in columns]


def _looks(rows: list[Row]) -> dict[str, _Look]:
    """Choose colour and style of each subject, the same in all panels."""
    users, styles = cycle(_USERS), cycle(_STYLES)
    judged = {row.subject: row.judged for row in rows}
    colours = _OWN | {name: peer.colour for name, peer in PEERS.items()}
    return {
        subject: _Look(colours.get(subject) or next(users), "-" if judged[subject] else next(styles))
        for subject in judged
    }
