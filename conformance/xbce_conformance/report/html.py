"""The self-contained page."""

from itertools import groupby
from pathlib import Path

import jinja2

from xbce_conformance.report.plots import error_plot
from xbce_conformance.report.table import bound_text, stated_exceptions, title, ulp_text, verdict
from xbce_conformance.results import Results, Row


def write_html(results: Results, path: Path) -> None:
    """Write report.html: verdict, league table, plots, all rows, worst cases, environment."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("xbce_conformance", "report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals.update(ulp=ulp_text, bound=bound_text, verdict=verdict, title=title)
    rows = sorted(results.rows, key=lambda row: (not row.judged, title(row)))
    dtypes = list(dict.fromkeys(row.dtype for row in results.rows))
    page = environment.get_template("report.html.j2").render(
        results=results,
        groups=[(name, list(group)) for name, group in groupby(rows, key=title)],
        judged=[row for row in results.rows if row.judged],
        exceptions=stated_exceptions(results),
        dtypes=dtypes,
        leagues={quantity: _league(results.rows, quantity, dtypes) for quantity in ("value", "gradient")},
        plots={dtype: error_plot(results, dtype) for dtype in dtypes if dtype in results.profile_edges},
    )
    path.write_text(page, "utf-8")


def _league(rows: list[Row], quantity: str, dtypes: list[str]) -> list[tuple[str, list[float | None]]]:
    """Return the largest error of each subject on each backend, per dtype; the best first."""
    chosen = [row for row in rows if row.quantity == quantity and row.profile]  # elementwise, of the plain loss
    names = dict.fromkeys((row.subject, row.backend) for row in chosen)
    league: list[tuple[str, list[float | None]]] = []
    for subject, backend in names:
        mine = [row for row in chosen if (row.subject, row.backend) == (subject, backend)]
        errors = [max((row.max_ulp for row in mine if row.dtype == dtype), default=None) for dtype in dtypes]
        league.append((f"{subject} on {backend}", errors))
    return sorted(league, key=lambda entry: max(e for e in entry[1] if e is not None))
