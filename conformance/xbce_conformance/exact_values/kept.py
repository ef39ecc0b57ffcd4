"""Exact values that are kept on disk between runs, and shared by those that go on side by side.

Ball arithmetic takes half of the time of a run. The name of a file is a digest of all that its values are made of: the
case, the quantity, the bits of the arguments, and the code that computes them.
"""

import io
from dataclasses import astuple
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from xbce_conformance.exact_values.exact import Exact, Reference
from xbce_conformance.inputs.formats import Floats
from xbce_conformance.storage import digest, write_whole

_ROOMS = ("inputs", "exact_values", "cases")
"""Where the code lies that exact values come from."""


class KeptReference:
    """A reference whose results are kept in a folder; the key tells its case from all others."""

    def __init__(self, reference: Reference, key: tuple[Any, ...], folder: Path) -> None:
        self._reference = reference
        self._key_of_case = key
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def exact(self, quantity: str, arrays: tuple[Floats, ...]) -> dict[str, Exact]:
        """Return the quantity by name, and others that cost no more; from the folder, if they are there."""
        file = self._folder / f"{self._key(quantity, arrays)}.npz"
        if not file.exists():
            found = self._reference.exact(quantity, arrays)
            packed = io.BytesIO()
            np.savez_compressed(packed, names=list(found), values=[astuple(exact) for exact in found.values()])
            write_whole(file, packed.getvalue())
            return found
        with np.load(file) as kept:
            return {str(name): Exact(*values) for name, values in zip(kept["names"], kept["values"], strict=True)}

    def _key(self, quantity: str, arrays: tuple[Floats, ...]) -> str:
        names = (type(self._reference).__name__, *self._key_of_case, quantity)
        shapes = [(array.dtype.name, array.shape) for array in arrays]
        return digest([repr((names, shapes)).encode(), *_code(), *(array.tobytes() for array in arrays)])


@cache
def _code() -> tuple[bytes, ...]:
    folder = Path(str(files("xbce_conformance")))
    sources = [file for room in _ROOMS for file in sorted(folder.joinpath(room).glob("*.py"))]
    return version("python-flint").encode(), *(file.read_bytes() for file in sources)
