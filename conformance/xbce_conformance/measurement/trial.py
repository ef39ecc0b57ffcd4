"""The inputs of one case in one format with their exact results: computed once, used for every subject."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from xbce_conformance import contract
from xbce_conformance.cases import Case
from xbce_conformance.exact_values.exact import Exact
from xbce_conformance.exact_values.kept import KeptReference
from xbce_conformance.exact_values.plain_loss import Float64Reference
from xbce_conformance.inputs.formats import Doubles, Floats, Format, Mask
from xbce_conformance.inputs.input_set import InputSet
from xbce_conformance.inputs.regimes import last_nonzero
from xbce_conformance.inputs.restriction import ALL_INPUTS, Restriction

_SPECIAL_LENGTH = 32


class Trial:
    """One case in one format, with the inputs of a level, or others; `kept` is a folder of exact values.

    `only` says which of the inputs of the level, and of the special values, are tried.
    """

    def __init__(
        self,
        case: Case,
        fmt: Format,
        level: str,
        kept: Path | None = None,
        *,
        inputs: InputSet | None = None,
        only: Restriction = ALL_INPUTS,
    ) -> None:
        self.case = case
        self.fmt = fmt
        self.inputs = inputs or only.of(case.inputs(fmt, level))
        self._only = only
        self._reference = case.reference(fmt)
        if kept is not None and not isinstance(self._reference, Float64Reference):
            self._reference = KeptReference(self._reference, case.key, kept)
        self._exact: dict[str, Exact] = {}
        self._exact_of_flushed: dict[str, Exact] = {}

    @property
    def arrays(self) -> tuple[Floats, ...]:
        """The arguments in order."""
        return tuple(self.inputs.arrays.values())

    def exact(self, quantity: str) -> Exact:
        """Return the exact values of an elementwise quantity."""
        if quantity not in self._exact:
            self._exact |= self._scaled(self._reference.exact(quantity, self.arrays), slice(None))
        return self._exact[quantity]

    def exact_of_flushed(self, quantity: str) -> Exact:
        """Return the same for inputs whose subnormal numbers are replaced by zero."""
        if quantity not in self._exact_of_flushed:
            subnormal = [(np.abs(np.float64(a)) < self.fmt.tiny) & (a != 0) for a in self.arrays]
            changed = np.flatnonzero(np.any(subnormal, axis=0))
            flushed = tuple(
                np.where(s, a.dtype.type(0), a)[changed] for s, a in zip(subnormal, self.arrays, strict=True)
            )
            parts = self._scaled(self._reference.exact(quantity, flushed), changed) if changed.size else {}
            for name, part in parts.items():
                whole = self.exact(name)
                copies = [array.copy() for array in (whole.high, whole.low, whole.scale)]
                for copy, array in zip(copies, (part.high, part.low, part.scale), strict=True):
                    copy[changed] = array
                self._exact_of_flushed[name] = Exact(*copies)
            self._exact_of_flushed.setdefault(quantity, self.exact(quantity))
        return self._exact_of_flushed[quantity]

    @cached_property
    def factor(self) -> Doubles:
        """The weight of each loss, times the factor of the case, where that is more than 1."""
        smoothed = np.float64(self._given.get("label_smoothing", 0.0)) != 0
        return self._weight(positive_term=smoothed | (np.asarray(self.inputs.arrays.get("labels", 1.0)) != 0))

    @property
    def _given(self) -> dict[str, Any]:
        """Numbers and arrays by name."""
        return dict(self.case.options) | self.inputs.arrays

    def _weight(self, *, positive_term: Mask | bool) -> Doubles:
        """Return the weight, times a pos_weight above 1 where there is a positive term, and the factor; at least 1."""
        weight, pos_weight = (np.float64(self._given.get(name, 1.0)) for name in ("weight", "pos_weight"))
        largest = weight * np.where(positive_term, np.maximum(pos_weight, 1.0), 1.0) * self.case.factor
        return np.asarray(np.maximum(largest, np.ones(self.inputs.hard.shape)))

    def _factor_of(self, quantity: str) -> Doubles:
        """Return what multiplies exp(-|x|): in derivatives of a power also its exponent and a loss of up to |x|."""
        if quantity == "pos_weight_gradient":  # does not depend on pos_weight
            return self._weight(positive_term=False)
        factor = self._weight(positive_term=True) if quantity == "label_gradient" else self.factor
        if quantity == "value" or not self.case.exponent:
            return factor
        magnitude = np.minimum(np.abs(np.float64(self.inputs.arrays["logits"])), last_nonzero(self.fmt))
        return np.asarray(factor * np.maximum(1.0, self.case.exponent * magnitude))

    def may_flush(self, quantity: str) -> Doubles:
        """Return how many smallest normal numbers a result may lose to flushing."""
        # The second derivative of a product with a power is a sum of four terms.
        terms = 4.0 if self.case.exponent and quantity != "value" else 1.0
        return np.asarray(np.maximum(self._factor_of(quantity), terms))

    def _scaled(self, exact: dict[str, Exact], which: slice | npt.NDArray[np.intp]) -> dict[str, Exact]:
        """Raise the scale to the factor times the smallest normal number, where the factor is more than 1.

        Where exp(-|x|) is subnormal, what multiplies it multiplies its spacing.
        """
        scaled = {}
        for name, e in exact.items():
            factor = self._factor_of(name)[which]
            least = np.where(factor > 1, factor * self.fmt.tiny, 0.0)
            scaled[name] = Exact(e.high, e.low, np.maximum(np.abs(e.scale), least))
        return scaled

    @cached_property
    def where(self) -> Mask:
        """The elements that a reduction keeps."""
        return np.asarray(self.inputs.arrays.get("where", np.ones(self.inputs.hard.shape, np.bool_)))

    @cached_property
    def called_with(self) -> tuple[Floats, ...]:
        """The arguments, with NaN and inf in the first one wherever the mask drops it."""
        first, *rest = self.arrays
        if not self.where.all():
            poison = np.where(np.arange(first.size) % 2, np.nan, np.inf).astype(first.dtype)
            first = np.where(self.where, first, poison)
        return (first, *rest)

    @cached_property
    def hard_regimes(self) -> list[str]:
        """The regimes in which every label is 0 or 1."""
        return [name for name, regime in self.inputs.regimes.items() if bool(self.inputs.hard[regime].all())]

    @cached_property
    def special(self) -> tuple[Floats, ...]:
        """The arguments of the table of special values; empty if there is none.

        The last row is repeated up to one length for all tables: JAX compiles every operation for each new shape.
        """
        table = contract.special_values(self.case.name, self._only)
        rows = [*table, *table[-1:] * (_SPECIAL_LENGTH - len(table))]
        columns = {
            name: self.fmt.round([contract.number(row.arguments[name], self.fmt) for row in rows])
            for name in (self.case.arguments if table else ())
        }
        return tuple(column != 0 if name == "where" else column for name, column in columns.items())
