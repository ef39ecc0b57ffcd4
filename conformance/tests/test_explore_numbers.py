"""The arithmetic of the interactive page, in a real browser: formats, errors and digits as the suite has them."""

from importlib.resources import files
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from xbce_conformance.exact_values.exact import Exact
from xbce_conformance.explore import expand, read
from xbce_conformance.explore.certified import pair
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.measurement.errors import measure

TABLES = Path(__file__).parents[2] / "docs" / "interactive" / "tables.json"


@pytest.fixture(scope="module")
def table():
    return read(TABLES)


@pytest.fixture(scope="module")
def functions(browser):
    """An empty page that has the functions of numbers."""
    page = browser.new_page()
    page.add_script_tag(content=files("xbce_conformance").joinpath("explore", "numbers.js").read_text("utf-8"))
    yield page
    page.close()


def facts(fmt):
    return {"name": fmt.name, "precision": fmt.p, "least_exponent": fmt.emin}


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
def test_exact_results_are_rounded_as_by_the_suite(functions, table, fmt):
    texts = ["1e310", "-1e310"]
    texts += [
        text for loss in table["losses"] for rows in loss["exact"].values() for row in rows for text in row.split()
    ]
    got = functions.evaluate(
        "([format, texts]) => texts.map((text) => String(nearest(format, exactOf(text))))", [facts(fmt), texts]
    )
    right = fmt.round_pair(*np.array([pair(text) for text in texts]).T).astype(np.float64)
    assert np.array_equal(np.array(got, np.float64), right)


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
def test_errors_are_those_of_the_suite(functions, table, fmt):
    """Of drawn results around the exact ones, zeros and infinities among them, but for the rounding of the rest."""
    loss, rng = table["losses"][0], np.random.default_rng(5)
    texts = loss["exact"]["gradient"][3].split()[::3] + loss["exact"]["value"][6].split()[::3]
    scales = [
        int(number)
        for text in (loss["scale_exponents"]["gradient"][3], loss["scale_exponents"]["value"][6])
        for number in expand(text)[::3]
    ]
    pairs = np.array([pair(text) for text in texts])
    right = fmt.round_pair(*pairs.T)
    with np.errstate(over="ignore", under="ignore"):
        drawn = right.astype(np.float64) * (1 + rng.integers(-3, 4, right.size) * 2.0**-fmt.p)
    drawn[::11], drawn[5::17], drawn[7::19] = 0, np.inf, np.nan
    got = fmt.round(drawn)
    with np.errstate(under="ignore"):
        exact = Exact(pairs[:, 0], pairs[:, 1], np.ldexp(1.0, scales))
    expected = measure(got, exact, fmt).ulp
    found = functions.evaluate(
        """([format, texts, got, scales]) => texts.map((text, i) => {
            const exact = exactOf(text), right = nearest(format, exact);
            return String(ulpsOf(format, Number(got[i]), exact, right, scales[i]));
        })""",
        [facts(fmt), texts, [repr(float(x)).replace("inf", "Infinity") for x in got], scales],
    )
    found = np.array([text.replace("Infinity", "inf") for text in found], np.float64)
    assert (np.isinf(found) == np.isinf(expected)).all()
    with np.errstate(invalid="ignore"):
        wrong = np.flatnonzero(np.abs(found - expected) > 1e-12 * expected)
    assert [(texts[i], float(got[i]), found[i], expected[i]) for i in wrong] == []


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_places_are_the_order_of_a_format(functions, name):
    fmt = FORMATS[name]
    bits = np.arange(int(fmt.round([np.inf]).view(fmt.bits)[0]) + 1)
    numbers = [repr(x).replace("inf", "Infinity") for x in fmt.from_bits(bits).astype(np.float64).tolist()]
    wrong = functions.evaluate(
        """([format, numbers]) => numbers.map(Number).findIndex((x, i) =>
            placeOf(format, x) !== BigInt(i) || placeOf(format, -x) !== BigInt(-i) ||
            numberAt(format, BigInt(i)) !== x || numberAt(format, BigInt(-i)) !== (i ? -x : 0))""",
        [facts(fmt), numbers],
    )
    assert wrong == -1


@pytest.mark.parametrize("name", FORMATS)
def test_decimals_are_the_shortest(functions, name):
    fmt, rng = FORMATS[name], np.random.default_rng(3)
    bits = rng.integers(1, 2 ** (8 * fmt.dtype.itemsize - 1), 400, dtype=np.uint64)
    numbers = fmt.from_bits(bits)
    numbers = numbers[np.isfinite(numbers.astype(np.float64))]
    found = functions.evaluate(
        """([format, numbers]) => numbers.map((x) => {
            const { digits, exponent } = shortest(format, x);
            return `${digits}e${exponent - digits.length + 1}`;
        })""",
        [facts(fmt), numbers.astype(np.float64).tolist()],
    )
    for x, text in zip(numbers, found, strict=True):
        assert fmt.dtype.type(text) == x, text
        digits = str(x) if fmt.dtype == ml_dtypes.bfloat16 else np.format_float_scientific(x, unique=True, trim="-")
        expected = digits.partition("e")[0].replace(".", "").strip("0")
        assert len(text.partition("e")[0]) <= max(len(expected), 1), (text, digits)


@pytest.mark.parametrize(
    ("name", "got", "right", "parts"),
    [
        ("float32", 2.0611537e-9, 2.0611537e-9, ["2.0611537e−9", ""]),
        ("float32", 2.061153e-9, 2.0611537e-9, ["2.06115", "30e−9"]),
        ("float32", 0.0, 2.0611537e-9, ["", "0"]),
        ("float32", np.inf, 1.0, ["", "∞"]),
        ("float32", np.nan, 1.0, ["", "NaN"]),
        ("float32", np.inf, np.inf, ["∞", ""]),
        ("float32", -1.5, 1.5, ["", "−1.5"]),
        ("float32", 1.0, 0.99999994, ["1.000000", "00"]),  # half a unit of six digits is 5e-7, of seven 5e-8
        ("float32", 0.4626733, 0.4626731, ["0.462673", "3"]),
        ("float32", 120.0, 121.0, ["12", "0"]),
        ("float64", -0.1, -0.3, ["", "−0.1"]),
        ("float16", 0.00012, 0.0001226, ["0.00012", "00"]),
        ("float32", 1e9, 1.00001e9, ["1.0000", "0e9"]),
    ],
)
def test_wrong_digits_are_marked(functions, name, got, right, parts):
    fmt = FORMATS[name]
    numbers = [str(float(fmt.round(x))).replace("inf", "Infinity").replace("nan", "NaN") for x in (got, right)]
    call = "([format, numbers]) => marked(format, ...numbers.map(Number))"
    assert functions.evaluate(call, [facts(fmt), numbers]) == parts
