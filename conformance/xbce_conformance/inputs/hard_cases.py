"""Logits of float32 whose exact results lie next to the midpoint between two numbers: the hardest ones to round.

`hard_cases_float32.json` has all of them, found by a scan of every float32 number; its own text says how.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from xbce_conformance.inputs.formats import FORMATS, Floats

FUNCTIONS = {"value": "softplus", "gradient": "sigmoid", "hessian": "hessian"}
"""The functions of one argument in the file, by the quantity that they are for label 0."""


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(files(__package__).joinpath("hard_cases_float32.json").read_text("utf-8"))
    return data


def worst_cases(quantity: str) -> tuple[str, str]:
    """Return the function of one argument, and its hard cases as CORE-MATH writes worst cases: a number per line."""
    function = FUNCTIONS[quantity]
    lines = [f"# {function}, binary32: arguments whose results lie within 2^-23 ULP of the middle of two numbers"]
    return function, "\n".join([*lines, *(row[0] for row in _data()[function])]) + "\n"


@cache
def hard_cases(quantity: str) -> tuple[Floats, Floats, Floats]:
    """Return logits, labels and the correctly rounded values, gradients or hessians: a case for each of two labels.

    A case of label 0 is one of label 1 for the negative logit: softplus(x) is the loss of both, sigmoid(x) and
    -sigmoid(x) are the gradients, and the hessian is even.
    """
    data = _data()
    x, right = (FORMATS["float32"].round([float.fromhex(row[i]) for row in data[FUNCTIONS[quantity]]]) for i in (0, 1))
    labels = FORMATS["float32"].round(np.repeat([0, 1], x.size))
    return np.concatenate([x, -x]), labels, np.concatenate([right, -right if quantity == "gradient" else right])
