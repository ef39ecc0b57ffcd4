"""Waivers: what is known and allowed passes, with its reason; one that is not needed, or whose time is over, fails."""

import json
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.helpers import leave_out_pictures
from xbce_conformance import Adapter, measure
from xbce_conformance.cli import main
from xbce_conformance.judge.waivers import BadWaiver, apply, read_waivers, waiver

TODAY = date(2026, 6, 1)


def sigmoid(x):
    """Lose the tail, NaN, and what is infinite."""
    with np.errstate(over="ignore"):
        right = 1 / (1 + np.exp(-x))
    return np.where(np.isnan(x) | (x < -40), 0, np.where(np.isinf(x), np.nan, right)).astype(x.dtype)


def gradient(x):
    """Lose the tail."""
    return sigmoid(x) * sigmoid(-x)


THEIRS = Adapter(sigmoid, gradient=gradient, case="special.expit")


@pytest.fixture(scope="module")
def rows():
    """The value and the gradient in two dtypes, in every part."""
    return measure(THEIRS, dtypes=["float32", "float64"]).rows


def names(rows, **places):
    chosen = [row for row in rows if all(getattr(row, key) == value for key, value in places.items())]
    return {violation.name for row in chosen for violation in row.verdict.violations if not violation.waived}


@pytest.fixture(scope="module")
def all_names(rows):
    found = names([row for row in rows if row.verdict])
    assert found >= {"special-values:nan-x", "special-values:infinite-x", "accuracy:hard-labels", "zero-for-normal"}
    return found


def applied(rows, *waivers):
    after, wrong = apply([row for row in rows if row.verdict], waivers, TODAY)
    return after, wrong


# --- what is allowed ------------------------------------------------------------------------------------------------


def test_by_name(rows, all_names):
    after, wrong = applied(rows, waiver("special-values:nan-x", "there is none"))
    assert wrong == []
    assert names(after) == all_names - {"special-values:nan-x"}
    waived = {(violation.name, violation.waived) for row in after for violation in row.waived}
    assert waived == {("special-values:nan-x", "there is none")}
    # Of the row no other thing is changed, and what is waived is still said.
    for before, row in zip([row for row in rows if row.verdict], after, strict=True):
        assert (before.name, before.figures) == (row.name, row.figures)
        assert [v.text for v in before.verdict.violations] == [v.text for v in row.verdict.violations]


def test_by_the_beginning_of_names(rows, all_names):
    after, wrong = applied(rows, waiver("special-values", "none occurs"))
    assert wrong == []
    assert names(after) == {name for name in all_names if not name.startswith("special-values")}
    # Up to a colon: it is no beginning of any text.
    after, wrong = applied(rows, waiver("special", "none occurs"))
    assert names(after) == all_names
    assert wrong == ["the waiver special (none occurs) is not needed any more: remove it"]


@pytest.mark.parametrize(
    ("places", "which"),
    [
        ("float32", {"dtype": "float32"}),
        ("gradient", {"quantity": "gradient"}),
        ("gradient,float64", {"quantity": "gradient", "dtype": "float64"}),
        ("numpy", {"backend": "numpy"}),
        ("subject", {"subject": "subject"}),
    ],
)
def test_places(rows, places, which):
    after, wrong = applied(rows, waiver(f"accuracy@{places}", "it is known"))
    assert wrong == []
    for before, row in zip([row for row in rows if row.verdict], after, strict=True):
        there = all(getattr(row, key) == value for key, value in which.items())
        assert {v.name for v in row.waived} == ({"accuracy:hard-labels"} & names([before]) if there else set())


def test_a_row_with_nothing_else_passes(rows, all_names):
    waivers = [waiver(name.partition(":")[0], "it is known") for name in sorted(all_names)]
    after, wrong = applied(rows, *dict.fromkeys(waivers))
    assert wrong == []
    assert [row.violations for row in after] == [[]] * len(after)


# --- what is wrong with waivers -------------------------------------------------------------------------------------


def test_a_date_that_is_past_is_said(rows, all_names):
    reason = {"reason": "until the next version", "until": date(2026, 5, 31)}
    after, wrong = applied(rows, waiver("special-values@float32", reason))
    assert wrong == ["the waiver special-values@float32 (until the next version) held until 2026-05-31"]
    assert names(after) == all_names
    after, wrong = applied(rows, waiver("special-values", reason | {"until": TODAY}))
    assert wrong == []
    assert not any(name.startswith("special-values") for name in names(after))


def test_one_that_is_not_needed_is_said(rows):
    _, wrong = applied(rows, waiver("nonfinite@float64", "overflow"))
    assert wrong == ["the waiver nonfinite@float64 (overflow) is not needed any more: remove it"]


@pytest.mark.parametrize(
    "name", ["special-values@float16", "accuracy@torch:cpu", "nonfinite@hessian", "accuracy@other"]
)
def test_one_whose_rows_are_not_measured_is_silent(rows, name):
    assert applied(rows, waiver(name, "it is known"))[1] == []


def test_one_of_a_part_that_is_not_measured_is_silent(rows):
    samples = [row for row in rows if row.of_errors]
    assert applied(samples, waiver("behaviour:strided", "never"))[1] == []
    assert len(applied(rows, waiver("behaviour:strided", "never"))[1]) == 1


@pytest.mark.parametrize(
    ("name", "reason", "says"),
    [
        ("accuracy", "", "the waiver 'accuracy' has no reason; a text is expected"),
        ("accuracy", "  ", "has no reason"),
        ("accuracy", None, "has no reason"),
        ("accuracy", 3, "has no reason"),
        ("accuracy", {"until": TODAY}, "has no reason"),
        ("accuracy", {"reason": "r", "till": TODAY}, "the waiver 'accuracy' has till; reason and until are expected"),
        ("accuracy", {"reason": "r", "until": "2027-01-31"}, "holds until '2027-01-31'; a date is expected"),
        ("", "r", "the waiver '' names no violation"),
        ("@float32", "r", "the waiver '@float32' names no violation"),
    ],
)
def test_what_is_no_waiver(name, reason, says):
    with pytest.raises(BadWaiver) as error:
        waiver(name, reason)
    assert says in str(error.value)


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["waive", "tool.xbce-conformance.waive"])
def test_files(tmp_path, table):
    file = tmp_path / "any.toml"
    file.write_text(
        f'[{table}]\n"special-values:nan-x" = "one"\n'
        '"accuracy@float16,gradient" = {reason = "two", until = 2027-01-31}\n',
        "utf-8",
    )
    one, two = read_waivers(file)
    assert (one.name, one.reason, one.places, one.until) == ("special-values:nan-x", "one", (), None)
    assert (two.name, two.reason) == ("accuracy", "two")
    assert (two.places, two.until) == (("float16", "gradient"), date(2027, 1, 31))
    assert str(two) == "accuracy@float16,gradient"


def test_a_file_without_a_table_has_none(tmp_path):
    file = tmp_path / "any.toml"
    file.write_text('[project]\nname = "theirs"\n', "utf-8")
    assert read_waivers(file) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[waive\n", "any.toml is no TOML: "),
        ('waive = "all"\n', "any.toml: waive is str; a table of names with their reasons is expected"),
        ('[waive]\naccuracy = ""\n', "the waiver 'accuracy' has no reason"),
    ],
)
def test_bad_files(tmp_path, text, says):
    file = tmp_path / "any.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(BadWaiver) as error:
        read_waivers(file)
    assert says in str(error.value)


# --- `measure`, and the command -------------------------------------------------------------------------------------


def test_measure():
    waive = {"accuracy": "1", "special-values": "2", "zero-for-normal": "3", "nonfinite": "4"}
    results = measure(Adapter(sigmoid, case="special.expit"), dtypes=["float32"], parts=["samples"], waive=waive)
    assert results.failed == []
    assert results.waivers == ["the waiver nonfinite (4) is not needed any more: remove it"]
    assert not results.passed
    with pytest.raises(ValueError, match="the waiver 'accuracy' has no reason"):
        measure(Adapter(sigmoid, case="special.expit"), waive={"accuracy": ""})


THEIRS_CODE = """
import numpy as np, xbce.special
def f(x):
    return np.where(np.isnan(x), 0, xbce.special.expit(x)).astype(x.dtype)
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a sigmoid that loses NaN; return the exit code, the output and the results."""
    leave_out_pictures(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "theirs", raising=False)
    Path("theirs.py").write_text(THEIRS_CODE, "utf-8")

    def command(*options):
        arguments = ("--subject", "./theirs.py:f", "--case", "special.expit", "--dtype", "float32", "--part", "samples")
        result = CliRunner().invoke(main, ["run", *arguments, "--out", "out", *options], catch_exceptions=False)
        file = Path("out/results.json")
        return result.exit_code, result.output, json.loads(file.read_text("utf-8")) if file.exists() else None

    return command


NAN = "special-values:nan-x"


def test_command(run):
    code, output, _ = run()
    assert code == 1
    assert f"[{NAN}]" in output
    code, output, results = run("--waive", f"{NAN}=none occurs = ever")
    assert code == 0
    ((violation,),) = [row["verdict"]["violations"] for row in results["rows"]]
    assert (violation["name"], violation["waived"]) == (NAN, "none occurs = ever")
    assert results["waivers"] == []
    assert f"[{NAN}]: none occurs = ever" in output
    assert "pass; 1 violations are waived." in output
    assert "none occurs = ever" in Path("out/report.md").read_text("utf-8")
    assert "none occurs = ever" in Path("out/report.html").read_text("utf-8")


def test_a_run_with_a_waiver_that_is_not_needed_exits_1(run):
    code, output, results = run(
        "--waive", f"{NAN}=none occurs", "--waive", "behaviour=unmeasured", "--waive", "nonfinite=x"
    )
    says = "the waiver nonfinite (x) is not needed any more: remove it"
    assert (code, results["waivers"]) == (1, [says])
    assert f"FAIL: {says}" in output
    assert says in Path("out/report.md").read_text("utf-8")
    assert says in Path("out/report.html").read_text("utf-8")


def test_a_run_with_a_waiver_of_the_past_exits_1(run):
    Path("w.toml").write_text(f'[waive]\n"{NAN}" = {{reason = "soon", until = 2020-01-01}}\n', "utf-8")
    code, _, results = run("--waivers", "w.toml")
    assert (code, results["waivers"]) == (1, [f"the waiver {NAN} (soon) held until 2020-01-01"])


def test_a_project_has_its_own(run):
    Path("pyproject.toml").write_text(f'[tool.xbce-conformance.waive]\n"{NAN}" = "none occurs"\n', "utf-8")
    assert run()[0] == 0
    Path("other.toml").write_text("[waive]\n", "utf-8")
    assert run("--waivers", "other.toml")[0] == 1


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--waive", NAN], 2, "has no reason; a text is expected: NAME=REASON"),
        (["--waive", f"{NAN}="], 2, "has no reason"),
        (["--waive", "=reason"], 2, "names no violation"),
        (["--waivers", "bad.toml"], 2, "bad.toml is no TOML: "),
        (["--waivers", "nowhere.toml"], 4, "nowhere.toml cannot be read: No such file"),
    ],
)
def test_usage(run, options, code, says):
    Path("bad.toml").write_text("[waive\n", "utf-8")
    found, output, results = run(*options)
    assert (found, results) == (code, None)
    assert says in " ".join(output.replace("│", " ").split())
