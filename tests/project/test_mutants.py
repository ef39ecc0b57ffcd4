"""The table of mutants fits the code: `make mutants` is a part of `make check-long` only."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MUTANTS = runpy.run_path(str(ROOT / "tests" / "mutants" / "run.py"))["load"]()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_text_of_a_mutant_is_there_once(mutant):
    assert (ROOT / mutant.file).read_text("utf-8").count(mutant.before) == 1
    assert mutant.before != mutant.after
