"""A results.json of schema version 3 is read, merged and written as the version of now, and no figure changes."""

import json
import math
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from tests.helpers import leave_out_pictures
from xbce_conformance.cli import main
from xbce_conformance.results.model import Results

OLD = Path(__file__).parent / "data" / "results-version-3.json"
"""Five rows of this project's results, as an earlier version wrote them."""
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "results.schema.json").read_text("utf-8"))
FIGURES = {
    "count": "count",
    "max_ulp": "max_ulp",
    "p999_ulp": "p999_ulp",
    "rounded": "correctly_rounded",
    "gross": "zero_for_normal",
    "flushed": "flushed",
    "mismatched": "wrong_nonfinite",
}


@pytest.fixture(scope="module")
def pairs():
    """Each old row with what it is read as."""
    return list(zip(json.loads(OLD.read_text("utf-8"))["rows"], Results.read(OLD).rows, strict=True))


def test_every_figure_is_what_it_was(pairs):
    for old, row in pairs:
        for before, now in FIGURES.items():
            assert getattr(row.figures, now) == (math.inf if old[before] is None else old[before]), (row.name, now)
        assert (old["upper_bound"], old["sha256"]) == (row.exhaustive, row.sha256), row.name
        assert old["special_count"] == row.special.count, row.name
        assert old["special_mismatches"] == [vars(mismatch) for mismatch in row.special.mismatches], row.name
        assert old["parts"].keys() == row.regimes.keys(), row.name
        assert (old["worst"]["part"], old["worst"]["inputs"]) == (row.worst.regime, row.worst.inputs), row.name
        assert (old["profile"], old["label_profile"]) == (row.profiles.logit, row.profiles.label), row.name


def test_an_infinite_error_is_told_from_none(pairs):
    """Both were null."""
    soft = [(old["max_ulp_soft"], row.figures.max_ulp_soft) for old, row in pairs]
    assert (None, math.inf) in soft
    assert (None, None) in soft
    assert any(error == math.inf for _, row in pairs for error in row.regimes.values())


def test_only_what_is_judged_has_a_verdict(pairs):
    for old, row in pairs:
        assert row.judged == old["judged"], row.name
        if row.verdict:
            texts = [violation.text for violation in row.verdict.violations]
            kept = (row.verdict.bound, texts, row.verdict.exceptions)
            assert kept == (old["bound"], old["broken"], old["exceptions"]), row.name
    assert {row.judged for _, row in pairs} == {True, False}


def test_it_is_merged_with_others_and_written_anew(tmp_path, monkeypatch):
    leave_out_pictures(monkeypatch)
    command = ["report", str(OLD), str(OLD), "--out", str(tmp_path)]
    assert CliRunner().invoke(main, command, catch_exceptions=False).exit_code == 0
    data = json.loads((tmp_path / "results.json").read_text("utf-8"))
    jsonschema.validate(data, SCHEMA)
    assert data["schema_version"] == 5
    assert Results.read(tmp_path / "results.json") == Results.merged([Results.read(OLD)])
