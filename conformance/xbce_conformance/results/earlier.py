"""Converts results.json from earlier schema versions, one after the other."""

from collections.abc import Callable
from typing import Any

from xbce_conformance.results import version_3, version_4

CONVERTERS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {3: version_3.converted, 4: version_4.converted}
"""Each makes the next version of a whole file."""


def converted(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data of a whole file in the form of now, if its version is known."""
    while (convert := CONVERTERS.get(data.get("schema_version", 0))) is not None:
        data = convert(data) | {"schema_version": data["schema_version"] + 1}
    return data
