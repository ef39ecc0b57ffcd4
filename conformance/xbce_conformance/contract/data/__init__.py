"""The contract, as data: README.md describes the files."""

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def load(name: str) -> Any:
    """Return the content of a JSON file."""
    return json.loads(files(__name__).joinpath(name).read_text("utf-8"))
