"""The self-contained page."""

from importlib.resources import files
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import jinja2

from xbce_conformance.report.league import leagues
from xbce_conformance.report.matrices import matrices
from xbce_conformance.report.plots import error_plot, label_plot
from xbce_conformance.report.table import bound_text, stated_exceptions, summary, verdict
from xbce_conformance.results.figures import ulp_text
from xbce_conformance.results.model import Results


def write_html(results: Results, path: Path) -> None:
    """Write report.html: verdict, league tables, plots, all rows, worst cases with reproducers, environment."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("xbce_conformance", "report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals.update(ulp=ulp_text, bound=bound_text, verdict=verdict)
    rows = sorted(results.rows, key=lambda row: (not row.judged, row.title))
    dtypes = list(dict.fromkeys(row.dtype for row in results.rows))
    page = environment.get_template("report.html.j2").render(
        results=results,
        groups=[(name, list(group)) for name, group in groupby(rows, key=attrgetter("title"))],
        summary=summary(results),
        exceptions=stated_exceptions(results),
        dtypes=dtypes,
        leagues=leagues(results),
        matrices=matrices(results),
        plots={dtype: error_plot(results, dtype) for dtype in dtypes if dtype in results.profile_edges},
        label_plots={dtype: label_plot(results, dtype) for dtype in dtypes if dtype in results.label_edges},
        script=files("xbce_conformance").joinpath("report", "report.js").read_text("utf-8"),
    )
    path.write_text(page, "utf-8")
