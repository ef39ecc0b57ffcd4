"""Templates of pages: texts in them are escaped, and a name that is missing is an error."""

import jinja2


def templates(room: str) -> jinja2.Environment:
    """Return the templates that lie in a room."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("xbce_conformance", room),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
