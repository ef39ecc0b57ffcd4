"""The exact values of any definition, by its Taylor series on balls."""

import math
from typing import ClassVar

import flint
import numpy as np

from xbce_conformance.inputs.formats import Floats
from xbce_conformance.reference.definitions import Definition, Variable, evaluate
from xbce_conformance.reference.exact import Exact
from xbce_conformance.reference.rounding import PRECISION_LIMIT, nearest, rounded

_HUGE = 2.0**200


class SeriesReference:
    """Any definition, by its Taylor series in the first argument, in the labels or in pos_weight."""

    _VARIABLE: ClassVar[dict[str, Variable]] = {"label_gradient": "labels", "pos_weight_gradient": "pos_weight"}

    def __init__(self, definition: Definition) -> None:
        self._definition = definition

    def exact(self, quantity: str, arrays: tuple[Floats, ...]) -> dict[str, Exact]:
        """Return all quantities that the series in the same variable holds."""
        variable = self._VARIABLE.get(quantity, "first")
        columns = [np.asarray(array, np.float64).tolist() for array in arrays]
        rows = [self._round(variable, numbers) for numbers in zip(*columns, strict=True)]
        return {name: Exact(*np.array([row[name] for row in rows]).T) for name in rows[0]}

    def _round(self, variable: Variable, numbers: tuple[float, ...]) -> dict[str, tuple[float, float, float]]:
        """Return nearest double, rest and scale per quantity."""
        # exp(-x) of larger numbers has relevant digits only where the precision holds its exponent.
        precision = 128 if all(abs(number) < _HUGE for number in numbers) else 1152
        found: dict[str, tuple[float, float, float]] = {}
        while True:
            with flint.ctx.workprec(precision):
                results = evaluate(self._definition, variable, numbers)
                for name, (ball, scale) in results.items():
                    pair = rounded(ball, at_any_width=precision > PRECISION_LIMIT)
                    if name not in found and pair is not None:
                        magnitude = nearest(scale.mid()) if scale.is_finite() else math.inf
                        found[name] = (*pair, max(abs(pair[0]), magnitude))
            if len(found) == len(results):
                return found
            if precision > PRECISION_LIMIT:
                msg = f"the definition has no value at {numbers}"
                raise ArithmeticError(msg)
            precision *= 3
