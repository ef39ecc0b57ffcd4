"""array-api-strict: its arrays hold NumPy's, so NumPy's floating-point warnings are turned off here too."""

from typing import Any

from xbce._backends._eager import EagerRunner
from xbce._formulas import Formula
from xbce._typing import Array, Namespace


class StrictRunner(EagerRunner):
    """Plain calls with floating-point warnings off."""

    def run(self, xp: Namespace, formula: Formula, method: str, arrays: tuple[Array, ...]) -> Any:
        """Return `formula.<method>(xp, *arrays)`."""
        import numpy as np

        with np.errstate(all="ignore"):
            return super().run(xp, formula, method, arrays)

    def divide(self, xp: Namespace, x: Array, denominator: Array | float) -> Array:
        """Return the quotient."""
        import numpy as np

        with np.errstate(all="ignore"):
            return super().divide(xp, x, denominator)
