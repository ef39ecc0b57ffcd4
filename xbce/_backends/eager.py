"""Plain calls: for every library that needs nothing else."""

from collections.abc import Callable
from typing import Any

from .._call.kernel import SumSpec, summed
from .._typing import Array, Namespace


class EagerRunner:
    """Calls everything as it stands."""

    def run(
        self,
        xp: Namespace,
        function: Callable[..., tuple[Array, ...]],
        arrays: tuple[Array | float, ...],
        sums: tuple[SumSpec | None, ...],
    ) -> tuple[Array, ...]:
        """Return the results, summed by the library's own sum."""
        return summed(xp, self.map(xp, function, arrays), sums)

    def map(self, xp: Namespace, function: Callable[..., Any], arrays: tuple[Array | float | None, ...]) -> Any:
        """Return `function(xp, *arrays)`."""
        return function(xp, *arrays)
