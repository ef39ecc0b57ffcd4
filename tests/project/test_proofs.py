"""`make proofs`: committed scripts are those of the code, what is changed is not proved, and what proofs rest on."""

import inspect
import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import xbce
from proofs import __main__ as command
from proofs import powers, series, transformations
from proofs.facts import facts
from proofs.polynomial import name, number, polynomial
from proofs.recording import TRANSFORMATIONS, kept, recorded
from proofs.script import UnprovedError, gappa, proved
from proofs.steps import estimates, every_step, exponential, logarithm, loss, own_functions, pairs, sums
from proofs.steps.step import power
from proofs.table import Row, table
from proofs.translation import UNDERFLOW, Translation, UntranslatedError
from tests.helpers import some_long
from xbce._backends.quick_way import QuickWay
from xbce._formulas import series as own_series
from xbce._formulas.cross_entropy import CrossEntropy
from xbce._precision import HighPrecision, exact, functions, tables
from xbce._precision import estimate as code_of_estimate
from xbce._precision import estimates as code_of_estimates
from xbce._precision import pairs as code_of_pairs
from xbce._precision import sums as code_of_sums

ROOT = Path(__file__).parents[2]
STEPS = {step.slug: step for step in every_step()}
SLOW = {
    "estimate_gradient",
    "estimate_value",
    "exp_reduction",
    "exp_series_near_0",
    "log_near_1",
    "log_series",
    "log_series_near_0",
    "own_log1p_float32",
    "own_log1p_float64",
    "log_tiny",
    "loss_gradient",
}
SLOW |= {"loss_hessian", "sum_digits", "sum_in_units"}
needs_gappa = pytest.mark.skipif(gappa() is None, reason="gappa is not installed: apt install gappa")
RANDOM = np.random.default_rng(53)


# --- the committed files --------------------------------------------------------------------------------------------


def test_committed_scripts_are_those_of_the_code():
    assert len(STEPS) >= 28
    assert command.drift([*STEPS.values()]) == []


def test_a_script_that_is_missing_or_too_many_is_drift():
    some = [step for slug, step in STEPS.items() if slug != "exp"]
    assert command.drift(some) == ["exp.gappa is not what the code gives"]


def test_the_table_has_a_row_for_every_bound():
    text = (command.FOLDER / "table.md").read_text("utf-8")
    lines = text.replace("\\|", "/").partition("|---|\n")[2].splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    wanted = [(fact.what, fact.domain) for fact in facts()]
    wanted += [(f"{label.replace('_', ' ')}: what the series leaves out", None) for label in series.SERIES]
    wanted += [(step.what, step.domain) for step in STEPS.values()]
    assert len(rows) == len(wanted)
    for row, (what, domain) in zip(rows, wanted, strict=True):
        assert row[1] == what.replace("|", "/")
        assert domain is None or row[2] == domain.replace("|", "/")


def test_a_row_is_rounded_to_the_safe_side():
    row = Row("Gappa", "|a|", "all", Fraction(3, 2**10), Fraction(1, 2**8))
    assert table([row]).splitlines()[-1] == "| Gappa | \\|a\\| | all | 2^-8.41 | 2^-8 | 0.41 |"


@pytest.mark.skipif(shutil.which("sollya") is None, reason="sollya is not installed: apt install sollya")
def test_sollya_prints_the_committed_series():
    assert series.computed() == series.COMMITTED.read_text("utf-8")


def test_the_coefficients_of_the_code_are_those_of_sollya():
    for function, label in ((functions._exp_minus_one, "exponential"), (functions._log_one_plus, "logarithm")):
        with kept(TRANSFORMATIONS):
            ideal = Translation(recorded(function, 2), ["x", "rest"]).total([0, 1]).ideal
        of_x = ideal.replaced("rest", polynomial(0))
        assert of_x == series.SERIES[label].of(name("x"))


def test_the_coefficients_of_the_own_functions_are_those_of_sollya():
    for dtype, known in (("double", own_series.DOUBLE), ("single", own_series.SINGLE)):
        assert known.exp == series.SERIES[f"own_exponential_{dtype}"].coefficients
        assert known.log1p == series.SERIES[f"own_logarithm_{dtype}"].coefficients


OWN_FAULTS = {
    "a coefficient": ("_polynomial", "coefficient + x", "coefficient * 1.5 + x", "own_exp_series"),
    "the rest of log(2)": (
        "exp_parts",
        " - k * series.log_2_rest",
        " + k * series.log_2_rest",
        "own_exp_reduction",
    ),
    "another quotient": ("log1p_unit_by_series", "e, 2 + e", "e, 2 - e", None),
    "another main term": ("log1p_unit_by_series", "return e - s", "return e + s", "own_log1p"),
}


@needs_gappa
@pytest.mark.parametrize("what", OWN_FAULTS)
def test_a_fault_of_an_own_function_is_not_proved(what, monkeypatch):
    function, old, new, slug = OWN_FAULTS[what]
    planted(monkeypatch, own_series, function, old, new)
    if slug is None:
        with pytest.raises(UntranslatedError):
            own_functions.steps()
        return
    changed = next(step for step in own_functions.steps() if step.slug == f"{slug}_float32")
    assert f"{changed.slug}.gappa is not what the code gives" in command.drift([changed])
    with pytest.raises(UnprovedError):
        changed.proved()


@pytest.mark.parametrize("missing", [["gappa", "sollya"], ["sollya"]])
def test_what_is_not_installed_is_named(missing, tmp_path):
    if missing == ["sollya"]:
        (tmp_path / "gappa").write_text("#!/bin/sh\n")
        (tmp_path / "gappa").chmod(0o755)
    line = [sys.executable, "-m", "proofs"]
    done = subprocess.run(
        line, cwd=ROOT, env=os.environ | {"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == f"{' and '.join(missing)} not found: apt install {' '.join(missing)}\n"


# --- what is proved, and what is not --------------------------------------------------------------------------------


@needs_gappa
@pytest.mark.parametrize("slug", some_long({slug: slug for slug in STEPS}, {*STEPS} - SLOW))
def test_gappa_proves_a_step(slug):
    assert 0 < STEPS[slug].proved() <= STEPS[slug].bound


PLANTED = {
    "a coefficient": (functions, "_exp_minus_one", "1 / 24", "1 / 25", exponential, "exp_series"),
    "coefficients of the logarithm": (functions, "_log_one_plus", "-1 / n", "-1 / (n + 1)", logarithm, "log_series"),
    "the rest of a third": (
        functions,
        "_log_one_plus",
        "product(xp, cube, THIRD_REST)",
        "0.0",
        logarithm,
        "log_series",
    ),
    "a product of low order": (
        functions,
        "_exp_minus_one",
        "r_low + product(xp, r, r_low)",
        "r_low",
        exponential,
        "exp_series",
    ),
    "half of a square's rest": (functions, "_exp_minus_one", "0.5 * square_low + ", "", exponential, "exp_series"),
    "the low part of a share": (
        functions,
        "_enlarged",
        "product(xp, x[0], share[1])",
        "0.0",
        exponential,
        "exp_enlarged",
    ),
    "the rest of the step": (
        functions,
        "exponential",
        " - product(xp, n, STEP_REST)",
        "",
        exponential,
        "exp_reduction",
    ),
    "the rest of n steps": (functions, "exponential", "(rest - error)", "rest", exponential, "exp_reduction"),
    "the low part of m": (functions, "logarithm", " + product(xp, low, inverse)", "", logarithm, "log_reduction"),
    "the rest of log(c)": (functions, "logarithm", "lookup(xp, LOG_REST, index) + ", "", logarithm, "log_sum"),
    "the low parts of a sum": (code_of_pairs, "_sum", "clean(xp, rest + low)", "clean(xp, rest)", pairs, "add"),
    "the low part of a factor": (code_of_pairs, "multiply", "product(xp, a.low, b.high)", "0.0", pairs, "multiply"),
    "the low part of a divisor": (code_of_pairs, "divide", "product(xp, quotient, b.low)", "0.0", pairs, "divide"),
    "an error of a quotient": (code_of_pairs, "divide", "(a.high - back) - error", "a.high - back", pairs, "divide"),
    "the unit of a digit": (code_of_sums, "_digits", "2.0**BITS", "2.0 ** (BITS - 1)", sums, "sum_digits"),
    "the rests of a sum": (code_of_sums, "in_units", "low + rest", "low", sums, "sum_in_units"),
}
"""Module, function, its text, another one, the room of its steps, and a script that changes."""


def planted(monkeypatch, module, function, old, new):
    source = inspect.getsource(getattr(module, function))
    assert source.count(old) == 1, f"{function} has not one {old}"
    changed = {}
    exec(source.replace(old, new), vars(module), changed)  # noqa: S102
    monkeypatch.setattr(module, function, changed[function])


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_change_is_drift_and_is_not_proved(what, monkeypatch):
    module, function, old, new, room, slug = PLANTED[what]
    planted(monkeypatch, module, function, old, new)
    changed = {step.slug: step for step in room.steps()}
    assert f"{slug}.gappa is not what the code gives" in command.drift([*changed.values()])
    assert changed[slug].text() != STEPS[slug].text()
    if gappa() is None:
        pytest.skip("drift is seen; that Gappa does not prove it needs gappa, which is not installed")
    with pytest.raises(UnprovedError) as reason:
        changed[slug].proved()
    assert "no proof within" not in str(reason.value)


@needs_gappa
@pytest.mark.parametrize(
    ("hypothesis", "hint"),
    [("a in [1,2]", "a - b -> a;"), ("a in [1,2] /\\ a in [3,4]", ""), ("a in [1,3]", "")],
    ids=["a hint that is no identity", "hypotheses that contradict each other", "a bound that is too low"],
)
def test_what_gappa_must_not_prove(hypothesis, hint):
    script = f"{{ {hypothesis} /\\ b in [0,0] -> |a| <= 2 /\\ |a - b| <= 2 /\\ a in ? }}\n{hint}\n"
    with pytest.raises(UnprovedError):
        proved(script)
    assert proved("{ a in [1,2] /\\ b in [0,0] -> |a| <= 2 /\\ |a - b| <= 2 /\\ a in ? }\n") == 2


FORMULAS = {
    "a square for q (1 - q)": ("hessian_of", "q * (1 - q)", "q * q"),
    "the other label": ("value_of", "signed_side(half.h, z, ", "signed_side(half.h, 1 - z, "),
    "another sign": ("gradient_of", "half.s, q", "-half.s, q"),
}


def planted_method(monkeypatch, owner, function, old, new):
    source = textwrap.dedent(inspect.getsource(getattr(owner, function)))
    assert source.count(old) == 1, f"{function} has not one {old}"
    changed = {}
    exec(source.replace(old, new), vars(sys.modules[owner.__module__]), changed)  # noqa: S102
    monkeypatch.setattr(owner, function, changed[function])


def planted_formula(monkeypatch, function, old, new):
    planted_method(monkeypatch, CrossEntropy, function, old, new)


@pytest.mark.parametrize("what", FORMULAS)
def test_another_formula_is_not_the_definition(what, monkeypatch):
    fact = next(fact for fact in facts() if fact.what.startswith("plain loss"))
    assert fact.magnitude() <= fact.bound
    planted_formula(monkeypatch, *FORMULAS[what])
    assert fact.magnitude() > power(-20)


def test_a_difference_that_cancels_is_no_proof(monkeypatch):
    planted_formula(monkeypatch, "hessian_of", "q * (1 - q)", "q - q * q")
    with pytest.raises(UntranslatedError, match="may cancel"):
        loss.steps()


NOT_RENORMALISED = {
    "_exp_minus_one": (functions, "return fast_two_sum(high, rest + low)", "return high, rest + low", exponential),
    "_enlarged": (
        functions,
        "return fast_two_sum(high, rest + (x[1] + low))",
        "return high, rest + (x[1] + low)",
        exponential,
    ),
    "_log_one_plus": (
        functions,
        "return fast_two_sum(high, low + (rest + more_rest))",
        "return high, low + (rest + more_rest)",
        logarithm,
    ),
    "_renormalised": (code_of_pairs, "high, low = fast_two_sum(high, clean(xp, low))", "pass", pairs),
}


@pytest.mark.parametrize("function", NOT_RENORMALISED)
def test_parts_that_overlap_are_no_pair(function, monkeypatch):
    module, old, new, room = NOT_RENORMALISED[function]
    planted(monkeypatch, module, function, old, new)
    with pytest.raises(UntranslatedError, match="is not what the rounding of"):
        room.steps()


def test_an_unknown_operation_is_no_proof(monkeypatch):
    planted(monkeypatch, functions, "_exp_minus_one", "0.5 * square_low", "xp.exp(square_low)")
    with pytest.raises(UntranslatedError, match="does not know the operation exp"):
        exponential.steps()


# --- estimates ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", estimates.METHODS)
def test_the_kernel_of_estimates_is_that_of_a_call(method, monkeypatch):
    kernels, results = [], QuickWay._results

    def spy(self, attempt, arrays, sums):
        kernels.append(attempt.quick)
        return results(self, attempt, arrays, sums)

    monkeypatch.setattr(QuickWay, "_results", spy)
    x = np.linspace(-3, 3, 7, dtype=np.float32)
    loss = xbce.binary_cross_entropy_with_logits
    with np.errstate(all="ignore"):
        (loss if method == "value" else getattr(loss, method))(x, abs(x) / 3, precision="high")
    assert kernels == [estimates.kernel(method)]


def test_another_formula_of_estimates_is_not_the_definition(monkeypatch):
    fact = next(fact for fact in facts() if fact.what.startswith("estimates"))
    for what in ("a square for q (1 - q)", "another sign"):
        with monkeypatch.context() as patch:
            planted_formula(patch, *FORMULAS[what])
            assert fact.magnitude() > power(-20)


def structure(node):
    return (node.operation, repr(node.value), *map(structure, node.operands))


def test_two_results_are_tested_as_each_is_alone():
    single = [estimates.kernel(method) for method in estimates.METHODS[:2]]
    both = replace(single[0], outputs=tuple(kernel.outputs[0] for kernel in single))
    *results, uncertain = recorded(both, 2).outputs
    alone = [recorded(kernel, 2).outputs for kernel in single]
    assert [structure(x) for x in results] == [structure(x) for x, _ in alone]
    doubts = {structure(x) for _, of_one in alone for x in estimates._alternatives(of_one)}
    assert {structure(x) for x in estimates._alternatives(uncertain)} == doubts


Estimate, Estimates = code_of_estimate.Estimate, code_of_estimates.Estimates
TOO_SMALL = {
    "an error of a sum": (None, "_sum", "max(a.k, b.k) + 1", "max(a.k, b.k, 1)", "value"),
    "what the library adds": (Estimates, "log1p", "(self, log, x.k + FUNCTION_ERROR", "(self, log, x.k", "value"),
    "the error of a divisor": (Estimate, "__truediv__", "a.k + b.k + 1, None", "a.k + 1, None", "gradient"),
    "the error of a factor": (Estimate, "__mul__", "a.k + b.k + (not exact)", "max(a.k, b.k) + (not exact)", "hessian"),
}
"""Class, or None for a function of its module; its text, another one, and a method of the loss."""


def unproved_estimate(method):
    changed = {step.slug: step for step in estimates.steps()}[f"estimate_{method}"]
    assert f"estimate_{method}.gappa is not what the code gives" in command.drift([changed])
    assert changed.text() != STEPS[changed.slug].text()
    if gappa() is None:
        pytest.skip("drift is seen; that Gappa does not prove it needs gappa, which is not installed")
    with pytest.raises(UnprovedError) as reason:
        changed.proved()
    assert "no proof within" not in str(reason.value)


@pytest.mark.parametrize("what", TOO_SMALL)
def test_a_bound_that_is_too_small_is_not_proved(what, monkeypatch):
    owner, function, old, new, method = TOO_SMALL[what]
    if owner is None:
        planted(monkeypatch, code_of_estimate, function, old, new)
    else:
        planted_method(monkeypatch, owner, function, old, new)
    unproved_estimate(method)


def test_the_slack_of_estimates_is_needed(monkeypatch):
    """For what the test rounds, and for what is of second order."""
    monkeypatch.setattr(code_of_estimates, "SLACK", 1.0)
    unproved_estimate("value")


@needs_gappa
def test_a_library_that_is_less_accurate_is_not_proved(monkeypatch):
    """The bound of the code is recorded; what is taken as known of the library is a unit more."""
    recorded_kernel = estimates.recorded

    def first(kernel, arguments):
        graph = recorded_kernel(kernel, arguments)
        monkeypatch.setattr(code_of_estimates, "FUNCTION_ERROR", 9.0)
        return graph

    monkeypatch.setattr(estimates, "recorded", first)
    with pytest.raises(UnprovedError):
        estimates._step("value").proved()


OTHER_OPERATIONS = {
    "a logarithm of a sum": (
        Estimates,
        "log1p",
        "log = self.native.log1p(x.value)",
        "log = self.native.log(1 + x.value)",
        "does not know the operation log",
    ),
    "half of an error": (Estimates, "tested", "x.value - error", "x.value - 0.5 * error", "do not lie around"),
    "another comparison": (Estimates, "tested", "lower != upper", "lower > upper", "not compared"),
    "another quotient": (
        Estimate,
        "__truediv__",
        "a.value / b.value, a.k",
        "b.value / a.value, a.k",
        "does not know the operation truediv",
    ),
}


@pytest.mark.parametrize("what", OTHER_OPERATIONS)
def test_another_operation_is_no_proof_of_an_estimate(what, monkeypatch):
    owner, function, old, new, complaint = OTHER_OPERATIONS[what]
    planted_method(monkeypatch, owner, function, old, new)
    with pytest.raises(UntranslatedError, match=complaint):
        estimates.steps()


def test_a_magnitude_that_lacks_a_term_is_no_proof_of_an_estimate(monkeypatch):
    planted(monkeypatch, code_of_estimate, "_sum", "a.magnitude + b.magnitude", "b.magnitude")
    with pytest.raises(UntranslatedError, match="not that of two terms"):
        estimates.steps()


# --- what the scripts take as known ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fact", facts(), ids=lambda fact: fact.what)
def test_a_fact_holds(fact):
    assert 0 < fact.magnitude() <= fact.bound


@pytest.fixture
def looked_up(monkeypatch):
    """The indices into each table."""
    found, lookup = {}, functions.lookup

    def spy(xp, table, index):
        found[table.name] = index
        return lookup(xp, table, index)

    monkeypatch.setattr(functions, "lookup", spy)
    return found


def test_powers_are_those_of_n(looked_up):
    """So that exp(y) is 2^(n / 1024) exp(r), for all n that scripts know."""
    y = -np.arange(1024 / tables.STEP) * tables.STEP
    n = np.round(y * tables.STEPS_PER_UNIT)
    k = functions.exponential(np, y, 0 * y).k
    assert (n == -np.arange(n.size)).all()
    assert {*looked_up} == {"power", "power_rest"}
    for j in looked_up.values():
        assert (1024 * k + j == n).all()
        assert j.min() == 0
        assert j.max() == 1023


def test_rows_are_those_of_m(looked_up):
    m = np.linspace(1, 2, 2**17 + 1)
    functions.logarithm(np, (m, 0 * m), (m - 1, 0 * m))
    assert {*looked_up} == {"inverse", "log", "log_rest"}
    for index in looked_up.values():
        assert (abs((index + tables.FIRST_ROW) / tables.ROWS - m) <= 0.5 / tables.ROWS).all()
        assert (index == np.round(m * tables.ROWS) - tables.FIRST_ROW).all()


def test_the_transformations_lose_nothing_in_a_small_format():
    assert [*transformations.wrong(4)] == []


TRANSFORMATION_FAULTS = {
    "two_sum": ("(a - (s - t)) + (b - t)", "b - t"),
    "fast_two_sum": ("b - (s - a)", "(s - a) - b"),
    "split": ("c - (c - a)", "a - (c - a)"),
    "two_product": (" + a_low * b_low", ""),
    "two_square": ("2 * (high * low)", "high * low"),
}


@pytest.mark.parametrize("function", TRANSFORMATION_FAULTS)
def test_a_transformation_that_loses_something_is_found(function, monkeypatch):
    planted(monkeypatch, exact, function, *TRANSFORMATION_FAULTS[function])
    assert any(complaint.startswith(function) for complaint in transformations.wrong(4))


def test_every_transformation_is_tried():
    assert {*TRANSFORMATIONS} == {*TRANSFORMATION_FAULTS}


def pair_of(result):
    return Fraction(float(result[0])) + Fraction(float(result[1]))


def test_doubles_lose_nothing_either():
    for _ in range(2000):
        a, b = (float(x) for x in RANDOM.normal(0, 1, 2) * 2.0 ** RANDOM.integers(-60, 60, 2))
        assert pair_of(exact.two_sum(a, b)) == Fraction(a) + Fraction(b)
        assert pair_of(exact.fast_two_sum(*sorted((a, b), key=abs, reverse=True))) == Fraction(a) + Fraction(b)
        assert pair_of(exact.two_product(np, a, b)) == Fraction(a) * Fraction(b)
        assert pair_of(exact.two_square(np, a)) == Fraction(a) ** 2
        assert pair_of(exact.split(np, a)) == Fraction(a)


def test_a_product_that_underflows_loses_no_more_than_assumed():
    lost = []
    for _ in range(2000):
        a, b = (float(x) for x in RANDOM.uniform(1, 2, 2) * 2.0 ** RANDOM.integers(-560, -480, 2))
        lost.append(abs(pair_of(exact.two_product(np, a, b)) - Fraction(a) * Fraction(b)))
    assert 0 < max(lost) <= UNDERFLOW


def test_the_identities_hold_in_numbers():
    """Gappa checks the hints; so does exact arithmetic at a point, with rounding errors that are anything."""
    with kept(TRANSFORMATIONS):
        read = Translation(recorded(functions._log_one_plus, 2), ["u", "u_low"])
    values = {"u": Fraction(1, 3), "u_low": Fraction(1, 7)} | {lost: Fraction(1, 1000) for lost in read.lost}
    names = {"rnd": lambda x: x + Fraction(1, 97), "fixed": lambda x: x - Fraction(1, 89)}
    for line in read.lines:
        result, _, text = line.rstrip(";").partition(" = ")
        values[result] = eval(python(text), {"Fraction": Fraction, **names}, values)  # noqa: S307
    series_of = series.SERIES["logarithm"].of(name("u") + name("u_low"))
    right = eval(python(read.error([0, 1], series_of)), {"Fraction": Fraction}, values)  # noqa: S307
    exact_series = eval(python(series_of.text()), {"Fraction": Fraction}, values)  # noqa: S307
    assert eval(read.result(0, 1), {}, values) - exact_series == right  # noqa: S307


def python(text):
    """Return what Gappa reads as Python does: m b e is m 2^e."""
    text = text.replace("fixed<-1074,ne>", "fixed")
    return re.sub(r"(?<![\w.])(\d+)(?:b(-?\d+))?(?![\w.])", r"(Fraction(\1) * Fraction(2) ** (\2+0))", text).replace(
        "(+0)", "0"
    )


@pytest.mark.parametrize("x", [0, 1, -3, 96, Fraction(3, 8), Fraction(-1, 3), 0.1, 2.0**-1074])
def test_a_number_is_written_exactly(x):
    written = number(x)
    mantissa, _, exponent = written.strip("()").partition(" / ")[0].partition("b")
    divisor = int(written.strip("()").partition(" / ")[2] or 1)
    assert int(mantissa) * Fraction(2) ** int(exponent or 0) / divisor == Fraction(x)


def test_polynomials():
    x, y = name("x"), name("y")
    square = (x + y).power(2)
    assert square - x * x - x * y * 2 == y * y
    assert square.replaced("x", y) == y * y * 4
    assert not square - square
    assert (x * 3 - y).text() == "3 * x - y"
    assert (x * x * y + x * y + y).nested() in (
        "y * (x * (x + 1) + 1)",
        "y * (1 + x * (1 + x))",
        "y * (1 + x * (x + 1))",
    )


def test_powers_only_scale():
    assert [*powers.wrong()] == []
    assert {*powers.EXAMPLES} == {"add", "multiply", "divide"}


POWER_FAULTS = {
    "_lowered": ("x * _DOWN", "x * _UP"),
    "_normal": ("y * _UP", "y * 2.0"),
    "_aligned": ("top - power == 1", "top - power == 2"),
}


@pytest.mark.parametrize("function", POWER_FAULTS)
def test_a_fault_of_powers_is_found(function, monkeypatch):
    planted(monkeypatch, code_of_pairs, function, *POWER_FAULTS[function])
    assert any("is not that of pairs" in complaint for complaint in powers.wrong())


# --- what is known by sampling, not by proof ------------------------------------------------------------------------


@pytest.mark.parametrize("operation", [code_of_pairs.add, code_of_pairs.multiply, code_of_pairs.divide])
def test_powers_change_no_digit(operation):
    """The arithmetic of float64 does what that of float32 does, times a power of 2^512."""
    plain, extended = HighPrecision(np, extended=False), HighPrecision(np, extended=True)
    a, b = (RANDOM.uniform(1, 2, 500) * 2.0 ** RANDOM.integers(-200, 200, 500) for _ in range(2))
    a_low, b_low = (x * RANDOM.uniform(-1, 1, 500) * 2.0**-54 for x in (a, b))
    for of_a, of_b in ((0, 0), (1, 1), (-3, -3), *(() if operation is code_of_pairs.add else ((2, -1), (0, 3)))):
        right = operation(code_of_pairs.Pair(plain, a, a_low), code_of_pairs.Pair(plain, b, b_low))
        powers = [np.full(500, float(k)) for k in (of_a, of_b)]
        got = operation(
            *(code_of_pairs.Pair(extended, *parts) for parts in ((a, a_low, powers[0]), (b, b_low, powers[1])))
        )
        expected = {"add": of_a, "multiply": of_a + of_b, "divide": of_a - of_b}[operation.__name__]
        scale = 2.0 ** (512 * (got.power - expected))
        assert ((got.high * scale == right.high) & (got.low * scale == right.low)).all()
        assert (abs(np.log2(abs(got.high))) <= 256).all()


def test_the_digits_of_both_parts_of_a_term_are_one_digit():
    """So that sums of 2^29 terms are integers below 2^53."""
    first = RANDOM.uniform(1, 2, 3000) * 2.0 ** RANDOM.integers(-60, 24, 3000)
    rest = np.spacing(first) / 2 * RANDOM.choice([-1, 1, 0.999, -0.999, 0.3], 3000)
    digits = zip(code_of_sums._digits(np, first), code_of_sums._digits(np, rest), strict=True)
    assert max(abs(a + b).max() for a, b in digits) <= 2**24
