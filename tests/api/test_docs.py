"""What the documentation says is what the data files say. Its examples run as doctests."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import step
from xbce_conformance import contract
from xbce_conformance.cases.losses import FAMILY
from xbce_conformance.explore import tables

ROOT = Path(__file__).parents[2]
ACCURACY = (ROOT / "docs" / "accuracy.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")


def test_special_values():
    rows = [
        f"| {row.logits} | {row.labels} | {row.value} | {row.gradient} | {row.hessian or 'as the formula has it'} |"
        for row in contract.special_values()
    ]
    assert ACCURACY.partition("|---|---|---|---|---|\n")[2].splitlines() == rows


@pytest.mark.parametrize("page", ["README.md", "docs/accuracy.md"])
def test_bounds(page):
    lines = (ROOT / page).read_text("utf-8").splitlines()

    def bound(quantity, dtype, *, hard=True):
        return f"{contract.bound(quantity, dtype, hard=hard):g}"

    def cells(row):
        line = next(line for line in lines if line.startswith(f"| {row} | "))
        return [cell.strip() for cell in line.strip("|").split("|")[1:]]

    soft = f"{bound('gradient', 'float16')} (hard labels), {bound('gradient', 'float16', hard=False)} (soft)"
    assert cells("value")[0] == bound("value", "float16") == bound("value", "bfloat16")
    assert cells("gradient, hessian")[0] == soft
    assert {bound(q, d) for q in ("value", "gradient", "hessian") for d in ("float32", "float64")} == {
        *cells("value")[1:],
        *cells("gradient, hessian")[1:],
    }
    sums = f"{bound('mean', 'float32')} (float32), {bound('mean', 'float64')} (float64)"
    assert cells("mean, sum") in (
        [bound("mean", "float16"), sums],
        [bound("mean", "float16"), bound("mean", "float32"), bound("mean", "float64")],
    )


@pytest.mark.parametrize("loss", FAMILY.values(), ids=FAMILY)
def test_every_loss_is_listed(loss):
    (row,) = [line for line in README.splitlines() if line.startswith(f"| `xbce.{loss.name}({loss.first}, labels")]
    assert all(name in row for name in loss.options)


def test_exceptions():
    for row in contract.exceptions("gradient", "float32", "numpy") + contract.exceptions("sum", "float32", "torch:cpu"):
        assert f"{row['ulp']:g} ULP.**" in ACCURACY, row
        assert row["reason"].partition("found: ")[2].partition(";")[0].removesuffix(" ULP") + " ULP" in ACCURACY, row


def test_the_picture_shows_what_was_measured():
    picture = runpy.run_path(str(ROOT / "docs" / "images" / "right_digits.py"))
    table = tables.read(ROOT / "docs" / "interactive" / "tables.json")
    drawn = {
        (subject, quantity): picture["right_digits"](table, subject, quantity)
        for subject in picture["SYSTEMS"]
        for quantity in ("value", "gradient")
    }
    logits = np.array(table["logits"])
    assert drawn["torch", "gradient"][logits == 20] == 0
    assert drawn["torch", "value"][logits == 20] == picture["ALL"]
    assert drawn["textbook", "value"][logits == 20] == 0
    for quantity in ("value", "gradient"):
        assert drawn["xbce", quantity][np.abs(logits) <= picture["LARGEST"]].min() > 6
    assert "docs/images/right_digits.png" in README


def test_example_prints_the_same_for_every_library(capsys):
    """As a script with NumPy, and by its `main`, which the script calls, with the others: they take long to import."""
    script = ROOT / "docs" / "examples" / "any_library.py"
    run = subprocess.run([sys.executable, script, "numpy"], capture_output=True, text=True, check=True)
    printed = {"numpy": run.stdout}
    main = runpy.run_path(str(script))["main"]
    for library in ("torch", "jax", "dask"):
        pytest.importorskip(library)
        main(library)
        printed[library] = capsys.readouterr().out
    assert printed["numpy"].startswith("mean loss: ")
    assert len(printed["numpy"].splitlines()) == 6
    for library, text in printed.items():
        with step(library, numbers):
            np.testing.assert_allclose(numbers(text), numbers(printed["numpy"]), rtol=2e-6, atol=1e-6)  # six decimals


def numbers(text):
    return [float(word) for word in text.split() if word.replace(".", "").replace("-", "").isdecimal()]
