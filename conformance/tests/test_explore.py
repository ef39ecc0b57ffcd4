"""The tables of the interactive page: certified digits, measured results, the command, and what is committed."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner

from xbce_conformance.cases import case_named
from xbce_conformance.cli import main
from xbce_conformance.cli.exit_codes import ExitCode
from xbce_conformance.exact_values.by_series import SeriesReference
from xbce_conformance.explore import EXPLORED, LABELS, LOGITS, expand, measure_tables, read, write, write_page
from xbce_conformance.explore.certified import certified, pair
from xbce_conformance.explore.tables import function_of
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.subjects.jobs import Job
from xbce_conformance.subjects.selection import Choice

DOCS = Path(__file__).parents[2] / "docs"
COMMITTED = DOCS / "interactive"
PLAIN, FOCAL = EXPLORED


@pytest.fixture(scope="module")
def committed():
    return read(COMMITTED / "tables.json")


@pytest.fixture(scope="module")
def subjects():
    found, _ = Choice(("xbce", "textbook", "sklearn"), ("numpy",)).find()
    return found


@pytest.fixture(scope="module")
def measured(subjects):
    """Tables of one loss in two dtypes."""
    return measure_tables(subjects, {"nothing": "it is not here"}, (PLAIN,), ("float16", "float32"))


def placed(fmt, numbers, steps):
    """Return the numbers that lie so many steps above others, by counting them one after the other in a list."""
    ordered = np.unique(fmt.from_bits(np.arange(2**16)).astype(np.float64))  # one zero, and NaN at the end
    there = np.searchsorted(ordered, np.asarray(numbers, np.float64))
    return [np.nan if step == "nan" else ordered[i + int(step)] for i, step in zip(there, steps, strict=True)]


# --- certified digits -----------------------------------------------------------------------------------------------


def test_every_number_of_the_grid_is_one_of_all_formats():
    assert len(LOGITS) > 257
    assert list(LOGITS) == sorted({*LOGITS})
    assert {0.0, 20.0, -20.0, 88.0, 104.0} <= {*LOGITS}
    for fmt in FORMATS.values():
        for numbers in (LOGITS, LABELS):
            assert fmt.round(numbers).astype(np.float64).tolist() == list(numbers)


@pytest.mark.parametrize("case", EXPLORED, ids=lambda case: case.function)
def test_texts_round_to_the_exact_values_of_the_suite(case, committed):
    """In every format, middles of two numbers among them; by the reference that the suite judges by."""
    loss = next(each for each in committed["losses"] if each["case"] == case.name)
    chosen = [i for i in range(len(LOGITS)) if i % 7 == 1 or abs(LOGITS[i]) in (40, 100, 1000)]
    x = np.array([LOGITS[i] for i in chosen])
    for j, z in enumerate(LABELS):
        exact = SeriesReference(case.definition, case.arguments).exact("value", (x, np.full_like(x, z)))
        for quantity in ("value", "gradient"):
            texts = loss["exact"][quantity][j].split()
            assert len(texts) == len(LOGITS)
            pairs = np.array([pair(texts[i]) for i in chosen])
            scales = [int(expand(loss["scale_exponents"][quantity][j])[i]) for i in chosen]
            known = exact[quantity]
            for fmt in FORMATS.values():
                assert (fmt.round_pair(*pairs.T) == fmt.round_pair(known.high, known.low)).all(), (
                    fmt.name,
                    z,
                    quantity,
                )
                assert (fmt.ulp(np.ldexp(1.0, scales)) == fmt.ulp(known.scale)).all(), (fmt.name, z, quantity)


def test_digits_are_those_of_the_exact_number():
    """By the series of exp(-20) and log1p in fractions, to 40 digits."""
    e = sum((Fraction(-20) ** k / factorial for k, factorial in _factorials(120)), Fraction(0))
    value = sum((-1) ** (k + 1) * e**k / k for k in range(1, 8))
    text = certified(PLAIN.definition, (20.0, 1.0))[0][0]
    assert abs(Fraction(text) - value) < Fraction(1, 10**29)
    assert text.startswith("2.0611536203143807")
    assert len(text) == len("2.061153620314380703XXe-9")


def _factorials(count):
    product = 1
    for k in range(count):
        product *= k or 1
        yield k, product


def test_a_text_is_no_middle_that_the_exact_number_is_not():
    """In the tail a soft label makes a product of few bits, with nearly nothing beside it."""
    (text, _), _ = certified(PLAIN.definition, (104.0, 0.5))
    assert Fraction(52) < Fraction(text) < Fraction(52) + Fraction(1, 10**18)


def test_a_rest_below_all_doubles():
    """exp(-1000) lies between the exact number and the double next to it."""
    (value, _), (gradient, _) = certified(FOCAL.definition, (1000.0, 0.00390625))
    known = SeriesReference(FOCAL.definition, FOCAL.arguments).exact("value", ([1000.0], [0.00390625]))
    for text, exact in ((value, known["value"]), (gradient, known["gradient"])):
        assert pair(text)[0] == exact.high[0]


def test_an_exact_number_beyond_all_doubles():
    case = case_named("binary_cross_entropy_with_logits(weight=1e308)")
    (value, scale), _ = certified(case.definition, (-1000.0, 1.0))
    assert value.endswith("e311")
    assert (pair(value), scale) == ((np.inf, 0.0), 1024)


def test_a_zero_is_a_zero():
    (_, (gradient, scale)) = certified(PLAIN.definition, (0.0, 0.5))
    assert gradient == "0"
    assert scale == -2


# --- measured results -----------------------------------------------------------------------------------------------


def test_tables_say_what_the_subjects_return(subjects, measured):
    fmt = FORMATS["float16"]
    x, z = np.tile(fmt.round(LOGITS), len(LABELS)), np.repeat(fmt.round(LABELS), len(LOGITS))
    checked = 0
    for subject in subjects:
        system = next(each for each in measured["systems"] if each["subject"] == subject.name)
        for result in system["results"]:
            if "float16" not in result["steps"]:
                continue
            (returned,) = Job(subject, function_of(subject, PLAIN, result["quantity"]), "float16").call((x, z))
            exact = measured["losses"][0]["exact"][result["quantity"]]
            for j in range(len(LABELS)):
                pairs = np.array([pair(text) for text in exact[j].split()])
                right = fmt.round_pair(*pairs.T)
                got = placed(fmt, right, expand(result["steps"]["float16"][j]))
                part = returned[j * len(LOGITS) : (j + 1) * len(LOGITS)].astype(np.float64)
                assert np.array_equal(got, part, equal_nan=True), (subject.name, result["quantity"], LABELS[j])
                checked += 1
    assert checked == 4 * len(LABELS)  # value and gradient, of xbce and the textbook


def test_a_subject_has_what_it_takes(measured):
    systems = {system["subject"]: system for system in measured["systems"]}
    assert {*systems} == {"xbce", "textbook", "sklearn"}
    assert {*systems["sklearn"]["results"][0]["steps"]} == {"float32"}
    assert systems["xbce"]["judged"]
    assert not systems["textbook"]["judged"]
    assert measured["missing"] == {"nothing": "it is not here"}


def test_the_same_results_are_one_system(subjects):
    xbce, *_ = subjects
    again = replace(xbce, backend=replace(xbce.backend, name="another", dtypes=("float32",)), dtypes=("float32",))
    other = replace(again, version="0")
    table = measure_tables([xbce, again, other], {}, (PLAIN,), ("float16", "float32"))
    first, second = table["systems"]
    assert [backend["name"] for backend in first["backends"]] == ["numpy", "another"]
    assert [backend["dtypes"] for backend in first["backends"]] == [["float16", "float32"], ["float32"]]
    assert [len(result["code"]) for result in first["results"]] == [2, 2]
    assert second["version"] == "0"


def test_what_fails_says_why(subjects):
    def broken(*_):
        raise ValueError("not today")

    _, textbook, _ = subjects
    functions = tuple(replace(function, call=broken) for function in textbook.functions)
    (system,) = measure_tables([replace(textbook, functions=functions)], {}, (PLAIN,), ("float32",))["systems"]
    assert system["results"][0]["failures"] == {"float32": "ValueError: not today"}
    assert system["results"][0]["steps"] == {}


def test_hard_labels_alone(subjects):
    _, textbook, _ = subjects
    functions = tuple(replace(function, hard_labels_only=True) for function in textbook.functions)
    (system,) = measure_tables([replace(textbook, functions=functions)], {}, (PLAIN,), ("float32",))["systems"]
    texts = system["results"][0]["steps"]["float32"]
    assert [text is None for text in texts] == [0 < z < 1 for z in LABELS]
    assert all(len(expand(text)) == len(LOGITS) for text in texts if text)


# --- what is committed, and the command -----------------------------------------------------------------------------


def test_the_committed_tables_have_the_schema(committed, measured):
    schema = json.loads((DOCS / "explore.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(committed, schema)
    jsonschema.validate(measured, schema)


def test_the_committed_tables_are_of_this_grid(committed):
    assert (committed["logits"], committed["labels"]) == (list(LOGITS), list(LABELS))
    assert [loss["case"] for loss in committed["losses"]] == [case.name for case in EXPLORED]
    assert {*committed["dtypes"]} == {*FORMATS}
    for system in committed["systems"]:
        for result in system["results"]:
            for dtype, texts in result["steps"].items():
                assert [len(expand(text)) for text in texts] == [len(LOGITS)] * len(LABELS), (system["subject"], dtype)


def test_committed_digits_are_certified_again(committed):
    for loss, case in zip(committed["losses"], EXPLORED, strict=True):
        for i in range(0, len(LOGITS), 13):
            for j, z in enumerate(LABELS):
                again = certified(case.definition, (LOGITS[i], z))
                kept = [loss["exact"][quantity][j].split()[i] for quantity in ("value", "gradient")]
                assert kept == [text for text, _ in again], (case.name, LOGITS[i], z)


def test_every_peer_is_committed(committed):
    named = {"xbce", "torch", "tensorflow", "keras", "optax", "sklearn", "mlx", "scipy", "tf-formula", "textbook"}
    assert named <= {system["subject"] for system in committed["systems"]}


def test_the_committed_page_is_that_of_the_committed_tables(tmp_path, committed):
    write_page(committed, tmp_path / "index.html")
    assert (tmp_path / "index.html").read_text("utf-8") == (COMMITTED / "index.html").read_text("utf-8")
    write(committed, tmp_path / "tables.json")
    assert (tmp_path / "tables.json").read_bytes() == (COMMITTED / "tables.json").read_bytes()
    assert (COMMITTED / "index.html").stat().st_size < 1_500_000


def run(*arguments):
    result = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    return result.exit_code, " ".join(result.output.split())


def test_the_command_makes_a_page_of_tables(tmp_path):
    code, text = run("explore", "--tables", COMMITTED / "tables.json", "--out", tmp_path)
    assert (code, text) == (0, f"{tmp_path / 'index.html'} is written.")
    assert (tmp_path / "index.html").read_bytes() == (COMMITTED / "index.html").read_bytes()


def test_the_command_measures(tmp_path):
    case = PLAIN.name
    code, text = run(
        "explore", "--subject", "xbce", "--backend", "numpy", "--dtype", "float32", "--case", case, "--out", tmp_path
    )
    assert code == 0
    assert text.endswith(f"{tmp_path / 'tables.json'} and {tmp_path / 'index.html'} are written.")
    table = read(tmp_path / "tables.json")
    assert [loss["case"] for loss in table["losses"]] == [case]
    assert [result["quantity"] for result in table["systems"][0]["results"]] == ["value", "gradient"]


def test_a_run_writes_and_links_the_page(tmp_path):
    options = (
        "--subject",
        "textbook",
        "--dtype",
        "float32",
        "--regime",
        "near 0",
        "--part",
        "samples",
        "--out",
        tmp_path,
    )
    code, _ = run("run", "--explore", "--function", PLAIN.function, *options)
    assert code == 0
    table = read(tmp_path / "explore" / "tables.json")
    assert [loss["case"] for loss in table["losses"]] == [PLAIN.name]
    assert '<a href="explore/index.html">' in (tmp_path / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--case", "special.expit"], ExitCode.USAGE, "special.expit cannot be explored: a loss of logits and labels"),
        (["--subject", "paddle", "--backend", "numpy"], ExitCode.NOT_LOADED, "nothing to explore"),
        (["--tables", "other.json"], ExitCode.INPUT_OUTPUT, "other.json does not hold tables of results on a grid"),
        (["--tables", "none.json"], ExitCode.INPUT_OUTPUT, "none.json cannot be read"),
    ],
)
def test_what_cannot_be_explored(tmp_path, monkeypatch, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    Path("other.json").write_text('{"schema_version": 99}', "utf-8")
    found, text = run("explore", *arguments)
    assert found == code
    assert words in text


def test_a_page_holds_any_text(tmp_path, measured):
    """What a failure or a name says must not end the script that holds the data."""
    evil = "</script><script>alert(1)</script>"
    systems = [{**system, "subject": evil, "version": evil} for system in measured["systems"]]
    write_page({**measured, "systems": systems, "missing": {evil: evil}}, tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text("utf-8")
    assert text.count("<script") == 2
    assert text.count("</script>") == 2
