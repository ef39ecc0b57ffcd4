"""How a formula is run on one array library, and nothing about what it says.

A runner takes any formula. Adding a library is one module and one row of `_RUNNERS`; a namespace without a row is run
by plain calls.
"""

from xbce._backends._base import Runner
from xbce._backends._dask import DaskRunner
from xbce._backends._eager import EagerRunner
from xbce._backends._numpy import NumpyRunner
from xbce._backends._strict import StrictRunner
from xbce._typing import Namespace

__all__ = ["Runner", "runner_for"]

_EAGER = EagerRunner()
_RUNNERS: dict[str, Runner] = {
    "array_api_compat.numpy": NumpyRunner(),
    "array_api_compat.dask.array": DaskRunner(),
    "array_api_strict": StrictRunner(),
}


def runner_for(xp: Namespace) -> Runner:
    """Return the runner of the library whose namespace is `xp`."""
    return _RUNNERS.get(xp.__name__, _EAGER)
