"""The example of docs/library-authors.md: a metric that takes any array, and returns a Python float."""

import re
import subprocess
import sys
from fractions import Fraction
from importlib import reload
from pathlib import Path

import numpy as np
import pytest
from flint import arb, ctx

from docs.examples import array_api_metric
from tests.helpers import approx
from xbce_conformance.subjects.backends import find_backends

LIBRARIES = ["numpy", "torch:cpu", "jax", "array-api-strict"]
DECISION = [-30.0, -3.0, 0.5, 20.0, 2.0, 0.0]
LABELS = [0, 1, 1, 1, 0, 1]
MYLIB = """
import xbce

loss = xbce.binary_cross_entropy_with_logits


def tensor_loss(labels, logits):
    return loss(logits, labels)
"""
WEIGHTS = [1.0, 0.25, 2.0, 8.0, 0.5, 0.0]


def exact(labels, decision, weights):
    """Return the weighted mean by ball arithmetic."""
    ctx.prec = 200
    losses = [(1 + arb(-x if z else x).exp()).log() for z, x in zip(labels, decision, strict=True)]
    total = sum((w * loss for w, loss in zip(map(arb, weights), losses, strict=True)), arb(0))
    return float(total / arb(float(sum(map(Fraction, weights)))))


@pytest.fixture(params=LIBRARIES)
def library(request):
    found, missing = find_backends((request.param,))
    if missing:
        pytest.skip(f"{request.param}: {missing[request.param]}")
    return found[request.param]


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("moved", [False, True], ids=["of the library", "lists"])
def test_metric(library, weights, moved):
    def given(values, dtype):
        return values if moved else library.from_numpy(np.asarray(values, dtype))

    decision = library.from_numpy(np.asarray(DECISION, np.float32))
    weight = None if weights is None else given(weights, np.float32)
    found = array_api_metric.decision_log_loss(given(LABELS, np.int32), decision, sample_weight=weight)
    assert type(found) is float
    assert found == approx(exact(LABELS, DECISION, weights or [1.0] * len(LABELS)), rel=2.0**-23)


def test_it_is_scikit_learns_metric():
    metrics = pytest.importorskip("sklearn.metrics")
    decision = np.asarray(DECISION)
    wanted = metrics.log_loss(LABELS, 1 / (1 + np.exp(-decision)), sample_weight=WEIGHTS)
    found = array_api_metric.decision_log_loss(LABELS, decision, sample_weight=WEIGHTS)
    assert found == approx(wanted, rel=1e-7)  # of sigmoid(20) a double has 1e-8 of the loss


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"y_true has the shape \(2,\); \(3,\), that of decision, is expected"):
        array_api_metric.decision_log_loss([0, 1], np.zeros(3))
    with pytest.raises(ValueError, match="-1"):
        array_api_metric.decision_log_loss([0, -1], np.zeros(2))


@pytest.mark.long
def test_the_tests_of_the_guide_run(tmp_path):
    """As a library has them that wraps xbce for NumPy, and for PyTorch with labels first."""
    pytest.importorskip("torch")
    page = (Path(__file__).parents[2] / "docs" / "library-authors.md").read_text("utf-8")
    (block,) = re.findall(r"^```python\n(import mylib\n.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "test_mylib.py").write_text(block, "utf-8")
    (tmp_path / "mylib.py").write_text(MYLIB, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "2 passed" in done.stdout, done.stdout


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
def test_without_xbce(monkeypatch, weights):
    """NumPy's arrays alone, by the library's own formula."""
    monkeypatch.setitem(sys.modules, "xbce", None)
    try:
        assert reload(array_api_metric).xbce is None
        found = array_api_metric.decision_log_loss(LABELS, np.asarray(DECISION), sample_weight=weights)
    finally:
        monkeypatch.undo()
        reload(array_api_metric)
    assert array_api_metric.xbce is not None
    assert found == approx(exact(LABELS, DECISION, weights or [1.0] * len(LABELS)), rel=1e-14)
