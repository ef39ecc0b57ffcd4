"""How many operations each loss and method takes on each library: how a formula is spelt must not cost speed unseen.

`operations.json` holds the counts: calls of a NumPy or PyTorch program, and operations of the kernel itself, which JAX
and compilers are given. A change that lowers one writes them anew: `XBCE_OPERATIONS=1 pytest` with this file. One that
raises a count needs a reason.
"""

import importlib
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

import xbce
from xbce._compiler.lowering import lowered
from xbce._compiler.recording import Recorder, record
from xbce_conformance.cases.losses import FAMILY

FILE = Path(__file__).with_suffix("").with_name("operations.json")
COUNTS = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
LOSSES = {
    **{name: (name, {}) for name in FAMILY},
    "with_logits, smoothed": ("binary_cross_entropy_with_logits", {"label_smoothing": 0.1}),
    "probabilities, clip": ("binary_cross_entropy", {"clip": 1e-3}),
    "probabilities, log_floor": ("binary_cross_entropy", {"log_floor": -100}),
    "probabilities, log_offset": ("binary_cross_entropy", {"log_offset": 1e-7}),
    "focal, gamma 0.5": ("sigmoid_focal_loss", {"gamma": 0.5}),
    "focal, gamma 1.3, alpha": ("sigmoid_focal_loss", {"gamma": 1.3, "alpha": 0.25}),
    "asymmetric, shift": ("asymmetric_loss", {"shift": 0.05}),
}
"""Each loss by itself, and with what makes other programs of it."""
METHODS = {
    "value": ("value",),
    "gradient": ("gradient",),
    "hessian": ("hessian",),
    "label_gradient": ("label_gradient",),
    "value_and_gradient": ("value", "gradient"),
    "gradient_and_hessian": ("gradient", "hessian"),
}
LIBRARIES = {"numpy": "numpy", "torch": "torch_cpu"}


def _kernel(loss, xp, methods, options):
    x, z, p = (xp.asarray(a) for a in np.float32([[0.25, 0.5], [0, 1], [1, 2]]))
    weights = {"pos_weight": p} if options.pop("pos_weight", False) else {}
    plan, arrays = loss._planned(methods, (x, z), {"reduction": "none", **weights, **options})
    return plan.kernel, arrays, plan.numbers


def _counts(name, library):
    """Return the number of operations by method, without and with pos_weight; NumPy's with its own log1p."""
    function, options = LOSSES[name]
    loss = getattr(xbce, function)
    xp = pytest.importorskip(library)
    programs = importlib.import_module(f"xbce._backends.{LIBRARIES[library]}")._CACHE
    counts = {}
    for weighted in (False, True):
        for method, methods in METHODS.items():
            kernel, arrays, numbers = _kernel(loss, xp, methods, options | {"pos_weight": weighted})
            recorder = Recorder(programs.target.xp)
            samples = tuple(programs._sample((a.dtype, a.ndim, True)) for a in arrays) + numbers
            full = (True,) * len(arrays) + (False,) * len(numbers)
            with np.errstate(all="ignore"):
                program = programs.compiled(kernel, (*arrays, *numbers)).quick
                graph = lowered(recorder.xp, record(recorder, kernel, samples, full), {})
            # What is done with numbers alone takes no pass over arrays.
            nodes = [node for node in graph.nodes() if node.operands and not node.is_number()]
            lines = (line.strip() for line in program.source.splitlines() if re.search(r"\(|\[\.\.\.\] = ", line))
            calls = [line for line in lines if not re.match(r"n\d+ = |def ", line)]
            counts[f"{method}{', pos_weight' * weighted}"] = {"program": len(calls), "kernel": len(nodes)}
    return counts


@pytest.mark.usefixtures("own_log1p")
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", LOSSES)
def test_no_operation_is_added(name, library):
    counts = _counts(name, library)
    if os.environ.get("XBCE_OPERATIONS"):
        kept = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
        kept[f"{name}; {library}"] = counts
        FILE.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n", "utf-8")
    else:
        assert counts == COUNTS[f"{name}; {library}"]
