"""Test vectors: correctly rounded, of the documented schema, with checksums and a version of their own."""

import hashlib
import json
import math
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import flint
import jsonschema
import pytest
from click.testing import CliRunner

from xbce_conformance.cases import BY_NAME, FAMILY, PLAIN
from xbce_conformance.cli import main
from xbce_conformance.exact_values.by_series import SeriesReference
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.inputs.hard_cases import hard_cases
from xbce_conformance.invariance.report import expected as expected_hashes
from xbce_conformance.vectors import PER_REGIME, QUANTITIES, SCHEMA_VERSION, VERSION, exported, slug

DOCS = Path(__file__).parents[2] / "docs"
FEW = 12
"""Vectors per regime: an export of seconds."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("vectors")
    command = ["vectors", "export", str(path), "--per-regime", str(FEW)]
    result = CliRunner().invoke(main, command, catch_exceptions=False)
    assert result.exit_code == 0
    assert "files are written to" in result.output
    return path


def vectors_of(folder, case, name):
    return json.loads((folder / f"{slug(case)}-{name}.json").read_text("utf-8"))["vectors"]


def test_schema_and_index(folder):
    schema = json.loads((DOCS / "vectors.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    index = json.loads((folder / "index.json").read_text("utf-8"))
    jsonschema.validate(index, {"$defs": schema["$defs"], "$ref": "#/$defs/index"})
    assert {entry["file"] for entry in index["files"]} == {
        f"{slug(case.name)}-{name}.json" for case in exported() for name in FORMATS
    }
    ids = set()
    for entry in index["files"]:
        file = json.loads((folder / entry["file"]).read_text("utf-8"))
        validator.validate(file)
        assert file["vectors_version"] == index["vectors_version"]
        assert len(file["vectors"]) == entry["vectors"] > 0
        for vector in file["vectors"]:
            assert set(file["arguments"]) <= set(vector)
            ids.add(vector["id"])
    assert len(ids) == sum(entry["vectors"] for entry in index["files"])


def test_beside_each_number_are_its_bits_and_beside_each_result_its_scale(folder):
    for entry in json.loads((folder / "index.json").read_text("utf-8"))["files"]:
        fmt = FORMATS[entry["dtype"]]
        for vector in json.loads((folder / entry["file"]).read_text("utf-8"))["vectors"]:
            results = vector.keys() & set(QUANTITIES)
            numbers = set(entry["arguments"]) - {"where"} | results | {f"{name}_scale" for name in results}
            assert vector.keys() == numbers | {f"{name}_bits" for name in numbers} | (
                {"id", "regime", "flags"} | {"where"} & set(entry["arguments"])
            )
            for name in numbers:
                bits = vector[f"{name}_bits"]
                assert len(bits) == 2 + 2 * fmt.dtype.itemsize
                number = float.fromhex(vector[name])
                assert math.isnan(number) or fmt.round([number]).view(fmt.bits)[0] == int(bits, 16)
            for name in results:
                result, scale = (float.fromhex(vector[key]) for key in (name, f"{name}_scale"))
                assert math.isnan(result) or scale >= min(abs(result), fmt.max) - fmt.ulp(min(abs(result), fmt.max))
                assert math.isfinite(scale) or not math.isfinite(result)


def test_the_ulp_of_a_scale_is_that_of_the_exact_one(folder):
    """Next to a power of two the nearest number would have another."""
    for name in ("float16", "bfloat16", "float32"):
        fmt = FORMATS[name]
        for vector in vectors_of(folder, PLAIN.name, name):
            if vector["regime"] == "special" or abs(float.fromhex(vector["logits"])) > 800:
                continue
            true = abs(exact(vector, "value"))
            scale = Fraction(float.fromhex(vector["value_scale"]))
            assert scale <= true < scale + Fraction(float(fmt.ulp(float(scale)))), vector["id"]


def test_checksums(folder):
    """`sha256sum -c` finds every file, and so does the index."""
    lines = (folder / "SHA256SUMS").read_text("utf-8").splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert {path.name for path in folder.iterdir()} == sums.keys() | {"SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    index = json.loads((folder / "index.json").read_text("utf-8"))
    named = {entry["file"]: entry["sha256"] for entry in (*index["files"], *index["others"])}
    assert named == {name: digest for name, digest in sums.items() if name != "index.json"}
    if (tool := shutil.which("sha256sum")) is not None:
        subprocess.run([tool, "-c", "--quiet", "SHA256SUMS"], cwd=folder, check=True)


def test_the_version_says_which_vectors_they_are(folder):
    """Its own, in each file, with a section of the changelog; of a few vectors per regime it is another one."""
    assert json.loads((folder / "index.json").read_text("utf-8"))["vectors_version"] == f"{VERSION}+{FEW}-per-regime"
    text = (DOCS / "vectors.md").read_text("utf-8")
    assert text.partition("## Changes")[2].partition("### ")[2].startswith(f"{VERSION}\n")
    head, vector, _ = text.partition("```json\n")[2].split("\n", 2)
    written = (folder / f"{slug(PLAIN.name)}-float32.json").read_text("utf-8").splitlines()
    assert head == written[0].replace(f"+{FEW}-per-regime", "")
    assert head.startswith(f'{{"schema_version": {SCHEMA_VERSION}, "vectors_version": "{VERSION}", ')
    assert vector == written[1]


def test_a_release_has_a_thousand_vectors_of_each_loss():
    for case in exported():
        assert case.function not in FAMILY or PER_REGIME * len(case.regimes) >= 1000


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
    """Return the exact plain loss or gradient from exact arithmetic of its own: exponentials by their Taylor series.

    exp(-|x|) of larger logits is below every double, whatever it is.
    """
    x, z = (Fraction(float.fromhex(vector[name])) for name in ("logits", "labels"))
    with flint.ctx.workprec(4000):
        e = (-flint.arb(min(abs(float(x)), 1000.0))).exp()
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
    """No number of the format is closer to the exact value."""
    fmt = FORMATS[name]
    tried = [v for v in vectors_of(folder, PLAIN.name, name) if "special" not in v["flags"]]
    assert len(tried) > 100
    for vector in tried:
        true = exact(vector, quantity)
        given = float.fromhex(vector[quantity])
        assert float(fmt.round(given)) == given
        if math.isinf(given):
            assert f"{quantity} overflows" in vector["flags"]
            assert abs(true) >= Fraction(fmt.max) + Fraction(float(fmt.ulp(fmt.max))) / 2
            continue
        ulp = Fraction(float(fmt.ulp(given)))
        for neighbour in (Fraction(given) - ulp, Fraction(given) + ulp):
            assert abs(Fraction(given) - true) <= abs(neighbour - true), vector["id"]


WRONG_IN_VERSION_1 = (
    ("binary_cross_entropy_with_logits(label_smoothing=0.1)", "bfloat16", -28.75, 1, "value", 27.25, 27.375),
    ("sigmoid_focal_loss(gamma=2, alpha=0.25)", "bfloat16", 37, 0, "label_gradient", -102, -101.5),
    ("sigmoid_focal_loss(gamma=2, alpha=0.25)", "bfloat16", 93, 0, "value", 70, 69.5),
    ("sigmoid_focal_loss(gamma=0.3, alpha=0.3)", "bfloat16", 30.625, 1.25 * 2.0**-99, "value", 21.5, 21.375),
    ("sigmoid_focal_loss(gamma=2, alpha=0.25)", "float16", 62016, 0, "value", 46528, 46496),
    (
        "sigmoid_focal_loss(gamma=2, alpha=0.25)",
        "float32",
        "0x1.209f3ap+80",
        0,
        "value",
        "0x1.b0eed8p+79",
        "0x1.b0eed6p+79",
    ),
    (
        "sigmoid_focal_loss(gamma=0.3, alpha=0.3)",
        "float64",
        1e128,
        0,
        "gradient",
        "0x1.6666666666666p-1",
        "0x1.6666666666667p-1",
    ),
    (
        "sigmoid_focal_loss(gamma=0.5)",
        "float64",
        "0x1.4d61da94290c5p+424",
        0,
        "label_gradient",
        "-0x1.f412c7de3d928p+424",
        "-0x1.f412c7de3d927p+424",
    ),
)
"""Case, format, logit and label, quantity; what version 1 had, and what is right: worked out below."""


@pytest.mark.parametrize(("case", "name", "logit", "label", "quantity", "wrong", "right"), WRONG_IN_VERSION_1)
def test_results_that_version_1_had_wrong(case, name, logit, label, quantity, wrong, right):
    """By the definitions as a text says them, in 4000 bits, with an exp(-|x|) of its own beyond 1000."""
    fmt, options = FORMATS[name], dict(BY_NAME[case].options)
    x, z, wrong, right = (float.fromhex(a) if isinstance(a, str) else float(a) for a in (logit, label, wrong, right))
    reference = SeriesReference(BY_NAME[case].definition)
    found = reference.exact(quantity, (fmt.round([x]), fmt.round([z])))[quantity]
    assert float(fmt.round_pair(found.high, found.low)[0]) == right
    with flint.ctx.workprec(4000):
        e = (-flint.arb(min(abs(x), 1000.0))).exp()
        high, low = 1 / (1 + e), e / (1 + e)  # sigmoids of |x| and -|x|
        p, q = (high, low) if x > 0 else (low, high)
        plus, minus = (x + e.log1p(), e.log1p()) if x > 0 else (e.log1p(), e.log1p() - x)  # softplus of x and -x
        at_0, at_1 = plus, minus
        smoothing, gamma, alpha = (flint.arb(options.get(n, 0.0)) for n in ("label_smoothing", "gamma", "alpha"))
        z = flint.arb(z) * (1 - smoothing) + smoothing / 2
        ce, m, a = (1 - z) * at_0 + z * at_1, (1 - z) * p + z * q, flint.arb(1)
        weight = (1 - z) * (1 - alpha) + z * alpha if "alpha" in options else a
        power = m**gamma if "gamma" in options else a
        if quantity == "value":
            ball = weight * power * ce
        elif quantity == "gradient":  # of label 0: m = p, and its derivative is p q
            ball = weight * (gamma * power * q * ce + power * p)
        else:
            of_weight = 2 * alpha - 1 if "alpha" in options else flint.arb(0)
            ball = of_weight * power * ce + weight * (gamma * m ** (gamma - 1) * (q - p) * ce + power * (at_1 - at_0))
        true = Fraction(int(ball.mid().man_exp()[0])) * Fraction(2) ** int(ball.mid().man_exp()[1])
    assert abs(Fraction(right) - true) < abs(Fraction(wrong) - true)


def test_flags(folder):
    vectors = json.loads((folder / "binary_cross_entropy_with_logits-float32.json").read_text("utf-8"))["vectors"]
    flags = {flag for vector in vectors for flag in vector["flags"]}
    assert {"hard", "soft", "special", "value subnormal", "value zero", "gradient cancels"} <= flags
    for vector in vectors:
        if "value zero" in vector["flags"]:
            assert float.fromhex(vector["value"]) == 0
        if "hard" in vector["flags"]:
            assert float.fromhex(vector["labels"]) in (0, 1)
