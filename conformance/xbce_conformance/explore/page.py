"""The page: one file, with its tables, that works offline."""

import json
from importlib.resources import files
from pathlib import Path

from xbce_conformance.explore.tables import Table
from xbce_conformance.report.templates import templates
from xbce_conformance.storage import write_whole

_SCRIPTS = ("numbers.js", "words.js", "strips.js", "explore.js")
_PLACES = (
    ("a confident and right answer: where gradients are lost", 20, 1, "float32"),
    ("the same in bfloat16, at 8", 8, 1, "bfloat16"),
    ("label 0: where losses are lost", -20, 0, "float32"),
    ("subnormal results", 95, 1, "float32"),
    ("near 0 with the label 0.5: cancellation", 0.0009765625, 0.5, "float32"),
    ("float64 has a limit, too", 38, 1, "float64"),
)
"""Text, logit, label and dtype of links."""


def write_page(table: Table, file: Path) -> None:
    """Write the page of tables."""
    room = files("xbce_conformance").joinpath("explore")
    page = templates("explore").get_template("explore.html.j2")
    text = page.render(
        table=table,
        places=[place for place in _PLACES if place[-1] in table["dtypes"]],
        style=files("xbce_conformance").joinpath("report", "report.css").read_text("utf-8"),
        own_style=room.joinpath("explore.css").read_text("utf-8"),
        script="\n".join(room.joinpath(name).read_text("utf-8") for name in _SCRIPTS),
        # What ends a script would end the data; in a string of JSON the letter may be escaped.
        data=json.dumps(table, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
    )
    write_whole(file, f"{text.rstrip()}\n".encode())
