"""The fuzzer, for seconds; what it found before; and that it can find anything at all."""

import inspect
import itertools
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

import xbce
from tests.fuzz import strategies
from tests.fuzz.calls import MODES, POSITIONAL, Array, Call, Scalar
from tests.fuzz.check import judge, libraries
from tests.fuzz.hunt import Hunt
from tests.fuzz.oracle import LOSSES, Refused, element, expected
from tests.fuzz.pinned import PINNED
from tests.fuzz.strategies import calls
from tests.helpers import approx, step
from xbce_conformance import contract
from xbce_conformance.cases import CASES
from xbce_conformance.exact_values.by_series import SeriesReference
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.inputs.input_set import drawn_set
from xbce_conformance.inputs.regimes import DRAWN

# How many calls: as many as seconds allow. The compilers of PyTorch and MLX take as long as all the others:
# `make fuzz` has them.
_EXAMPLES = {"numpy": 40, "array-api-strict": 10, "dask": 8, "torch": 10, "jax": 2, "mlx": 8, "ndonnx": 3}
_EXAMPLES_OF_MODE = {
    "eager": 3,
    "large": 0.5,
    "export": 0.2,
    "export, backward": 0.2,
    "trace": 0.1,
    "compile": 0,
    "graph": 0.4,
}


def _examples(library: str, mode: str) -> int:
    if (library, mode) == ("mlx", "jit"):
        return 0
    return round(_EXAMPLES[library] * _EXAMPLES_OF_MODE.get(mode, 1))


def _here(library: str) -> None:
    if library not in libraries():
        pytest.skip(f"{library} is absent")


_IN_SECONDS = [runner for runner in MODES if _examples(*runner)]


@pytest.mark.parametrize(("library", "mode"), _IN_SECONDS, ids=[", ".join(runner) for runner in _IN_SECONDS])
def test_drawn_calls_do_what_they_have_to(library: str, mode: str) -> None:
    _here(library)

    @settings(
        max_examples=_examples(library, mode),
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(calls(library, mode))
    def attempt(call: Call) -> None:
        finding = judge(call)
        assert finding is None, str(finding)

    attempt()


def _is_sharded(pinned) -> bool:
    return "sharded" in [getattr(a, "holder", "") for _, a in pinned.call.arguments]


_ON_ONE_DEVICE = [pinned for pinned in PINNED if not _is_sharded(pinned)]


@pytest.mark.parametrize(
    "pinned",
    [
        pytest.param(pinned, id=pinned.name, marks=[pytest.mark.xfail(reason=pinned.open)] if pinned.open else [])
        for pinned in _ON_ONE_DEVICE
    ],
)
def test_what_was_found_stays_mended(pinned) -> None:
    _here(pinned.call.library)
    finding = judge(pinned.call)
    assert finding is None, str(finding)


_SHARDED = """
import jax
jax.config.update("jax_num_cpu_devices", 2)
from tests.fuzz.check import judge
from tests.fuzz.test_fuzz import PINNED, _is_sharded
found = [judge(pinned.call) for pinned in PINNED if _is_sharded(pinned)]
assert not any(found), "\\n".join(str(finding) for finding in found if finding)
"""


def test_what_was_found_stays_mended_on_two_devices() -> None:
    """JAX has as many devices as it began with: so another process."""
    _here("jax")
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", _SHARDED], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- the oracle -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pinned", PINNED, ids=[pinned.name for pinned in PINNED])
def test_the_oracle_knows_the_right_value(pinned) -> None:
    right = expected(pinned.call)
    if pinned.right is None:
        assert isinstance(right, Refused)
        return
    ((exact,), known) = ([r.exact.high for r in right], right[0].known)
    assert known.all()
    np.testing.assert_allclose(exact, pinned.right, rtol=4e-16, atol=0)


_CASES = [case for case in CASES if case.function in LOSSES]


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("quantity", ["value", "gradient", "hessian", "label_gradient"])
def test_the_oracle_knows_the_table_of_special_values(case, quantity) -> None:
    """It may promise less than the table, never anything else."""
    fmt = FORMATS["float64"]
    rows = contract.special_values(case.name)
    assert rows
    for row in rows:
        arguments = {name: contract.number(text, fmt) for name, text in row.arguments.items()}
        text = getattr(row, quantity)
        options = dict(case.options) | {name: arguments.pop(name) for name in [*arguments] if name in DRAWN}
        weight = arguments.pop("weight", options.pop("weight", 1.0))
        if (
            text is None
            or arguments.pop("where", 1.0) == 0
            or weight != 1
            or not all(map(math.isfinite, options.values()))
        ):
            continue
        x, z, *p = [*arguments.values(), *(options.pop(name) for name in ("pos_weight",) if name in options)]
        number = element(case.function, tuple(options.items()), quantity, x, z, p[0] if p else None)
        with step("the oracle", element, case.name, quantity, **row.arguments):
            if number is None:
                assert not all(map(math.isfinite, arguments.values())) or quantity != "value"
            else:
                right = contract.number(text, fmt)
                np.testing.assert_allclose(number[0], right, rtol=1e-14, atol=fmt.smallest)


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
def test_the_oracle_is_the_definition_of_the_suite(case) -> None:
    """The definitions with all options at once are those with one where the others are absent."""
    options = dict(case.options)
    scalars = [options.pop(name) for name in ("pos_weight",) if name in options]
    factor = options.pop("weight", 1.0)
    names = [name for name in case.arguments if name not in ("weight", "where")]
    of_arrays = [name for name in names if name in DRAWN]
    inputs = drawn_set(FORMATS["float32"], 16, case.regimes, case.arguments).arrays
    reference = SeriesReference(case.definition, case.arguments)
    chosen = np.random.default_rng(0).integers(0, len(inputs["labels"]), 12).tolist()
    for i, quantity in itertools.product(chosen, ("value", "gradient", "hessian", "label_gradient")):
        numbers = [float(inputs[name][i]) for name in names]
        with_p = [*numbers[: len(numbers) - len(of_arrays)], *scalars]
        given = options | dict(zip(of_arrays, numbers[len(numbers) - len(of_arrays) :], strict=True))
        number = element(case.function, tuple(given.items()), quantity, *with_p, *[None] * (3 - len(with_p)))
        ones = [1.0] * (len(case.arguments) - len(names))
        exact = reference.exact(quantity, tuple(np.array([n]) for n in (*numbers, *ones)))[quantity]
        if factor != 1:
            assert number is None or approx(float(exact.high[0]), rel=1e-15) == number[0] * factor
        else:
            assert number is None or number == (exact.high[0], exact.low[0], exact.scale[0])


# --- the fuzzer -----------------------------------------------------------------------------------------------------

_FEW = Call("reduce", (("losses", Array((1.0, 2.0, 4.0))),), words=(("reduction", "none"),))
_MEAN = Call("reduce", (("losses", Array((1.0, 2.0, 4.0))),))
_BAD = Call("reduce", (("losses", Array((1.0, 2.0), "int64")),))


@pytest.mark.parametrize(
    ("call", "faulty", "what"),
    [
        (_FEW, lambda x, **_: x + np.float32(1e-6), "value: wrong number"),
        (_FEW, lambda x, **_: x * np.nan, "value: NaN"),
        (_FEW, lambda x, **_: x / np.float32(0), "value: another infinity"),
        (_FEW, lambda x, **_: x.astype(np.float64), "another dtype"),
        (_FEW, lambda x, **_: x[:, None], "another shape"),
        (
            _FEW,
            lambda x, **_: x.missing,
            "raises AttributeError: '_' object has no attribute 'missing'",
        ),
        (_MEAN, lambda x: x.sum(), "value: wrong number"),
        (_BAD, lambda x: x.mean(), "not refused: dtype"),
        (_BAD, lambda x: np.take(x, 5), "dtype raises IndexError: index _ is out of bounds for axis _ with size _"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_it_sees_what_is_wrong(monkeypatch, call, faulty, what) -> None:
    assert judge(call) is None
    monkeypatch.setattr(xbce, "reduce", faulty)
    with np.errstate(all="ignore"):
        finding = judge(call)
    assert finding.what == what


def test_a_search_finds_what_is_wrong(monkeypatch) -> None:
    reduce = xbce.reduce
    monkeypatch.setattr(xbce, "reduce", lambda losses, **options: reduce(losses, **options) * losses.dtype.type(1.001))
    hunt = Hunt((("numpy", "eager"),), seconds=60.0, seed=0)
    found = next(c for _, new in hunt.rounds() for c in new if c.finding.call.function == "reduce")
    assert found.finding.what == "value: wrong number"
    assert found.kind == 0


_CANCEL = (1.0, 1e30, -1e30, 2.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_what_large_losses_of_both_signs_leave_is_not_judged(dtype: str, reduction: str) -> None:
    """Their rounding errors are larger than what is left of them; but they are no excuse for anything else."""
    fmt = FORMATS[dtype]

    def call(*values: float) -> Call:
        values = tuple(float(fmt.round([x])[0]) for x in values)
        return Call(
            "reduce", (("losses", Array(values, dtype)),), "", "numpy", "eager", (), (("reduction", reduction),)
        )

    assert judge(call(*_CANCEL)) is None
    (right,) = expected(call(*_CANCEL[:3], 1e30))
    assert np.max(right.bound) <= 16


def test_every_function_and_option_is_drawn() -> None:
    losses = {name for name in xbce.__all__ if hasattr(getattr(xbce, name), "gradient")}
    assert losses == {*LOSSES} == {*strategies.OPTIONS}
    assert {*strategies.PRIMITIVES} == {f"special.{name}" for name in xbce.special.__all__}
    for name in (*LOSSES, "reduce"):
        signature = {*inspect.signature(getattr(xbce, name)).parameters} - {"dtype"}  # api/test_result_options.py
        numbers = strategies.OPTIONS.get(name, ())
        arrays = strategies.ARRAYS if name in LOSSES else ("weight", "where")
        assert signature == {*POSITIONAL[name], *numbers, *arrays, *strategies.WORDS}


def test_every_method_is_drawn() -> None:
    methods = {name for name in dir(xbce.sigmoid_focal_loss) if not name.startswith("_")}
    assert methods == {*strategies.METHODS} - {""}


def test_a_finding_shows_a_call_that_can_be_pasted() -> None:
    call = Call("reduce", (("losses", Array((1.0, math.nan), "float64")), ("weight", Scalar(2.0, "numpy.float32"))))
    names: dict[str, object] = {}
    from tests.fuzz.calls import source

    exec(source(call), names)  # noqa: S102 - our own text
    assert np.isnan(names["result"])
