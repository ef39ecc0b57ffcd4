"""Logits of float32 whose exact results lie next to the midpoint between two numbers: the hardest ones to round.

`hard_cases_float32.json` has all of them, found by a scan of every float32 number; its own text says how.
"""

import json
from functools import cache
from importlib.resources import files

import numpy as np

from xbce_conformance.inputs.formats import FORMATS, Floats

QUANTITIES = {"value": "softplus", "gradient": "sigmoid", "hessian": "hessian"}
"""The quantities that have hard cases, and their names in the file."""


@cache
def hard_cases(quantity: str) -> tuple[Floats, Floats, Floats]:
    """Return logits, labels and the correctly rounded values, gradients or hessians: a case for each of two labels.

    A case of label 0 is one of label 1 for the negative logit: softplus(x) is the loss of both, sigmoid(x) and
    -sigmoid(x) are the gradients, and the hessian is even.
    """
    data = json.loads(files(__package__).joinpath("hard_cases_float32.json").read_text("utf-8"))
    x, right = (FORMATS["float32"].round([float.fromhex(row[i]) for row in data[QUANTITIES[quantity]]]) for i in (0, 1))
    labels = FORMATS["float32"].round(np.repeat([0, 1], x.size))
    return np.concatenate([x, -x]), labels, np.concatenate([right, -right if quantity == "gradient" else right])
