"""What changed between two runs: a gate that knows what got worse, and under which circumstances."""

import json
from dataclasses import replace
from math import inf

import pytest
from click.testing import CliRunner

import xbce
from xbce_conformance import Adapter, measure
from xbce_conformance.cli import main
from xbce_conformance.measurement.measured import Violation
from xbce_conformance.results.compare import compare, under_one_name
from xbce_conformance.results.model import SpecialMismatch

LOSS = xbce.binary_cross_entropy_with_logits


def f(x, z):
    return LOSS(x, z)


@pytest.fixture(scope="module")
def results():
    """Two rows of `f`: value and gradient."""
    found = measure(Adapter(f, gradient=LOSS.gradient), dtypes=["float32"], parts=["samples"])
    rows = [replace(row, subject="f", function=row.function.replace("subject", "f")) for row in found.rows]
    assert [row.function for row in rows] == ["f", "f, gradient"]
    assert 1 < rows[0].figures.max_ulp < 4
    return replace(found, rows=rows)


def violation(text):
    return Violation("accuracy:hard-labels", text)


def with_figures(row, **change):
    return replace(row, figures=replace(row.figures, **change))


def changed(results, change):
    """Return the results with a change of their first row."""
    first, *others = results.rows
    return replace(results, rows=[change(first), *others])


def changes(results, change, *, backwards=False, tolerance=0.0):
    """Return the changes, in words and direction, that come with a change of the first row."""
    both = [results, changed(results, change)]
    found = compare(*(both[::-1] if backwards else both), tolerance)
    assert {each.row for each in found} <= {results.rows[0].name}
    return [(each.what, each.direction) for each in found]


# --- one figure -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figure", "old", "new", "says"),
    [
        ("max_ulp", 1.81, 3.9, "largest error: 1.81 -> 3.90 ULP"),
        ("max_ulp", 1.81, 1.82, "largest error: 1.81 -> 1.82 ULP"),
        ("max_ulp", 1.81, inf, "largest error: 1.81 -> inf ULP"),
        ("p999_ulp", 0.5, 0.6, "99.9th percentile: 0.50 -> 0.60 ULP"),
        ("correctly_rounded", 30000, 20000, "correctly rounded: "),
        ("zero_for_normal", 0, 1, "zeros for normal numbers: 0 -> 1"),
        ("wrong_nonfinite", 0, 2, "NaN or inf: 0 -> 2"),
        ("flushed", 3, 4, "flushed: 3 -> 4"),
    ],
)
def test_a_change_for_the_worse_is_one_for_the_better_the_other_way_round(results, figure, old, new, says):
    before, after = (changed(results, lambda row, n=n: with_figures(row, **{figure: n})) for n in (old, new))
    (change,) = compare(before, after)
    assert (change.figure, change.direction, change.worse) == (figure, "worse", True)
    assert change.what.startswith(says)
    (change,) = compare(after, before)
    assert (change.direction, change.worse) == ("better", False)


@pytest.mark.parametrize(
    ("figure", "old", "new"),
    [("max_ulp", 1.8099, 1.8101), ("max_ulp", 1.21e83, 1.24e83), ("max_ulp", inf, inf), ("p999_ulp", 0.501, 0.504)],
)
def test_what_is_written_the_same_is_the_same(results, figure, old, new):
    before, after = (changed(results, lambda row, n=n: with_figures(row, **{figure: n})) for n in (old, new))
    assert compare(before, after) == compare(after, before) == []


def test_a_share_that_is_written_the_same_is_the_same(results):
    assert changes(results, lambda row: with_figures(row, correctly_rounded=row.figures.correctly_rounded - 1)) == []


def test_tolerance(results):
    grown = changed(results, lambda row: with_figures(row, max_ulp=row.figures.max_ulp * 1.04))
    (change,) = compare(results, grown, tolerance=0.03)
    assert change.worse
    (change,) = compare(results, grown, tolerance=0.05)
    assert change.direction == "other"
    assert change.what.endswith(", within the tolerance")
    # The share that may grow is that of results that are not correctly rounded.
    before, after = (
        changed(results, lambda row, n=n: with_figures(row, count=1000, correctly_rounded=n)) for n in (900, 896)
    )
    assert compare(before, after, 0.03)[0].what == "correctly rounded: 90.0% -> 89.6%"
    assert [each.worse for each in (*compare(before, after, 0.03), *compare(before, after, 0.05))] == [True, False]
    # No tolerance for what is wrong.
    assert changes(results, lambda row: with_figures(row, zero_for_normal=1), tolerance=9)[0][1] == "worse"


# --- what is no figure ----------------------------------------------------------------------------------------------


def test_a_row_that_fails_is_worse_and_one_that_passes_again_is_better(results):
    def failing(row):
        return replace(row, verdict=replace(row.verdict, violations=[violation("5 ULP")]))

    assert changes(results, failing) == [("fails: 5 ULP", "worse")]
    assert changes(results, failing, backwards=True) == [("passes", "better")]


def test_a_row_that_is_not_judged_any_more_is_worse(results):
    assert changes(results, lambda row: replace(row, verdict=None)) == [("is not judged any more", "worse")]


def test_a_row_that_is_not_measured_has_no_figures_to_compare(results):
    def raising(row):
        failed = replace(
            row, failure="ValueError: no", verdict=replace(row.verdict, violations=[violation("ValueError: no")])
        )
        return with_figures(failed, count=0, max_ulp=inf, correctly_rounded=0)

    assert changes(results, raising) == [("is not measured: ValueError: no", "worse")]
    error = f"{results.rows[0].figures.max_ulp:.2f}"
    assert changes(results, raising, backwards=True) == [(f"is measured again: {error} ULP", "better")]
    assert compare(changed(results, raising), changed(results, raising)) == []


def test_another_special_value_is_wrong(results):
    """Also where as many are wrong as before."""

    def wrong_at(*logits):
        def change(row):
            wrong = [SpecialMismatch({"logits": x, "labels": "0"}, "nan", "0") for x in logits]
            return replace(row, special=replace(row.special, mismatches=wrong))

        return changed(results, change)

    assert [c.what for c in compare(wrong_at(), wrong_at("inf"))] == ["wrong special values: 0 -> 1"]
    assert [c.direction for c in compare(wrong_at("inf"), wrong_at("nan"))] == ["worse"]
    assert [c.direction for c in compare(wrong_at("inf", "nan"), wrong_at("nan"))] == ["better"]


def test_other_bits(results):
    assert len(results.rows[0].sha256) == 64
    assert changes(results, lambda row: replace(row, sha256="0" * 64)) == [("other bits", "other")]


def test_rows_that_come_and_go(results):
    less = replace(results, rows=results.rows[1:])
    (gone,) = compare(results, less)
    assert (gone.row, gone.what, gone.direction) == (results.rows[0].name, "is not measured any more", "worse")
    (came,) = compare(less, results)
    assert (came.what, came.direction) == (f"is new: {results.rows[0].figures.max_ulp:.2f} ULP", "other")
    failing = changed(results, lambda row: replace(row, verdict=replace(row.verdict, violations=[violation("no")])))
    assert [c.direction for c in compare(less, failing)] == ["worse"]


# --- another name ---------------------------------------------------------------------------------------------------


def renamed(results, name):
    rows = [replace(r, subject=name, function=r.function.replace("f", name, 1)) for r in results.rows]
    return replace(results, rows=rows)


def test_two_candidates_are_compared_under_one_name(results):
    other = changed(renamed(results, "m:g"), lambda row: with_figures(row, max_ulp=3.9))
    assert len(compare(results, other)) == 4  # two came, two went
    (change,) = compare(*under_one_name(results, other, {"f": "m:g"}))
    assert change.row.startswith("m:g, numpy, float32")
    assert change.worse


def test_two_candidates_of_one_file(results):
    other = changed(renamed(results, "m:g"), lambda row: with_figures(row, max_ulp=3.9))
    both = replace(results, rows=[*results.rows, *other.rows])
    (change,) = compare(*under_one_name(both, both, {"f": "m:g"}))
    assert change.worse


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def command(tmp_path):
    def run(old, new, *options):
        old.write(tmp_path / "old.json")
        new.write(tmp_path / "new.json")
        arguments = ["compare", str(tmp_path / "old.json"), str(tmp_path / "new.json"), *options]
        result = CliRunner().invoke(main, arguments, catch_exceptions=False)
        return result.exit_code, result.output

    return run


def test_nothing_changed(command, results):
    code, text = command(results, results)
    assert code == 0
    assert text == (
        "Inputs, processor and versions are the same.\n0 for the worse, 0 for the better, 0 other changes.\n"
    )


def test_the_worst_comes_last_and_lines_are_whole(command, results, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    value, gradient = results.rows
    other = replace(results, rows=[with_figures(value, max_ulp=3.9), with_figures(gradient, max_ulp=0.1)])
    code, text = command(results, other)
    assert code == 1
    assert [line.split(": ")[0] for line in text.splitlines()[1:3]] == ["better", "worse"]
    assert f"worse: {value.name}: largest error: {value.figures.max_ulp:.2f} -> 3.90 ULP" in text.splitlines()
    assert command(results, other, "--tolerance", "5")[0] == 0


def test_circumstances_are_said(command, results):
    other = replace(
        results,
        environment=results.environment | {"processor": "another", "date": "1970-01-01", "xbce": "0"},
        backends={"numpy": results.backends["numpy"] | {"version": "1.26"}},
        rows=[replace(row, version="7") for row in results.rows],
    )
    code, text = command(results, other)
    assert code == 0
    said = [line.removeprefix("not the same: ") for line in text.splitlines()[:-1]]
    assert said == [
        f"xbce: {xbce.__version__} -> 0",
        f"processor: {results.environment['processor']} -> another",
        f"numpy, version: {results.backends['numpy']['version']} -> 1.26",
        "version of f: unknown -> 7",
    ]


def test_other_levels_are_refused(command, results):
    full = replace(results, level="full")
    code, text = command(results, full)
    assert code == 2
    assert "the inputs are others: quick in " in text
    assert "--across-levels" in text
    code, text = command(results, full, "--across-levels")
    assert code == 0
    assert text.startswith("not the same: level: quick -> full\n")
    merged = replace(results, level="quick; all logits")
    assert command(merged, replace(results, level="all logits; quick"))[0] == 0


def test_json(command, results):
    other = changed(
        replace(results, environment={**results.environment, "Python": "4"}), lambda row: with_figures(row, max_ulp=inf)
    )
    code, text = command(results, other, "--json")
    assert code == 1
    row, error = results.rows[0], results.rows[0].figures.max_ulp
    what = f"largest error: {error:.2f} -> inf ULP"
    assert json.loads(text) == {
        "circumstances": [{"what": "Python", "old": results.environment["Python"], "new": "4"}],
        "changes": [{"row": row.name, "figure": "max_ulp", "what": what, "direction": "worse"}],
    }


def test_names(command, results):
    other = renamed(results, "m:g")
    assert command(results, other)[0] == 1
    assert command(results, other, "--as", "f=m:g")[0] == 0
    code, text = command(results, other, "--as", "f=m:h")
    assert code == 2
    assert "the new results have no subject 'm:h'; they have m:g" in " ".join(text.split())
    code, text = command(results, other, "--as", "f")
    assert code == 2
    assert "'f' is not OLD=NEW, such as mine:f=mine:g" in text


def test_no_rows_are_no_baseline(command, results):
    code, text = command(replace(results, rows=[]), results)
    assert code == 4
    assert "has no rows: nothing can be compared with it" in text
