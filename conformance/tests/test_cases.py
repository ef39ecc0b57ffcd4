"""The table of cases: it covers the public functions, and the data files speak of its cases and no others."""

import inspect
from typing import get_args

import numpy as np
import pytest

import xbce
import xbce.special
from xbce_conformance import contract
from xbce_conformance.cases import CASES, FUNCTIONS, METHODS, PLAIN, Quantity
from xbce_conformance.cases.losses import FAMILY
from xbce_conformance.contract.data import load
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.measurement.trial import Trial
from xbce_conformance.subjects.selection import find_subjects

HALF = FORMATS["float16"]


def test_every_public_function_is_measured():
    # The hashes compare what an accumulator sums with the sum of the whole.
    others = {"SumAccumulator", "check_labels", "get_num_threads", "set_num_threads"}
    public = {name for name in xbce.__all__ if not inspect.ismodule(getattr(xbce, name))} - others
    public |= {f"special.{name}" for name in xbce.special.__all__}
    assert public == set(FUNCTIONS)


def test_every_method_of_a_loss_is_measured():
    methods = {name for name in dir(xbce.sigmoid_focal_loss) if not name.startswith("_")}
    assert methods == set(METHODS) - {""}
    for case in CASES:
        if isinstance(getattr(xbce, case.function, None), type(xbce.sigmoid_focal_loss)):
            assert case.methods == tuple(METHODS)


def test_names():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert names[0] == PLAIN.name
    for name in ("sigmoid_focal_loss(gamma=2, alpha=0.25)", "binary_cross_entropy_with_logits(pos_weight)"):
        assert name in names
    (subject,) = find_subjects(("xbce",), {"numpy": _NoBackend()})[0]
    functions = [function.name for function in subject.functions]
    assert "sigmoid_focal_loss(gamma=2, alpha=0.25).gradient_and_hessian" in functions
    assert len(set(functions)) == len(functions)


class _NoBackend:
    dtypes = ()
    makes_graphs = False


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bounds_are_stated(case):
    for dtype in FORMATS:
        for quantity in {*case.quantities, "sum", "mean"}:
            for hard in (True, False):
                bound = contract.bound(quantity, dtype, hard=hard, case=case)
                assert 0.5 <= bound <= (10 if case.exponent else 7) + 6 * case.exponent


def test_bounds_that_differ_have_reasons():
    for row in load("contract.json")["bounds"]:
        special = {"functions", "option", "exponent_below"} & set(row)
        assert bool(special) == ("reason" in row)
        assert set(row.get("functions", ())) <= set(FUNCTIONS)


def test_special_values_are_of_cases():
    assert set(contract.special_cases()) <= {case.name for case in CASES}
    for case in CASES:
        for row in contract.special_values(case.name):
            assert tuple(row.arguments) == case.arguments
            promised = [getattr(row, name) for name in get_args(Quantity) if name not in ("sum", "mean")]
            assert any(text is not None for text in promised)
            for text in [*row.arguments.values(), *filter(None, promised)]:
                contract.number(text, HALF)
    assert {case.name for case in CASES if case.methods} == set(contract.special_cases())


def test_what_is_dropped_is_poisoned():
    masked = next(case for case in CASES if "where" in case.arguments and case.function == PLAIN.function)
    trial = Trial(masked, HALF, "quick")
    assert not (trial.called_with[0][~trial.where] == trial.arrays[0][~trial.where]).any()
    assert (trial.called_with[0][trial.where] == trial.arrays[0][trial.where]).all()
    assert (trial.exact("gradient").high[~trial.where] == 0).all()


def test_the_positive_weight_counts_where_there_is_a_positive_term():
    """Else a pos_weight of 1e39 would allow any error to the other labels, in float32."""
    heavy = next(case for case in CASES if case.name == "binary_cross_entropy_with_logits(pos_weight=1e+39)")
    trial = Trial(heavy, FORMATS["float32"], "quick")
    negative = trial.inputs.arrays["labels"] == 0
    assert (trial.factor == np.where(negative, 1, 1e39)).all()
    exact = trial.exact("value")
    assert (exact.scale[negative] == exact.high[negative]).all()
    # The gradient in the labels has both terms for all labels.
    assert (trial.exact("label_gradient").scale >= 1e39 * FORMATS["float32"].tiny).all()


def test_the_gradient_in_the_positive_weight_is_measured():
    cases = [case for case in CASES if "pos_weight" in case.arguments]
    assert {case.function for case in cases} == set(FAMILY)
    for case in cases:
        assert case.arguments[2] == "pos_weight"
        assert "pos_weight_gradient" in case.quantities
    names = {row.pos_weight_gradient for case in cases for row in contract.special_values(case.name)}
    assert {"0", "inf", "nan"} < names


def test_weights_multiply_the_spacing_of_subnormal_numbers():
    weighted = next(case for case in CASES if case.name.endswith("(weight)"))
    trial = Trial(weighted, HALF, "quick")
    exact = trial.exact("value")
    heavy = trial.factor > 1
    assert (exact.scale[heavy] >= trial.factor[heavy] * HALF.tiny).all()
    assert (exact.scale[~heavy] == exact.high[~heavy]).all()
