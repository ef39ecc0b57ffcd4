"""The self-contained pages: of a whole run, and of each system."""

from collections.abc import Iterator
from importlib.resources import files
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from xbce_conformance.report.digits import (
    absolute_text,
    beside,
    digits_lost,
    digits_of,
    digits_text,
    inputs_text,
    share_lost,
)
from xbce_conformance.report.league import leagues
from xbce_conformance.report.matrices import matrices
from xbce_conformance.report.plots import error_plot, label_plot
from xbce_conformance.report.systems import OFTEN, System, systems
from xbce_conformance.report.table import bound_text, bounds_text, stated_exceptions, summary, verdict
from xbce_conformance.report.templates import templates
from xbce_conformance.results.figures import ulp_text
from xbce_conformance.results.model import Results, Row

EXPLORE = "explore/index.html"
"""The page of the room explore, which the report links to where it is beside it."""
_SHADES = 4
_MOST = 24
"""So many worst cases are on the page of a system, so many functions, and so many special values that are wrong."""


def write_html(results: Results, path: Path) -> None:
    """Write report.html: verdict, digits and sentence of each system, league tables, plots, all rows, environment."""
    rows = sorted(results.rows, key=lambda row: (not row.judged, row.title))
    page = _environment().get_template("report.html.j2")
    text = page.render(
        results=results,
        systems=systems(results),
        groups=[(name, list(group)) for name, group in groupby(rows, key=attrgetter("title"))],
        summary=summary(results),
        bounds=bounds_text(results),
        exceptions=stated_exceptions(results),
        waived=[(row, violation) for row in results.rows for violation in row.waived],
        dtypes=list(dict.fromkeys(row.dtype for row in results.rows)),
        leagues=leagues(results),
        matrices=matrices(results),
        plots=dict(_plots(results)),
        explore=EXPLORE if (path.parent / EXPLORE).is_file() else "",
        script=files("xbce_conformance").joinpath("report", "report.js").read_text("utf-8"),
    )
    path.write_text(text, "utf-8")


def write_system_pages(results: Results, folder: Path) -> list[Path]:
    """Write a page about each system alone, to send to its maintainers."""
    page = _environment().get_template("system.html.j2")
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for system in systems(results):
        worst = _worst(system)
        text = page.render(
            results=results,
            system=system,
            functions=list(dict.fromkeys(row.function for row in system.rows)),
            backends={row.backend: results.backends.get(row.backend, {}) for row in system.rows},
            worst=worst[:_MOST],
            left_out=len(worst[_MOST:]),
            special=_wrong_special_values(system),
            behaviour=list(dict.fromkeys(_documented(system, results))),
        )
        paths.append(folder / system.page)
        paths[-1].write_text(text, "utf-8")
    return paths


def _environment() -> jinja2.Environment:
    environment = templates("report")
    environment.filters["text"] = _as_text
    environment.globals.update(
        ulp=ulp_text,
        bound=bound_text,
        verdict=verdict,
        absolute=absolute_text,
        beside=beside,
        inputs=inputs_text,
        digits=digits_text,
        holds=digits_of,
        lost=lambda error, dtype: digits_text(digits_lost(error, dtype)),
        shade=_shade,
        often=round(1 / OFTEN),
        most=_MOST,
    )
    return environment


def _as_text(text: str) -> Markup:
    """Escape the text of an element, where quotes need none: reproducers, a third of the page, are full of them."""
    return Markup(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))  # noqa: S704 - it is escaped


def _shade(row: Row) -> str:
    """Return the class of a cell: by the promise of its row, or by the digits lost where nothing is promised."""
    if row.judged:
        return "broken" if row.violations else "kept"
    return f"lost-{round(_SHADES * share_lost(row.figures.max_ulp, row.dtype))}"


def _plots(results: Results) -> Iterator[tuple[str, str]]:
    for plot, edges, suffix in (
        (error_plot, results.profile_edges, "by logit"),
        (label_plot, results.label_edges, "by label"),
    ):
        for dtype in dict.fromkeys(row.dtype for row in results.rows):
            if dtype in edges and (picture := plot(results, dtype)):
                yield f"{dtype}, {suffix}", picture


def _worst(system: System) -> list[Row]:
    """Return the worst row of each function in each dtype: those of the picture first, of these what loses most."""
    rows = [row for row in system.rows if row.of_errors or row.violations]
    worst: dict[tuple[Any, ...], Row] = {}
    for row in sorted(rows, key=lambda row: -row.figures.max_ulp):
        worst.setdefault((row.function, row.quantity, row.dtype), row)
    shown = {id(row) for row in system.shown}
    return sorted(worst.values(), key=lambda row: (id(row) not in shown, -share_lost(row.figures.max_ulp, row.dtype)))


def _wrong_special_values(system: System) -> list[str]:
    """Say which special values are wrong, with the dtypes in which they are."""
    dtypes: dict[str, list[str]] = {}
    for row in system.rows:
        for wrong in row.special.mismatches:
            inputs = ", ".join(f"{name} {number}" for name, number in wrong.inputs.items())
            text = f"{row.function}: {inputs}: {wrong.computed} came, right is {wrong.expected}"
            dtypes.setdefault(text, []).append(row.dtype)
    return [f"{text} ({', '.join(dict.fromkeys(names))})" for text, names in dtypes.items()]


def _documented(system: System, results: Results) -> Iterator[str]:
    """Yield what a system does as documented, or as its library does everywhere."""
    yield "An exact result beyond the largest number of the format: an infinity is right."
    for row in system.rows:
        flushes = results.backends.get(row.backend, {}).get("flushes subnormal numbers in", "none")
        if row.figures.flushed and flushes != "none":
            yield f"{row.backend} flushes subnormal numbers to 0 in {flushes}: such results are counted apart."
        options = row.case.partition("(")[2].rstrip(")")
        if not row.judged and any(name in options for name in ("clip", "log_floor", "log_offset")):
            yield f"{row.function} is compared with the loss as its documentation defines it, {row.case} of xbce."
    for name, reason in results.missing.items():
        if not system.judged and name.startswith(f"{system.rows[0].subject} {system.rows[0].backend} "):
            yield f"Not measured: {name}: {reason}"
