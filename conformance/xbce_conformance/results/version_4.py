"""Converts results.json from schema version 4.

Version 4 said `exhaustive` where there are more kinds of rows now, and had violations as texts without names.
"""

from typing import Any


def converted(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data of a whole file in the form of version 5."""
    return data | {"rows": [_row(row) for row in data["rows"]], "waivers": []}


def _row(old: dict[str, Any]) -> dict[str, Any]:
    verdict = old["verdict"]
    if verdict is not None:
        verdict = verdict | {"violations": [{"name": "", "text": text, "waived": ""} for text in verdict["violations"]]}
    kind = "all inputs" if old["exhaustive"] else "samples"
    kept = {name: value for name, value in old.items() if name != "exhaustive"}
    return kept | {"kind": kind, "verdict": verdict, "remarks": []}
