"""A data set: logits and labels that a user has, with what they are weighted and masked by."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from xbce_conformance.cases import PLAIN, Case
from xbce_conformance.inputs.formats import FORMATS, Doubles, Floats, Format, Mask
from xbce_conformance.inputs.input_set import InputSet
from xbce_conformance.measurement.trial import Trial

ALL = "all elements"
MOST = 20_000
"""How many elements are tried of a loss whose exact values take a millisecond each: all but the plain one."""


class BadData(ValueError):  # noqa: N818
    """Arrays that no loss is defined for; the message names the array, what came and what is expected."""


@dataclass(frozen=True)
class Data:
    """Flat arrays of one length; the first argument and the labels in the dtypes that they came in."""

    name: str
    arrays: dict[str, Floats]
    """By the names of the arguments of the case, in their order."""
    weight: Doubles | None = None
    case: Case = PLAIN
    notes: list[str] = field(default_factory=list)
    """What was left out, and why."""
    indices: npt.NDArray[np.intp] | None = None
    """Where each element lies in the arrays as they came, flat; None where all are there."""

    @classmethod
    def of(
        cls,
        arrays: dict[str, Any],
        *,
        name: str = "the arrays",
        weight: Any = None,
        where: Any = None,
        case: Case = PLAIN,
    ) -> "Data":
        """Check arrays, bring them to one shape, and flatten them.

        Raises
        ------
        BadData
            If one is no array of numbers, has another shape, or holds what the loss is not defined for.
        """
        first_name = case.arguments[0]
        first = _floats(first_name, arrays[first_name])
        columns = {first_name: first.ravel()}
        for argument in case.arguments[1:]:
            columns[argument] = _like(argument, _numbers(argument, arrays[argument]), first_name, first).ravel()
        weights = None if weight is None else _like("weight", _numbers("weight", weight), first_name, first).ravel()
        mask = None if where is None else _like("where", numpy_of(where), first_name, first).ravel()
        if mask is not None and mask.dtype != np.bool_:
            msg = f"where has the dtype {mask.dtype}; bool is expected"
            raise BadData(msg)
        data = cls(name, columns, None if weights is None else np.asarray(weights, np.float64), case=case)
        return data.masked(mask).checked().kept()

    @property
    def dtype(self) -> str:
        """The dtype of the first argument."""
        return _name_of(self.first.dtype)

    @property
    def first(self) -> Floats:
        """The logits, or probabilities."""
        return self.arrays[self.case.arguments[0]]

    @property
    def size(self) -> int:
        """How many elements there are."""
        return self.first.size

    @property
    def most(self) -> int:
        """How many elements are tried if nobody says."""
        return self.size if self.case is PLAIN else MOST

    @cached_property
    def dtypes(self) -> tuple[str, ...]:
        """The dtypes that it is tried in if none is named: float32, the half types, and float64 if it is its own."""
        return tuple(name for name in FORMATS if name != "float64" or self.dtype == "float64")

    def masked(self, where: Mask | None) -> "Data":
        """Drop what a mask drops, and say so: what is there may be anything."""
        dropped = 0 if where is None else int(self.size - where.sum())
        if where is None or not dropped:
            return self
        return replace(self._only(where), notes=[f"the mask drops {dropped:,} of {self.size:,} elements"])

    def checked(self) -> "Data":
        """Refuse numbers that no loss is defined for."""
        if "labels" in self.arrays:
            _check_labels(self.arrays["labels"])
        if self.case.arguments[0] == "probabilities":
            _check_range("probabilities", self.first)
        if self.weight is not None:
            _check_weight(self.weight)
        return self

    def kept(self) -> "Data":
        """Drop what is not finite, and say so."""
        bad = np.zeros(self.size, np.bool_)
        for array in self.arrays.values():
            bad |= ~np.isfinite(np.asarray(array, np.float64))
        kept = self
        if bad.any():
            at = int(np.argmax(bad))
            values = ", ".join(f"{name} {float(array[at])}" for name, array in self.arrays.items())
            note = f"{int(bad.sum()):,} of {self.size:,} elements are not finite and are left out; the first: {values}"
            kept = replace(self._only(~bad), notes=[*self.notes, note])
        if not kept.size:
            msg = f"{self.name}: no element is left" + "".join(f"; {note}" for note in kept.notes)
            raise BadData(msg)
        return kept

    def sampled(self, count: int) -> "Data":
        """Return so many elements, evenly over all, and say so; all of them where there are no more."""
        if count >= self.size:
            return self
        which = np.zeros(self.size, np.bool_)
        which[np.linspace(0, self.size - 1, count).round().astype(np.intp)] = True
        note = f"{count:,} of {self.size:,} elements are tried, evenly over all"
        return replace(self._only(which), notes=[*self.notes, note])

    def place(self, i: int) -> int:
        """Return where an element lies in the arrays as they came."""
        return i if self.indices is None else int(self.indices[i])

    def _only(self, which: Mask) -> "Data":
        arrays = {name: array[which] for name, array in self.arrays.items()}
        weight = None if self.weight is None else self.weight[which]
        if weight is not None and weight.size and not weight.any():
            msg = f"{self.name}: the weights of all elements that are left are 0"
            raise BadData(msg)
        indices = np.flatnonzero(which) if self.indices is None else self.indices[which]
        return replace(self, arrays=arrays, weight=weight, indices=indices)

    def rounded(self, fmt: Format) -> "Data":
        """Return the numbers in a format; those that are too large for it are left out."""
        with np.errstate(over="ignore"):
            arrays = {name: fmt.round(array) for name, array in self.arrays.items()}
        return replace(self, arrays=arrays).kept()

    def trial(self, fmt: Format) -> Trial:
        """Return it as the inputs of its case, with their exact results; its numbers are those of the format."""
        return Trial(self.case, fmt, ALL, inputs=InputSet(fmt, self.arrays, {ALL: slice(0, self.size)}))

    @cached_property
    def weights(self) -> Doubles:
        """The weight of each element: 1 without weights."""
        return np.ones(self.size) if self.weight is None else self.weight


def _name_of(dtype: np.dtype[Any]) -> str:
    return next(name for name, fmt in FORMATS.items() if fmt.dtype == dtype)


def numpy_of(array: Any) -> Floats:
    """Return an array of any library in NumPy, with a bfloat16 that NumPy computes with."""
    if hasattr(array, "detach"):  # PyTorch: NumPy takes neither bfloat16 nor what has a gradient or lies on a GPU
        tensor = array.detach().cpu()
        is_bfloat16 = str(tensor.dtype) == "torch.bfloat16"
        return np.asarray(tensor.float()).astype(ml_dtypes.bfloat16) if is_bfloat16 else np.asarray(tensor)
    if type(array).__module__.partition(".")[0] == "cupy":
        array = array.get()
    found = np.asarray(array)
    return found.view(ml_dtypes.bfloat16) if found.dtype == np.dtype("V2") else found


def _numbers(name: str, array: Any) -> Floats:
    found = numpy_of(array)
    if found.dtype.kind not in "fiub" and found.dtype != ml_dtypes.bfloat16:
        msg = f"{name} has the dtype {found.dtype}; numbers are expected"
        raise BadData(msg)
    return found


def _floats(name: str, array: Any) -> Floats:
    found = _numbers(name, array)
    if found.dtype not in [fmt.dtype for fmt in FORMATS.values()]:
        msg = f"{name} has the dtype {found.dtype}; one of {', '.join(FORMATS)} is expected"
        raise BadData(msg)
    return found


def _like(name: str, array: Floats, first_name: str, first: Floats) -> Floats:
    """Bring an array to the shape of the first argument; two long axes are never paired off."""
    if array.shape == first.shape:
        return array
    if (
        array.size == first.size
        and array.ndim != first.ndim
        and max(array.shape, default=1) == max(first.shape, default=1) == first.size
    ):
        return array.reshape(first.shape)  # (n,) with (n, 1), which NumPy would make (n, n) of
    try:
        return np.broadcast_to(array, first.shape)
    except ValueError:
        msg = f"{name} has the shape {array.shape}; {first.shape}, that of {first_name}, or one that fits is expected"
        raise BadData(msg) from None


def _check_labels(labels: Floats) -> None:
    numbers = np.asarray(labels, np.float64)
    if set(np.unique(numbers[:1000])) == {-1.0, 1.0}:
        msg = "labels are -1 and 1; numbers in [0, 1] are expected: give (labels + 1) / 2"
        raise BadData(msg)
    _check_range("labels", labels)


def _check_range(name: str, array: Floats) -> None:
    numbers = np.asarray(array, np.float64)
    outside = (numbers < 0) | (numbers > 1)
    if outside.any():
        at = int(np.argmax(outside))
        msg = (
            f"{name} has {int(outside.sum()):,} numbers outside [0, 1], such as {numbers.ravel()[at]:g} at {at}; "
            "are logits and labels swapped?"
        )
        raise BadData(msg)


def _check_weight(weight: Doubles) -> None:
    if weight.size and not (np.isfinite(weight).all() and (weight >= 0).all() and weight.sum() > 0):
        msg = f"weight has numbers from {weight.min():g} to {weight.max():g}; finite ones, not all 0, none below 0, are"
        msg += " expected"
        raise BadData(msg)
