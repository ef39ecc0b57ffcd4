"""What the benchmarks say besides times: errors against exact values, tables, and verdicts on targets of speed."""

import json
from pathlib import Path

import numpy as np
import pairs
import processes
import pytest
import report
import series
import targets
import targets_page

from benchmarks import accuracy, calls, losses, subjects
from tests.helpers import NUMPY
from xbce_conformance import contract
from xbce_conformance.cases import BY_NAME

FUNCTIONS = ("elementwise", "mean", "value_and_gradient", "training_step")


def errors_of(loss, subject, function, dtype="float32"):
    run = getattr(subjects.TABLES[loss]["numpy"][subject]("numpy"), function)
    with np.errstate(all="ignore"):
        return accuracy.errors(NUMPY, run, function, subjects.CASES[loss], dtype)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("loss", subjects.TABLES)
def test_errors_of_xbce_are_within_its_bounds(loss, function):
    found = errors_of(loss, "xbce", function)
    case = BY_NAME[subjects.CASES[loss]]
    # A derivative of a mean has two more roundings.
    bounds = [contract.bound(q, "float32", hard=False, case=case, backend="numpy") for q in ("value", "gradient")]
    assert 0 < found.max() <= max(bounds) + 2 * (function == "training_step")
    assert found.size > (0 if function == "mean" else 100)


def test_a_formula_that_is_worse_shows_as_such():
    ours, stable, textbook = (errors_of("", name, "elementwise") for name in ("xbce", "stable", "textbook"))
    assert ours.max() < 4
    assert 1e6 < stable.max() < np.inf  # x - x z for labels near 1
    assert textbook.max() == np.inf
    assert ours.mean() < 0.5 < stable.mean()


def test_every_case_that_is_timed_is_tracked():
    for benchmark in (losses.Elementwise, losses.FocalTrainingStep, losses.AsymmetricElementwise):
        assert benchmark.track_max_ulp.params[0] == benchmark.params[0]
        assert benchmark.track_max_ulp.unit == "ULP"
        assert benchmark.track_extra_bytes.params == (benchmark.params[0], (10**7,))
    assert {name.split()[2] for name in losses.FocalElementwise.params[0]} >= {"xbce", "torchvision", "optax-jit"}


def test_errors_have_a_table_of_their_own():
    same = {"benchmark": "Elementwise", "backend": "numpy", "dtype": "float32", "size": 0}
    rows = [
        {**same, "subject": "xbce", "unit": "largest ULP", "figure": 3.45},
        {**same, "subject": "xbce", "unit": "mean ULP", "figure": 0.29},
        {**same, "subject": "textbook", "unit": "largest ULP", "figure": "inf"},
        {**same, "subject": "xbce", "unit": "seconds", "figure": 1e-3, "size": 1000},
        {**same, "subject": "textbook", "unit": "seconds", "figure": 2e-3, "size": 1000},
    ]
    ((title, table),) = report.errors({"rows": rows})
    assert title == "all losses, errors"
    assert table == [
        ["backend", "subject", "float32, largest ULP", "float32, mean ULP"],
        ["numpy", "xbce", "3.45", "0.29"],
        ["numpy", "textbook", "inf", "–"],
    ]
    ((_, costs),) = report.tables({"rows": rows})
    assert costs[1][-1] == "2.00 x"


# --- targets of speed -----------------------------------------------------------------------------------------------

LOSSES = "NumPy, 1 thread, losses"


def test_every_target_is_measured():
    full, quick = ({key for s in series.SERIES for key in s.figures(quick=quick)} for quick in (False, True))
    assert full >= series.TARGETS.keys()
    assert all(key[0].startswith("torch.compile") for key in series.TARGETS.keys() - quick)
    assert any(key[0].startswith("torch.compile") for key in quick)
    assert len(series.BY_NAME) == len(series.SERIES)


@pytest.mark.parametrize("one", [s for s in series.SERIES if s.measure == "ratio"], ids=lambda one: one.name)
def test_what_is_compared_exists(one):
    library = one.backend.partition(":")[0]
    pytest.importorskip({"JAX": "optax", "NumPy": "sklearn"}.get(one.name.partition(",")[0], library))
    if not one.compiled:
        for subject in (one.other, one.ours):
            assert callable(calls.function_of(one.backend, subject, one.function, subjects.TABLES[one.loss]))
    assert {one.other, one.ours} <= subjects.TABLES[one.loss][library].keys()


@pytest.mark.parametrize(
    ("key", "figure", "line"),
    [
        (
            (LOSSES, "float32", 10**7),
            3.1,
            "met      {}, float32, 10^7: the stable formula takes 3.10 x as long (target 2.5)",
        ),
        (
            ("PyTorch, losses", "float64", 10**4),
            0.61,
            "not met  {}, float64, 10^4: the native loss takes 0.61 x as long (target 0.9): 1.5 times too slow",
        ),
        (
            (LOSSES, "float32", 10**6),
            0.98,
            "not met  {}, float32, 10^6: the stable formula takes 0.98 x as long (target 1): 2.0% too slow",
        ),
        (
            (LOSSES, "float64", 1),
            0.34,
            "met      {}, float64, 1: the stable formula takes 0.34 x as long (target 0.33)",
        ),
        (
            ("NumPy, first call of a kind", "float32", 1000),
            5.0,
            "not met  {}, float32, 10^3: 5.00 ms over a known call (target 2): 2.5 times too slow",
        ),
        (
            ("PyTorch, call with a new shape", "float32", 1000),
            0.08,
            "met      {}, float32, 10^3: 0.08 ms over a known call (target 0.1)",
        ),
        ((LOSSES, "float32", 10**7), None, "unknown  {}, float32, 10^7: not measured"),
    ],
)
def test_a_verdict_says_by_how_much(key, figure, line):
    assert series.verdict(key, figure) == line.format(key[0])


def test_verdicts_are_counted():
    found = processes.Found({(LOSSES, "float32", 10**7): 3.0}, {(LOSSES, "float32", 10**6): "out of time"})
    lines = targets.verdicts(found)
    assert len(lines) == len(series.TARGETS) + 1
    assert lines[-1] == f"1 of {len(series.TARGETS)} targets are met"
    assert f"unknown  {LOSSES}, float32, 10^6: not measured (out of time)" in lines
    assert targets.verdicts(found, quick=True)[-1] == "1 of 2 targets are met"
    assert processes.line(LOSSES, found) == f"{LOSSES}: float32 10^7: 3; not measured: out of time"


def test_the_section_shows_before_and_after():
    figures = {LOSSES: {"float32": {"1000": 1.2}}, "JAX, jitted, mean": {"float64": {"1000": 0.9}}}
    now = {"level": "AVX2", "played": True, "processor": "some", "threads": 2, "date": "2026-01-01", "load": 0.1}
    before = {"source": "measured before", "figures": {"AVX2": {LOSSES: {"float32": {"1000": 0.55, "1": 0.2}}}}}
    text = targets_page.section(before, [{**now, "versions": {"numpy": "2"}, "figures": figures}])
    assert text.startswith("## Targets of speed, by processor\n")
    measured = "some, played by a processor with more, 2 threads, 2026-01-01, with 0.1 processors busy before; numpy 2."
    assert f"\nMeasured on: {measured}\n" in text
    assert "\n| 10^3 | 0.55 → 1.20 | – |" in text
    assert "\n| 1 | 0.20 → – | – |" in text
    assert "\n| JAX, jitted, mean | optax | 10^3 | – | 0.90 |\n" in text
    assert f"\nmet      {LOSSES}, float32, 10^3: the stable formula takes 1.20 x as long (target 1)\n" in text
    assert f"\n1 of {len(series.TARGETS)} targets are met:\n" in text


def test_the_page_has_what_is_committed(tmp_path, monkeypatch):
    page = tmp_path / "benchmarks.md"
    page.write_bytes(targets.PAGE.read_bytes())
    monkeypatch.setattr(targets, "PAGE", page)
    targets.write_section()
    assert page.read_bytes() == Path(targets.__file__).parents[1].joinpath("docs", "benchmarks.md").read_bytes()


def test_committed_figures_are_of_series():
    for path in targets.RESULTS.glob("targets-*.json"):
        results = json.loads(path.read_text("utf-8"))
        for figures in results["figures"].values() if path.stem.endswith("before") else [results["figures"]]:
            for name, dtypes in figures.items():
                assert {int(size) for sizes in dtypes.values() for size in sizes} <= set(series.BY_NAME[name].sizes)


def test_a_level_that_the_processor_lacks_is_not_played():
    assert list(processes.playable("AVX-512")) == ["AVX-512", "AVX2"]
    assert processes.playable("AVX2") == {"AVX2": {}}
    assert processes.playable("aarch64") == {"aarch64": {}}


def test_a_ratio_is_of_the_other_to_xbce(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(pairs.time, "perf_counter", lambda: now[0])

    def call(seconds):
        return lambda: now.__setitem__(0, now[0] + seconds)

    assert pairs.ratio(call(2.0), call(1.0), 10.0) == 2.0
    assert pairs.ratio(call(0.5), call(1.0), 0.0) == 0.5
