"""What a reader, an editor and `help` see of the losses: their parameters, and what each method means."""

import inspect

import pytest

import xbce

OWN = {
    "binary_cross_entropy_with_logits": ("logits", {}),
    "binary_cross_entropy": ("probabilities", {"clip": None, "log_floor": None, "log_offset": None}),
    "sigmoid_focal_loss": ("logits", {"gamma": 2.0, "alpha": None}),
    "asymmetric_loss": ("logits", {"gamma_pos": 0.0, "gamma_neg": 4.0, "shift": 0.0}),
}
"""What each loss calls its first argument, and its own options with their defaults."""
COMMON = {
    "pos_weight": None,
    "label_smoothing": 0.0,
    "weight": None,
    "where": None,
    "reduction": "none",
    "axis": None,
    "normalize_by": "count",
}


def parameters(function):
    """Return names, kinds and defaults, in order."""
    return [(p.name, p.kind.name, p.default) for p in inspect.signature(function).parameters.values()]


def expected(name):
    first, own = OWN[name]
    arrays = [(array, "POSITIONAL_ONLY", inspect.Parameter.empty) for array in (first, "labels")]
    return arrays + [(option, "KEYWORD_ONLY", default) for option, default in (own | COMMON).items()]


@pytest.mark.parametrize("name", OWN)
def test_parameters_of_a_loss(name):
    assert parameters(getattr(xbce, name)) == expected(name)
