"""Which tests are long: the rule, and a list that names tests that exist."""

from pathlib import Path

from tests.times import AT_MOST, LIST, LONG, long_ones

ROOT = Path(__file__).parents[2]


def test_the_quickest_case_of_a_function_stays():
    times = {
        "a.py::f[1]": 2 * LONG,
        "a.py::f[2]": LONG,
        "a.py::f[3]": 3 * LONG,
        "a.py::g": LONG / 2,
        "a.py::h": AT_MOST,
    }
    assert long_ones(times) == ["a.py::f[1]", "a.py::f[3]", "a.py::h"]


def test_every_name_is_that_of_a_test():
    names = LIST.read_text("utf-8").splitlines()
    assert names == sorted(names)
    for name in names:
        file, *_, function = name.partition("[")[0].split("::")
        text = (ROOT / file).read_text("utf-8")
        assert f"def {function}(" in text or file.endswith((".md", f"{function.rpartition('.')[2]}.py")), name
