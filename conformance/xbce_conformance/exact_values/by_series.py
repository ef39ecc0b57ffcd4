"""The exact values of any definition, by its Taylor series on balls."""

import math

import flint
import numpy as np

from xbce_conformance.exact_values.definitions import Definition, evaluate
from xbce_conformance.exact_values.exact import Exact
from xbce_conformance.exact_values.rounding import nearest, rounded
from xbce_conformance.exact_values.signed_series import PRECISION_LIMIT, Ball, more_precise
from xbce_conformance.inputs.formats import Floats

_HUGE = 2.0**200


_ARGUMENTS = ("first", "labels", "pos_weight")


def gradient_in(argument: str) -> str:
    """Return the name of the derivative in an argument that is not the first: label_gradient for labels."""
    return f"{'label' if argument == 'labels' else argument}_gradient"


class SeriesReference:
    """Any definition, by its Taylor series in one of its arguments; `arguments` are their names."""

    def __init__(self, definition: Definition, arguments: tuple[str, ...] = _ARGUMENTS) -> None:
        self._definition = definition
        self._arguments = arguments

    def exact(self, quantity: str, arrays: tuple[Floats, ...]) -> dict[str, Exact]:
        """Return all quantities that the series in the same variable holds."""
        place = next((i for i, name in enumerate(self._arguments) if gradient_in(name) == quantity), 0)
        names = (None, quantity, None) if place else ("value", "gradient", "hessian")
        columns = [np.asarray(array, np.float64).tolist() for array in arrays]
        rows = [self._round(place, names, numbers) for numbers in zip(*columns, strict=True)]
        return {name: Exact(*np.array([row[name] for row in rows]).T) for name in rows[0]}

    def _round(
        self, place: int, names: tuple[str | None, ...], numbers: tuple[float, ...]
    ) -> dict[str, tuple[float, float, float]]:
        """Return nearest double, rest and scale of each of value, gradient and hessian that has a name."""
        # exp(-x) of larger numbers has relevant digits only where the precision holds its exponent.
        precision = 128 if all(abs(number) < _HUGE for number in numbers) else 1152
        found: dict[str, tuple[float, float, float]] = {}
        earlier: dict[str, tuple[Ball, Ball]] = {}
        while True:
            last = precision > PRECISION_LIMIT
            with flint.ctx.workprec(precision):
                values = evaluate(self._definition, place, numbers)
                results = {name: x for name, x in zip(names, values, strict=True) if name is not None}
                for name, (ball, scale) in results.items():
                    if name in found:
                        continue
                    if last and not ball.overlaps(earlier[name][0]):  # the side of a middle was not all that changed
                        ball, scale = earlier[name]
                    earlier[name] = ball, scale
                    pair = rounded(ball, at_any_width=last)
                    if pair is not None:
                        magnitude = nearest(scale.mid()) if scale.is_finite() else math.inf
                        found[name] = (*pair, max(abs(pair[0]), magnitude))
            if len(found) == len(results):
                return {name: found[name] for name in results}
            if last:
                msg = f"the definition has no value at {numbers}"
                raise ArithmeticError(msg)
            precision = more_precise(precision)
