"""How a subject of one's own is named: what works, and what is said of what does not."""

import functools
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.helpers import leave_out_pictures
from xbce_conformance.cases import BY_NAME, PLAIN
from xbce_conformance.cli import main
from xbce_conformance.subjects.order import wrong_with_call, wrong_with_order
from xbce_conformance.subjects.spec import BadSubject, resolve

LOSS = """
import xbce

loss = xbce.binary_cross_entropy_with_logits.__call__


def swapped(*, y_true, y_pred):
    return loss(y_pred, y_true)


def gradient(x, z):
    return xbce.binary_cross_entropy_with_logits.gradient(x, z)
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Work in a folder of one's own, with its modules, and forget them afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = {*sys.modules}
    yield
    for name in {*sys.modules} - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def write(file, text=LOSS):
    Path(file).parent.mkdir(exist_ok=True)
    Path(file).write_text(text, "utf-8")


def run(*arguments):
    options = ["--dtype", "float32", "--part", "samples", "--out", "out"]
    result = CliRunner().invoke(main, ["run", *arguments, *options], catch_exceptions=False)
    return result.exit_code, " ".join(result.output.split())


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["here_a:loss", "./here_b.py:loss", "here_c.py:loss", "sub/there_d.py:loss"])
def test_a_module_and_a_file(spec):
    name = spec.rpartition("/")[2].partition(":")[0].removesuffix(".py")
    write(f"{'sub/' if 'sub' in spec else ''}{name}.py")
    found = resolve(spec)
    assert (found.spec, found.path, callable(found.value)) == (f"{name}:loss", f"{name}.loss", True)


def test_a_file_of_another_folder_is_measured(tmp_path, monkeypatch):
    """The same name as that of its module is in the results."""
    leave_out_pictures(monkeypatch)
    write("sub/there_e.py")
    absolute = str(tmp_path / "sub" / "there_e.py")
    code, text = run("--subject", f"{absolute}:loss", "--gradient", "./sub/there_e.py:gradient")
    assert code == 0, text
    rows = json.loads(Path("out/results.json").read_text("utf-8"))["rows"]
    assert [row["function"] for row in rows] == ["there_e:loss", "there_e:loss, gradient"]


def test_a_file_that_another_module_hides():
    write("json.py")
    with pytest.raises(BadSubject, match=r"json.py:loss: there is another module json \(.*\): rename the file"):
        resolve("json.py:loss")
    write("my-loss.py")
    with pytest.raises(BadSubject, match="my-loss cannot be the name of a module: rename the file"):
        resolve("my-loss.py:loss")


# --- what is said ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("good_a:", "good_a:: it names no callable; good_a has swapped, gradient"),
        ("good_a.py:", "good_a.py:: it names no callable; good_a has swapped, gradient"),
        (":loss", ":loss: it names no module; MODULE:CALLABLE is expected"),
        ("good_a:loss:more", "good_a:loss:more: it has more than one colon; MODULE:CALLABLE is expected"),
        ("good_a:los", "good_a:los: good_a has no attribute 'los'; did you mean 'loss'?"),
        ("good_a:nothing_like_it", "good_a:nothing_like_it: good_a has no attribute 'nothing_like_it'"),
        ("god_a:loss", "god_a:loss: god_a cannot be imported: No module named 'god_a'; did you mean 'good_a'?"),
        ("god_a.py:loss", "god_a.py:loss: there is no file god_a.py; did you mean 'good_a.py'?"),
        ("./good_a:loss", "./good_a:loss: ./good_a is neither a module, such as package.module, nor a file, such as"),
        ("good-a:loss", "good-a:loss: good-a is neither a module, such as package.module, nor a file, such as"),
    ],
)
def test_what_is_wrong_with_a_text(spec, says):
    write("good_a.py")
    code, text = run("--subject", spec)
    assert code == 3
    assert text.startswith(f"Error: {says}")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("return", "SyntaxError: 'return' outside function (broken_a.py, line 1)"),
        ("\nraise ValueError('no\\nmore')", "ValueError: no more (broken_a.py, line 2)"),
        ("import sys\nsys.exit(0)", "SystemExit: 0 (broken_a.py, line 2)"),
        ("assert False", "AssertionError (broken_a.py, line 1)"),
        ("import nowhere_at_all", "No module named 'nowhere_at_all'"),
        ("from math import nothing", "cannot import name 'nothing' from 'math'"),
    ],
)
def test_a_module_that_raises(content, says):
    write("broken_a.py", content)
    sys.modules.pop("broken_a", None)
    code, text = run("--subject", "broken_a:loss")
    assert code == 3
    assert text.startswith(f"Error: broken_a:loss: broken_a cannot be imported: {says}")


def test_names_that_are_no_subject():
    code, text = run("--subject", "textbok")
    assert code == 2
    assert text.endswith("; did you mean 'textbook'?")
    code, text = run("--subject", "good.py")
    assert code == 2
    assert text.endswith("; a file is named with its callable, good.py:loss")
    write("good_a.py")
    code, text = run("--subject", "good_a:loss", "--gradient", "gradient")
    assert (code, text) == (3, "Error: gradient: it is not MODULE:CALLABLE")


# --- the order of arguments -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ("", ""),
        ("labels,logits", ""),
        ("a=labels,b=logits", ""),
        ("labels=logits,logits=labels", ""),
        ("logits,b=labels", ""),
        ("logits", "order leaves out labels; the arguments of "),
        ("logits,logits", "order names logits more than once; the arguments of "),
        ("a=logits,a=labels", "order names a more than once; the arguments of "),
        ("logits,targets", "order names 'targets'; the arguments of "),
        ("=logits,labels", "order names '=logits'; the arguments of "),
        ("class=logits,labels", "order names 'class=logits'; the arguments of "),
        ("logits,,labels", "order names ''; the arguments of "),
        ("a=logits,labels", "order has 'labels' after a keyword; those without one come first"),
    ],
)
def test_order(order, says):
    wrong = wrong_with_order(order.split(",") if order else (), PLAIN)
    assert wrong.startswith(says)
    assert bool(wrong) == bool(says)


def test_order_of_the_command():
    write("good_a.py")
    code, text = run("--subject", "good_a:loss", "--order", "logits")
    assert code == 2
    assert text.endswith(
        "order leaves out labels; the arguments of binary_cross_entropy_with_logits are logits, labels"
    )


def test_keywords(monkeypatch):
    leave_out_pictures(monkeypatch)
    write("good_a.py")
    code, text = run("--subject", "good_a:swapped")
    assert code == 3
    assert text == (
        "Error: good_a:swapped(*, y_true, y_pred) cannot be called with (logits, labels): too many positional "
        "arguments; an order by keywords says how, such as y_true=labels,y_pred=logits"
    )
    assert run("--subject", "good_a:swapped", "--order", "y_true=labels,y_pred=logits")[0] == 0
    code, text = run("--subject", "good_a:swapped", "--order", "y=labels,y_pred=logits")
    assert code == 2
    assert "cannot be called with (y=labels, y_pred=logits): " in text


def function(parameters):
    return eval(f"lambda {parameters}: None")  # noqa: S307 - texts of this file


@pytest.mark.parametrize(
    ("parameters", "advice"),
    [
        ("*, x, z", "such as x=logits,z=labels"),
        ("*, target, input", "such as target=labels,input=logits"),
        ("x", "too many positional arguments"),
        ("x, z, w", "missing a required argument: 'w'"),
    ],
)
def test_what_cannot_be_called(parameters, advice):
    wrong = wrong_with_call(function(parameters), PLAIN.arguments, "f")
    assert wrong.startswith(f"f({parameters}) cannot be called with (logits, labels): ")
    assert wrong.endswith(advice)


def test_what_can_be_called():
    """Also where nothing is known of a function, or it is a wrapper of another signature."""
    wrapper = functools.wraps(function("self, x, z"))(function("*arguments"))
    for known in (function("x, z, w=1"), function("x, z"), wrapper, np.logaddexp, max):
        assert wrong_with_call(known, PLAIN.arguments, "f") == ""
    assert wrong_with_call(function("x"), BY_NAME["special.expit"].arguments, "f") == ""
