"""Programs without guards against 0 times infinity and 0 / 0, and what finds out that guards were needed."""

import importlib
import warnings
from dataclasses import replace

import numpy as np
import pytest

import xbce
from tests.helpers import forget_plans, step
from xbce._compiler import threads as _threads
from xbce._compiler.cache import CompiledCache, Pauses
from xbce._compiler.program import NotANumberError
from xbce._formulas.idioms import product

numpy_runner = pytest.importorskip("xbce._backends.numpy")
TARGET = numpy_runner._CACHE.target
LOOKING = replace(TARGET, require_numbers=numpy_runner._require_numbers, strictly=None)
"""NumPy where it does not see operations that make NaN."""


def test_numpy_sees_operations_that_make_nan():
    assert numpy_runner._SEES_INVALID
    for dtype in (np.float32, np.float64):
        for length in (*range(1, 70), 1000, 2**15):
            for place in {0, length // 2, length - 1}:
                zeros, infinite = np.ones((2, length), dtype)
                zeros[place], infinite[place] = 0, np.inf
                for operation, operands in (
                    (np.multiply, (zeros, infinite)),
                    (np.multiply, (np.repeat(zeros, 2)[::2], np.repeat(infinite, 2)[::2])),
                    (np.divide, (zeros, zeros)),
                    (np.subtract, (infinite, infinite)),
                ):
                    with pytest.raises(NotANumberError):
                        numpy_runner._strictly(operation, *operands)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_other_operation_is_taken_for_one(dtype):
    """Not one that takes a NaN, overflows, underflows, or is infinite."""
    info = np.finfo(dtype)
    numbers = np.array([0, info.smallest_subnormal, info.tiny, 0.5, 1, 100, 1000, info.max, np.inf, np.nan], dtype)
    x = np.concatenate([numbers, -numbers])
    for function in (np.exp, np.abs, np.negative):
        numpy_runner._strictly(function, x)
    numpy_runner._strictly(np.log, numbers)
    numpy_runner._strictly(np.log2, numbers)
    numpy_runner._strictly(np.log1p, x[~(x < -1)])
    for function in (np.greater_equal, np.less, np.equal, np.minimum, np.maximum):
        for y in x:
            numpy_runner._strictly(function, x, y)
    for y in numbers[1:8]:
        for function in (np.add, np.subtract, np.multiply, np.divide):
            numpy_runner._strictly(function, x, y)


def test_warnings_and_settings_of_the_caller_do_not_matter():
    x = np.array([-np.inf, 0, np.inf, 3], np.float32)
    z = np.array([0, 0.5, 1, 1], np.float32)
    forget_plans(xbce.binary_cross_entropy_with_logits)
    quiet = xbce.binary_cross_entropy_with_logits(x, z)
    for setting in ("ignore", "raise", "warn"):
        with np.errstate(all=setting), warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_array_equal(xbce.binary_cross_entropy_with_logits(x, z), quiet)


@pytest.mark.parametrize("looking", [False, True])
def test_what_needs_guards_gets_them(looking):
    cache = CompiledCache(LOOKING if looking else TARGET)
    x, y = np.array([[1, -np.inf, 2], [3, 0, 0.5]], np.float32)
    compiled = cache.compiled(product, (x, y))
    assert ("require_numbers" in compiled.quick.source) == looking
    (result,) = compiled.fresh((x, y))
    np.testing.assert_array_equal(result, [3, 0, 1])
    out = np.empty(3, np.float32)
    compiled.run((x, y), compiled.scratch((3,)), [out])
    np.testing.assert_array_equal(out, result)


def test_a_program_that_fails_is_not_tried_each_time():
    infinite = np.array([1, np.inf], np.float32), np.array([1, 0], np.float32)
    finite = np.ones((2, 2), np.float32)
    tries = []
    target = replace(TARGET, strictly=lambda *call: tries.append(1) or TARGET.strictly(*call))
    compiled = CompiledCache(target).compiled(product, infinite)

    def tried(arrays):
        tries.clear()
        np.testing.assert_array_equal(compiled.fresh(arrays)[0], [1, arrays[1][1]])
        return bool(tries)

    assert [tried(infinite) for _ in range(12)] == [i in (0, 2, 6) for i in range(12)]
    assert [tried(finite) for _ in range(5)] == [False] * 2 + [True] * 3
    assert [tried(infinite) for _ in range(4)] == [True, False, True, False]  # as at first
    calls = [tried(infinite) for _ in range(1000)]
    assert 14 < sum(calls) < 24


NUMBERS = np.array([0, 1e-45, 1e-38, 0.1, 0.25, 0.4999, 0.5, 0.5001, 0.75, 0.9, 1 - 2**-24, 1], np.float32)
PAIRS = [x.ravel() for x in np.meshgrid(NUMBERS, [0, 1e-45, 0.3, 1])]
LIBRARIES = {"numpy": np.asarray, "torch": lambda x: importlib.import_module("torch").from_numpy(x)}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    "options", [{}, {"pos_weight": 3.0}, {"log_floor": -100.0}, {"clip": 1e-3}, {"log_offset": 1e-7}]
)
def test_probabilities_have_the_same_bits_with_guards_and_without(library, dtype, options):
    """Next to a probability that needs a guard, and alone, where most need none."""
    pytest.importorskip(library)
    convert = LIBRARIES[library]
    u, z = (x.astype(dtype) for x in PAIRS)
    for method in ("__call__", "gradient", "hessian", "label_gradient", "value_and_gradient"):
        function = getattr(xbce.binary_cross_entropy, method)
        for copies in (1, 3000):  # above `TEMPORARY` other programs serve
            forget_plans(xbce.binary_cross_entropy)
            together = function(*(convert(np.tile(x, copies)) for x in (u, z)), **options)
            together = together if isinstance(together, tuple) else (together,)
            for i in range(u.size):
                alone = function(*(convert(x[i : i + 1]) for x in (u, z)), **options)
                for whole, one in zip(together, alone if isinstance(alone, tuple) else (alone,), strict=True):
                    with step(library, function, method, i, copies):
                        np.testing.assert_array_equal(np.asarray(whole)[i :: u.size], np.asarray(one)[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"pos_weight": 3.0}, {"log_floor": -100.0}])
@pytest.mark.parametrize("shape", [(1000,), (40_000,), (300_000,), (4, 100_000), (3, 7)])
def test_probabilities_that_are_read_backwards_have_the_same_bits(shape, options, dtype, monkeypatch):
    """NumPy computes some functions of such an array one by one, with other bits; with guards it is copied first."""
    rng = np.random.default_rng(0)
    u, z = rng.random((2, *shape)).astype(dtype)
    guarded = u.copy(), z.copy()
    for x in guarded:
        x[..., shape[-1] // 2] = 0
    loss = xbce.binary_cross_entropy
    for function in (loss, loss.label_gradient):
        right = function(u, z, **options)
        for threads in (1, 2):
            monkeypatch.setattr(_threads, "_chosen", threads)
            for a, b in (guarded, (u, z), (u, z)):  # in the second call after `guarded` is no pause
                backwards = function(a[..., ::-1], b[..., ::-1], **options)[..., ::-1]
                same = (a == u) & (b == z)
                with step("numpy", function, threads):
                    np.testing.assert_array_equal(backwards[same], right[same])


def test_pauses_that_threads_share_end():
    pauses = Pauses()
    pauses.start()
    assert [pauses.skip() for _ in range(3)] == [True, False, False]
    pauses.left = -1  # two threads saw 1
    assert not pauses.skip()
