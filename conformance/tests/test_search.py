"""The search for worst cases: it finds what is hidden, and what it found is kept, certified and tried again."""

import json
import re
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.helpers import approx
from xbce_conformance.cases import BY_NAME, PLAIN
from xbce_conformance.cli import main
from xbce_conformance.inputs import worst_cases
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.inputs.input_set import SEARCHED, InputSet
from xbce_conformance.inputs.worst_cases import WorstCase, add, load
from xbce_conformance.measurement.errors import measure
from xbce_conformance.measurement.trial import Trial
from xbce_conformance.search.climb import CLIMBERS, climb

SINGLE = FORMATS["float32"]


def with_a_hidden_peak(x, z):
    """Return the loss with an error that grows towards logit 5.4321, from a distance of 32 on."""
    exact = PLAIN.reference(SINGLE).exact("value", (x, z))["value"].high
    with np.errstate(divide="ignore"):
        error = np.clip(-np.log2(np.abs(np.float64(x) - 5.4321)) + 5, 0, 30)
    return (exact + error * SINGLE.ulp(exact)).astype(np.float32)


def test_the_climb_reaches_the_top():
    inputs = PLAIN.inputs(SINGLE, "quick").arrays
    starts = inputs["logits"], inputs["labels"]

    def exactly(arrays):
        return PLAIN.reference(SINGLE).exact("value", arrays)["value"]

    peaks = climb(with_a_hidden_peak, exactly, SINGLE, starts, np.random.default_rng(1))
    found = list(islice(peaks, 300))
    heights = [peak.ulp for peak in found]
    assert heights == sorted(heights)
    assert heights[-1] > max(heights[0] + 5, 15)
    logit, label = found[-1].inputs
    assert abs(logit - 5.4321) < 2**-14
    assert found[-1].tried == 300 * CLIMBERS
    x, z = np.float32([logit]), np.float32([label])
    assert float(with_a_hidden_peak(x, z)[0]) == found[-1].computed


def test_the_file_only_grows(tmp_path):
    path = tmp_path / "cases.json"
    path.write_text(json.dumps({"cases": []}), "utf-8")
    inputs = {"logits": "0x1p+0", "labels": "0x0p+0"}
    first = WorstCase(PLAIN.name, "value", "float64", "xbce", "1", "numpy", inputs, "0x1p+0", 1.5)
    assert add(first, path)
    assert not add(replace(first, inputs=inputs | {"logits": "0x1p+1"}), path)
    assert not add(replace(first, ulp=1.4), path)
    assert add(replace(first, backend="torch:cpu", ulp=0.5), path)
    before = path.read_text("utf-8").splitlines()
    assert add(replace(first, ulp=1.6), path)
    after = path.read_text("utf-8").splitlines()
    assert [line.rstrip(",") for line in after[: len(before) - 1]] == [line.rstrip(",") for line in before[:-1]]
    assert [case.ulp for case in load(path)] == [1.5, 0.5, 1.6]


def test_known_cases_are_what_they_say():
    """Each error is that of the result that stands there, by ball arithmetic; and each case is tried in every run."""
    cases = load()
    for case in cases:
        fmt = FORMATS[case.dtype]
        tried = BY_NAME[case.case]
        arrays = tuple(fmt.round([float.fromhex(case.inputs[name])]) for name in tried.arguments)
        there = Trial(tried, fmt, "quick", inputs=InputSet(fmt, dict(zip(tried.arguments, arrays, strict=True)), {}))
        ulp = measure(fmt.round([float.fromhex(case.computed)]), there.exact(case.quantity), fmt).ulp[0]
        assert ulp == approx(case.ulp, rel=1e-5)
        inputs = tried.inputs(fmt, "quick")
        columns = [array[inputs.regimes[SEARCHED]].tolist() for array in inputs.arrays.values()]
        assert tuple(float(array[0]) for array in arrays) in set(zip(*columns, strict=True))


def test_command(tmp_path):
    data = tmp_path / "cases.json"
    data.write_text(json.dumps({"cases": []}), "utf-8")
    options = ["search", "--dtype", "float32", "--backend", "numpy", "--seconds", "0.5", "--data", str(data)]
    result = CliRunner().invoke(main, options, catch_exceptions=False)
    assert result.exit_code == 0
    assert "xbce, numpy, binary_cross_entropy_with_logits.gradient: " in result.output
    assert [(case.quantity, case.ulp > 1) for case in load(data)] == [("value", True), ("gradient", True)]
    again = CliRunner().invoke(main, [*options[:-3], "0", *options[-2:]])
    assert f"not worse than what is in {data}" in " ".join(again.output.split())
    result = CliRunner().invoke(main, [*options, "--subject", "mlx"])
    assert result.exit_code == 3
    assert "nothing to search in float32" in result.output


def test_another_loss_and_all_of_its_arguments(tmp_path):
    """Weights are moved, too, within what the suite draws; a mask stays."""
    name = "binary_cross_entropy_with_logits(weight, where)"
    options = ["search", "--case", name, "--dtype", "float32", "--backend", "numpy", "--quantity", "value"]
    result = CliRunner().invoke(main, [*options, "--seconds", "0", "--data", str(tmp_path / "found.json")])
    assert result.exit_code == 0
    where = r"logits=-?0x\S+, labels=0x\S+, weight=0x\S+, where=0x1.0+p\+0 \("
    assert re.search(rf"{re.escape(name)}: [\d.]+ ULP at {where}", result.output)
    (found,) = load(tmp_path / "found.json")
    assert (found.case, found.quantity) == (name, "value")
    weights = BY_NAME[name].inputs(SINGLE, "quick").arrays["weight"]
    assert weights.min() <= float.fromhex(found.inputs["weight"]) <= weights.max()


def test_without_a_file_it_makes_one_in_the_working_folder(tmp_path, monkeypatch):
    """Not in the package: where that is installed nobody writes."""
    monkeypatch.chdir(tmp_path)
    before = Path(worst_cases.DATA).read_bytes()
    options = ["search", "--dtype", "float32", "--backend", "numpy", "--seconds", "0.1", "--quantity", "value"]
    result = CliRunner().invoke(main, options, catch_exceptions=False)
    assert result.exit_code == 0
    file = Path("conformance-search", "worst_cases.json")
    assert f"(new, in {file}; " in result.output
    assert [case.quantity for case in load(file)] == ["value"]
    assert Path(worst_cases.DATA).read_bytes() == before


def test_a_file_of_an_older_version(tmp_path):
    file = tmp_path / "cases.json"
    file.write_text('{"cases": [{"dtype": "float32", "logits": "0x1p+0", "labels": "0x0p+0"}]}', "utf-8")
    result = CliRunner().invoke(main, ["search", "--backend", "numpy", "--seconds", "9", "--data", str(file)])
    assert result.exit_code == 4
    assert "it is of an older version, which named logit and label, not case and inputs" in " ".join(
        result.output.split()
    )


@pytest.mark.parametrize("content", ["", "[]", '{"rows": []}', '{"cases": [{"dtype": "float32"}]}'])
def test_a_file_that_holds_something_else(tmp_path, content):
    file = tmp_path / "cases.json"
    file.write_text(content, "utf-8")
    for data, says in ((file, "does not hold worst cases: "), (file / "below.json", "nothing can be written to ")):
        options = ["search", "--backend", "numpy", "--seconds", "9", "--data", str(data)]
        result = CliRunner().invoke(main, options, catch_exceptions=False)
        assert result.exit_code == 4
        assert says in result.output
    assert file.read_text("utf-8") == content


def test_the_file_that_is_shipped_is_data():
    assert Path(worst_cases.DATA).name == "worst_cases.json"
    assert set(json.loads(Path(worst_cases.DATA).read_text("utf-8"))) == {"cases"}
