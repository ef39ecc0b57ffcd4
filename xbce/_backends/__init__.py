"""Runners: each runs kernels and sums on the arrays of one library. They contain no formulas.

A runner takes any function. A new library needs one module and one row of `_LOADERS`; a namespace without a row gets
plain calls. The module of a runner is imported in the first call with an array of its library.
"""

from collections.abc import Callable

from .._typing import Namespace
from .eager import EagerRunner
from .protocol import Runner

__all__ = ["Runner", "runner_for"]


# Import statements, not importlib: torch.compile traces only import statements.
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


def _load_mlx() -> Runner:
    from .mlx import RUNNER

    return RUNNER


def _load_ndonnx() -> Runner:
    from .ndonnx import RUNNER

    return RUNNER


_LOADERS: dict[str, Callable[[], Runner]] = {
    "array_api_compat.numpy": _load_numpy,
    "array_api_compat.torch": _load_torch,
    "array_api_compat.cupy": _load_cupy,
    "jax.numpy": _load_jax,
    "array_api_compat.dask.array": _load_dask,
    "array_api_strict": _load_strict,
    "mlx.core": _load_mlx,
    "ndonnx": _load_ndonnx,
}


def runner_for(xp: Namespace) -> Runner:
    """Return the runner of the library whose namespace is `xp`."""
    return _LOADERS.get(xp.__name__, EagerRunner)()


def adapted(xp: Namespace) -> Namespace:
    """Return the adapter that stands for a library's own namespace, or that itself if it follows the standard."""
    return getattr(runner_for(xp), "namespace", xp)
