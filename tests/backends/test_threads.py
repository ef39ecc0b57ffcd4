"""Threads: they change no bit of a result, and a call that gets none does its work itself."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

import xbce
from tests.helpers import approx, some_long, step
from xbce._compiler import threads as _threads

loss = xbce.binary_cross_entropy_with_logits
rng = np.random.default_rng(0)
LARGE = 1_200_000
BLAS_LIBRARIES = _threads._blas_libraries


@pytest.fixture(autouse=True)
def _restore_threads(monkeypatch):
    """Let no test depend on the threads of BLAS, whose limit holds once any test has imported threadpoolctl."""
    monkeypatch.setattr(_threads, "_blas_libraries", lambda _: [])
    monkeypatch.setattr(_threads, "_chosen", None)
    monkeypatch.setattr(_threads, "_pool", None)


@pytest.fixture
def helpers(monkeypatch):
    """Collect how many helpers each call asks for."""
    asked = []
    ask = _threads._ask_for_help

    def spy(work, threads):
        asked.append(threads)
        ask(work, threads)

    monkeypatch.setattr(_threads, "_ask_for_help", spy)
    return asked


def sum_of_losses(size=600_000):
    return float(loss(np.linspace(-9, 9, size), 1, reduction="sum"))


def in_new_process(code):
    """Run code after a preamble, and return what it prints; no warning, no exception that somebody swallowed."""
    preamble = """
import atexit, os, threading
import numpy as np

x = np.linspace(-9, 9, 600_000)


def total():
    import xbce

    return float(xbce.binary_cross_entropy_with_logits(x, 1, reduction="sum"))


def report():
    print("got", total(), flush=True)

"""
    run = subprocess.run(
        [sys.executable, "-c", preamble + code],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env=os.environ | {"XBCE_NUM_THREADS": "3"},
    )
    assert run.stderr == ""
    return run.stdout.splitlines()


def all_results(x, z, **options):
    return [
        *loss.value_and_gradient(x, z, **options),
        *loss.gradient_and_hessian(x, z, **options),
        loss(x, z, reduction="mean", **options),
        xbce.sigmoid_focal_loss(x, z, **options),
    ]


VIEWS = {
    "1-d": lambda a: a,
    "wide": lambda a: a.reshape(2, -1),
    "tall": lambda a: a.reshape(-1, 4),
    "one row": lambda a: a.reshape(1, -1),
    "strided": lambda a: a[::2],
    "transposed": lambda a: a.reshape(400, -1).T,
    "reversed": lambda a: a.reshape(2, -1)[:, ::-1],
}
LARGE_CASES = {f"{view}-{dtype}": (VIEWS[view], dtype) for view in VIEWS for dtype in ("float16", "float32", "float64")}
# float32 in every layout, and the other dtypes in some.
USUAL = {name for name in LARGE_CASES if "float32" in name or name.startswith(("wide", "transposed"))}


@pytest.mark.parametrize("case", some_long(LARGE_CASES, USUAL))
def test_same_bits_for_any_number_of_threads_and_any_layout(case):
    view, dtype = case
    x = view(rng.normal(0, 10, LARGE).astype(dtype))
    z = view(rng.uniform(0, 1, LARGE).astype(dtype))
    options = {
        "pos_weight": np.asarray(rng.uniform(0.5, 2, x.shape[-1:] if x.ndim > 1 else ()), dtype),
        "where": view(rng.uniform(size=LARGE) < 0.9),
    }
    for extra in ({}, options):
        xbce.set_num_threads(1)
        once = all_results(x, z, **extra)
        xbce.set_num_threads(3)
        for i, (a, b) in enumerate(zip(all_results(x, z, **extra), once, strict=True)):
            np.testing.assert_array_equal(a, b, err_msg=f"result {i} of {case[1]} with {list(extra)}")
        # And those of small pieces, which are not cut into blocks. Only the whole array has the mean.
        rows = slice(0, max(1, 1000 // max(1, x[0].size)))
        part = {k: (v[rows] if k == "where" else v) for k, v in extra.items()}
        for i, (a, b) in enumerate(zip(all_results(x[rows], z[rows], **part), once, strict=True)):
            if i != 4:
                np.testing.assert_array_equal(a, b[rows], err_msg=f"result {i} of {rows}, {case[1]} with {list(extra)}")


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 2), (1, 2)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_same_bits_of_sums_over_axes_for_any_number_of_threads(axis, order):
    x = np.asarray(rng.normal(0, 10, (120, 100, 100)), order=order)
    z = np.asarray(rng.uniform(0, 1, x.shape), order=order)
    w = rng.uniform(0.5, 2, 100)
    results = []
    for threads in (1, 3):
        xbce.set_num_threads(threads)
        results.append(loss.value_and_gradient(x, z, weight=w, reduction="sum", axis=axis))
    for i, (a, b) in enumerate(zip(*results, strict=True)):
        with step("numpy", loss, i, axis, order):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(results[0][0], (loss(x, z) * w).sum(axis), rtol=1e-13)


def test_values_in_blocks_are_finite_where_they_should_be():
    x = np.where(np.arange(LARGE) % 2 == 0, np.inf, -np.inf)
    with np.errstate(all="raise"):
        value, gradient = loss.value_and_gradient(x, np.arange(LARGE) % 2 == 0)
    assert not value.any()
    assert not gradient.any()


def test_number_of_threads():
    xbce.set_num_threads(np.int64(3))
    assert xbce.get_num_threads() == 3
    with pytest.raises(ValueError, match=r"^n must be at least 1, got -1$"):
        xbce.set_num_threads(-1)
    for bad in (1.0, "2", True, None):
        with pytest.raises(TypeError, match=f"^n must be an int, got {type(bad).__name__}$"):
            xbce.set_num_threads(bad)


@pytest.mark.parametrize(
    ("environment", "threads"),
    [
        ({"XBCE_NUM_THREADS": "5", "OMP_NUM_THREADS": "7"}, 5),
        ({"OMP_NUM_THREADS": "7,2"}, 7),
        ({"XBCE_NUM_THREADS": "0", "OMP_NUM_THREADS": "x"}, None),
    ],
)
def test_default_number_of_threads(environment, threads):
    names = ("XBCE_NUM_THREADS", "OMP_NUM_THREADS")
    clean = {name: value for name, value in os.environ.items() if name not in names}
    code = "import os, xbce; print(xbce.get_num_threads(), len(os.sched_getaffinity(0)))"
    run = subprocess.run(
        [sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True, check=True
    )
    got, cpus = map(int, run.stdout.split())
    assert got == (cpus if threads is None else threads)


AT_THE_END = {
    "registered with atexit": "import xbce; atexit.register(report)",
    "registered with atexit, after a call": "total(); atexit.register(report)",
    "registered with atexit, where xbce is imported first": "atexit.register(report)",
    "in a thread after the main thread's end": """
def late():
    threading.main_thread().join()
    report()

import xbce
threading.Thread(target=late).start()
""",
    "in a thread after the main thread's end, after a call": """
def late():
    threading.main_thread().join()
    report()

total()
threading.Thread(target=late).start()
""",
    "in a thread while the main thread ends": """
def many():
    assert len({total() for _ in range(50)}) == 1
    report()

total()
threading.Thread(target=many).start()
""",
}


@pytest.mark.parametrize("code", AT_THE_END.values(), ids=AT_THE_END)
def test_a_large_call_at_the_end_of_the_interpreter(code):
    xbce.set_num_threads(1)
    assert in_new_process(code) == [f"got {sum_of_losses()}"]


def test_a_large_call_where_no_thread_can_be_started(monkeypatch):
    xbce.set_num_threads(1)
    expected = sum_of_losses()
    xbce.set_num_threads(3)

    def start(_):
        msg = "can't start new thread"
        raise RuntimeError(msg)

    monkeypatch.setattr(threading.Thread, "start", start)
    assert sum_of_losses() == expected
    assert _threads._pool is None  # with what was submitted to it, and its arrays


def test_a_large_call_while_all_helpers_are_busy_with_another():
    xbce.set_num_threads(2)
    busy, free = threading.Semaphore(0), threading.Event()

    def wait(_):
        busy.release()
        assert free.wait(60)

    with ThreadPoolExecutor(3) as callers:
        blocked = [callers.submit(_threads.in_threads, wait, range(4), 2) for _ in range(2)]
        for _ in range(4):  # two callers, and both helpers
            assert busy.acquire(timeout=60)
        try:
            assert callers.submit(sum_of_losses).result(60) > 0
        finally:
            free.set()
        for call in blocked:
            call.result(60)


def test_calls_inside_of_helpers_end():
    xbce.set_num_threads(2)
    done = []

    def work(depth):
        if depth:
            _threads.in_threads(work, [depth - 1] * 3, 3)
        else:
            done.append(threading.get_ident())

    with ThreadPoolExecutor(1) as caller:
        caller.submit(work, 4).result(60)
    assert len(done) == 3**4


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_each_part_is_worked_on_once_also_if_the_number_of_threads_changes_meanwhile(threads):
    xbce.set_num_threads(3)
    done = []

    def work(part):
        xbce.set_num_threads(1 + part % 4)
        done.append(part)

    for time in range(20):
        with step("numpy", _threads.in_threads, threads, time):
            done.clear()
            _threads.in_threads(work, range(100), threads)
            assert sorted(done) == list(range(100))


def test_all_threads_work():
    meet = threading.Barrier(3, timeout=60)
    xbce.set_num_threads(3)
    _threads.in_threads(lambda _: meet.wait(), range(3), 3)
    assert not meet.broken


@pytest.mark.parametrize("where", ["caller", "helper"])
def test_an_exception_ends_the_call_and_nothing_else(where):
    xbce.set_num_threads(2)
    caller, meet, begun = threading.get_ident(), threading.Barrier(2, timeout=60), []

    def work(part):
        begun.append(part)
        if part < 2:
            meet.wait()
            if (threading.get_ident() == caller) == (where == "caller"):
                raise ZeroDivisionError(part)
        threading.Event().wait(0.001)

    with pytest.raises(ZeroDivisionError):
        _threads.in_threads(work, range(10_000), 2)
    assert len(begun) < 10_000
    seen = len(begun)
    assert sum_of_losses() > 0
    assert len(begun) == seen  # nobody works on


def test_one_thread_asks_for_no_helpers(helpers):
    xbce.set_num_threads(3)
    expected = sum_of_losses()
    assert helpers == [2]
    with _threads.one_thread():
        with _threads.one_thread():
            assert sum_of_losses() == expected
        assert sum_of_losses() == expected
        assert helpers == [2]
        with ThreadPoolExecutor(1) as other:  # is not held
            assert other.submit(sum_of_losses).result(60) == expected
        assert helpers == [2, 2]
    assert sum_of_losses() == expected
    assert helpers == [2, 2, 2]


def test_arrays_that_are_not_large_ask_for_no_helpers(helpers):
    xbce.set_num_threads(3)
    sum_of_losses(2**19 - 1)
    assert helpers == []
    sum_of_losses(2**19)
    assert helpers == [2]


@pytest.mark.parametrize("scheduler", ["threads", "synchronous"])
def test_chunks_of_dask_arrays_ask_for_no_helpers(scheduler, helpers):
    da = pytest.importorskip("dask.array")
    xbce.set_num_threads(3)
    x = np.linspace(-9, 9, 1_200_000)
    lazy = da.from_array(x, chunks=600_000)
    z = da.ones_like(lazy)
    value = loss(lazy, z, reduction="sum")
    quotient = xbce.special.xlogy(da.exp(lazy), z)
    assert float(value.compute(scheduler=scheduler)) == approx(float(loss(x, 1, reduction="sum")), rel=1e-14)
    assert helpers == [2]  # of NumPy's
    quotient.compute(scheduler=scheduler)
    assert helpers == [2]


@pytest.mark.parametrize(
    ("chosen", "numbers", "used"),
    [(4, [2], 2), (2, [4], 2), (4, [3, 2], 2), (4, [], 4), (4, [None, 3], 3), (1, [2], 1)],
)
def test_the_limit_for_blas_holds_and_the_chosen_number_too(chosen, numbers, used, monkeypatch, helpers):
    threadpoolctl = SimpleNamespace(ThreadpoolController=None)
    monkeypatch.setitem(sys.modules, "threadpoolctl", threadpoolctl)
    monkeypatch.setattr(_threads, "_blas_libraries", lambda _: [SimpleNamespace(num_threads=n) for n in numbers])
    xbce.set_num_threads(chosen)
    assert _threads.usable_threads() == used
    assert xbce.get_num_threads() == chosen
    sum_of_losses(2**21)
    assert helpers == ([used - 1] if used > 1 else [])


def test_an_old_threadpoolctl_limits_nothing(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(_threads, "_chosen", 4)
    monkeypatch.setitem(sys.modules, "threadpoolctl", SimpleNamespace())
    assert _threads.usable_threads() == 4


@pytest.mark.parametrize("api", [None, "blas"])
def test_limits_of_threadpoolctl_hold(api, monkeypatch, helpers):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    monkeypatch.setattr(_threads, "_blas_libraries", BLAS_LIBRARIES)
    BLAS_LIBRARIES.cache_clear()
    if not BLAS_LIBRARIES(threadpoolctl):
        pytest.skip("threadpoolctl knows no BLAS here")
    xbce.set_num_threads(3)
    expected = sum_of_losses()
    helpers.clear()
    with threadpoolctl.threadpool_limits(1, user_api=api):
        assert sum_of_losses() == expected
        assert helpers == []
    with threadpoolctl.threadpool_limits(2, user_api=api):
        assert sum_of_losses() == expected
        assert helpers == [1]
    with threadpoolctl.threadpool_limits(1, user_api="openmp"):
        xbce.set_num_threads(2)
        assert _threads.usable_threads() == min(2, *(x.num_threads for x in BLAS_LIBRARIES(threadpoolctl)))


def test_threadpoolctl_is_not_imported_and_its_warnings_are_not_shown():
    code = "total(); import sys; print('threadpoolctl' in sys.modules, 'concurrent.futures.thread' in sys.modules)"
    assert in_new_process(code) == ["False True"]

    class Controller:
        def __init__(self):
            import warnings

            warnings.warn("two OpenMP libraries", RuntimeWarning, stacklevel=1)
            kinds = ("blas", "openmp")
            self.lib_controllers = [SimpleNamespace(user_api=kind, num_threads=1) for kind in kinds]

    found = BLAS_LIBRARIES.__wrapped__(SimpleNamespace(ThreadpoolController=Controller))
    assert [x.user_api for x in found] == ["blas"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("lock", ["nullcontext()", "_threads._lock"], ids=["", "with the lock held"])
def test_works_after_a_fork(lock):
    code = f"""
import warnings
from contextlib import nullcontext
from xbce._compiler import threads as _threads
warnings.simplefilter("ignore", DeprecationWarning)
expected = total()
held, fork = threading.Event(), threading.Event()

def hold():
    with {lock}:
        held.set()
        fork.wait()

threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if child == 0:
    os._exit(total() != expected)
fork.set()
print(os.waitpid(child, 0)[1])
"""
    assert in_new_process(code) == ["0"]
