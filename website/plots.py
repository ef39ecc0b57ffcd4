"""Pictures of the reference: errors against the argument, and times against the size; for light pages and dark ones."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from xbce_conformance.report.digits import digits_lost, digits_of

Series = Mapping[str, Sequence[float | None]]
Draw = Callable[[Figure, dict[str, Any]], None]

THEMES = {
    "light": {"text": "#24292f", "grid": "#d8dde3", "lines": ("#0060a8", "#b34700", "#00714e"), "other": "#8a2be2"},
    "dark": {"text": "#dde3ea", "grid": "#454c56", "lines": ("#63b3f4", "#f2a65a", "#4fd6a5"), "other": "#c9a2ff"},
}
STYLES = ("-", "--", ":")
LIBRARIES = ("NumPy", "PyTorch", "JAX")
_SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "xbce", "font.family": "sans-serif", "font.size": 11}


def pictures(folder: Path, name: str, draw: Draw, height: float = 3.2, width: float = 4.4) -> None:
    """Write one picture for each theme."""
    folder.mkdir(parents=True, exist_ok=True)
    for theme, colours in THEMES.items():
        text, grid = colours["text"], colours["grid"]
        settings = {
            "text.color": text,
            "axes.labelcolor": text,
            "axes.edgecolor": grid,
            "xtick.color": text,
            "ytick.color": text,
            "grid.color": grid,
        }
        with mpl.rc_context(_SETTINGS | settings):
            figure = Figure(figsize=(width, height), layout="constrained")
            FigureCanvasSVG(figure)
            draw(figure, colours)
            figure.savefig(folder / f"{name}-{theme}.svg", transparent=True, metadata={"Date": None})


def errors(panels: Mapping[str, tuple[Series, float | None]], label: str, edges: Sequence[float]) -> Draw:
    """Return what draws errors: a panel for each quantity, with its bound as a line."""
    middles = [(a + b) / 2 for a, b in itertools.pairwise(edges)]

    def draw(figure: Figure, colours: dict[str, Any]) -> None:
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for ax, (title, (series, bound)) in zip(axes, panels.items(), strict=True):
            for library, colour, style in zip(LIBRARIES, colours["lines"], STYLES, strict=True):
                if library in series:
                    y = [float("nan") if value is None else value for value in series[library]]
                    ax.plot(middles, y, style, color=colour, linewidth=1.4, label=library)
            if bound is not None:
                ax.axhline(bound, color=colours["text"], linewidth=1, dashes=(1, 2))
                ax.text(middles[0], bound, f"promised: {bound:g}", va="bottom", fontsize=9)
                ax.set_ylim(0, bound * 1.25)
            else:
                ax.set_ylim(bottom=0)
            ax.set_ylabel(f"{title}, ULP")
            ax.grid(visible=True, linewidth=0.6)
        axes[0].legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1), frameon=False, borderaxespad=0.2)
        axes[-1].set_xlabel(label)

    return draw


def digits(series: Series, edges: Sequence[float]) -> Draw:
    """Return what draws how many decimal digits are right at worst, each system named beside its line."""
    middles = [(a + b) / 2 for a, b in itertools.pairwise(edges)]

    def draw(figure: Figure, colours: dict[str, Any]) -> None:
        ax = figure.subplots()
        palette = [colours["text"], *colours["lines"], colours["other"]]
        widths = [1.4] * (len(series) - 1) + [2.6]
        all_digits = digits_of("float32")
        for (name, errors), style, colour, width in zip(
            series.items(), ((0, (1, 1)), "--", "-.", (0, (4, 1)), "-"), _last_first(palette), widths, strict=True
        ):
            y = [float("nan") if e is None else all_digits - digits_lost(e, "float32") for e in errors]
            ax.plot(middles, y, linestyle=style, color=colour, linewidth=width, label=name)
        ax.set_xlim(-42, 42)
        ax.set_ylim(-0.2, 7.9)
        ax.set_xlabel("logit")
        ax.set_ylabel("decimal digits that are right")
        ax.grid(visible=True, linewidth=0.6)
        figure.legend(*ax.get_legend_handles_labels(), ncols=3, loc="outside upper left", frameon=False)

    return draw


def _last_first(palette: list[str]) -> list[str]:
    """Return colours of which the last line, xbce, has that of the theme's links."""
    text, first, *rest = palette
    return [text, *rest, first]


def times(of: Mapping[str, Any]) -> Draw:
    """Return what draws times per element against the size, each library with what stands beside it."""

    def draw(figure: Figure, colours: dict[str, Any]) -> None:
        ax = figure.subplots()
        for library, colour in zip(LIBRARIES, colours["lines"], strict=True):
            found = of[library]
            for key, style, width in (("xbce", "-", 1.8), ("times", "--", 1.2)):
                if key in found:
                    sizes = [int(size) for size in found[key]]
                    y = [seconds / size * 1e9 for size, seconds in zip(sizes, found[key].values(), strict=True)]
                    label = f"xbce, {library}" if key == "xbce" else found["beside"].partition("(")[0]
                    if library == "NumPy" and key == "times" and "maximum" in found["beside"]:
                        label = "stable formula, NumPy"
                    ax.plot(sizes, y, style, color=colour, linewidth=width, marker="o", markersize=3.5, label=label)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel("elements")
        ax.set_ylabel("ns per element")
        ax.grid(visible=True, linewidth=0.6)
        figure.legend(*ax.get_legend_handles_labels(), ncols=2, loc="outside upper left", frameon=False, fontsize=9)

    return draw
