"""How accurate the functions of libraries are: that errors are seen, where they are, and that nothing is lost."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import ModuleType

import flint
import numpy as np
import pytest
from click.testing import CliRunner

from tests.helpers import NUMPY, approx
from xbce_conformance.cli import functions as command
from xbce_conformance.cli import main
from xbce_conformance.functions import ELEMENTARY, FunctionRow, Report, Unmeasured, measure_function
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.subjects.backends import find_backends
from xbce_conformance.sweep import device
from xbce_conformance.sweep.tally import Tally

HALF, SINGLE = FORMATS["float16"], FORMATS["float32"]

BALLS = {
    "exp": lambda x: x.exp(),
    "log1p": lambda x: x.log1p(),
    "tanh": lambda x: x.tanh(),
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
}


def exactly(name, x):
    """Return a function of a number by ball arithmetic, rounded to float64."""
    flint.ctx.prec = 200
    return float(BALLS[name](flint.arb(float(x))).mid())


# --- the measure ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ELEMENTARY)
def test_exact_values_are_certified(name):
    """To 8 ULP of float64, 2^-26 of float32, in both tails."""
    x = np.float32([-87.5, -20, -1.5, -0.999, -1e-3, -1e-30, -1e-44, 1e-44, 1e-30, 1e-3, 0.5, 1, 20, 88, 3e38])
    if name == "log1p":
        x = x[x > -1]
    elif name == "exp":
        x = x[x < 100]
    exact = np.array([exactly(name, number) for number in x])
    got = ELEMENTARY[name].exact(device.numpy_device(SINGLE).xp, np.float64(x))
    assert (np.abs(got - exact) <= 8 * FORMATS["float64"].ulp(exact)).all()


@pytest.mark.parametrize("name", ["exp", "log1p", "tanh"])
def test_figures_of_half_precision(name):
    """The worst of all float16 numbers, and the share of right ones, by ball arithmetic."""
    tally = measure_function(ELEMENTARY[name], NUMPY, HALF)
    assert tally.count == 2**16
    call = getattr(np, name)
    x = np.float16([float.fromhex(tally.worst_logit)])
    assert float(call(x)[0]).hex() == tally.worst_computed
    exact = exactly(name, x[0])
    assert float.fromhex(tally.worst_exact) == approx(exact, rel=1e-14)
    assert tally.max_ulp == approx(float(abs(float(call(x)[0]) - exact) / HALF.ulp(exact)), rel=1e-9)

    few = HALF.from_bits(np.arange(0, 2**16, 97))
    with np.errstate(all="ignore"):
        few = few[np.isfinite(few) & np.isfinite(call(few))]
        exact = np.array([exactly(name, number) for number in few])
        errors = np.abs(np.float64(call(few)) - exact) / HALF.ulp(exact)
    assert len(few) > 200
    assert errors.max() <= tally.max_ulp
    assert (call(few) == HALF.round(exact)).mean() > 0.99
    assert tally.correctly_rounded / tally.count > 0.99


def test_worst_sigmoid_is_that_of_ball_arithmetic():
    backend = find_backends(("torch:cpu",))[0].get("torch:cpu")
    if backend is None:
        pytest.skip("PyTorch is not installed")
    import torch

    tally = measure_function(ELEMENTARY["sigmoid"], backend, SINGLE, stride=65537)
    x = float.fromhex(tally.worst_logit)
    computed, exact = float(torch.sigmoid(torch.full((64,), x))[0]), exactly("sigmoid", x)
    assert tally.count == 65536
    assert tally.max_ulp > 0.5
    assert tally.max_ulp == approx(float(abs(computed - exact) / SINGLE.ulp(exact)), rel=1e-6)


def wrong_exp(x):
    """Return exp, with one fault of each kind."""
    result = np.exp(np.float64(x)).astype(x.dtype)
    result[x == 1] += x.dtype.type(3 * HALF.ulp(np.e))
    result[x == 2] = np.nan  # not finite where it should be
    result[x == np.inf] = 1  # finite where it should not be
    result[x == -np.inf] = 0.25  # both are finite, and it is wrong
    result[x == -3] = 0  # zero for a normal number
    result[(result < HALF.tiny) & (result > 0)] = 0
    return result


@pytest.fixture
def wrong(monkeypatch):
    """A library with a wrong function."""
    module = ModuleType("wrong_library")
    module.exp, module.wide, module.__version__ = wrong_exp, lambda x: np.float64(x), "0.1"
    monkeypatch.setitem(sys.modules, "wrong_library", module)
    return replace(ELEMENTARY["exp"], paths={"numpy": "wrong_library:exp"})


def test_a_wrong_function_is_seen(wrong):
    tally = measure_function(wrong, NUMPY, HALF)
    x = np.float64(HALF.from_bits(np.arange(2**16)))
    with np.errstate(invalid="ignore", over="ignore"):
        subnormal = HALF.round(np.exp(x))
    expected = ((subnormal > 0) & (subnormal < HALF.tiny)).sum()
    assert expected > 100
    # A result that rounds up to the least normal number is none of them, and is right.
    assert tally.flushed == expected
    assert tally.zero_for_normal == 1
    assert tally.wrong_nonfinite == 3
    assert tally.max_ulp == np.inf
    assert float.fromhex(tally.worst_logit) == 2
    # What is wrong: at 1, 2, -3, both infinities, and what is flushed.
    assert tally.correctly_rounded == 2**16 - 5 - tally.flushed


def test_a_right_function_is_right(monkeypatch, wrong):
    monkeypatch.setattr(sys.modules["wrong_library"], "exp", lambda x: np.exp(np.float64(x)).astype(x.dtype))
    tally = measure_function(wrong, NUMPY, HALF)
    assert (tally.flushed, tally.zero_for_normal, tally.wrong_nonfinite, tally.correctly_rounded) == (0, 0, 0, 2**16)
    assert 0.499 < tally.max_ulp <= 0.5


def test_only_the_error_at_one(monkeypatch, wrong):
    def exp(x):
        result = np.exp(np.float64(x)).astype(x.dtype)
        result[x == 1] += x.dtype.type(3 * HALF.ulp(np.e))
        return result

    monkeypatch.setattr(sys.modules["wrong_library"], "exp", exp)
    tally = measure_function(wrong, NUMPY, HALF)
    assert float.fromhex(tally.worst_logit) == 1
    assert 2.5 < tally.max_ulp < 3.5
    assert tally.correctly_rounded == 2**16 - 1


def test_what_cannot_be_measured_says_why(wrong):
    with pytest.raises(Unmeasured, match="it returned float64 for float16"):
        measure_function(replace(wrong, paths={"numpy": "wrong_library:wide"}), NUMPY, HALF)
    with pytest.raises(Unmeasured, match=r"wrong_library:cosh cannot be imported: .*'cosh'"):
        measure_function(replace(wrong, paths={"numpy": "wrong_library:cosh"}), NUMPY, HALF)
    with pytest.raises(Unmeasured, match="no_such_library:exp cannot be imported: No module named 'no_such_library'"):
        measure_function(replace(wrong, paths={"numpy": "no_such_library:exp"}), NUMPY, HALF)
    with pytest.raises(Unmeasured, match="numpy has no exp here; those of torch are known"):
        measure_function(replace(wrong, paths={"torch": "torch:exp"}), NUMPY, HALF)


@pytest.mark.parametrize(
    ("name", "dtype", "stride"),
    # XLA takes subnormal numbers of float32 for 0 on a CPU, also where it widens them: not on a GPU.
    [
        ("torch:cpu", "float16", 1),
        pytest.param("torch:cpu", "bfloat16", 1, marks=pytest.mark.long),
        ("torch:cpu", "float32", 65537),
        pytest.param("jax", "float16", 1, marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize("function", ELEMENTARY.values(), ids=ELEMENTARY)
def test_measured_on_the_device(monkeypatch, name, dtype, stride, function):
    """In the namespace of the library, as on a GPU: the same figures as in NumPy."""
    backend = find_backends((name,))[0].get(name)
    if backend is None:
        pytest.skip(f"{name} is not installed")
    in_numpy = measure_function(function, backend, FORMATS[dtype], stride=stride)
    monkeypatch.setattr(device, "ON_DEVICE", (name,))
    monkeypatch.setattr(device, "DEVICE_BLOCK", 2**14 + 1)
    on_device = measure_function(function, backend, FORMATS[dtype], stride=stride)
    for figure in ("count", "correctly_rounded", "zero_for_normal", "flushed", "wrong_nonfinite"):
        assert getattr(on_device, figure) == getattr(in_numpy, figure), figure
    assert on_device.max_ulp == approx(in_numpy.max_ulp, rel=1e-6)


# --- the command ----------------------------------------------------------------------------------------------------


def invoke(out, *options):
    return CliRunner().invoke(main, ["functions", *map(str, options), "--out", str(out)])


def rows_of(out):
    return json.loads((out / "functions.json").read_text("utf-8"))["rows"]


def test_table_and_file(tmp_path):
    result = invoke(tmp_path, "--backend", "numpy", "--dtype", "float16", "--function", "exp", "--function", "sigmoid")
    assert result.exit_code == 0, result.output
    (row,) = rows_of(tmp_path)
    assert row.keys() == FunctionRow.__dataclass_fields__.keys()
    identity = ("exp", "numpy:exp", np.__version__, "numpy", "cpu", "float16", 1)
    names = ("function", "implementation", "version", "backend", "device", "dtype", "stride")
    assert tuple(row[name] for name in names) == identity
    assert row["processor"]
    assert (row["count"], row["special_wrong"], row["flushed"]) == (2**16, 0, 0)
    assert "Errors in ULP of the exact result. Inputs: every number" in result.output
    assert f"numpy (numpy {np.__version__})  =0.50" in result.output
    assert f"numpy: cpu; processor: {row['processor']}" in result.output
    assert "absent: numpy: sigmoid, float16: it returned float64 for float16" in result.output


def test_samples_are_called_samples(tmp_path):
    options = ("--backend", "numpy", "--dtype", "float32", "--function", "exp", "--stride", 65537)
    result = invoke(tmp_path, *options)
    assert result.exit_code == 0, result.output
    assert "Inputs: 1 of 65537 bit patterns: samples, a lower bound" in result.output
    assert "=" not in result.output.partition("max: ")[0]
    assert [row["count"] for row in rows_of(tmp_path)] == [65536]


def test_nothing_is_measured_twice(tmp_path, monkeypatch):
    measured = []

    def measure(function, backend, fmt, *, stride, progress):
        measured.append((backend.version, function.name, fmt.name, stride))
        progress(1)
        return Tally(count=1, max_ulp=np.inf, worst_logit="0x1p+0")

    monkeypatch.setattr(command, "measure_function", measure)
    one = ("--backend", "numpy", "--dtype", "float16", "--function", "exp")
    assert invoke(tmp_path, *one).exit_code == 0
    first = rows_of(tmp_path)
    assert first[0]["max_ulp"] == "inf"
    result = invoke(tmp_path, *one, "--function", "tanh")
    assert "=inf" in result.output
    assert [name for _, name, _, _ in measured] == ["exp", "tanh"]
    assert rows_of(tmp_path)[0] == first[0]
    # Another stride, or another version, is another measurement.
    invoke(tmp_path, *one, "--stride", 3)
    monkeypatch.setattr(np, "__version__", "0.0")
    invoke(tmp_path, *one)
    assert [(version, stride) for version, _, _, stride in measured[2:]] == [(NUMPY.version, 3), ("0.0", 1)]
    assert len(rows_of(tmp_path)) == 4


def test_terminated_it_keeps_what_is_done(tmp_path):
    """The same command goes on from there."""
    options = ["--backend", "numpy", "--function", "exp", "--dtype", "float16", "--dtype", "float32", "--out", "."]
    program = [sys.executable, "-m", "xbce_conformance", "functions", *options]
    with subprocess.Popen(program, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not (tmp_path / "functions.json").exists():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Interrupted. What is done is kept in functions.json" in output
    (row,) = rows_of(tmp_path)
    assert (row["dtype"], row["count"]) == ("float16", 2**16)
    result = invoke(tmp_path, *options[:-4])
    assert result.exit_code == 0, result.output
    assert rows_of(tmp_path) == [row]


def test_interrupted_from_the_keyboard(tmp_path, monkeypatch):
    def interrupt(function, *_, **__):
        if function.name == "tanh":
            raise KeyboardInterrupt
        return Tally(count=1, worst_logit="0x1p+0")

    monkeypatch.setattr(command, "measure_function", interrupt)
    before = signal.getsignal(signal.SIGTERM)
    result = invoke(tmp_path, "--backend", "numpy", "--dtype", "float16")
    assert result.exit_code == 130
    assert [row["function"] for row in rows_of(tmp_path)] == ["exp", "log1p"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_errors_of_the_command(tmp_path, monkeypatch):
    (tmp_path / "functions.json").write_text('{"schema_version": 0}', "utf-8")
    result = invoke(tmp_path, "--backend", "numpy")
    assert result.exit_code == 1
    assert "functions.json does not hold figures of functions: " in result.output
    assert "has schema version 0; 2 is expected" in result.output
    result = invoke(tmp_path, "--backend", "dask")
    assert result.exit_code == 2
    assert "'dask' is not one of 'numpy', 'torch:cpu'" in result.output
    monkeypatch.setattr(command, "find_backends", lambda names: ({}, dict.fromkeys(names, "no CUDA device was found")))
    result = invoke(tmp_path, "--backend", "torch:cuda")
    assert result.exit_code == 1
    assert "nothing to measure (torch:cuda: no CUDA device was found)" in result.output


def test_report_travels(tmp_path):
    identity = dict.fromkeys(("function", "implementation", "version", "backend", "device", "processor", "dtype"), "a")
    row = FunctionRow.of(Tally(count=2, max_ulp=np.inf, worst_logit="0x1p+0"), **identity, stride=1)
    Report({"date": "today"}, rows=[row]).write(tmp_path / "functions.json")
    again = Report.going_on(tmp_path / "functions.json", {"date": "tomorrow"})
    assert again.rows == [row]
    assert again.environment == {"date": "tomorrow"}
    assert again.find(**identity, stride=1) == row
    assert again.find(**identity, stride=2) is None
