"""Runs of hard or soft labels alone, and of some regimes: what is tried, what is left out, and that results say so."""

import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import xbce
from tests.helpers import leave_out_pictures
from xbce_conformance import Adapter, contract, measure
from xbce_conformance.cases import CASES, PLAIN, case_named
from xbce_conformance.cli import main
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.inputs.restriction import ALL_INPUTS, Restriction
from xbce_conformance.judge.restrict import with_inputs
from xbce_conformance.results.model import Results
from xbce_conformance.subjects.jobs import jobs
from xbce_conformance.subjects.selection import Choice

HALF = FORMATS["float16"]

usefixtures = pytest.mark.usefixtures("module")

OF_CLASSES = """
    import numpy as np

    def loss(logits, classes):
        if not np.isin(classes, (0, 1)).all():
            raise ValueError("classes are 0 and 1")
        agreeing = np.where(classes == 1, logits, -logits)
        return np.log1p(np.exp(-np.abs(agreeing))) + np.maximum(-agreeing, 0)
    """


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a loss of classes, and go there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("of_classes", "of_classes_too"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    leave_out_pictures(monkeypatch)
    (tmp_path / "of_classes.py").write_text(textwrap.dedent(OF_CLASSES), "utf-8")


def run(*arguments, subject="of_classes.py:loss", out="out"):
    options = ("--subject", subject, "--dtype", "float32", "--out", out)
    result = CliRunner().invoke(main, ["run", *options, *arguments], catch_exceptions=False)
    file = Path(out, "results.json")
    return result, Results.read(file) if result.exit_code in (0, 1) and file.exists() else None


# --- inputs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hard_and_soft_labels_are_all_labels(case):
    inputs = case.inputs(HALF, "quick")
    assert ALL_INPUTS.of(inputs) is inputs
    hard, soft = Restriction("hard").of(inputs), Restriction("soft").of(inputs)
    assert hard.hard.all()
    assert not soft.hard.any()
    assert hard.hard.size + soft.hard.size == inputs.hard.size
    for name, regime in inputs.regimes.items():
        parts = [part.regimes.get(name, slice(0, 0)) for part in (hard, soft)]
        assert sum(part.stop - part.start for part in parts) == regime.stop - regime.start
    names = [row.arguments for row in contract.special_values(case.name)]
    parts = [contract.special_values(case.name, Restriction(labels)) for labels in ("hard", "soft")]
    assert sum(map(len, parts)) == len(names)
    assert all(row.arguments.get("labels", "0") in ("0", "1") for row in parts[0])


def test_regimes():
    inputs = PLAIN.inputs(HALF, "quick")
    few = Restriction(regimes=("soft", "near 0")).of(inputs)
    assert list(few.regimes) == ["near 0", "soft"]
    for name, regime in few.regimes.items():
        np.testing.assert_array_equal(few.arrays["logits"][regime], inputs.arrays["logits"][inputs.regimes[name]])
    assert contract.special_values(PLAIN.name, Restriction(regimes=("soft",))) == ()


def test_the_level_says_what_is_tried():
    assert ALL_INPUTS.level("quick") == "quick"
    assert Restriction("hard").level("full") == "full, hard labels"
    regimes = ("tail, label agrees", "near 0", "near 0")
    assert Restriction("soft", regimes).level("quick") == "quick, soft labels, 'tail, label agrees' and 'near 0'"


def test_a_job_without_inputs_is_left_out_and_named():
    (subject,), _ = Choice(("xbce",), ("numpy",), case="special.expit").find()
    only = Restriction("soft")
    kept, missing = with_inputs(jobs([subject], ("float32", "float16"), only=only), "quick", only)
    assert kept == []
    assert missing == dict.fromkeys(
        ("special.expit in float32", "special.expit in float16"), "no inputs of it are tried: soft labels"
    )
    (peer,), _ = Choice(("sklearn",), ("numpy",), case=PLAIN.name).find()
    kept, missing = with_inputs(jobs([peer], ("float32",), only=only), "quick", only)
    assert {*missing} == {"sklearn.metrics.log_loss of sigmoid(x) in float32"}
    assert len(kept) == len(peer.functions) - 1


# --- runs -----------------------------------------------------------------------------------------------------------


@usefixtures
def test_a_loss_of_classes_is_a_gate_with_hard_labels():
    """It raises for soft ones: so no part, special value or search has any."""
    result, results = run("--labels", "hard")
    assert result.exit_code == 0, result.output
    assert {row.kind for row in results.rows} == {"samples", "behaviour", "invariance"}
    assert "found by search" in results.rows[0].regimes
    assert "soft near 0" not in results.rows[0].regimes
    assert results.rows[0].figures.max_ulp_soft is None
    assert results.rows[0].special.count > 10
    assert results.level == "quick, hard labels"
    assert "Inputs: quick, hard labels" in result.output
    assert "Inputs: quick, hard labels" in Path("out/report.html").read_text("utf-8")
    result, results = run()
    assert result.exit_code == 1
    assert results.failed[0].failure == "ValueError: classes are 0 and 1"


@usefixtures
def test_a_loss_that_is_wrong_for_soft_labels_passes_with_hard_ones():
    text = Path("of_classes.py").read_text("utf-8")
    Path("of_classes_too.py").write_text(text.replace("not np", "False and not np"), "utf-8")
    assert run("--labels", "hard", subject="of_classes_too.py:loss")[0].exit_code == 0
    for labels in ("all", "soft"):
        result, results = run("--labels", labels, subject="of_classes_too.py:loss")
        assert result.exit_code == 1
        assert any("for soft labels" in text for text in results.failed[0].violations)


@usefixtures
def test_regimes_of_a_run():
    options = ("--regime", "tail, label agrees", "--regime", "near 0")
    result, results = run(*options)
    assert result.exit_code == 0, result.output
    (samples,) = (row for row in results.rows if row.kind == "samples")
    assert list(samples.regimes) == ["near 0", "tail, label agrees"]
    assert samples.special.count == 0
    assert samples.figures.count == 2 * 4096
    assert results.level == "quick, 'tail, label agrees' and 'near 0'"


@usefixtures
def test_a_regime_that_is_none():
    result, _ = run("--regime", "tail")
    assert result.exit_code == 2
    text = " ".join(result.output.split())
    assert "'tail' is no regime of what is measured; one of 'near 0', 'moderate', 'tail, label agrees'," in text
    with pytest.raises(ValueError, match="'tail' is no regime of what is measured"):
        measure(xbce.binary_cross_entropy_with_logits, regimes=["tail"])
    with pytest.raises(ValueError, match="labels must be one of 'all', 'hard', 'soft', got 'both'"):
        measure(xbce.binary_cross_entropy_with_logits, labels="both")


@usefixtures
def test_nothing_is_no_success():
    result, _ = run("--labels", "soft", "--case", "special.expit", "--backend", "numpy", subject="xbce")
    assert result.exit_code == 3
    assert "nothing to measure (special.expit in float32: no inputs of it are tried: soft labels)" in result.output


@usefixtures
def test_a_free_regime_is_one():
    case = "asymmetric_loss(shift=0.3)"
    result, results = run("--case", case, "--regime", "beside logit(0.3)", "--backend", "numpy", subject="xbce")
    assert result.exit_code == 0, result.output
    assert {name for row in results.rows for name in row.regimes} == {"beside logit(0.3)"}


@usefixtures
def test_runs_of_other_labels_are_not_compared():
    options = ("--part", "samples", "--regime", "near 0")
    for out, labels in {"all": (), "hard": ("--labels", "hard")}.items():
        assert run(*options, *labels, out=out)[0].exit_code == 0
    result = CliRunner().invoke(main, ["compare", "all/results.json", "hard/results.json"])
    assert result.exit_code == 2
    says = (
        "the inputs are others: quick, 'near 0' in all/results.json, quick, hard labels, 'near 0' in hard/results.json"
    )
    assert says in " ".join(result.output.split())


@usefixtures
def test_a_run_does_not_go_on_with_other_labels():
    options = ("--part", "samples", "--regime", "near 0", "--checkpoint", "kept")
    assert run(*options)[0].exit_code == 0
    assert run(*options)[0].exit_code == 0
    result, _ = run(*options, "--labels", "hard")
    assert result.exit_code == 4
    assert "quick, hard labels, 'near 0'" in " ".join(result.output.split())


# --- in Python ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", ["hard", "soft"])
def test_every_call_has_such_labels(labels):
    seen = set()

    def loss(x, z):
        hard = (z == 0) | (z == 1)
        seen.update(np.unique(hard).tolist())
        return xbce.binary_cross_entropy_with_logits(x, z)

    # What it is tried with before there is a plan are two hard labels, in half types that nobody has named.
    results = measure(loss, labels=labels, dtypes=["float32"])
    assert results.passed, results.failed
    assert seen == {labels == "hard"}
    behaviour = next(row for row in results.rows if row.kind == "behaviour")
    told = "labels of bool: none are tried: no input has a hard label"
    assert (told in behaviour.remarks) == (labels == "soft")


def test_reductions_of_regimes():
    loss = xbce.binary_cross_entropy_with_logits
    adapter = Adapter(loss, mean=lambda x, z: loss(x, z, reduction="mean"))
    for regimes in (["near 0"], ["moderate"]):
        results = measure(adapter, regimes=regimes, dtypes=["float64"])
        assert results.passed
        assert {row.quantity for row in results.rows} == {"value", "mean"}
    results = measure(adapter, regimes=["huge"], dtypes=["float64"])
    assert {row.quantity for row in results.rows} == {"value"}
    assert results.missing["subject, mean in float64"] == "no inputs of it are tried: 'huge'"


def test_labels_are_those_of_cases_with_options():
    results = measure(
        lambda x, z: xbce.sigmoid_focal_loss(x, z, gamma=1.7),
        case=case_named("sigmoid_focal_loss(gamma=1.7)").name,
        labels="hard",
        dtypes=["float32"],
    )
    assert results.passed
    assert "soft" not in results.rows[0].regimes
