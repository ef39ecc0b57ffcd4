"""The functions, under the names of each library. A function is a row, a library a column.

The exact values are those of the function in float64 of the library that measures: NumPy on a CPU, the GPU's own on a
GPU. That suffices. The libraries state at most 2 ULP of float64 for exp, log1p and tanh, and the formula of the sigmoid
adds as much. 1 ULP of float64 is 2^-29 ULP of float32, so the errors that are reported are off by less than 2^-26.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xbce_conformance.reference.plain_loss import tails
from xbce_conformance.sweep.device import Array


@dataclass(frozen=True)
class Elementary:
    """A function of one number."""

    name: str
    exact: Callable[[Any, Array], Array]
    """Namespace and numbers in float64 in, values in float64 out."""
    paths: dict[str, str]
    """module:attribute per library."""


def _sigmoid(xp: Any, x: Array) -> Array:
    _, small, large = tails(xp, x)
    return xp.where(x >= 0, large, small)


def _everywhere(name: str) -> dict[str, str]:
    return {"numpy": f"numpy:{name}", "torch": f"torch:{name}", "jax": f"jax.numpy:{name}", "cupy": f"cupy:{name}"}


ELEMENTARY = {
    function.name: function
    for function in (
        Elementary("exp", lambda xp, x: xp.exp(x), _everywhere("exp")),
        Elementary("log1p", lambda xp, x: xp.log1p(x), _everywhere("log1p")),
        Elementary("tanh", lambda xp, x: xp.tanh(x), _everywhere("tanh")),
        Elementary(
            "sigmoid",
            _sigmoid,
            {
                "numpy": "scipy.special:expit",
                "torch": "torch:sigmoid",
                "jax": "jax.nn:sigmoid",
                "cupy": "cupyx.scipy.special:expit",
            },
        ),
    )
}

LIBRARIES = tuple(dict.fromkeys(library for function in ELEMENTARY.values() for library in function.paths))
"""What a backend's name begins with, up to a colon."""
