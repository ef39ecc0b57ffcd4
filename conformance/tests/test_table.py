"""The table in the terminal: what a narrow screen leaves out, and what is said of a row that fails."""

import subprocess
import sys
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

import xbce
from xbce_conformance import measure
from xbce_conformance.measurement.measured import Violation, Worst
from xbce_conformance.report.failures import block, details
from xbce_conformance.report.table import print_results
from xbce_conformance.results.model import SpecialMismatch

ALL = ["backend", "dtype", "max", "bound", "p99.9", "rounded", "zeros", "FTZ", "NaN/inf", "special", "verdict"]


def flat(x, z):
    value = xbce.binary_cross_entropy_with_logits(x, z)
    return np.where(value < 1e-3, 0, value).astype(x.dtype)


@pytest.fixture(scope="module")
def results():
    """A row that fails, on a backend with a long name."""
    found = measure(flat, dtypes=["float32"], parts=["samples"])
    return replace(found, rows=[replace(row, backend="array-api-strict") for row in found.rows])


def printed(results, width):
    screen = Console(file=StringIO(), width=width)
    print_results(results, screen)
    return screen.file.getvalue().splitlines()


@pytest.mark.parametrize(
    ("width", "gone"),
    [
        (120, set()),
        (80, {"FTZ", "zeros"}),
        (70, {"FTZ", "zeros", "NaN/inf"}),
        (60, {"FTZ", "zeros", "NaN/inf", "p99.9", "rounded"}),
        (40, {"FTZ", "zeros", "NaN/inf", "p99.9", "rounded", "special"}),
    ],
)
def test_the_verdict_is_the_last_to_go(results, width, gone):
    lines = printed(results, width)
    head = next(line.split() for line in lines if "dtype" in line)
    row = next(line.split() for line in lines if line.rstrip().endswith(" FAIL"))
    if width > 40:
        assert head == [name for name in ALL if name not in gone]
        assert row[:2] == ["array-api-strict", "float32"]
        assert len(row) == len(head)
    else:  # what is left is folded
        assert head[-4:] == ["dtype", "max", "bound", "verdict"]
    legend = " ".join(lines)
    assert {name for name in ("FTZ", "rounded", "zeros") if f"{name}: " in legend} == {
        name for name in ("FTZ", "rounded", "zeros") if name not in gone
    }


@pytest.mark.parametrize("width", [120, 80, 40])
def test_a_row_that_fails_is_shown_whole(results, width):
    """At any width: its violations, the worst input, what came, what is right, and a command that is one line."""
    (row,) = results.rows
    (worst,) = [replace(row, reproducer="python -c 'print(1)' " + "#" * 200)]
    lines = printed(replace(results, rows=[worst]), width)
    start = lines.index(f"FAIL: {row.name}")
    assert lines[start + 1 :][: len(row.violations) + 4] == [
        *(f"    {violation.text} [{violation.name}]" for violation in row.verdict.violations),
        f"    worst: {row.worst.place}",
        f"    came:  {row.worst.computed}",
        f"    right: {row.worst.exact}",
        f"    again: {worst.reproducer}",
    ]
    assert len(row.violations) > 1


def test_wrong_special_values_are_shown(results):
    def with_wrong(n):
        wrong = [SpecialMismatch({"logits": f"{i}", "labels": "1"}, "nan", "0") for i in range(n)]
        return replace(results.rows[0], special=replace(results.rows[0].special, mismatches=wrong))

    lines = details(with_wrong(5))
    assert lines[-1] == "special value: logits 4, labels 1: nan came, right is 0"
    lines = details(with_wrong(8))
    assert lines[-2:] == ["special value: logits 4, labels 1: nan came, right is 0", "special value: 3 more are wrong"]


def test_a_row_without_an_input_says_what_it_knows(results):
    (row,) = results.rows
    nowhere = Worst("", {}, "", "")
    failed = replace(
        row,
        worst=nowhere,
        failure="TypeError: no",
        verdict=replace(row.verdict, violations=[Violation("failure:raised", "TypeError: no")]),
    )
    assert block(failed) == f"FAIL: {row.name}\n    TypeError: no [failure:raised]"
    assert details(replace(failed, verdict=None)) == ["TypeError: no"]
    assert details(replace(failed, verdict=None, failure="")) == [f"{row.figures.max_ulp:.1e} ULP".replace("e+0", "e")]


def test_width_off_a_terminal(monkeypatch):
    """That of COLUMNS, or wide enough for every column."""
    monkeypatch.setenv("COLUMNS", "80")
    program = "from xbce_conformance.cli.common import console; print(console().width)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "80\n"
    monkeypatch.delenv("COLUMNS")
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "120\n"
