"""`run --data` and `diff` as people run them, on files that they would have."""

import json
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from xbce_conformance import record
from xbce_conformance.cli import main

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "data.schema.json").read_text("utf-8"))
RNG = np.random.default_rng(3)
X = RNG.normal(-6, 2, 5000).astype(np.float32)
Z = (RNG.random(5000) < 0.003).astype(np.float32)
MINE = """
import numpy as np

def right(x, z):
    return np.maximum(x, 0) - x * z + np.log1p(np.exp(-np.abs(x)))

def clamped(labels, logits):
    p = np.clip(1 / (1 + np.exp(-logits)), 1e-3, 1 - 1e-3)
    return -labels * np.log(p) - (1 - labels) * np.log1p(-p)

def broken(x, z):
    raise RuntimeError("not today")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with data and losses."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)  # that of another test
    (tmp_path / "mine.py").write_text(MINE)
    np.savez("logits.npz", logits=X, labels=Z)
    return tmp_path


def invoke(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


def results_in(out):
    data = json.loads((out / "data.json").read_text("utf-8"), parse_constant=lambda name: pytest.fail(name))
    jsonschema.validate(data, SCHEMA)
    return data["results"]


def test_systems_on_a_file(folder):
    options = ("--backend", "numpy", "--backend", "torch:cpu", "--dtype", "float32", "--dtype", "bfloat16")
    result = invoke("run", "--data", "logits.npz", *options)
    assert result.exit_code == 0
    assert "logits.npz: 5,000 elements, float32; binary_cross_entropy_with_logits" in result.output
    assert "torch@torch:cpu in float32 no difference for training" in result.output
    assert "torch@torch:cpu in bfloat16 matters for training: the mean is" in result.output
    (found,) = results_in(folder / "conformance-report")
    assert {outcome["subject"] for outcome in found["outcomes"]} >= {"torch", "xbce", "textbook", "sklearn", "scipy"}
    page = (folder / "conformance-report" / "data.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert 'src="' not in page
    assert "http" not in page


@pytest.mark.usefixtures("folder")
def test_a_loss_of_ones_own_is_judged():
    own = ("--subject", "mine.py:clamped", "--order", "labels,logits")
    result = invoke("run", "--data", "logits.npz", *own, "--dtype", "float32", "--out", "out")
    assert result.exit_code == 1
    assert "mine:clamped@numpy in float32" in result.output
    assert "FAIL: mine:clamped@numpy value in float32: 1,6" in result.output
    result = invoke("run", "--data", "logits.npz", *own, "--dtype", "float32", "--bound", "1e12")
    assert result.exit_code == 0
    assert invoke("run", "--data", "logits.npz", "--subject", "mine.py:right", "--dtype", "float64").exit_code == 0


@pytest.mark.usefixtures("folder")
def test_a_loss_that_raises_fails():
    result = invoke("run", "--data", "logits.npz", "--subject", "mine.py:broken", "--dtype", "float32")
    assert result.exit_code == 1
    assert "FAIL: mine:broken@numpy value in float32: RuntimeError: not today" in result.output


def test_another_loss_and_a_sample(folder):
    options = ("--case", "sigmoid_focal_loss(gamma=1.7, alpha=0.3)", "--subject", "xbce", "--backend", "numpy")
    result = invoke("run", "--data", "logits.npz", *options, "--elements", "100", "--dtype", "float32")
    assert result.exit_code == 0
    assert "100 of 5,000 elements are tried, evenly over all" in result.output
    (found,) = results_in(folder / "conformance-report")
    assert found["case"] == "sigmoid_focal_loss(gamma=1.7, alpha=0.3)"
    assert found["outcomes"][0]["figures"]["count"] == 100


def test_a_recording_is_replayed(folder):
    with record() as recording:
        for dtype in (torch.float32, torch.bfloat16):
            x, z = torch.tensor(X).to(dtype), torch.tensor(Z).to(dtype)
            torch.nn.functional.binary_cross_entropy_with_logits(x, z)
    recording.save("step.npz")
    result = invoke("run", "--data", "step.npz", "--subject", "torch", "--subject", "xbce", "--backend", "torch:cpu")
    assert result.exit_code == 0
    assert "Recorded losses" in result.output
    assert "torch@torch:cpu in bfloat16 matters for training" in result.output
    kinds = [entry["kind"] for entry in results_in(folder / "conformance-report")]
    assert kinds == ["Replay", "OnData", "OnData"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("options", [("--where", "mask"), ("--labels", "y"), ("--case", "sigmoid_focal_loss")])
def test_a_recording_has_its_own_arguments(options):
    with record() as recording:
        torch.nn.functional.binary_cross_entropy_with_logits(torch.tensor(X), torch.tensor(Z))
    recording.save("step.npz")
    result = invoke("run", "--data", "step.npz", *options)
    assert result.exit_code == 2
    assert f"{options[0]}: not with a recording, which has the arguments of its losses" in result.output


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (("--data", "none.npz"), 4, "none.npz cannot be read: No such file or directory"),
        (("--data", "mine.py"), 4, "mine.py is no file of a known kind; one of .npz, .npy, .safetensors, .parquet"),
        (("--data", "damaged.npz"), 4, "damaged.npz does not hold arrays as .npz does: "),
        (("--data", "empty.npz"), 4, "empty.npz does not hold arrays as .npz does: "),
        (("--data", "logits.npz", "--logits", "x"), 4, "--logits: logits.npz has no array 'x'; it has logits, labels"),
        (("--data", "logits.npz", "--level", "full"), 2, "--level: not with --data, whose file has the inputs"),
        (("--data", "logits.npz", "--labels", "y"), 4, "--labels: logits.npz has no array 'y'; it has logits, labels"),
        (("--logits", "x"), 2, "--logits: of a file; --data FILE names it"),
        (("--labels", "y"), 2, "'y' is not one of 'all', 'hard', 'soft'; a column of a file needs --data FILE"),
        (("--data", "logits.npz", "--subject", "no.py:loss"), 3, "no.py"),
        (("--data", "swapped.npz"), 4, "are logits and labels swapped?"),
        (("--data", "logits.npz", "--subject", "optax", "--backend", "numpy"), 3, "nothing to measure (optax: "),
    ],
)
def test_what_is_refused(folder, options, code, text):
    np.savez(folder / "swapped.npz", logits=Z, labels=X)
    (folder / "damaged.npz").write_bytes((folder / "logits.npz").read_bytes()[:-100])
    (folder / "empty.npz").write_bytes(b"")
    result = invoke("run", *options)
    assert result.exit_code == code
    assert text in result.output


def test_two_systems_on_a_file(folder):
    result = invoke(
        "diff", "torch", "mine.py:clamped", "--order", "labels,logits", "--data", "logits.npz", "--dtype", "float32"
    )
    assert result.exit_code == 0
    assert "results differ; nearer to the exact one is" in result.output
    assert "clip: as if probabilities were kept in [c, 1 - c], c = 0.001" in " ".join(result.output.split())
    (found,) = results_in(folder / "conformance-diff")
    assert found["systems"] == ["torch@torch:cpu", "mine:clamped@numpy"]


@pytest.mark.usefixtures("folder")
def test_a_system_that_cannot_be_called_fails_the_diff():
    result = invoke("diff", "torch", "mine.py:broken", "--data", "logits.npz")
    assert result.exit_code == 1
    assert "FAIL: mine:broken@numpy: mine:broken in float32: RuntimeError: not today" in result.output


@pytest.mark.parametrize(
    ("names", "code", "text"),
    [
        (("torch", "torhc"), 2, "'torhc' is neither module:callable nor one of"),
        (("torch", "paddle"), 3, "paddle is not here: needs "),
        (("torch@cuda", "xbce"), 2, "'torch@cuda' names the backend 'cuda'; one of numpy, "),
        (("sklearn", "scipy", "--dtype", "float16"), 2, "have no function of binary_cross_entropy_with_logits"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_diff_refuses(names, code, text):
    result = invoke("diff", *names, "--data", "logits.npz")
    assert result.exit_code == code
    assert text in result.output
