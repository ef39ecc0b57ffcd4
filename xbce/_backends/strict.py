"""array-api-strict: its arrays hold NumPy's, so NumPy's floating-point warnings are turned off here too."""

from collections.abc import Callable
from typing import Any

from .._call.kernel import SumSpec
from .._typing import Array, Namespace
from .eager import EagerRunner


class StrictRunner(EagerRunner):
    """Plain calls with floating-point warnings off."""

    def map(self, xp: Namespace, function: Callable[..., Any], arrays: tuple[Array | float | None, ...]) -> Any:
        """Return `function(xp, *arrays)`."""
        import numpy as np

        with np.errstate(all="ignore"):
            return function(xp, *arrays)

    def sum(self, xp: Namespace, x: Array, spec: SumSpec) -> Array:
        """Return the library's own sum."""
        import numpy as np

        with np.errstate(all="ignore"):
            return super().sum(xp, x, spec)


RUNNER = StrictRunner()
