"""Cases by text: any numbers and arrays of a function, and what is refused."""

import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import xbce
from tests.helpers import leave_out_pictures
from xbce_conformance import measure
from xbce_conformance.cases import CASES, FAMILY, PLAIN, BadCase, case_named
from xbce_conformance.cli import main
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.inputs.input_set import descriptions
from xbce_conformance.inputs.regimes import beside_logit, draw, last_nonzero, last_normal, power_underflows
from xbce_conformance.measurement.elementwise import bound_of
from xbce_conformance.measurement.trial import Trial
from xbce_conformance.results.model import Results
from xbce_conformance.subjects.backends import find_backends
from xbce_conformance.subjects.jobs import Job, jobs
from xbce_conformance.subjects.model import Function, Subject
from xbce_conformance.subjects.peer_subjects import peer_has
from xbce_conformance.subjects.peers import PEERS
from xbce_conformance.subjects.selection import Choice
from xbce_conformance.subjects.spec import BadOption

SINGLE = FORMATS["float32"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_listed_case_is_found_by_its_name_and_by_its_options_in_any_order(case):
    assert case_named(case.name) is case
    options = [*case.arguments[case.positional :], *(f"{name} = {number!r}" for name, number in case.options)]
    assert case_named(f" {case.function} ({' , '.join(reversed(options))}) ") is case


def test_a_free_case():
    case = case_named("sigmoid_focal_loss(alpha=.3, where, gamma=17e-1, pos_weight)")
    assert case.name == "sigmoid_focal_loss(pos_weight, where, gamma=1.7, alpha=0.3)"
    assert case.key == (
        "sigmoid_focal_loss",
        (("gamma", 1.7), ("alpha", 0.3)),
        ("logits", "labels", "pos_weight", "where"),
    )
    assert case.exponent == 1.7
    assert case_named("sigmoid_focal_loss(pos_weight, where, alpha=0.30, gamma=+1.7)") is case
    assert case_named(case.name) is case


def test_options_that_are_left_out_have_their_defaults():
    assert case_named("sigmoid_focal_loss").exponent == FAMILY["sigmoid_focal_loss"].options["gamma"].default
    assert case_named("binary_cross_entropy_with_logits()") is PLAIN
    assert case_named("reduce").arguments == ("losses", "weight", "where")


def test_numbers_that_differ_have_names_that_differ():
    names = {f"gamma={case_named(f'sigmoid_focal_loss(gamma={text})').options[0][1]!r}" for text in ("0.1", "1e-1")}
    assert names == {"gamma=0.1"}
    near = math.nextafter(0.1, 1)
    assert case_named(f"sigmoid_focal_loss(gamma={near})").name == f"sigmoid_focal_loss(gamma={near!r})"
    assert case_named("sigmoid_focal_loss(gamma=0.1)").name == "sigmoid_focal_loss(gamma=0.1)"
    assert case_named("sigmoid_focal_loss(gamma=-0.0)") is case_named("sigmoid_focal_loss(gamma=0)")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "'' is not a function with options as numbers, and arrays as bare names, such as"),
        ("sigmoid_focal_loss(gamma=1", "'sigmoid_focal_loss(gamma=1' is not a function with options"),
        ("sigmoid_focal_loss(,)", "is not a function with options"),
        ("sigmoid_focal_loss(1.7)", "is not a function with options"),
        ("sigmoid_focal_loss(gamma=)", "is not a function with options"),
        ("expit", "'expit' is no function of xbce that is measured; one of binary_cross_entropy_with_logits, "),
        ("special.exp", "; did you mean 'special.expit'?"),
        (
            "sigmoid_focal_loss(gama=1)",
            "it takes gamma, alpha, label_smoothing, pos_weight, weight, where; did you mean 'gamma'?",
        ),
        ("sigmoid_focal_loss(logits, gamma=1)", "sigmoid_focal_loss has no option 'logits'; it takes"),
        ("binary_cross_entropy(gamma=1)", "it takes clip, log_floor, log_offset, label_smoothing, pos_weight"),
        ("sigmoid_focal_loss(gamma=1, gamma)", "gamma is given twice in"),
        ("sigmoid_focal_loss(gamma=nan)", "gamma must be a number, got nan"),
        ("sigmoid_focal_loss(gamma=x)", "gamma must be a number, got x; an array is written as its bare name"),
        ("sigmoid_focal_loss(gamma=1/3)", "gamma must be a number, got 1/3"),
        ("sigmoid_focal_loss(gamma=inf)", "gamma must be at least 0 and finite, got inf"),
        ("sigmoid_focal_loss(gamma=-1)", "gamma must be at least 0 and finite, got -1"),
        ("sigmoid_focal_loss(alpha=1.5)", "alpha must be at least 0 and at most 1, got 1.5"),
        ("binary_cross_entropy(clip=0.5)", "clip must be at least 0 and below 0.5, got 0.5"),
        ("binary_cross_entropy(log_floor=1)", "log_floor must be at most 0 and finite, got 1"),
        ("binary_cross_entropy(log_floor=-inf)", "log_floor must be at most 0 and finite, got -inf"),
        ("asymmetric_loss(weight=-1)", "weight must be at least 0 and finite, got -1"),
        ("asymmetric_loss(where=1)", "where must be an array, written as its bare name; got 1"),
        (
            "binary_cross_entropy(clip=0.1, log_floor)",
            "at most one of clip, log_floor, log_offset may be given, got clip and log_floor",
        ),
        ("special.expit(gamma=2)", "special.expit takes no options; got gamma=2"),
        ("reduce(weight, where=1)", "reduce takes weight and where as arrays; got where=1"),
    ],
)
def test_what_is_refused(text, says):
    with pytest.raises(BadCase) as raised:
        case_named(text)
    assert says in str(raised.value)


def test_a_shift_has_its_hard_place():
    case = case_named("asymmetric_loss(shift=0.3)")
    assert case.regimes[-1] == beside_logit(0.3) == "beside logit(0.3)"
    x, _ = draw(case.regimes[-1], SINGLE, 512)
    assert np.abs(1 / (1 + np.exp(-np.float64(x))) - 0.3).min() < 1e-6
    assert "where sigmoid(x) is 0.3;" in descriptions(case.regimes)["beside logit(0.3)"]
    assert "beside logit(0.3)" not in descriptions()


def test_a_small_power_has_its_hard_place():
    (name,) = {*case_named("sigmoid_focal_loss(gamma=0.01)").regimes} - {*PLAIN.regimes}
    assert name == power_underflows(0.01) == "exp(-|x|)^0.01 underflows"
    x = np.abs(np.float64(draw(name, SINGLE, 512)[0]))
    assert last_normal(SINGLE) <= x.min() < x.max() <= last_nonzero(SINGLE) / 0.01
    assert not {*case_named("sigmoid_focal_loss(gamma=1.7)").regimes} - {*PLAIN.regimes}
    assert not np.isinf(np.float64(draw(power_underflows(1e-50), SINGLE, 512)[0])).any()


def test_a_power_that_is_a_number_counts_beside_one_that_is_an_array():
    case = case_named("asymmetric_loss(gamma_pos, gamma_neg=50)")
    (numpy,) = find_backends(("numpy",))[0].values()
    job = Job(Subject("f", "", numpy, (), ()), Function("f", ("value",), None, case=case), "float32")
    trial = Trial(case, SINGLE, "quick")
    assert (bound_of(job, trial, "value") == 7 + 6 * 50).all()


def test_arrays_go_with_numbers_of_both_weights():
    """The definition is the product of both weights and the loss of the masked elements."""
    case = case_named("sigmoid_focal_loss(where, pos_weight=3, weight=2, gamma=0)")
    trial = Trial(case, SINGLE, "quick")
    x, z = (np.float64(trial.inputs.arrays[name]) for name in ("logits", "labels"))
    right = 2 * ((1 - z) * np.logaddexp(0, x) + 3 * z * np.logaddexp(0, -x))
    np.testing.assert_allclose(trial.exact("value").high, np.where(trial.where, right, 0), rtol=1e-12)


def test_both_weights_multiply_the_spacing_of_subnormal_numbers():
    """So does pos_weight for labels of 0 that are smoothed; the gradient in it has the other weight alone."""
    both = Trial(case_named("binary_cross_entropy_with_logits(weight=4, pos_weight=2)"), SINGLE, "quick")
    labels = both.inputs.arrays["labels"]
    assert (both.factor == np.where(labels == 0, 4, 8)).all()
    smoothed = case_named("binary_cross_entropy_with_logits(weight=4, pos_weight=2, label_smoothing=0.1)")
    assert (Trial(smoothed, SINGLE, "quick").factor == 8).all()
    array = Trial(case_named("binary_cross_entropy_with_logits(weight=4, pos_weight)"), SINGLE, "quick")
    assert (array.may_flush("pos_weight_gradient") == 4).all()


# --- subjects on one case -------------------------------------------------------------------------------------------

FREE = "sigmoid_focal_loss(alpha=0.3, gamma=1.7)"


def test_every_call_of_a_peer_has_its_listed_numbers_where_no_case_is_named():
    codes = {call.name: call.with_numbers(call.case_of(None)) for call in PEERS["optax"].calls}
    assert codes["optax.sigmoid_focal_loss"] == "optax.sigmoid_focal_loss({logits}, {labels}, alpha=0.25, gamma=2.0)"


@pytest.mark.parametrize(("peer", "count"), [("optax", 1), ("keras", 1), ("torch", 0), ("tensorflow", 0), ("scipy", 0)])
def test_calls_with_numbers_in_braces_take_any(peer, count):
    case = case_named(FREE)
    found = [call for call in PEERS[peer].calls if call.case_of(case) is case]
    assert len(found) == count == peer_has(peer, case)
    assert all("alpha=0.3, gamma=1.7" in call.with_numbers(case) for call in found)
    assert not any(call.case_of(case_named("sigmoid_focal_loss(gamma=1.7)")) for call in PEERS[peer].calls)


def test_calls_that_are_written_with_numbers_stay_with_them():
    (clipped,) = (call for call in PEERS["keras"].calls if "clip" in call.case)
    assert clipped.case_of(case_named("binary_cross_entropy(clip=1e-7)")).options == (("clip", 1e-7),)
    assert clipped.case_of(case_named("binary_cross_entropy(clip=1e-6)")) is None


def test_a_named_case_is_all_that_is_measured():
    subjects, missing = Choice(("xbce", "scipy"), ("numpy",), case=FREE).find()
    (subject,) = subjects
    assert {function.case.name for function in subject.functions} == {case_named(FREE).name}
    assert subject.functions[0].code == "xbce.sigmoid_focal_loss({logits}, {labels}, gamma=1.7, alpha=0.3)"
    assert missing == {"scipy": "has no call of sigmoid_focal_loss(gamma=1.7, alpha=0.3)"}


def test_a_named_case_is_measured_in_every_dtype_at_the_level_quick():
    text = "binary_cross_entropy(clip=1e-50)"
    (named,), (listed,) = (Choice(("xbce",), ("numpy",), case=case).find()[0] for case in (text, None))
    assert {job.dtype for job in jobs([named], tuple(FORMATS), level="quick")} == {*FORMATS}
    of_case = [job for job in jobs([listed], tuple(FORMATS), level="quick") if job.function.case.name == text]
    assert {job.dtype for job in of_case} == {"float32"}


def run(*arguments):
    result = CliRunner().invoke(main, ["run", *arguments, "--out", "out"], catch_exceptions=False)
    file = Path("out/results.json")
    return result, Results.read(file) if file.exists() else None


def test_the_command_measures_any_numbers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    leave_out_pictures(monkeypatch)
    options = ("--subject", "xbce", "--backend", "numpy", "--dtype", "float32")
    result, results = run("--case", "asymmetric_loss(shift=.3, gamma_pos=2)", *options)
    assert result.exit_code == 0
    assert {row.case for row in results.rows} == {"asymmetric_loss(gamma_pos=2, shift=0.3)"}
    assert "beside logit(0.3)" in results.rows[0].regimes
    assert "where sigmoid(x) is 0.3;" in results.regimes["beside logit(0.3)"]
    assert "xbce.asymmetric_loss(" in results.rows[0].reproducer
    assert "gamma_pos=2.0, shift=0.3)" in results.rows[0].reproducer


def test_a_peer_is_measured_with_any_numbers(tmp_path, monkeypatch):
    pytest.importorskip("optax")
    monkeypatch.chdir(tmp_path)
    leave_out_pictures(monkeypatch)
    result, results = run("--case", FREE, "--subject", "optax", "--backend", "jax", "--dtype", "float32")
    assert result.exit_code == 0
    assert {row.quantity for row in results.rows} == {"value", "gradient"}
    for row in results.rows:
        assert row.case == case_named(FREE).name
        assert row.regimes["moderate"] < 100
        assert "alpha=0.3, gamma=1.7" in row.reproducer


def test_a_case_that_is_none_is_a_usage_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result, _ = run("--case", "sigmoid_focal_loss(gamma=-1)")
    assert result.exit_code == 2
    assert "Invalid value for '--case': gamma must be at least 0 and finite, got -1" in result.output
    with pytest.raises(BadOption, match="gamma must be at least 0 and finite, got -1"):
        Choice(case="sigmoid_focal_loss(gamma=-1)").find()


def test_measure_takes_any_numbers():
    def focal(x, z):
        return xbce.sigmoid_focal_loss(x, z, gamma=1.7, alpha=0.3)

    right, wrong = (
        measure(focal, case=case, dtypes=["float32"], parts=["samples"])
        for case in (FREE, "sigmoid_focal_loss(gamma=1.6, alpha=0.3)")
    )
    assert right.passed
    assert right.rows[0].case == case_named(FREE).name
    assert not wrong.passed
    with pytest.raises(ValueError, match="case 'focal' of focal: 'focal' is no function of xbce that is measured"):
        measure(focal, case="focal")
