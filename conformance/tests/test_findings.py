"""Each finding of docs/findings.md still prints what the page says, where the system is installed, and has its figures.

What systems document is in docs/conventions.md: its lines are run, too.
"""

import json
import re
import runpy
import subprocess
import sys
from doctest import ELLIPSIS, OutputChecker
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.helpers import approx, some_long

RESULTS = Path(__file__).parents[1] / "results" / "findings"
PAGE = (Path(__file__).parents[2] / "docs" / "findings.md").read_text("utf-8")
_PATTERN = re.compile(
    r"^### (?P<title>.+)\n\n(?P<text>(?:.+\n)+)\n```sh\npython -c '(?P<code>.+)'\n```\n\n"
    r"- got: `(?P<got>.+)`\n- expected: `(?P<expected>.+)`\n- upstream: (?P<upstream>.+)\n"
    r"- on data: (?P<data>.+)\n- seen by training: (?P<training>.+)$",
    re.MULTILINE,
)
_DOCUMENTED = re.compile(
    r"```sh\npython -c '(?P<code>.+)'\n```\n\n- got: `(?P<got>.+)`\n- exact: `(?P<expected>.+)`$", re.MULTILINE
)
FINDINGS = [match.groupdict() for match in _PATTERN.finditer(PAGE)]
CONVENTIONS = (RESULTS.parents[2] / "docs" / "conventions.md").read_text("utf-8")
LINES = FINDINGS + [match.groupdict() | {"title": match["code"]} for match in _DOCUMENTED.finditer(CONVENTIONS)]
_MODULES = ("onnxruntime", "tensorflow", "keras", "optax", "jax", "sklearn", "torch", "scipy", "paddle", "mlx", "numpy")
_APART = ("tensorflow", "paddle", "mlx", "onnxruntime")

_RUNNER = """
import contextlib, io, json, sys, warnings
warnings.simplefilter("ignore")
printed = []
for code in json.load(sys.stdin):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {})
    printed.append(out.getvalue().strip())
print(json.dumps(printed))
"""


def system_of(code):
    backend = re.search(r'"KERAS_BACKEND"\] = "(\w+)"', code)
    if backend:
        return f"keras on {backend[1]}"
    return next(name for name in _MODULES if re.search(rf"\b{name}\b", code))


def process_of(code):
    """Findings share a process, which takes seconds to import a system; but Keras has one backend per process.

    TensorFlow has one, too, and so has what is absent here as a rule.
    """
    system = system_of(code)
    return system if system.startswith("keras") or system in _APART else "the others"


def matches(text, shown):
    """Whether `text` is what the page shows, which leaves out digits that depend on the processor."""
    return OutputChecker().check_output(shown, text, ELLIPSIS)


def test_the_page_is_read_whole():
    assert len(FINDINGS) == PAGE.count("\n### ") == PAGE.count("```sh") > 25
    assert len(LINES) - len(FINDINGS) == CONVENTIONS.count("python -c") == 2
    assert not any(matches(line["expected"], line["got"]) for line in LINES)


PROCESSES = {process_of(line["code"]): process_of(line["code"]) for line in LINES}


@pytest.mark.parametrize("process", some_long(PROCESSES, {name for name in PROCESSES if not name.startswith("keras")}))
def test_findings(process):
    mine = [line for line in LINES if process_of(line["code"]) == process]
    for name in {name for finding in mine for name in system_of(finding["code"]).split(" on ")}:
        if name != "numpy" and find_spec(name) is None:
            pytest.skip(f"{name} is not installed here; the page says with which version it was run")
    result = subprocess.run(
        [sys.executable, "-c", _RUNNER],
        input=json.dumps([finding["code"] for finding in mine]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    printed = json.loads(result.stdout.splitlines()[-1])
    for finding, text in zip(mine, printed, strict=True):
        assert matches(text, finding["got"]), finding["title"]


# --- on data ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def script():
    return SimpleNamespace(**runpy.run_path(str(RESULTS / "page.py")))


@pytest.fixture(scope="module")
def results():
    return json.loads((RESULTS / "figures.json").read_text("utf-8"))


def test_each_finding_is_measured_on_data(script, results):
    headings = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    for system in dict.fromkeys(probe.system for probe in script.PROBES):
        assert any(system in heading for heading in headings), system
    titles = [finding["title"] for finding in FINDINGS]
    assert [probe.title for probe in script.PROBES] == titles
    assert [entry["title"] for entry in results["findings"]] == titles


def test_the_pages_say_what_the_results_say(script, results):
    assert script.page(results) == (RESULTS / "README.md").read_text("utf-8")
    assert script.documented(PAGE, results) == PAGE


def test_the_introduction_names_what_matters_for_training(results):
    matters = {
        (entry["system"], entry["title"])
        for entry in results["findings"]
        for row in entry["on"].values()
        if row["hits"] and row["grade"] != "no difference for training"
    }
    assert sorted(system for system, _ in matters) == ["Keras", "ONNX", "PyTorch"]
    assert "three findings matter for training" in PAGE


def test_a_page_that_says_something_else_is_told(script, results):
    digits = results["findings"][0]["on"]["digits"]
    digits["hits"] += 1
    try:
        assert script.documented(PAGE, results) != PAGE
    finally:
        digits["hits"] -= 1


def test_a_finding_without_its_place_on_the_page_is_told(script, results):
    with pytest.raises(ValueError, match="has no finding 'Forward mode loses the other side' of PyTorch"):
        script.documented(PAGE.replace("Forward mode loses", "Forward mode has lost"), results)


def test_the_data_are_those_that_were_measured(script, results):
    described = {name: script.describe(*script.logits(name)) for name in script.DATA}
    for name, facts in results["data"].items():
        assert described[name] == approx(facts, rel=1e-4), name  # another BLAS fits a little otherwise


@pytest.mark.parametrize(
    "key",
    [
        ("PyTorch", "The loss of a confident, correct negative is 0"),
        ("PyTorch", "Forward mode loses the other side"),
        ("FlagGems", "The loss of a confident, correct prediction is 0"),
    ],
    ids=lambda key: f"{key[0]}: {key[1]}",
)
def test_figures_come_of_what_is_installed(script, results, key):
    (probe,) = (probe for probe in script.PROBES if probe.key == key)
    (entry,) = (entry for entry in results["findings"] if (entry["system"], entry["title"]) == key)
    row, kept = script.measure(probe, script.subject_of(probe), "digits"), entry["on"]["digits"]
    assert (row["count"], row["grade"]) == (kept["count"], kept["grade"])
    assert row["hits"] == approx(kept["hits"], rel=0.01)


def test_what_the_documented_clip_and_threshold_meet(script):
    from sklearn.metrics import log_loss

    clipped = {}
    for name in script.DATA:
        x, z = script.logits(name)
        p = (1 / (1 + np.exp(-x))).astype(np.float32)
        eps = np.finfo(p.dtype).eps
        which = (p < eps) | (p > 1 - eps)
        clipped[name] = int(which.sum())
        assert ((x[which] > 0) == z[which]).all()
        exact = float(np.mean(np.logaddexp(0, x) - x * z))
        assert abs(log_loss(z, p, labels=[0, 1]) - exact) < 3e-7 * exact
        assert x.max() < 20
    assert clipped == {"digits": approx(542, rel=0.01), "breast cancer": 10, "detector-like": 0}
