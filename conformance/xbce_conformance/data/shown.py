"""What results have in common that people look at: a table in the terminal, HTML in notebooks, and JSON."""

import math
from dataclasses import asdict
from typing import Any

from rich.console import RenderableType


class Shown:
    """A result that shows itself."""

    def __rich__(self) -> RenderableType:
        """Return what rich prints."""
        from xbce_conformance.data.show import renderable  # it imports the results

        return renderable(self)

    def _repr_html_(self) -> str:
        """Return what notebooks show."""
        from xbce_conformance.data.page import fragment

        return fragment(self)

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON has them: "inf", "-inf" and "nan" are texts."""
        found: dict[str, Any] = _for_json(asdict(self))  # type: ignore[call-overload]  # results are dataclasses
        return found


def _for_json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _for_json(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_for_json(entry) for entry in value]
    return value
