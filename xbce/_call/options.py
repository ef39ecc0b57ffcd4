"""The options that every loss takes: their types, order, defaults and documentation."""

import inspect
import textwrap
from typing import Final, TypedDict

from .._typing import ArrayObject, Axis, DType, NormalizeBy, Precision, ReductionKind


class LossOptions(TypedDict, total=False):
    """Options that every loss takes, in the order of its signature.

    Attributes
    ----------
    pos_weight : array or scalar, optional
        Factor of the term of the positive label, not negative; 1 by default. Broadcasts to the shape of the first
        argument, as all arrays below do: per class, for example. A number is exact, whatever the dtype of the array can
        hold, and finite; so is one for `weight`.
    label_smoothing : array or scalar, optional
        a in [0, 1]: labels z become ``z (1 - a) + a / 2`` first.
    weight : array or scalar, optional
        Factor of each loss.
    where : array of bool, optional
        False drops an element before any arithmetic: it contributes nothing, whatever it holds, NaN and infinity
        included; its loss reads 0, and so do its derivatives.
    reduction : {"none", "mean", "sum"}, optional
        What is returned: every loss, their mean or their sum.
    axis : int or tuple of int, optional
        Axes that the mean or sum runs over; all by default. Not allowed with ``reduction="none"``.
    normalize_by : {"count", "size", "weight", "nonzero", "batch"}, optional
        What a mean divides by: the number of elements that `where` keeps; of all elements; the sum of the weights; the
        number of weights that are not 0; or the length of axis 0. A zero denominator gives NaN.
    precision : {"native", "high"}, optional
        "high" rounds the exact result once: within 0.501 ULP, and for hard labels in float32 and narrower correctly
        rounded; sums are those of the exact terms, in any order. The bits are the same with every library, on every
        processor, for any number of threads. It takes more time, and a device that has float64.
    keepdims : bool, default False
        Whether the axes that a mean or sum runs over remain, with length 1.
    dtype : dtype, optional
        Floating dtype of a mean or sum, of the library of the arrays; by default that of the losses. A mean of bfloat16
        has three digits; in float32 it has seven, for sums are accumulated in float64. Derivatives keep their dtype.
        Not allowed with ``reduction="none"``, and neither is `keepdims`.
    """

    pos_weight: ArrayObject | float | None
    label_smoothing: ArrayObject | float
    weight: ArrayObject | float | None
    where: ArrayObject | None
    reduction: ReductionKind
    axis: Axis
    normalize_by: NormalizeBy
    precision: Precision
    keepdims: bool
    dtype: DType | None


DEFAULTS: Final[LossOptions] = {
    "pos_weight": None,
    "label_smoothing": 0.0,
    "weight": None,
    "where": None,
    "reduction": "none",
    "axis": None,
    "normalize_by": "count",
    "precision": "native",
    "keepdims": False,
    "dtype": None,
}
REDUCTION: Final = ("reduction", "axis", "normalize_by", "keepdims", "dtype")
"""Options of the reduction, in the order in which `Reduction.of` takes them."""

ARRAYS: Final = ("pos_weight", "weight", "where")
"""Options that may be arrays, in the order in which the formula, and then the reduction, take them."""

ENTRY: Final = "**options : LossOptions\n" + textwrap.fill(
    f"Those of every loss: {', '.join(f'`{name}`' for name in DEFAULTS)}.",
    width=116,
    initial_indent="    ",
    subsequent_indent="    ",
)
"""The entry for these options in the source of a loss's docstring; see `documented`."""


def parameters() -> list[inspect.Parameter]:
    """Return the options as parameters of the signature of a loss."""
    types = LossOptions.__annotations__
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=types[name])
        for name, default in DEFAULTS.items()
    ]


def documented(docstring: str | None) -> str:
    """Return the docstring of a loss with an entry for each option in place of `ENTRY`."""
    _, _, entries = inspect.cleandoc(LossOptions.__doc__ or "").partition("Attributes\n----------\n")
    return inspect.cleandoc(docstring or "").replace(ENTRY, entries)
