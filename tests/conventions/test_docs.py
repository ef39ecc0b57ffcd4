"""What docs/conventions.md and docs/porting.md say is what was run; the examples beside them work."""

import importlib.util
import subprocess
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import xbce
from tests.conventions.gathered import table_of_modules

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGE = (DOCS / "conventions.md").read_text("utf-8")
# Modules around a function that is counted, and a list of names.
UNCOUNTED = {"BCELoss", "BCEWithLogitsLoss", "BinaryFocalLossWithLogits", "FocalLoss", "Reduction"}


def table():
    rows = PAGE.partition("<!-- compared: begin -->\n")[2].partition("<!-- compared: end -->")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_every_convention_was_compared():
    functions = {
        f"{module}.{name}"
        for module in xbce.conventions.__all__
        for name in import_module(f"xbce.conventions.{module}").__all__
        if name not in UNCOUNTED
    }
    assert {row[0].strip("`") for row in table()} == functions


@pytest.mark.parametrize("row", table(), ids=lambda row: row[0])
def test_nothing_is_unexplained(row):
    _, system, cases, errors, stated, unexplained = row
    assert unexplained == "0"
    assert int(cases) - int(stated) >= 40
    assert int(errors) < int(cases)
    package, _, compared = system.rpartition(" ")
    try:
        installed = version(package)
    except PackageNotFoundError:
        assert system == "its published definition"
    else:
        assert compared == installed, "renew the table: make conventions"


def test_modules_and_functions_are_listed():
    listed = PAGE.partition("<!-- modules: begin -->\n")[2].partition("<!-- modules: end -->")[0].splitlines()
    assert listed == table_of_modules(), "renew the table: make conventions"


@pytest.mark.parametrize(("logit", "vanished"), [(6.21875, False), (6.25, True)])
def test_where_pytorchs_bfloat16_gradient_vanishes(logit, vanished):
    torch = pytest.importorskip("torch")
    x = torch.tensor(logit, dtype=torch.bfloat16, requires_grad=True)
    torch.nn.functional.binary_cross_entropy_with_logits(x, torch.ones_like(x)).backward()
    assert (x.grad == 0) == vanished


@pytest.mark.long
def test_porting():
    """The script prints what the page shows: as many digits as are the same on every processor."""
    for package in ("tensorflow", "keras", "torch", "optax"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    page = (DOCS / "porting.md").read_text("utf-8")
    command = [sys.executable, "-W", "ignore", DOCS / "examples" / "porting.py"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(printed) > 40
    shown = page.partition("```\n" + printed[0])[2].partition("```")[0].splitlines()[1:]
    assert printed[1:] == shown
    # All systems agree.
    block = []
    for line in [*shown, "next step"]:
        if line.startswith("  "):
            block.append(line.split()[-1])
        else:
            assert len(set(block)) == 1
            block = []
