"""What results have in common that people look at: a table in the terminal, HTML in notebooks, and JSON."""

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
        """Return all figures as numbers, texts, lists and dictionaries."""
        return asdict(self)  # type: ignore[call-overload,no-any-return]  # results are dataclasses
