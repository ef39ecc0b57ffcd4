"""How a kernel is run on one array library, and nothing about what it says.

A runner takes any function. Adding a library is one module and one row of `_LOADERS`; a namespace without a row is run
by plain calls. A module is imported when the first array of its library comes.
"""

from collections.abc import Callable

from .._typing import Namespace
from .eager import EagerRunner
from .protocol import Runner

__all__ = ["Runner", "runner_for"]


# Import statements, not importlib: torch.compile follows only these.
def _load_numpy() -> Runner:
    from .numpy import RUNNER

    return RUNNER


def _load_torch() -> Runner:
    from .torch import RUNNER

    return RUNNER


def _load_jax() -> Runner:
    from .jax import RUNNER

    return RUNNER


def _load_cupy() -> Runner:
    from .cupy import RUNNER

    return RUNNER


def _load_dask() -> Runner:
    from .dask import RUNNER

    return RUNNER


def _load_strict() -> Runner:
    from .strict import RUNNER

    return RUNNER


_LOADERS: dict[str, Callable[[], Runner]] = {
    "array_api_compat.numpy": _load_numpy,
    "array_api_compat.torch": _load_torch,
    "array_api_compat.cupy": _load_cupy,
    "jax.numpy": _load_jax,
    "array_api_compat.dask.array": _load_dask,
    "array_api_strict": _load_strict,
}


def runner_for(xp: Namespace) -> Runner:
    """Return the runner of the library whose namespace is `xp`."""
    return _LOADERS.get(xp.__name__, EagerRunner)()
