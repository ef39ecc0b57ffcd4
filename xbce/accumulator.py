"""Sums in parts, with the bits of the sum of the whole."""

import math
from typing import Literal

from ._backends import runner_for
from ._call.array_kinds import require_local
from ._call.checks import require_choice, values_of
from ._call.inputs import reduce_inputs
from ._call.kernel import Kernel, Output
from ._formulas import Identity
from ._precision import BITS, LEAST, PLACES, in_units, partial_sum
from ._typing import ArrayObject

__all__ = ["SumAccumulator"]


class SumAccumulator:
    """A sum of losses that come in parts: batches of a stream, chunks, or the shards of several processes.

    The result has the bits of ``xbce.reduce(..., reduction="sum", precision="high", dtype=float64)`` of all losses at
    once, in whatever order and parts they were added. An accumulator can be pickled, so that each process can send its
    own to one that merges them.

    Parameters
    ----------
    precision : {"high"}, optional
        Only sums of high precision do not depend on the parts.

    Attributes
    ----------
    count : int
        Number of losses that were added, without those that `where` drops. ``result() / count`` is their mean.

    Notes
    -----
    An accumulator keeps the sums of five digits of 24 bits from that of the largest loss downwards, as integers. What
    it drops of a loss is below ``2**-96`` of the largest one.

    Examples
    --------
    >>> import numpy as np
    >>> import xbce
    >>> losses = np.array([0.1, 0.2, 0.3, 0.4, 1e10])
    >>> first, second = xbce.SumAccumulator(), xbce.SumAccumulator()
    >>> first.add(losses[3:])
    >>> second.add(losses[:3])
    >>> first.merge(second)
    >>> first.result() == xbce.reduce(losses, reduction="sum", precision="high")
    np.True_
    >>> first.count
    5
    """

    def __init__(self, *, precision: Literal["high"] = "high") -> None:
        require_choice("precision", precision, ("high",))
        self.count = 0
        self._place = LEAST
        self._digits = [0] * PLACES
        self._special = 0.0

    def add(
        self, losses: ArrayObject, /, *, weight: ArrayObject | float | None = None, where: ArrayObject | None = None
    ) -> None:
        """Add losses, each times its weight.

        Parameters
        ----------
        losses : array
            Any shape and floating dtype, of any library; not traced, for its values are read.
        weight : array or scalar, optional
            Factor of each loss; broadcasts to the shape of `losses`.
        where : array of bool, optional
            False drops a loss, whatever its value. Broadcasts to the shape of `losses`.

        Raises
        ------
        TypeError, ValueError
            As `xbce.reduce` does; for traced arrays, which have no values; for a DTensor of PyTorch, of which each
            process adds ``losses.to_local()``.
        """
        require_local("losses", losses)
        inputs = reduce_inputs(losses, weight=weight, where=where).with_precision("high")
        xp, high = inputs.xp, inputs.computing
        value = Output("value", high, high, () if inputs.weight is None else (inputs.weight,))
        rest = Output("value", high, high, value.weights, rest=True)
        kernel = Kernel(
            Identity(), (value, rest), high, inputs.arguments, where=inputs.where, arithmetic=inputs.arithmetic
        )
        terms = runner_for(xp).run(xp, kernel, inputs.arrays, (None, None))
        flat = tuple(xp.reshape(x, (-1,)) for x in terms)
        kept = xp.ones_like(flat[0])
        if inputs.where is not None:
            kept = xp.reshape(xp.astype(xp.broadcast_to(inputs.arrays[inputs.where], losses.shape), high), (-1,))
        known = xp.concat([partial_sum(xp, flat, (0,)).packed(xp)[0, :], xp.sum(kept, keepdims=True)])
        if hasattr(known, "compute"):  # all at once
            known = known.compute()
        with values_of("losses"):
            place, *digits, special, count = (float(known[i]) for i in range(known.shape[0]))
        self._join(int(place), [int(x) for x in digits], special, int(count))

    def merge(self, other: "SumAccumulator") -> None:
        """Add what another accumulator has summed.

        Parameters
        ----------
        other : SumAccumulator
            Remains as it is.
        """
        self._join(other._place, other._digits, other._special, other.count)  # noqa: SLF001

    def result(self) -> float:
        """Return the sum, rounded once to float64: 0.0 of nothing.

        Returns
        -------
        float
            Infinite with an infinite loss, NaN with infinities of both signs or NaN.
        """
        if self._special != 0:
            return self._special
        total: float = in_units([float(digit) for digit in self._digits])[0]
        try:
            return math.ldexp(total, BITS * self._place)
        except OverflowError:
            return math.copysign(math.inf, total)

    def _join(self, place: int, digits: list[int], special: float, count: int) -> None:
        top = max(place, self._place)
        aligned = [([0] * (top - p) + d)[:PLACES] for p, d in ((self._place, self._digits), (place, digits))]
        self._place, self._digits = top, [a + b for a, b in zip(*aligned, strict=True)]
        self._special += special
        self.count += count
