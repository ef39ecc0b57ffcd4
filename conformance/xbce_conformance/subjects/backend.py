"""What a backend is: one array library on one device, with how arrays come to it and back."""

import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from xbce_conformance.inputs.formats import Floats, Format

ON_DEVICE = ("torch:cuda", "cupy", "jax:cuda")
"""Backends whose results are measured where they are, on a GPU."""


class Missing(Exception):  # noqa: N818
    """A backend is not here; the message says why."""


@dataclass(frozen=True)
class Backend:
    """One array library on one device."""

    name: str
    version: str
    device: str
    dtypes: tuple[str, ...]
    from_numpy: Callable[[Floats], Any]
    """Copy a NumPy array of one of `dtypes` to the backend."""
    to_numpy: Callable[[Any], Floats]
    """Copy back; computes what is lazy."""
    dtype_of: Callable[[str], Any]
    """Return the backend's dtype object of that name."""
    imports: str
    """Statements after which `literal` can be evaluated."""
    literal: str
    """Expression of an array that repeats {value}, in hexadecimal, in {dtype}.

    It is long enough for vector instructions, which round otherwise than scalar ones in some libraries."""
    makes_graphs: bool = False
    """Whether the library is for graphs: an operation on values takes milliseconds there."""
    reverse_mode: str = ""
    """Expression of the gradient of {call} in the variable {first} at {argument}; empty without such a mode."""

    def array_code(self, value: str, dtype: str) -> str:
        """Return the expression of an array that repeats a number."""
        return self.literal.format(value=value, dtype=dtype)

    def flushes_subnormals(self, fmt: Format) -> bool:
        """Tell whether the backend's product of subnormal numbers is zero where it should be subnormal."""
        x = self.from_numpy(fmt.round([fmt.tiny / 2, fmt.tiny]))
        factor = self.from_numpy(fmt.round([1.0, 0.5]))
        product = np.asarray(self.to_numpy(x * factor), np.float64)
        return bool((product == 0).any())


def dtype_in(namespace: Any) -> Callable[[str], Any]:
    """Return a function that finds the dtypes of a library by name."""
    return lambda name: getattr(namespace, name)


def import_library(module: str) -> Any:
    """Return a module; raise `Missing` where it cannot be imported."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large frameworks about each other
            return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        missing = isinstance(error, ModuleNotFoundError) and error.name == package
        msg = f"{package} is not installed" if missing else f"{module} cannot be imported: {error}"
        raise Missing(msg) from None
