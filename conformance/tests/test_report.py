"""What is done with results: Markdown, merging, the documented schema. The pages are in test_report_pages.py."""

import json
import shlex
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from tests.helpers import leave_out_pictures
from xbce_conformance.cli import main
from xbce_conformance.results.model import Results

SCHEMA = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[2] / "docs" / "results.schema.json").read_text("utf-8"))
)


def invoke(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Reports of the plain loss on NumPy, with peers beside it."""
    out = tmp_path_factory.mktemp("report")
    options = ["--subject", "xbce", "--subject", "textbook", "--subject", "tf-formula", "--subject", "sklearn"]
    options += ["--function", "binary_cross_entropy_with_logits", "--dtype", "float32", "--dtype", "float16"]
    assert invoke("run", "--backend", "numpy", *options, "--out", out).exit_code == 0
    return out


@pytest.fixture(scope="module")
def results(folder):
    return Results.read(folder / "results.json")


# --- files ----------------------------------------------------------------------------------------------------------


def test_schema(folder):
    SCHEMA.check_schema(SCHEMA.schema)
    SCHEMA.validate(json.loads((folder / "results.json").read_text("utf-8")))


def test_reads_what_it_writes(folder, results, tmp_path):
    results.write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text("utf-8") == (folder / "results.json").read_text("utf-8")
    assert any(row.figures.max_ulp == float("inf") for row in results.rows)


def test_markdown(folder, results):
    text = (folder / "report.md").read_text("utf-8")
    assert f"**All {len(results.judged)} rows of xbce pass.**" in text
    league = text.partition("## Largest error of the value")[2].partition("\n## ")[0]
    names = [line.split(" | ")[0].removeprefix("| ") for line in league.splitlines() if " on " in line]
    assert names == ["xbce on numpy", "tf-formula on numpy", "sklearn on numpy", "textbook on numpy"]
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")


def test_reproducers_reproduce(results):
    """Each prints what was found, with the library alone."""
    wanted = {(s, q): None for s in ("xbce", "textbook", "sklearn") for q in ("value", "gradient")}
    for row in results.rows:
        if (row.subject, row.quantity) in wanted and row.of_errors and row.reproducer and "_and_" not in row.function:
            wanted[row.subject, row.quantity] = row
    for row in wanted.values():
        program, option, code = shlex.split(row.reproducer)
        assert (program, option) == ("python", "-c")
        assert ("xbce" in code) == (row.subject == "xbce")
        command = [sys.executable, "-W", "ignore", "-c", code]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert printed == [row.worst.computed]


@pytest.mark.parametrize("subject", ["xbce", "textbook", "sklearn"])
def test_reproducers_of_behaviour_reproduce(results, subject):
    """Each prints what was found with arrays of that form, or raises what was raised."""
    rows = [row for row in results.rows if row.kind == "behaviour" and row.subject == subject and row.reproducer]
    assert rows
    for row in rows[:2]:
        *_, code = shlex.split(row.reproducer)
        command = [sys.executable, "-W", "ignore", "-c", code]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if row.worst.computed:
            assert result.stdout.split() == [row.worst.computed]
        else:
            error = result.stderr.splitlines()[-1] if result.stderr else result.stdout.strip()
            assert error == "-0x0.0p+0" or any(error in text for text in row.remarks), error


def with_figures(row, **change):
    return replace(row, figures=replace(row.figures, **change))


def test_merging(folder, results, tmp_path, monkeypatch):
    leave_out_pictures(monkeypatch)  # of the page; --plots draws them
    other = replace(
        results,
        environment=results.environment | {"processor": "another"},
        backends={"paddle": {"version": "3"}},
        missing={"paddle": "not here", "mlx": "not there"},
        rows=[replace(results.rows[0], subject="paddle", backend="paddle"), with_figures(results.rows[1], max_ulp=9.0)],
    )
    other.write(tmp_path / "other.json")
    result = invoke("report", folder / "results.json", tmp_path / "other.json", "--plots", "--out", tmp_path)
    assert result.exit_code == 0
    merged = Results.read(tmp_path / "results.json")
    assert len(merged.rows) == len(results.rows) + 1
    assert [row.figures.max_ulp for row in merged.rows if row.key == results.rows[1].key] == [9.0]
    assert merged.environment["processor"] == f"{results.environment['processor']}; another"
    assert "paddle" not in merged.missing
    assert merged.missing["mlx"] == "not there"
    again = Results.merged([merged, other, merged])
    assert (again.environment, again.level, again.missing) == (merged.environment, merged.level, merged.missing)
    assert (tmp_path / "report.html").exists()
    assert (tmp_path / "error-by-label-float16.svg").read_text("utf-8").startswith("<svg")
    data = json.loads((tmp_path / "results.json").read_text("utf-8"))
    known = json.loads((folder / "results.json").read_text("utf-8"))["rows"]  # test_schema validates them
    data["rows"] = [row for row in data["rows"] if row not in known]
    assert len(data["rows"]) == 2
    SCHEMA.validate(data)


def test_a_file_of_another_version_is_refused(folder, tmp_path):
    data = json.loads((folder / "results.json").read_text("utf-8"))
    (tmp_path / "old.json").write_text(json.dumps(data | {"schema_version": 2}), "utf-8")
    result = invoke("report", tmp_path / "old.json")
    assert result.exit_code == 4
    assert "has schema version 2; one of 3, 4, 5 is expected" in " ".join(result.output.split())


def test_schema_refuses_what_it_does_not_know(folder):
    data = json.loads((folder / "results.json").read_text("utf-8"))
    data["rows"] = data["rows"][:1]
    SCHEMA.validate(data)
    for spoil in (
        lambda d: d.update(extra=1),
        lambda d: d["rows"][0]["figures"].update(max_ulp=-1),
        lambda d: d["rows"][0].pop("worst"),
    ):
        spoiled = deepcopy(data)
        spoil(spoiled)
        with pytest.raises(jsonschema.ValidationError):
            SCHEMA.validate(spoiled)
