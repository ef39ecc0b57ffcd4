"""Subjects that users name: a newcomer's five lines, broken ones, other argument orders and arrays; errors."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.helpers import leave_out_pictures
from xbce_conformance.cli import main
from xbce_conformance.subjects.spec import BadSubject
from xbce_conformance.subjects.user import Adapter, load

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write a module that can be named, and go there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def write(text, name="theirs"):
        monkeypatch.delitem(sys.modules, name, raising=False)
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text), "utf-8")

    return write


@pytest.fixture
def module(written, monkeypatch):
    """Do the same, and leave out the pictures of the reports."""
    leave_out_pictures(monkeypatch)
    return written


def run(*arguments, dtypes=("float32",), parts=("samples",)):
    options = [part for dtype in dtypes for part in ("--dtype", dtype)]
    options += [part for name in parts for part in ("--part", name)]
    result = CliRunner().invoke(main, ["run", *arguments, *options, "--out", "out"], catch_exceptions=False)
    rows = (
        json.loads(Path("out/results.json").read_text("utf-8"))["rows"]
        if result.exit_code in (0, 1) and Path("out").exists()
        else []
    )
    return result, rows


# --- five lines -----------------------------------------------------------------------------------------------------


def test_a_newcomers_five_lines(written):
    """The example of the documentation: one command, and a verdict."""
    text = (EXAMPLES / "my_loss.py").read_text("utf-8")
    assert len([line for line in text.splitlines() if line]) <= 5
    assert text in (EXAMPLES.parent / "conformance.md").read_text("utf-8")
    written(text, "my_loss")
    result, rows = run("--subject", "my_loss:loss", parts=())
    assert [row["kind"] for row in rows] == ["samples", "behaviour", "invariance"]
    row = rows[0]
    assert result.exit_code == 1
    # Right for hard labels, but it takes soft ones for 0, and that is what the row says.
    assert row["verdict"] is not None
    assert {"soft near 1", "soft"} <= {name for name, error in row["regimes"].items() if error == "inf" or error > 100}
    assert row["regimes"]["tail, label agrees"] < 4
    assert "FAIL: my_loss:loss" in result.output
    assert Path("out/report.html").read_text("utf-8").count("<title>Largest error by ") == 2


@pytest.mark.parametrize(
    ("name", "quantity", "regime", "says"),
    [
        ("pytorch_formula", "value", "tail, label agrees", "results are zero where a normal number is right"),
        ("wrong_sign_at_zero", "gradient", "near 0", "ULP for hard labels"),
        ("lost_tail", "value", "tail, label agrees", "results are zero where a normal number is right"),
        ("infinity_becomes_nan", "value", None, "special values are wrong"),
        ("exp_that_is_5_ulp_off", "value", "tail, label agrees", "ULP for hard labels"),
    ],
)
def test_a_broken_loss_is_caught_by_its_own_row(name, quantity, regime, says, module):
    module((EXAMPLES / "broken_losses.py").read_text("utf-8"), "broken_losses")
    result, rows = run("--subject", f"broken_losses:{name}")
    assert result.exit_code == 1
    broken = [row for row in rows if row["verdict"]["violations"]]
    assert {row["quantity"] for row in broken} == {quantity}
    (row,) = broken
    assert any(says in violation["text"] for violation in row["verdict"]["violations"])
    wrong = {name for name, error in row["regimes"].items() if error == "inf" or error > 4}
    if regime is None:
        assert wrong == set()
        assert {m["inputs"]["logits"] for m in row["special"]["mismatches"]} <= {"inf", "-inf"}
    else:
        assert regime in wrong
        assert "huge" not in wrong


# --- how it is called -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["labels,logits", "y_pred=logits,y_true=labels"])
def test_order_of_arguments(order, module):
    module("""
        import xbce
        def loss(y_true, y_pred):
            return xbce.binary_cross_entropy_with_logits(y_pred, y_true)
    """)
    assert run("--subject", "theirs:loss", "--order", order)[0].exit_code == 0
    assert run("--subject", "theirs:loss")[0].exit_code == 1


def test_gradient_by_attribute_by_name_and_by_autodiff(module):
    module("""
        import torch, xbce
        right = xbce.binary_cross_entropy_with_logits
        def half(x, z):
            return right.gradient(x, z) / 2
        def of_torch(x, z):
            return torch.where(x > 0, x, 0 * x) - x * z + torch.log1p(torch.exp(-x.abs()))
    """)
    _, rows = run("--subject", "theirs:right")
    assert [(row["quantity"], row["verdict"]["violations"]) for row in rows] == [
        ("value", []),
        ("gradient", []),
        ("hessian", []),
    ]
    _, rows = run("--subject", "theirs:right", "--gradient", "theirs:half")
    assert [bool(row["verdict"]["violations"]) for row in rows] == [False, True, False]
    _, rows = run("--subject", "theirs:of_torch", "--backend", "torch:cpu")
    assert [row["quantity"] for row in rows] == ["value", "gradient"]
    assert "theirs.of_torch" in rows[1]["reproducer"]
    assert "torch.autograd.grad" in rows[1]["reproducer"]


def test_every_backend_that_is_named(module):
    module("""
        import xbce
        loss = xbce.binary_cross_entropy_with_logits.__call__
    """)
    result, rows = run("--subject", "theirs:loss", "--backend", "numpy", "--backend", "array-api-strict")
    assert result.exit_code == 0
    assert [(row["backend"], row["quantity"]) for row in rows] == [("numpy", "value"), ("array-api-strict", "value")]


def test_python_floats(module):
    """One pair at a time; what arithmetic raises counts as NaN."""
    module("""
        from math import exp, log1p
        def loss(x, z):
            return (1 - z) * max(x, 0.0) + z * max(-x, 0.0) + log1p(exp(-abs(x)))
        def naive(x, z):
            return log1p(exp(x)) - x * z
    """)
    options = ("--backend", "scalar")
    result, (row,) = run("--subject", "theirs:loss", *options, dtypes=("float64",))
    assert row["figures"]["max_ulp"] < 4
    assert row["figures"]["wrong_nonfinite"] == 0
    assert result.exit_code == 1  # inf * 0
    _, (row,) = run("--subject", "theirs:naive", *options, dtypes=("float64",))
    assert row["figures"]["wrong_nonfinite"] > 1000
    assert row["figures"]["max_ulp"] == "inf"


def test_another_case(module):
    module("""
        import numpy as np
        def sigmoid(x):
            with np.errstate(over="ignore"):
                return 1 / (1 + np.exp(-x))
    """)
    result, (row,) = run("--subject", "theirs:sigmoid", "--case", "special.expit")
    assert row["case"] == "special.expit"
    assert result.exit_code == 1
    assert run("--subject", "theirs:sigmoid", "--case", "special.expit", "--bound", "2e6")[0].exit_code == 0


def test_adapter_in_the_module(module):
    module("""
        import xbce
        from xbce_conformance.subjects.user import Adapter
        loss = xbce.binary_cross_entropy_with_logits
        theirs = Adapter(
            lambda y, x: loss(x, y), gradient=lambda y, x: loss.gradient(x, y), order=("labels", "logits"),
            dtypes=("float64",),
        )
    """)
    result, rows = run("--subject", "theirs:theirs", dtypes=())
    assert result.exit_code == 0
    assert [(row["quantity"], row["dtype"]) for row in rows] == [("value", "float64"), ("gradient", "float64")]


def test_bound_of_ones_own(module):
    module("""
        import numpy as np, xbce
        def loss(x, z):
            value = xbce.binary_cross_entropy_with_logits(x, z)
            return np.where((value > 0) & (value < 1e30), value + 6 * np.spacing(np.abs(value)), value).astype(x.dtype)
    """)
    assert run("--subject", "theirs:loss")[0].exit_code == 1
    result, (row,) = run("--subject", "theirs:loss", "--bound", "10")
    assert result.exit_code == 0
    assert row["verdict"]["bound"] == {"hard": 10.0, "soft": 10.0}
    assert "All 1 rows of theirs:loss pass." in result.output


def test_a_dtype_that_is_not_kept_fails(module):
    module("""
        import numpy as np, xbce
        def loss(x, z):
            return np.float64(xbce.binary_cross_entropy_with_logits(x, z))
    """)
    result, rows = run("--subject", "theirs:loss", dtypes=())
    assert result.exit_code == 1
    assert {row["dtype"] for row in rows if not row["failure"]} == {"float64"}
    assert {row["dtype"] for row in rows if row["failure"]} == {"float16", "bfloat16", "float32"}
    says = "it returned float64; float32 is expected, the dtype of its first argument"
    (row,) = [row for row in rows if row["dtype"] == "float32"]
    assert (row["failure"], row["figures"]["count"]) == (says, 0)
    assert row["verdict"]["violations"] == [{"name": "failure:dtype", "text": says, "waived": ""}]
    assert f"FAIL: theirs:loss, numpy, float32\n    {says} [failure:dtype]\n" in result.output


def test_a_gradient_that_takes_fewer_dtypes(module):
    """The half types are left out, and named; float32 is not, nor is a half type that is asked for."""
    module("""
        import numpy as np, xbce
        def loss(x, z):
            return xbce.binary_cross_entropy_with_logits(x, z)
        def gradient(x, z):
            if x.dtype != np.float64:
                raise TypeError("float64 only")
            return xbce.binary_cross_entropy_with_logits.gradient(x, z)
        loss.gradient = gradient
    """)
    result, rows = run("--subject", "theirs:loss", dtypes=())
    assert result.exit_code == 1
    fails = [(row["dtype"], row["failure"]) for row in rows if row["quantity"] == "gradient"]
    assert fails == [("float32", "TypeError: float64 only"), ("float64", "")]
    assert [row["dtype"] for row in rows if row["quantity"] == "value"] == ["float16", "bfloat16", "float32", "float64"]
    for dtype in ("float16", "bfloat16"):
        assert f"absent: theirs:loss, gradient in {dtype} on numpy: TypeError: float64 only" in result.output
    result, rows = run("--subject", "theirs:loss", dtypes=("float16", "float64"))
    assert result.exit_code == 1
    assert [(row["quantity"], row["dtype"], row["failure"]) for row in rows] == [
        ("value", "float16", ""),
        ("gradient", "float16", "TypeError: float64 only"),
        ("value", "float64", ""),
        ("gradient", "float64", ""),
    ]
    assert "absent" not in result.output


# --- entry points ---------------------------------------------------------------------------------------------------


def test_entry_point(tmp_path):
    """What a distribution offers is found by its name; judged only where a user names it."""
    (tmp_path / "other.py").write_text("def loss(x, z):\n    return x * 0\n", "utf-8")
    info = tmp_path / "other-3.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 3.1\n", "utf-8")
    (info / "entry_points.txt").write_text(
        "[xbce_conformance.subjects]\nother-loss = other:loss\nbroken = other:nothing\n", "utf-8"
    )
    (info / "RECORD").write_text("other.py,,\n", "utf-8")

    options = ["run", "--dtype", "float16", "--part", "samples", "--out", "out", "--subject", "other-loss"]
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from xbce_conformance.subjects.backends import find_backends
from xbce_conformance.cli import main
from xbce_conformance.subjects.selection import SUBJECT_NAMES, find_subjects
try:
    main({options})
except SystemExit as error:
    print("exit", error.code)
((subject,), missing) = find_subjects(SUBJECT_NAMES[-2:], find_backends(("numpy",))[0])
print(subject.name, subject.judged, missing)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    *_, code_of_named, installed = done.stdout.splitlines()
    assert code_of_named == "exit 1", done.stderr
    (row,) = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))["rows"]
    assert (row["subject"], row["version"], row["verdict"] is not None) == ("other-loss", "3.1", True)
    refused = {"broken": "other:nothing: other has no attribute 'nothing'"}
    assert installed == f"other-loss False {refused}", done.stderr


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "options", "says"),
    [
        (
            "nowhere_at_all:loss",
            {},
            "nowhere_at_all:loss: nowhere_at_all cannot be imported: No module named 'nowhere_at_all'",
        ),
        ("math:nothing", {}, "math:nothing: math has no attribute 'nothing'"),
        ("math:pi", {}, "math:pi is float 3.14"),
        (
            "math:exp",
            {"case": "square"},
            "case 'square' of math:exp: 'square' is no function of xbce that is measured; one of binary_cross",
        ),
    ],
)
def test_what_cannot_be_loaded(spec, options, says):
    with pytest.raises(BadSubject) as error:
        load(spec, **options)
    assert str(error.value).startswith(says)


def test_errors_of_the_command(module):
    module("def loss(x, z):\n    return x.nothing\n")
    result, _ = run("--subject", "theirs:loss", "--order", "targets,logits")
    assert (
        "Error: order names 'targets'; the arguments of binary_cross_entropy_with_logits are logits, labels"
        in result.output
    )
    result, (row,) = run("--subject", "theirs:loss")
    assert result.exit_code == 1
    assert row["failure"] == "AttributeError: 'numpy.ndarray' object has no attribute 'nothing'"
    assert set(row["worst"]["inputs"]) == {"logits", "labels"}
    assert f"FAIL: theirs:loss, numpy, float32\n    {row['failure']} [failure:raised]\n" in result.output
    result, _ = run("--subject", "torch", "--bound", "8")
    assert "order, gradient and bound are for a subject of your own; none is named" in result.output
    result, _ = run("--subject", "pytorch")
    assert "'pytorch' is neither module:callable nor one of xbce, xbce (high), torch, tensorflow" in result.output


def test_adapter_says_what_it_is():
    assert Adapter(len).case == "binary_cross_entropy_with_logits"
