"""array-api-strict: its arrays wrap NumPy arrays, so NumPy's floating-point warnings are turned off here, too."""

from collections.abc import Callable
from typing import Any

from .._call.kernel import Arguments, Function, Sums, SumSpec
from .._typing import Array, Namespace
from .eager import EagerRunner


class StrictRunner(EagerRunner):
    """Plain calls with floating-point warnings off."""

    def map(self, xp: Namespace, function: Callable[..., Any], arrays: Arguments) -> Any:
        """Return `function(xp, *arrays)`."""
        import numpy as np

        with np.errstate(all="ignore"):
            return function(xp, *arrays)

    def exact_sum(self, xp: Namespace, terms: tuple[Array, ...], spec: SumSpec) -> Array:
        """Return the sum of terms."""
        import numpy as np

        with np.errstate(all="ignore"):
            return super().exact_sum(xp, terms, spec)

    def run(self, xp: Namespace, function: Function, arrays: Arguments, sums: Sums) -> tuple[Array, ...]:
        """Return the results, summed by the library's own sum."""
        import numpy as np

        with np.errstate(all="ignore"):
            return super().run(xp, function, arrays, sums)


RUNNER = StrictRunner()
