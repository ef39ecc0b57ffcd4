"""Test vectors: correctly rounded, of the documented schema, and read by a checker in C."""

import json
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import flint
import jsonschema
import pytest
from click.testing import CliRunner

from xbce_conformance.cli import main
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.inputs.hard_cases import hard_cases
from xbce_conformance.invariance.report import expected as expected_hashes
from xbce_conformance.vectors import exported, slug

DOCS = Path(__file__).parents[2] / "docs"
CHECKER = (DOCS / "check_vectors.c").read_text("utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("vectors")
    result = CliRunner().invoke(main, ["vectors", "export", str(path)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "files are written to" in result.output
    return path


def test_schema_and_index(folder):
    schema = json.loads((DOCS / "vectors.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    index = json.loads((folder / "index.json").read_text("utf-8"))["files"]
    assert {entry["file"] for entry in index} == {
        f"{slug(case.name)}-{name}.json" for case in exported() for name in FORMATS
    }
    ids = set()
    for entry in index:
        file = json.loads((folder / entry["file"]).read_text("utf-8"))
        validator.validate(file)
        assert len(file["vectors"]) == entry["vectors"] > 0
        for vector in file["vectors"]:
            assert set(file["arguments"]) <= set(vector)
            ids.add(vector["id"])
    assert len(ids) == sum(entry["vectors"] for entry in index)


def test_worst_cases_are_the_hard_cases_one_to_a_line(folder):
    for quantity, function in {"value": "softplus", "gradient": "sigmoid", "hessian": "hessian"}.items():
        head, *numbers = (folder / f"{function}-float32.wc").read_text("utf-8").splitlines()
        logits, labels, _ = hard_cases(quantity)
        assert head.startswith("#")
        assert [float.fromhex(x) for x in numbers] == logits[labels == 0].tolist()


def test_hashes_are_those_that_libraries_are_compared_with(folder):
    hashes = json.loads((folder / "hashes.json").read_text("utf-8"))
    assert hashes == expected_hashes()
    assert set(hashes["grid"]) == set(FORMATS)


def exact(vector, quantity):
    """Return the exact plain loss or gradient from exact arithmetic of its own: exponentials by their Taylor series."""
    x, z = (Fraction(float.fromhex(vector[name])) for name in ("logits", "labels"))
    with flint.ctx.workprec(3000):
        e = (-abs(flint.arb(flint.fmpq(x.numerator, x.denominator)))).exp()
        label = flint.arb(flint.fmpq(z.numerator, z.denominator))
        logit = flint.arb(flint.fmpq(x.numerator, x.denominator))
        if quantity == "value":
            ball = (logit * (1 - label) if x >= 0 else -logit * label) + (1 + e).log()
        else:
            ball = (1 / (1 + e) if x >= 0 else e / (1 + e)) - label
        mantissa, exponent = ball.mid().man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("quantity", ["value", "gradient"])
def test_correctly_rounded(folder, name, quantity):
    """No number of the format is closer to the exact value; nor as close with an even last digit."""
    fmt = FORMATS[name]
    vectors = json.loads((folder / f"binary_cross_entropy_with_logits-{name}.json").read_text("utf-8"))["vectors"]
    tried = [v for v in vectors if "special" not in v["flags"] and abs(float.fromhex(v["logits"])) < 800]
    assert len(tried) > 50
    for vector in tried:
        true = exact(vector, quantity)
        given = float.fromhex(vector[quantity])
        assert float(fmt.round(given)) == given
        distance = abs(Fraction(given) - true)
        for neighbour in (given - float(fmt.ulp(given)), given + float(fmt.ulp(given))):
            assert distance <= abs(Fraction(neighbour) - true), vector["id"]


def test_flags(folder):
    vectors = json.loads((folder / "binary_cross_entropy_with_logits-float32.json").read_text("utf-8"))["vectors"]
    flags = {flag for vector in vectors for flag in vector["flags"]}
    assert {"hard", "soft", "special", "value subnormal", "value zero", "gradient cancels"} <= flags
    for vector in vectors:
        if "value zero" in vector["flags"]:
            assert float.fromhex(vector["value"]) == 0
        if "hard" in vector["flags"]:
            assert float.fromhex(vector["labels"]) in (0, 1)


# --- the checker in C -----------------------------------------------------------------------------------------------


def check(folder, source, *files):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler is here")
    (folder / "check.c").write_text(source, "utf-8")
    options = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *options, folder / "check.c", "-o", folder / "check", "-lm"], check=True)
    return subprocess.run([folder / "check", *files], capture_output=True, text=True, check=False)


def files_of(folder):
    return [folder / f"binary_cross_entropy_with_logits-{name}.json" for name in ("float32", "float64")]


def test_checker_in_c(folder):
    assert len(CHECKER.splitlines()) == 42  # as the documentation says
    result = check(folder, CHECKER, *files_of(folder))
    assert result.returncode == 0, result.stdout
    for path, line in zip(files_of(folder), result.stdout.splitlines(), strict=True):
        count = len(json.loads(path.read_text("utf-8"))["vectors"])
        assert line.startswith(f"{path}: {count} vectors, largest error ")


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("log1p(exp(-fabs(x)))", "log(1 + exp(-fabs(x)))", "0x0p+0, right is"),
        ("w == 0 ? 0 : x * w) + log1p(", "x * w) + log1p(", "inf ULP: "),
        ("log1pf(expf(-fabsf(x)))", "log1pf(expf(-fabsf(x))) * 1.000001f", "float32/"),
    ],
)
def test_checker_finds_what_is_wrong(folder, right, wrong, says):
    assert right in CHECKER
    result = check(folder, CHECKER.replace(right, wrong), *files_of(folder))
    assert result.returncode == 1
    assert says in result.stdout


def test_checker_of_no_vectors_fails(folder):
    """Whatever was not checked does not pass: no file, an empty one, one of another function, a missing one."""
    (folder / "empty.json").write_text("", "utf-8")
    other = folder / "special.expit-float32.json"
    assert other.exists()
    for files, says in (
        ([], "usage: "),
        ([folder / "empty.json"], "empty.json: no vectors of a loss"),
        ([*files_of(folder), other], "special.expit-float32.json: no vectors of a loss"),
        ([folder / "nowhere.json"], "nowhere.json: No such file"),
    ):
        result = check(folder, CHECKER, *files)
        assert result.returncode == 2
        assert says in result.stderr
