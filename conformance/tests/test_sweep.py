"""The exhaustive sweep: its reference, its measures, and that nothing is lost or counted twice, whoever is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import product

import numpy as np
import psutil
import pytest
from click.testing import CliRunner

import xbce
from tests.helpers import approx
from xbce_conformance.cli import main
from xbce_conformance.exact_values.plain_loss import ArrayReference as Shared
from xbce_conformance.exact_values.plain_loss import BallReference, Float64Reference
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.inputs.hard_cases import hard_cases
from xbce_conformance.measurement.errors import measure
from xbce_conformance.measurement.profile import profile_edges
from xbce_conformance.storage import CheckpointFolder, OtherPlan
from xbce_conformance.subjects.backends import find_backends
from xbce_conformance.subjects.xbce import find_xbce
from xbce_conformance.sweep import Plan, Target, sweep, sweep_results, target_of
from xbce_conformance.sweep import plan as plan_module
from xbce_conformance.sweep import run as run_module
from xbce_conformance.sweep.checkpoint import Checkpoint
from xbce_conformance.sweep.device import array_device, numpy_device, ulp_of
from xbce_conformance.sweep.errors import Segment, _histogram, segments
from xbce_conformance.sweep.kernel import Measured, measure_chunk
from xbce_conformance.sweep.outcome import Outcome
from xbce_conformance.sweep.plan import BLOCK, CHUNK, DEVICE_BLOCK, DEVICE_CHUNK, Chunk
from xbce_conformance.sweep.run import merged
from xbce_conformance.sweep.tally import Tally, upper_edge
from xbce_conformance.sweep.ties import decided

SINGLE = FORMATS["float32"]
NUMPY = numpy_device(SINGLE)
XBCE = target_of(next(find_xbce(find_backends(("numpy",))[0])))


# --- the reference --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantity", ["value", "gradient", "hessian"])
@pytest.mark.parametrize("z", [0.0, 1.0, 1 / 256, 0.5, 255 / 256])
def test_reference_is_certified(quantity, z):
    """By ball arithmetic, to 3 ULP of float64, on logits of every binade of both signs."""
    exponents = np.repeat(np.arange(255, dtype=np.uint32) << 23, 2)
    bits = exponents | np.random.default_rng(0).integers(0, 2**23, exponents.size, dtype=np.uint32)
    x = np.concatenate([SINGLE.from_bits(bits), SINGLE.from_bits(bits | np.uint32(1 << 31))])
    exact = getattr(BallReference(), quantity)(x, np.full_like(x, z))
    got, scale = Shared.of(NUMPY.xp, np.float64(x)).exact(quantity, z)
    double = FORMATS["float64"]
    assert (np.abs((got - exact.high) - exact.low) <= 3 * double.ulp(exact.scale)).all()
    np.testing.assert_allclose(np.abs(scale), np.abs(exact.scale), rtol=1e-14)


@pytest.mark.parametrize("quantity", ["value", "gradient", "hessian"])
def test_reference_is_right_next_to_the_middle_of_two_numbers(quantity):
    mended = 0
    for x, z, right in zip(*hard_cases(quantity), strict=True):
        exact, _ = Shared.of(np, np.array([x], np.float64)).exact(quantity, float(z))
        moved = decided(NUMPY.xp, exact, int(x.view(np.uint32)), SINGLE, quantity, float(z))
        mended += exact[0].astype(np.float32) != right
        assert moved[0].astype(np.float32) == right
        # All of them are within 2^-23 ULP of the middle.
        assert abs(moved[0] - exact[0]) < 2.0**-22 * ulp_of(np, exact, SINGLE)[0]
    assert mended or quantity == "hessian"


def test_reference_at_infinity_and_nan():
    shared = Shared.of(NUMPY.xp, np.array([np.inf, -np.inf, np.nan]))
    with np.errstate(invalid="ignore"):
        for z, value, gradient in (
            (0.0, [np.inf, 0], [1, 0]),
            (1.0, [0, np.inf], [0, -1]),
            (0.25, [np.inf] * 2, [0.75, -0.25]),
        ):
            np.testing.assert_array_equal(shared.exact("value", z)[0], [*value, np.nan])
            np.testing.assert_array_equal(shared.exact("gradient", z)[0], [*gradient, np.nan])


# --- the measures ---------------------------------------------------------------------------------------------------


def sloppy(x, z):
    """Return the loss by PyTorch's formula: digits and tails lost, NaN at infinity."""
    with np.errstate(all="ignore"):
        return ((1 - z) * x + (np.maximum(-x, 0) + np.log1p(np.exp(-np.abs(x))))).astype(x.dtype)


FUNCTIONS = [
    Measured("right", "value", xbce.binary_cross_entropy_with_logits, flushes=False),
    Measured("sloppy", "value", sloppy, flushes=False),
    Measured("gradient", "gradient", xbce.binary_cross_entropy_with_logits.gradient, flushes=False),
]


def tallies_of(chunk, fmt, device, functions=FUNCTIONS):
    with np.errstate(all="ignore"):
        return measure_chunk(chunk, fmt, device, functions, profile_edges(fmt)).tallies


@pytest.mark.parametrize("name", ["float16", "float32"])
def test_tallies_are_those_of_measure(name):
    """The other way of measuring agrees, over logits that hold infinities and NaN."""
    fmt = FORMATS[name]
    first = {"float16": 0x7A00, "float32": 0x7F7FFC00}[name]
    chunk = Chunk(first, first + 0x800, (0.0, 1.0, 0.375))
    tallies = tallies_of(chunk, fmt, numpy_device(fmt))
    x = fmt.from_bits(np.arange(chunk.first, chunk.stop, dtype=np.uint32))
    finite = x[np.isfinite(x)]
    for function in FUNCTIONS:
        for z, kind in zip(chunk.labels, ("0", "1", "soft"), strict=True):
            labels = np.full_like(finite, z)
            exact = getattr(Float64Reference(), function.quantity)(finite, labels)
            errors = measure(function.call(finite, labels), exact, fmt)
            tally = tallies[f"{function.key}|{kind}"]
            assert tally.count == x.size
            assert tally.zero_for_normal == errors.zero_for_normal.sum()
            # Exact values of soft labels are rounded to odd: a ULP of float64 off; one that underflows is not 0.
            off = 2.0**-28 if kind == "soft" else 2.0**-900
            assert abs(tally.max_ulp - errors.ulp.max()) <= 1e-9 * errors.ulp.max() + off
            assert (
                tally.correctly_rounded
                == errors.correctly_rounded.sum() + (x.size - finite.size) - tally.wrong_nonfinite
            )
            assert sum(tally.histogram) == x.size
    # PyTorch's formula is NaN at +inf for label 1, and nowhere else here; NaN for NaN is right.
    assert tallies["sloppy|1"].wrong_nonfinite == 1
    assert tallies["right|1"].wrong_nonfinite == 0


def test_gross_failures_and_worst_case():
    chunk = Chunk(0xC1700000, 0xC1800000, (0.0,))  # from -15 to -16
    tally = tallies_of(chunk, SINGLE, NUMPY)["sloppy|0"]
    assert tally.zero_for_normal > 2**19
    x = np.float32([float.fromhex(tally.worst_logit)])
    assert -16 < x[0] <= -15
    assert float(sloppy(x, np.zeros_like(x))[0]).hex() == tally.worst_computed
    exact = BallReference().value(x, np.zeros_like(x)).high[0]
    assert float.fromhex(tally.worst_exact) == approx(exact, rel=1e-15)
    error = abs(float.fromhex(tally.worst_computed) - exact) / SINGLE.ulp(exact)
    assert tally.max_ulp == approx(float(error), rel=1e-9)


def test_flushing_is_counted_apart():
    chunk = Chunk(0xC2AF0000, 0xC2B00000, (0.0,))  # exp(-|x|) crosses the smallest normal number at 87.34

    def flushing(x, z):
        loss = xbce.binary_cross_entropy_with_logits(x, z)
        return np.where(loss < SINGLE.tiny, 0, loss).astype(x.dtype)

    functions = [Measured(str(flushes), "value", flushing, flushes=flushes) for flushes in (True, False)]
    tallies = tallies_of(Chunk(0xC2AEA000, 0xC2AEB800, (0.0,)), SINGLE, NUMPY, functions)
    assert chunk.pairs == 2**16
    allowed, strict = tallies["True|0"], tallies["False|0"]
    assert allowed.flushed > 100
    assert allowed.max_ulp < 4
    assert strict.flushed == 0
    assert strict.max_ulp > 2**22
    assert strict.zero_for_normal == 0


def native_torch(x, z):
    import torch

    return torch.nn.functional.binary_cross_entropy_with_logits(x, z, reduction="none")


def native_jax(x, z):
    import jax

    return jax.numpy.maximum(x, 0) - x * z + jax.numpy.log1p(jax.numpy.exp(-abs(x)))


@pytest.mark.parametrize(("name", "native"), [("torch:cpu", native_torch), ("jax", native_jax)])
@pytest.mark.parametrize("blocks", [pytest.param(1, marks=pytest.mark.long), 3])
@pytest.mark.parametrize(
    "chunk",
    [
        # Two intervals of the profile, rows that are not full. Three blocks of one length, as of the next but one: JAX
        # compiles for each length.
        pytest.param(Chunk(0x4102F001, 0x41032004, (0.0, 1.0)), id="positive"),
        # A soft label for each logit.
        pytest.param(Chunk(0xC002F001, 0xC0032004, (None,)), id="soft"),
        # The sign bit is that of int32, too.
        pytest.param(Chunk(0xC1000000, 0xC1020000, (0.0, 0.375)), id="negative", marks=pytest.mark.long),
        # Infinity, NaN, and loss that is NaN where it is not.
        pytest.param(Chunk(0x7F7FE000, 0x7F801003, (0.0, 1.0)), id="not finite"),
        # Zeros where a normal number is right.
        pytest.param(Chunk(0xC1700000, 0xC1720000, (0.0,)), id="zeros", marks=pytest.mark.long),
    ],
)
def test_measured_on_the_device(name, native, blocks, chunk):
    """In the namespace of the library, as on a GPU: the same figures as NumPy gives for the same results."""
    backend = find_backends((name,))[0].get(name)
    if backend is None:
        pytest.skip(f"{name} is not installed")
    functions = [
        Measured("value", "value", xbce.binary_cross_entropy_with_logits, flushes=False),
        Measured("gradient", "gradient", xbce.binary_cross_entropy_with_logits.gradient, flushes=False),
        Measured("native", "value", native, flushes=False),
    ]
    block = -(-(chunk.stop - chunk.first) // blocks)
    on_device = tallies_of(chunk, SINGLE, replace(array_device(backend, SINGLE), block=block), functions)

    def through_numpy(call):
        return lambda x, z: backend.to_numpy(call(backend.from_numpy(x), backend.from_numpy(z)))

    in_numpy = [replace(f, call=through_numpy(f.call)) for f in functions]
    expected = tallies_of(chunk, SINGLE, replace(NUMPY, block=block), in_numpy)
    assert on_device.keys() == expected.keys()
    for key, tally in on_device.items():
        other = expected[key]
        for figure in ("count", "zero_for_normal", "correctly_rounded", "flushed", "wrong_nonfinite"):
            assert getattr(tally, figure) == getattr(other, figure), (key, figure)
        assert tally.max_ulp == approx(other.max_ulp, rel=1e-6), key
        assert sum(tally.histogram) == sum(other.histogram)
        assert tally.profile == approx(other.profile, rel=1e-6)


@pytest.mark.parametrize("name", ["numpy", "torch:cpu", "jax"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_rounded_once(name, dtype):
    """Half-way between two numbers, and a little beside: libraries that go by way of float32 miss what is beside."""
    backend = find_backends((name,))[0].get(name)
    if backend is None:
        pytest.skip(f"{name} is not installed")
    fmt = FORMATS[dtype]
    device = array_device(backend, fmt)
    with np.errstate(invalid="ignore"):
        x = np.float64(fmt.from_bits(np.arange(2**15)))
    x = x[np.isfinite(x)][1:]  # positive
    lower, upper = x[:-1], x[1:]
    middle = (lower + upper) / 2
    even = np.where(fmt.round(lower).view(fmt.bits) % 2 == 0, lower, upper)
    given = np.concatenate([x, middle, middle * (1 + 2.0**-40), middle * (1 - 2.0**-40), [np.inf, np.nan, 0.0]])
    expected = np.concatenate([x, even, upper, lower, [np.inf, np.nan, 0.0]])
    devices = [device, numpy_device(fmt)] if name == "numpy" else [device]
    with np.errstate(invalid="ignore"):
        for sign, at in product((1, -1), devices):
            rounded = backend.to_numpy(at.round(backend.from_numpy(sign * given)))
            np.testing.assert_array_equal(rounded, sign * expected)
    beyond = fmt.max * np.array([1 + 2.0 ** -(fmt.p + 1), 1 + 2.0**-fmt.p, 2.0, 1e200])
    rounded = backend.to_numpy(device.round(backend.from_numpy(beyond)))
    np.testing.assert_array_equal(rounded, [fmt.max, np.inf, np.inf, np.inf])


@pytest.mark.long
def test_few_words_with_the_device():
    """A block asks the device for numbers twice per tally, however many intervals the profile has."""
    asked = []

    def to_numpy(x):
        asked.append(x.shape)
        return x

    chunk = Chunk(0x3F800000, 0x42000000, (0.0,))
    device = replace(NUMPY, block=chunk.stop - chunk.first, to_numpy=to_numpy)
    tallies = tallies_of(chunk, SINGLE, device, FUNCTIONS[:2])
    assert len(tallies["right|0"].profile) > 20
    assert len(asked) == 2 * len(tallies)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_segments_hold_the_numbers_of_their_interval(name):
    fmt = FORMATS[name]
    edges = profile_edges(fmt)
    with np.errstate(invalid="ignore"):
        x = np.float64(fmt.from_bits(np.arange(2**16)))
    interval = np.full(2**16, -1)
    found = segments(0, 2**16, fmt, edges)
    for segment in found:
        interval[segment.start : segment.stop] = segment.interval
    with np.errstate(invalid="ignore"):
        inside = (np.abs(x) >= edges[80]) & (np.abs(x) < edges[-1])
    assert ((interval >= 0) == inside).all()
    positive = inside & ~np.signbit(x)
    np.testing.assert_array_equal(interval[positive], np.digitize(x[positive], edges) - 1)
    # Profiles are symmetric: the mirrored interval holds the mirrored numbers.
    np.testing.assert_array_equal(interval[2**15 :][inside[2**15 :]], 159 - interval[: 2**15][inside[: 2**15]])
    shifted = segments(0x4000, 0x4100, fmt, edges)
    cut = [(s.interval, max(s.start, 0x4000), min(s.stop, 0x4100)) for s in found]
    assert shifted == [Segment(i, start - 0x4000, stop - 0x4000) for i, start, stop in cut if start < stop]


def test_profile_is_by_interval_of_the_logit():
    edges = profile_edges(SINGLE)
    for chunk in (Chunk(0x41200000, 0x41300000, (0.0,)), Chunk(0xC1200000, 0xC1300000, (0.0,))):
        profile = tallies_of(chunk, SINGLE, NUMPY)["right|0"].profile
        x = np.float64(SINGLE.from_bits(np.array([chunk.first, chunk.stop - 1], np.uint32)))
        first, last = sorted((np.digitize(x, edges) - 1).tolist())
        assert sorted(profile) == list(range(first, last + 1))


def test_tallies_merge_and_travel():
    a, b = Tally(count=2, max_ulp=1.0, worst_logit="0x1p+0"), Tally(count=3, max_ulp=np.inf, worst_logit="0x1p+1")
    a.histogram[5], b.histogram[5], b.profile = 2, 2, {7: np.inf}
    a.merge(Tally.from_json(json.loads(json.dumps(b.to_json()))))
    assert (a.count, a.max_ulp, a.worst_logit, a.histogram[5], a.profile) == (5, np.inf, "0x1p+1", 4, {7: np.inf})
    assert a.quantile(0.5) == upper_edge(5)
    assert a.quantile(1.0) == np.inf


def test_bins_hold_what_they_say():
    errors = np.array([0.0, 0.001, 0.4999, 0.5, 3.3, 1e6])
    counts = _histogram(NUMPY.xp, errors).astype(int).tolist()
    filled = [upper_edge(i) for i, n in enumerate(counts) for _ in range(n)]
    for error, edge in zip(errors, sorted(filled), strict=True):
        assert max(error, 2**-7) < edge <= max(error * 1.126, 2**-7 * 1.126)


# --- plans and checkpoints ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "which", "pairs"),
    [
        ("float32", "all", 3 * 2**32),
        ("float32", "hard", 2**33),
        ("float32", "soft", 2**32),
        ("float16", "all", 2**16 * 257),
        ("bfloat16", "all", 2**16 * 257),
    ],
)
def test_chunks_cover_everything_once(dtype, which, pairs):
    plan = Plan(dtype, (), ("value",), 0, 2 ** (8 * FORMATS[dtype].dtype.itemsize), which=which)
    assert plan.exhaustive
    assert sum(chunk.pairs for chunk in plan.chunks) == pairs
    assert max(chunk.pairs for chunk in plan.chunks) <= CHUNK * (1.5 if which == "all" else 1)
    places = {(chunk.first, chunk.labels) for chunk in plan.chunks}
    assert len(places) == len(plan.chunks)
    for label in {*plan.labels} - {None}:
        assert float(FORMATS[dtype].round(label)) == label


def test_checkpoint_refuses_another_sweep(tmp_path):
    plan = Plan("float32", (Target("xbce", "numpy"),), ("value",), 0, 2**24)
    Checkpoint(tmp_path, plan)
    Checkpoint(tmp_path, plan)
    with pytest.raises(OtherPlan, match=r"holds another sweep \(quantities: \['value'\] there, \['hessian'\] now\)"):
        Checkpoint(tmp_path, Plan("float32", plan.targets, ("hessian",), 0, 2**24))


def test_blocks_are_part_of_a_plan(tmp_path):
    """Tallies of blocks of another size are another sweep's, and so are those of another form."""
    on_cpu = Plan("float32", (Target("xbce", "numpy"),), ("value",), 0, 2**24)
    assert not on_cpu.on_device
    assert on_cpu.to_json().keys() == {*Plan.__dataclass_fields__, "chunks", "block", "tallies"}
    assert on_cpu.to_json()["block"] == BLOCK == 2**17
    on_gpu = Plan("float32", (*on_cpu.targets, Target("xbce", "jax:cuda")), ("value",), 0, 2**26, DEVICE_CHUNK)
    assert on_gpu.on_device
    assert {chunk.stop - chunk.first for chunk in on_gpu.chunks} == {DEVICE_BLOCK}
    CheckpointFolder(tmp_path, on_gpu.to_json() | {"device_block": BLOCK}, kind="sweep", part="chunk")
    with pytest.raises(OtherPlan, match=rf"\(device_block: {BLOCK} there, {DEVICE_BLOCK} now\)"):
        Checkpoint(tmp_path, on_gpu)


@pytest.mark.parametrize(
    ("name", "options", "workers", "chunk"),
    [
        ("numpy", (), None, CHUNK),
        ("torch:cpu", (), 1, DEVICE_CHUNK),
        ("torch:cpu", ("--workers", "3", "--chunk", "64"), 3, 64),
    ],
)
def test_a_gpu_has_one_worker_and_larger_chunks(monkeypatch, tmp_path, name, options, workers, chunk):
    if name not in find_backends((name,))[0]:
        pytest.skip(f"{name} is not installed")
    started = []

    def client(_, workers):
        started.append(workers)
        raise KeyboardInterrupt

    monkeypatch.setattr(plan_module, "ON_DEVICE", ("torch:cpu",))
    monkeypatch.setattr(run_module, "_client", client)
    bits = ("--bits", "3f800000:3f801000", "--out", str(tmp_path))
    result = CliRunner().invoke(main, ["sweep", "--subject", "xbce", "--backend", name, *bits, *options])
    assert result.exit_code == 130
    assert started == [workers]
    plan = json.loads((tmp_path / "checkpoint-float32" / "plan.json").read_text("utf-8"))["data"]
    assert plan["chunk"] == chunk


def test_a_chunk_that_was_half_written_does_not_count(tmp_path):
    checkpoint = Checkpoint(tmp_path, Plan("float32", (XBCE,), (), 0, 2**26))
    checkpoint.keep(3, {XBCE: Outcome({"a": Tally(count=1)})}, 0.5)
    (tmp_path / "chunk-00004.part").write_text('{"seco')
    assert checkpoint.todo().keys() == {*range(8)} - {3}
    assert [outcome.tallies["a"].count for _, outcome in checkpoint.chunks()] == [1]


# --- killed ---------------------------------------------------------------------------------------------------------

RANGE = (0x3F800000, 0x3FC00000)  # logits from 1 to 1.5


def test_a_killed_worker_and_a_killed_sweep_lose_nothing(tmp_path):
    """Kill a worker, then everything, then go on: the figures are those of one undisturbed measurement."""
    chunks = tmp_path / "out" / "checkpoint-float32"
    bits = ":".join(f"{end:x}" for end in RANGE)
    options = [
        "--backend",
        "numpy",
        "--quantity",
        "value",
        "--labels",
        "hard",
        "--bits",
        bits,
        "--chunk",
        2**17,
        "--workers",
        2,
        "--out",
        "out",
    ]
    command = [sys.executable, "-m", "xbce_conformance", "sweep", *map(str, options)]

    def wait_for(count):
        deadline = time.monotonic() + 120
        while len(list(chunks.glob("chunk-*.json"))) < count:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)

    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            wait_for(2)
            workers = [
                child
                for child in psutil.Process(process.pid).children(recursive=True)
                if any("spawn_main" in part for part in child.cmdline())
            ]
            assert len(workers) == 2
            workers[0].kill()
            wait_for(12)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    kept = {file: file.stat().st_mtime_ns for file in chunks.glob("chunk-*.json")}
    assert 12 <= len(kept) < 64

    # What is left of the cluster of the killed sweep ends by itself; this is another.
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert f"{2 * (RANGE[1] - RANGE[0]):,} pairs in 64 chunks" in again.stdout
    assert kept == {file: file.stat().st_mtime_ns for file in kept}

    (row,) = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))["rows"]
    whole = tallies_of(Chunk(*RANGE, (0.0, 1.0)), SINGLE, NUMPY, FUNCTIONS[:1])
    assert row["figures"]["count"] == sum(tally.count for tally in whole.values()) == 2 * (RANGE[1] - RANGE[0])
    assert row["figures"]["correctly_rounded"] == sum(tally.correctly_rounded for tally in whole.values())
    assert row["regimes"] == {f"every logit, label {z}": whole[f"right|{z}"].max_ulp for z in "01"}
    assert row["kind"] == "samples"
    total = whole["right|0"]
    total.merge(whole["right|1"])
    plan = Plan("float32", (XBCE,), ("value",), *RANGE, chunk=2**17, which="hard")
    found, _, _ = merged(plan, chunks)
    found_total = Tally()
    for tally in found.tallies.values():
        found_total.merge(tally)
    assert found_total.histogram == total.histogram


def test_a_sweep_with_another_scheduler(tmp_path):
    """Workers that are somewhere else: the client only keeps what they return."""
    from distributed import LocalCluster

    plan = Plan("float16", (XBCE,), ("value", "gradient"), 0x4000, 0x4400)
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster:
        done = []
        sweep(plan, tmp_path, scheduler=cluster.scheduler_address, progress=lambda count, _: done.append(count))
    assert done == [0, 1]
    rows = sweep_results(plan, tmp_path)
    assert [(row.quantity, row.figures.count, row.violations) for row in rows] == [
        ("value", 0x400 * 257, []),
        ("gradient", 0x400 * 257, []),
    ]
    assert rows[0].figures.max_ulp < 0.51
    assert set(rows[0].regimes) == {"every logit, label 0", "every logit, label 1", "every logit, labels k/256"}


def test_a_subject_of_ones_own_is_swept_and_judged(tmp_path):
    (tmp_path / "theirs.py").write_text("def loss(y, x):\n    return x * 0\n", "utf-8")
    options = ["--subject", "theirs:loss", "--order", "labels,logits", "--bits", "3f800000:3f802000", "--workers", "1"]
    command = [sys.executable, "-m", "xbce_conformance", "sweep", *options]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stderr
    assert "FAIL: theirs:loss, numpy, float32\n    " in result.stdout
    assert "results are zero where a normal number is right" in result.stdout


def test_the_folder_is_not_that_of_a_run(tmp_path, monkeypatch):
    from xbce_conformance.cli import sweep as command

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "_run", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    result = CliRunner().invoke(main, ["sweep", "--backend", "numpy"])
    assert result.exit_code == 130
    assert "What is done is kept in conformance-sweep/checkpoint-float32" in result.output
    assert "conformance-sweep" in CliRunner().invoke(main, ["sweep", "--help"]).output


def test_errors_of_the_command(tmp_path):
    def invoke(*options):
        return CliRunner().invoke(main, ["sweep", *options, "--out", str(tmp_path)])

    result = invoke("--bits", "zero:one")
    assert result.exit_code == 2
    assert "'zero:one' is not FIRST:STOP in hexadecimal" in result.output
    for dtype, end in (("float32", "100000000"), ("float16", "10000"), ("bfloat16", "10000")):
        for bits in (f"0:{end}0", "5:5", "6:5", "-1:5", f"{end}:{end}1"):
            result = invoke("--bits", bits, "--dtype", dtype)
            assert result.exit_code == 2, bits
            said = f"{bits} is no range of {dtype}; 0 <= FIRST < STOP <= {end}, in hexadecimal, is expected"
            assert said in " ".join(result.output.replace("│", " ").split())
    result = invoke("--labels", "hard", "--dtype", "bfloat16")
    assert result.exit_code == 2
    assert "--labels is for float32; in bfloat16 every logit is tried with all labels" in result.output
    result = invoke("--backend", "array-api-strict", "--dtype", "float16")
    assert result.exit_code == 2
    assert "nothing to sweep of xbce, array-api-strict in float16 (no subject takes it)" in result.output
