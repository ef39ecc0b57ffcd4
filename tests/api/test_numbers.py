"""Options that are numbers change from call to call: nothing is compiled or kept for each, and no bit depends on it."""

import importlib
import tracemalloc

import numpy as np
import pytest

import xbce
from tests.helpers import forget_plans, step
from xbce._backends import numpy as numpy_runner
from xbce._compiler.hoisting import hoisted

NUMBERS = {
    "label_smoothing": (xbce.binary_cross_entropy_with_logits, (0.1, 0.37)),
    "clip": (xbce.binary_cross_entropy, (1e-7, 0.3)),
    "log_floor": (xbce.binary_cross_entropy, (-100.0, -3.3)),
    "log_offset": (xbce.binary_cross_entropy, (1e-7, 1.3e-3)),
    "gamma": (xbce.sigmoid_focal_loss, (1.3, 2.7)),
    "alpha": (xbce.sigmoid_focal_loss, (0.25, 0.6)),
    "gamma_pos": (xbce.asymmetric_loss, (1.3, 2.7)),
    "gamma_neg": (xbce.asymmetric_loss, (1.3, 2.7)),
    "shift": (xbce.asymmetric_loss, (0.05, 0.17)),
}
METHODS = ("__call__", "gradient", "hessian", "value_and_gradient", "gradient_and_hessian", "label_gradient")


def _arrays(size=64):
    x = np.linspace(0.01, 0.99, size, dtype=np.float32)
    return x, (np.arange(size) % 3 / 2).astype(np.float32)


def _bits(results):
    return [np.asarray(x).tobytes() for x in (results if isinstance(results, tuple) else (results,))]


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("option", NUMBERS)
def test_the_bits_of_a_call_do_not_depend_on_earlier_numbers(option, library):
    xp = pytest.importorskip(library)
    loss, numbers = NUMBERS[option]
    x, z = map(xp.asarray, _arrays())
    # 0, 1 and 2 choose operations; the last two do not fit into float32, which changes the dtype of the computation.
    extra = {"gamma": (0.0, 1.0, 2.0, 3.0, 0.5, 1e-50), "log_offset": (0.3, 1e-50), "shift": (0.0, 1e-50)}
    for method in METHODS:
        call = getattr(loss, method)
        fresh = {}
        for number in (*numbers, *extra.get(option, ())):
            forget_plans(loss)
            fresh[number] = _bits(call(x, z, **{option: number}))
        forget_plans(loss)
        for number in (*fresh, *reversed(fresh)):
            assert _bits(call(x, z, **{option: number})) == fresh[number], (method, number)


@pytest.mark.parametrize("library", ["numpy", "torch_cpu"])
@pytest.mark.parametrize("option", NUMBERS)
def test_other_numbers_compile_nothing(option, library):
    xp = pytest.importorskip(library.partition("_")[0])
    compiled = importlib.import_module(f"xbce._backends.{library}")._CACHE._equal
    loss, numbers = NUMBERS[option]
    x, z = map(xp.asarray, _arrays())
    forget_plans(loss)
    loss.gradient(x, z, **{option: numbers[0]})
    before = compiled.cache_info().misses
    for number in np.linspace(*numbers, 20)[1:]:
        loss.gradient(x, z, **{option: float(number)})
    assert compiled.cache_info().misses == before
    assert len(loss._patterns) <= 2  # an offset from 1/4 on, and exponents below 3/4, are computed in another way


def test_a_gamma_that_changes_with_every_step_takes_no_more_and_more_memory():
    x, z = _arrays(8)
    forget_plans(xbce.sigmoid_focal_loss)
    held = []
    tracemalloc.start()
    for k in range(9 * 1024):
        xbce.sigmoid_focal_loss.gradient(x, z, gamma=1.5 + 1e-5 * k)
        if k % 1024 == 1023:
            held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert held[-1] < 2**20
    assert held[-1] - held[4] < 2**15  # 4096 calls, or 8 bytes for each


def test_numbers_that_meet_arrays_are_all_that_a_hoisted_kernel_takes():
    x, z = _arrays()
    for option, (loss, numbers) in NUMBERS.items():
        for methods in (("value",), ("gradient", "hessian"), ("label_gradient",)):
            plan, arrays = loss._planned(methods, (x, z), {option: numbers[0], "label_smoothing": 0.1})
            arguments = (*arrays, *plan.numbers)
            function = hoisted(plan.kernel, arguments)
            with np.errstate(all="ignore"):
                found = function(plan.xp, *function.arguments(arguments))
                expected = plan.kernel(plan.xp, *arguments)
            assert _bits(found) == _bits(expected), (option, methods)


def test_torch_compile_takes_a_number_that_changes_for_a_symbol():
    torch = pytest.importorskip("torch")
    counters = pytest.importorskip("torch._dynamo.utils").counters
    torch._dynamo.reset()
    counters.clear()

    @torch.compile(fullgraph=True)
    def compiled(x, z, gamma, alpha):
        return xbce.sigmoid_focal_loss(x, z, gamma=gamma, alpha=alpha, reduction="sum")

    x = torch.linspace(-30, 30, 61, requires_grad=True)
    z = (torch.arange(61) % 2).float()
    for k in range(6):
        with step("torch", xbce.sigmoid_focal_loss, k):
            options = {"gamma": 1.337 - 0.013 * k, "alpha": 0.25 + 0.01 * k}
            (found,) = torch.autograd.grad(compiled(x, z, **options), x)
            exact = xbce.sigmoid_focal_loss.gradient(x.detach().double(), z.double(), **options, reduction="sum")
            torch.testing.assert_close(found.double(), exact, rtol=5 * 2.0**-23, atol=2.0**-126)
    assert counters["stats"]["unique_graphs"] == 2


def test_the_programs_of_numpy_and_of_a_number_are_alike():
    """A number is converted once to what stands for it in operations, whatever it is multiplied with."""
    x, z = _arrays()
    plan, arrays = xbce.binary_cross_entropy_with_logits._planned(("value",), (x, z), {"label_smoothing": 0.1})
    source = numpy_runner._CACHE.compiled(plan.kernel, (*arrays, *plan.numbers)).quick.source
    conversions = [line.split(" = ")[1] for line in source.splitlines() if "_of(" in line]
    assert len(conversions) == len(set(conversions)) > 0
