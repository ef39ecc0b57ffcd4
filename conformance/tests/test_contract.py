"""The promise as data: of the documented form, explained, and without a row that another one hides."""

import itertools
import json
import re
from pathlib import Path

import jsonschema

import xbce_conformance
from xbce_conformance import contract
from xbce_conformance.cases import BY_NAME, CASES, case_named
from xbce_conformance.contract import bounds as bounds_of
from xbce_conformance.contract.data import load
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.subjects.xbce import PRECISIONS

DATA = Path(xbce_conformance.__file__).parent / "contract" / "data"
CONTRACT = json.loads((DATA / "contract.json").read_text("utf-8"))
SCHEMA = json.loads((DATA / "contract.schema.json").read_text("utf-8"))


def test_the_contract_has_the_form_of_its_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(CONTRACT, SCHEMA)


def test_every_column_is_explained():
    page = (DATA / "README.md").read_text("utf-8")
    for name in ("bounds", "exceptions"):
        after = "\n\nULP are" if name == "exceptions" else "**exceptions**"
        section = page.partition(f"**{name}**")[2].partition(after)[0]
        columns = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", section, re.MULTILINE))))
        assert columns == set(SCHEMA["properties"][name]["items"]["properties"])


def _asked_for():
    """Yield everything that a bound is asked for: case, quantity, dtype, labels, precision."""
    for case, dtype, labels, precision in itertools.product(CASES, FORMATS, ("hard", "soft"), PRECISIONS):
        for quantity in {*case.quantities, "sum", "mean"}:
            yield case, quantity, dtype, labels, precision


def _used(bounds):
    """Return the numbers of the rows that count somewhere."""
    used = set()
    for case, quantity, dtype, labels, precision in _asked_for():
        row = contract.bound_row(quantity, dtype, labels, case, precision=precision)
        used |= {i for i, other in enumerate(bounds) if other is row}
    return used


def test_no_bound_is_hidden_by_an_earlier_one():
    bounds = load("contract.json")["bounds"]
    assert _used(bounds) == set(range(len(bounds)))


def test_a_bound_that_is_hidden_is_found(monkeypatch):
    bounds = [*CONTRACT["bounds"], CONTRACT["bounds"][1] | {"ulp": 3}]
    monkeypatch.setattr(bounds_of, "load", lambda _: CONTRACT | {"bounds": bounds})
    assert _used(bounds) == set(range(len(bounds) - 1))


def test_every_exception_is_met():
    for row in CONTRACT["exceptions"]:
        assert set(row.get("cases", ())) <= {*BY_NAME}
        case = next(name for name in row.get("cases", BY_NAME) if contract.holds_for(row, BY_NAME[name]))
        of = {"compiled": True, "of_weighted_mean": True}
        met = contract.exceptions(row["quantity"], row["dtype"], row["backends"][0], BY_NAME[case], **of)
        earlier = [other for other in met[: met.index(row)] if _covers(other, row)]
        assert earlier == [], "an earlier exception holds wherever this one does"


def test_an_exception_of_functions_holds_for_all_their_cases_with_its_option():
    def gradient(text, *, hard):
        return contract.bound("gradient", "float32", hard=hard, case=case_named(text), backend="numpy")

    assert gradient("binary_cross_entropy_with_logits(label_smoothing=0.3)", hard=True) == 5.6
    assert gradient("binary_cross_entropy_with_logits(where)", hard=True) == 4
    assert gradient("binary_cross_entropy_with_logits(where)", hard=False) == 5.6
    assert gradient("binary_cross_entropy_with_logits(weight)", hard=False) == 7, "an exception lowers no bound"


def test_an_exception_of_means_holds_for_no_element():
    case = BY_NAME["binary_cross_entropy_with_logits(weight, where)"]
    of = {"hard": True, "case": case, "backend": "ndonnx", "compiled": True}
    assert contract.bound("gradient", "float64", **of) == 7
    assert contract.bound("gradient", "float64", **of, of_weighted_mean=True) == 12


def _covers(one, other):
    keys = ("labels", "regime", "compiled", "of_weighted_mean", "option")
    return all(key not in one or one[key] == other.get(key) for key in keys) and set(one["backends"]) >= set(
        other["backends"]
    )
