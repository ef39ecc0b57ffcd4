"""The forms of arrays: shapes, lengths and layouts that the same numbers come in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from xbce_conformance.inputs.formats import Floats
from xbce_conformance.subjects.backend import Backend
from xbce_conformance.subjects.expressions import Written

Places: TypeAlias = npt.NDArray[np.intp]
"""Places in the inputs, in the shape of an array."""


class Unavailable(Exception):  # noqa: N818
    """A library has no array of this form, or no call of this way."""


@dataclass(frozen=True)
class Form:
    """Arrays that have something in common."""

    shapes: tuple[tuple[int, ...], ...]
    """The shapes that are tried."""
    make: Callable[[Backend, Floats], Any] = lambda backend, x: backend.from_numpy(x)
    """Bring an array to its backend, in this form."""
    code: Written | None = None
    """The form in code; None where a line of it makes no such array."""


def _strided(backend: Backend, x: Floats) -> Any:
    """Put every element between two others, which are no numbers."""
    gap = True if x.dtype == np.bool_ else np.nan
    wide = np.full(2 * x.size, gap, x.dtype)
    wide[::2] = x
    return backend.from_numpy(wide)[::2]


def _transposed(backend: Backend, x: Floats) -> Any:
    return backend.from_numpy(np.ascontiguousarray(x.T)).T


def _reversed(backend: Backend, x: Floats) -> Any:
    return backend.from_numpy(np.ascontiguousarray(x[::-1]))[::-1]


def _read_only(backend: Backend, x: Floats) -> Any:
    there = backend.from_numpy(x)
    there.flags.writeable = False
    return there


_FEW = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33)
"""Around the lengths of vectors of a processor."""

LARGE = 2**20 + 3
"""Beyond the lengths at which libraries begin to use several threads, or to work in blocks."""

FORMS = {
    "0-d": Form(((),) * 16, code=("[0]", "")),
    "empty": Form(((0,), (0, 3)), code=("[:0]", "[0]")),
    "few elements": Form(tuple((n,) for n in _FEW), code=("[:1]", "[0]")),
    "2-d": Form(((37, 6), (1, 31), (31, 1)), code=("[None, :]", "[0, 0]")),
    "3-d": Form(((5, 1, 7),), code=("[None, :, None]", "[0, 0, 0]")),
    "transposed": Form(((37, 6),), _transposed, (".reshape(2, 32).T", "[0, 0]")),
    "strided": Form(((101,),), _strided, ("[::2]", "[0]")),
    "reversed": Form(((101,),), _reversed, ("[::-1]", "[0]")),
    "read-only": Form(((101,),), _read_only),
    "large": Form(((LARGE,),)),
}
"""The forms by name: what a row of behaviour says, and what a waiver names."""


def calls(form: Form, backend: Backend, arrays: tuple[Floats, ...], order: Places) -> Iterator[tuple[Any, Places]]:
    """Yield arguments in a form, each with the places of its numbers in `arrays`.

    They are taken in `order`, one after the other, so that each call has others. Raises `Unavailable` where the library
    has no such array.
    """
    start = 0
    for shape in form.shapes:
        size = int(np.prod(shape))
        places = np.take(order, np.arange(start, start + size), mode="wrap").reshape(shape)
        start += size
        try:
            there = tuple(form.make(backend, np.asarray(array[places])) for array in arrays)
        except Exception as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from error
        yield there, places
