"""What was measured of a public object, for its page of the reference: pictures, and a table of errors."""

import math
from collections.abc import Iterable
from pathlib import Path

from website import figures, plots
from website.capability import cell
from website.figures import DTYPES, Row
from xbce_conformance.cases.losses import FAMILY

CASES = {name: loss.cases[0].name.removeprefix(name) for name, loss in FAMILY.items()}
"""The options, in parentheses, with which a loss is shown: those of the first case that the suite has of it."""

_PLAIN = "binary_cross_entropy_with_logits"
_INTERVALS = 120
_PLOTTED = {"numpy": "NumPy", "torch:cpu": "PyTorch", "jax": "JAX"}
"""Libraries by backend. Dask and array-api-strict compute as NumPy does."""
_QUANTITIES = ("value", "gradient", "hessian", "label_gradient")


def write_pictures(source: Path) -> None:
    """Write the pictures of all pages."""
    folder = source / "reference" / "pictures"
    write_front(source)
    plots.pictures(folder, f"{_PLAIN}-error", _of_plain_loss(), height=3.9)
    found = figures.measured()
    for name, axis in found["axes"].items():
        function = name if name in CASES else f"special.{name}"
        low, high = axis["low"], axis["high"]
        edges = [low + (high - low) * i / _INTERVALS for i in range(_INTERVALS + 1)]
        panels = {
            method if name in CASES else "error": (series, _bound(function, method))
            for method, series in found["errors"][name].items()
        }
        plots.pictures(
            folder, f"{function}-error", plots.errors(panels, axis["label"], edges), 3.9 if name in CASES else 3.2
        )
    for name, of in found["times"].items():
        plots.pictures(folder, f"{name}-speed", plots.times(of), height=3.9 if name in CASES else 3.4)


SYSTEMS = {
    "textbook": ("textbook", "numpy"),
    "PyTorch": ("torch", "torch:cpu"),
    "TensorFlow": ("tensorflow", "tensorflow"),
    "optax": ("optax", "jax"),
    "xbce": ("xbce", "torch:cpu"),
}
"""What the front page shows: by name the subject and the backend of its row. xbce is on PyTorch."""


def write_front(source: Path) -> None:
    """Write the picture of the front page: digits of the plain loss in float32, against the logit."""
    rows = {name: _front_row(*of) for name, of in SYSTEMS.items()}
    # Results have no error where one is infinite; and none where nothing was tried, which is the same for all.
    tried = rows["xbce"]
    series = {
        name: [math.inf if e is None and of is not None else e for e, of in zip(row, tried, strict=True)]
        for name, row in rows.items()
    }
    edges = figures.results()["profile_edges"]["float32"]
    plots.pictures(source / "pictures", "digits", plots.digits(series, edges), height=4.0, width=5.8)


def _front_row(subject: str, backend: str) -> list[float | None]:
    """Return the errors by logit of a system's plain loss."""
    for row in figures.results()["rows"]:
        if (row["subject"], row["backend"], row["dtype"], row["quantity"]) == (subject, backend, "float32", "value"):
            by_logit = figures.profiles(row).get("logit")
            if row["case"] == "binary_cross_entropy_with_logits" and by_logit and ", " not in row["function"]:
                return _over_labels(by_logit)
    msg = f"no row of results has the errors of {subject} on {backend} by logit"
    raise LookupError(msg)


def _of_plain_loss() -> plots.Draw:
    """Return what draws the errors of the plain loss, of which the suite keeps those by logit."""
    panels = {}
    for quantity in ("value", "gradient"):
        rows = [row for row in _plain(_PLAIN, "") if row.dtype == "float32" and row.quantity == quantity]
        series = {
            _PLOTTED[row.backend]: _largest(row)
            for row in rows
            if row.backend in _PLOTTED and row.profiles.get("logit")
        }
        panels[quantity] = (series, _bound(_PLAIN, quantity))
    return plots.errors(panels, "logit", figures.results()["profile_edges"]["float32"])


def of_loss(name: str) -> str:
    """Return the measured part of a loss's page."""
    case = CASES[name]
    rows = _plain(name, case)
    if not rows or name not in figures.measured()["times"]:
        return "\n".join([*_heading("Measured"), "Not measured yet.", ""])
    shown = f"with ``{case.strip('()')}``" if case else "without options"
    lines = [
        *_heading("Measured"),
        f"The largest errors in ULP that the suite found, {shown}, and what is promised:",
        "",
        *_table(
            ["result", "dtype", *_PLOTTED.values()],
            (
                [f"``{quantity}``" if quantity != "value" else "the call", dtype]
                + [cell(_of(rows, quantity, backend, dtype)) for backend in _PLOTTED]
                for quantity in _QUANTITIES
                for dtype in DTYPES
            ),
        ),
        "",
        *_pictures(
            name,
            "Largest errors in float32, of all labels, in each of 160 intervals, from the suite's results."
            if name == _PLAIN
            else f"Largest errors in float32 of labels 0 and 1, {shown}, in each of {_INTERVALS} intervals, of 4,096 "
            "numbers each.",
        ),
        "All cases, options and ways of calling: :doc:`/guide/capabilities`.",
        "",
    ]
    return "\n".join(lines)


def of_special(name: str) -> str:
    """Return the measured part of an elementwise function's page."""
    rows = _plain(f"special.{name}", "")
    axis = figures.measured()["axes"][name]["label"]
    lines = [
        *_heading("Measured"),
        "The largest errors in ULP that the suite found, and what is promised:",
        "",
        *_table(
            ["dtype", *_PLOTTED.values()],
            ([dtype] + [cell(_of(rows, "value", backend, dtype)) for backend in _PLOTTED] for dtype in DTYPES),
        ),
        "",
        *_pictures(
            f"special.{name}",
            f"Largest errors in float32 against {axis}, in each of {_INTERVALS} intervals of 4,096 numbers"
            + (", with x from 1/2 to 2." if name in ("xlogy", "xlog1py") else "."),
        ),
    ]
    return "\n".join(lines)


def _plain(function: str, case: str) -> list[Row]:
    """Return rows of plain calls: eager, not reduced, in native precision."""
    return [
        row for row in figures.rows() if row.function == function and row.case == case and not row.way and not row.high
    ]


def _of(rows: Iterable[Row], quantity: str, backend: str, dtype: str) -> list[Row]:
    return [row for row in rows if (row.quantity, row.backend, row.dtype) == (quantity, backend, dtype)]


def _bound(function: str, quantity: str) -> float:
    """Return what is promised in float32, without the exceptions that are for single libraries."""
    rows = _plain(function, CASES.get(function, ""))
    return min(row.bound for row in rows if row.dtype == "float32" and row.quantity == quantity)


def _largest(row: Row) -> list[float | None]:
    """Return the largest error by interval, over all labels."""
    return _over_labels(row.profiles["logit"])


def _over_labels(by_logit: dict[str, list[float | None]]) -> list[float | None]:
    columns = zip(*by_logit.values(), strict=True)
    return [max((e for e in column if e is not None), default=None) for column in columns]


def _heading(text: str) -> list[str]:
    return [text, "-" * len(text), ""]


def _table(head: list[str], body: Iterable[list[str]]) -> list[str]:
    lines = [".. list-table::", "   :header-rows: 1", "   :class: figures", ""]
    for row in (head, *body):
        lines += [f"   {'*' if i == 0 else ' '} - {text}".rstrip() for i, text in enumerate(row)]
    return lines


def _pictures(name: str, caption: str) -> list[str]:
    """Return error and speed side by side."""
    machine, of = figures.measured()["machine"], figures.measured()["times"][name]
    versions = ", ".join(f"{package} {version}" for package, version in machine["versions"].items())
    beside = "; ".join(f"{library}: ``{found['beside']}``" for library, found in of.items() if "beside" in found)
    speed = (
        "Processor time in float32 on one thread, the least of several calls, JAX under ``jax.jit``; "
        f"{machine['processor']}, {machine['date']}, beside other work (load {machine['load']:g}); {versions}."
        + (f" Dashed: {beside}." if beside else " Nothing in these libraries stands beside it.")
    )
    lines = [".. grid:: 1 1 2 2", "   :gutter: 3", ""]
    for kind, text, alt in (
        ("error", caption, f"Errors of {name} in ULP, by library"),
        ("speed", speed, f"Nanoseconds per element of {name}, by library and size"),
    ):
        lines += ["   .. grid-item::", ""]
        for theme in plots.THEMES:
            lines += [f"      .. image:: pictures/{name}-{kind}-{theme}.svg", f"         :class: only-{theme}"]
            lines += [f"         :alt: {alt}", ""]
        lines += ["      .. rst-class:: caption-of-picture", "", f"      {text}", ""]
    return lines
