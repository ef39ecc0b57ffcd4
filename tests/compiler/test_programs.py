"""Functions recorded as graphs, rewritten, and compiled into programs: the same bits by fewer operations."""

import importlib
import re
import traceback
import weakref
from fractions import Fraction

import numpy as np
import pytest

import xbce
from tests.helpers import forget_plans, some_long, step
from xbce._compiler.cache import IdentityCache
from xbce._compiler.lowering import PROGRAM_LOWERINGS, QUICK_LOWERINGS, lowered
from xbce._compiler.program import Compiler
from xbce._compiler.recording import Recorder, record
from xbce._formulas import elementary
from xbce._formulas import idioms as _idioms
from xbce._formulas.idioms import add_signed, choice, constant_zero, one_where, product, zero_if_infinite
from xbce._formulas.parts import halves
from xbce._formulas.series import log1p_unit_by_series
from xbce._precision import Table, exact
from xbce_conformance.cases.losses import FAMILY

numpy_runner = pytest.importorskip("xbce._backends.numpy")
TARGET = numpy_runner._CACHE.target
X = np.array([-np.inf, -3.0, -0.0, 0.0, 2.5, np.inf, np.nan], np.float32)
Y = np.array([0.0, 1.0, 0.25, 1.0, 0.5, 1.0, 0.0], np.float32)


def graph_of(function, *samples, full=None):
    recorder = Recorder(TARGET.xp)
    samples = samples or (np.ones(1, np.float32), np.ones(1, np.float32))
    return recorder, record(recorder, function, samples, full or (True,) * len(samples))


def operations(graph):
    return [node.operation for node in graph.nodes() if node.operation not in ("input", "constant")]


def run(graph, *arrays):
    program = Compiler(TARGET, graph, len(arrays)).program()
    outputs = [np.empty(arrays[0].shape, dtype) for dtype in program.outputs]
    with np.errstate(all="ignore"):
        program.run(arrays, [np.empty(arrays[0].shape, dtype) for dtype in program.scratch], outputs)
    return outputs, program


def test_equal_operations_are_recorded_once_and_zeros_are_told_apart():
    _, graph = graph_of(lambda xp, x, y: (x * y + y * x, xp.where(x > 0, 0.0, -0.0), 1 - x, x - 1))
    assert operations(graph) == ["mul", "add", "gt", "where", "sub", "sub"]
    (total, zeros, *_), _ = run(graph, X, Y)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(total, X * Y + Y * X)
    np.testing.assert_array_equal(np.signbit(zeros), ~(X > 0))


def test_a_recorded_array_shows_what_functions_look_at():
    def function(xp, x, size):
        assert x.dtype == np.float32
        assert x.ndim == 1
        assert not hasattr(size, "ndim")
        return xp.astype(x, np.float64) / size

    _, graph = graph_of(function, np.ones(1, np.float32), 1.0, full=(True, False))
    assert graph.single
    ((result,), _) = run(graph, X, 3)
    np.testing.assert_array_equal(result, X.astype(np.float64) / 3)


def halves_and_sign(xp, x, y):
    half = halves(xp, x)
    return half.s * y + half.e


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda xp, x, _: halves(xp, x).e, ["abs", "neg", "exp"]),
        (halves_and_sign, ["ge", "astype", "mul", "sub", "mul", "mul", "exp", "add"]),
        (lambda xp, x, _: constant_zero(xp, xp.exp(x)), ["exp"]),
        (lambda xp, x, y: add_signed(xp, x, y, x / y), ["truediv", "mul", "add"]),
        (lambda xp, x, _: one_where(xp, x == 0, x), ["eq", "astype", "add"]),
    ],
)
def test_lowerings_change_no_bit(function, left):
    _, graph = graph_of(function)
    shorter, plain = (lowered(TARGET.xp, graph, lowerings) for lowerings in (PROGRAM_LOWERINGS, {}))
    assert operations(shorter) == left
    for i, (a, b) in enumerate(zip(run(plain, X, Y)[0], run(shorter, X, Y)[0], strict=True)):
        with step("numpy", function, i):
            np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(np.signbit(a[:-1]), np.signbit(b[:-1]))


@pytest.mark.parametrize(
    "spelling",
    [
        lambda xp, x: xp.exp(xp.where(x >= 0, -x, x)),
        lambda xp, x: xp.where(x == 0, 0.0, x),
        lambda xp, x: xp.where(((x == np.inf) | (x == -np.inf)) & (x == 0), 0.0, x) * x,
    ],
)
def test_what_is_spelt_like_an_idiom_is_none(spelling):
    _, graph = graph_of(spelling, np.ones(1, np.float32))
    assert operations(lowered(TARGET.xp, graph, PROGRAM_LOWERINGS | QUICK_LOWERINGS)) == operations(graph)


@pytest.mark.parametrize("library", ["numpy", "torch_cpu"])
def test_every_lowering_is_of_an_idiom_or_an_operation(library):
    pytest.importorskip(library.partition("_")[0])
    target = importlib.import_module(f"xbce._backends.{library}")._CACHE.target
    for name in {**PROGRAM_LOWERINGS, **QUICK_LOWERINGS, **target.lowerings}:
        with step(library, lowered, name):
            rooms = _idioms, elementary, exact, target.xp
            assert any(hasattr(room, name) for room in rooms) or name in target.calls


def test_an_idiom_is_what_it_says_on_every_other_library():
    x, y = X[1:6], Y[1:6]
    for function, operands in {
        _idioms.minus_sign: ((x >= 0).astype(np.float32),),
        _idioms.exp_minus_abs: (x, x >= 0, None),
        _idioms.product: (x, y),
        add_signed: (x, y, x),
    }.items():
        with step("numpy", function):
            np.testing.assert_array_equal(function(TARGET.xp, *operands), function.__wrapped__(TARGET.xp, *operands))


QUICK = PROGRAM_LOWERINGS | QUICK_LOWERINGS


def test_guards_are_dropped_where_nothing_is_nan():
    _, graph = graph_of(product)
    assert operations(graph) == ["product"]
    shorter = lowered(TARGET.xp, graph, QUICK)
    assert operations(shorter) == ["mul"]
    ((result,), _) = run(shorter, X[1:6], Y[1:6])
    np.testing.assert_array_equal(result, X[1:6] * Y[1:6])


def test_a_product_of_a_guarded_product_is_checked_alone():
    _, graph = graph_of(lambda xp, x, y: product(xp, product(xp, x, y), x + y))
    shorter = lowered(TARGET.xp, graph, QUICK)
    assert shorter.checked == shorter.outputs
    assert operations(shorter) == ["mul", "add", "mul"]


def test_few_arrays_are_needed():
    _, program = run(graph_of(lambda xp, x, y: (xp.exp(x) + y) * (xp.exp(y) + x) + xp.log1p(x * y))[1], X, Y)
    assert len(program.scratch) == 1  # and the result

    def chain(xp, x, y):
        a = xp.exp(x)
        b = a + y
        c = xp.log1p(b)
        return c * a, c + y

    _, program = run(graph_of(chain)[1], X, Y)
    assert not program.scratch  # all fits into the results
    (first, second), _ = run(graph_of(chain)[1], X, Y)
    with np.errstate(all="ignore"):
        c = np.log1p(np.exp(X) + Y)
        np.testing.assert_array_equal(first, c * np.exp(X))
        np.testing.assert_array_equal(second, c + Y)


def test_results_that_are_arguments_or_alike_are_copied():
    _, graph = graph_of(lambda xp, x, y: (x, x + y, y + x))  # noqa: ARG005
    (first, second, third), _ = run(graph, X, Y)
    np.testing.assert_array_equal(first, X)
    np.testing.assert_array_equal(second, X + Y)
    np.testing.assert_array_equal(third, second)
    assert first is not X


def test_formulas_must_not_look_at_values():
    with pytest.raises(TypeError, match=r"^a formula must not look at the values in an array$"):
        graph_of(lambda xp, x, y: x if (x > y) else y)  # noqa: ARG005


def test_selections_of_two_dtypes_by_one_condition():
    def select(xp, x, y):
        above = x > 0
        return xp.where(above, y, 0.0), xp.where(above, 1.0, 0.0)

    _, graph = graph_of(select)
    narrow, wide = run(lowered(TARGET.xp, graph, TARGET.lowerings), X, Y)[0]
    assert (narrow.dtype, wide.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(narrow, np.where(X > 0, Y, 0))
    np.testing.assert_array_equal(wide, X > 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_selection_by_bits_is_exact(dtype):
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, (2, 5000), np.uint64) * rng.integers(1, 2**32, (2, 5000), np.uint64)
    integers = {4: np.uint32, 8: np.uint64}[dtype().itemsize]
    x, y = bits.astype(integers).view(dtype)
    z = rng.uniform(0, 1, 5000).astype(dtype)

    def select(xp, x, y, z):
        above = z > 0.5
        return (
            xp.where(above, x, y),
            xp.where(above, x, 0.0),
            xp.where(above, -0.0, y),
            xp.where(above, 1.0, 3.0),
            xp.where(x == x, y, z),
        )

    _, graph = graph_of(select, *(np.ones(1, dtype),) * 3)
    shorter = lowered(TARGET.xp, graph, TARGET.lowerings)
    assert "where" not in operations(shorter)[:-1]
    for i, (a, b) in enumerate(zip(run(graph, x, y, z)[0], run(shorter, x, y, z)[0], strict=True)):
        with step("numpy", select, i, dtype):
            np.testing.assert_array_equal(a.view(integers), b.view(integers))


@pytest.mark.parametrize("size", [*range(1, 40), 2**14 + 1, 2**16 + 1])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_selections_of_pytorch_by_arithmetic_are_exact(size, dtype):
    torch = pytest.importorskip("torch")
    torch_cpu = importlib.import_module("xbce._backends.torch_cpu")

    def select(xp, x, y):
        return choice(xp, x >= 0, xp.abs(x), xp.abs(y)), zero_if_infinite(xp, y / x)

    x, y = torch.randn(2, size, dtype=getattr(torch, dtype), generator=torch.Generator().manual_seed(size)) ** 15
    x[::3] = y[1::4] = 0  # quotients are infinite, zeros of both signs and NaN
    with torch.no_grad():
        cache = torch_cpu._CACHE if size <= 2**14 else torch_cpu._LARGE_CACHE
        compiled = cache.compiled(select, (x, y))
        chosen, finite = compiled.quick.fresh((x, y))
    assert re.findall("lerp|zero_if_infinite|where|isinf", compiled.quick.source) == ["lerp", "zero_if_infinite"]
    for a, b in ((chosen, torch.where(x >= 0, x.abs(), y.abs())), (finite, torch.where(torch.isinf(y / x), 0, y / x))):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal((1 / a).numpy(), (1 / b).numpy())  # which tell zeros apart


@pytest.mark.usefixtures("own_log1p")
def test_the_loss_is_as_short_as_it_can_be():
    x = np.linspace(-3, 3, 100, dtype=np.float32)
    plans = xbce.binary_cross_entropy_with_logits._plans
    plans.clear()  # of what other tests have called
    xbce.binary_cross_entropy_with_logits(x, (x > 0).astype(np.float32))
    (plan,) = plans.values()
    program = numpy_runner._CACHE.compiled(plan.kernel, (x, x)).quick
    body = [line.strip() for line in program.source.splitlines() if "(" in line or "[...]" in line][1:]
    assert ["astype" if "[...]" in line else line.partition("(")[0].rpartition("_")[0] for line in body] == [
        "ge", "astype", "sub", "mul", "abs", "neg", "exp", "log1p", "add",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "loss", [xbce.binary_cross_entropy_with_logits, xbce.binary_cross_entropy, xbce.sigmoid_focal_loss]
)
def test_operations_on_one_element_are_not_in_place(loss):
    x = np.full(1, 0.25, np.float32)
    forget_plans(loss)
    loss.value_and_gradient(x, x)
    (plan,) = loss._plans.values()
    for program in (
        numpy_runner._CACHE.compiled(plan.kernel, (x, x, *plan.numbers)).quick,
        numpy_runner._CACHE.compiled(plan.kernel, (x, x, *plan.numbers)).exact,
    ):
        results = set()
        for line in program.source_of_fresh.splitlines():
            call = re.fullmatch(r"\s+(?:[a-z]\w*\((.*), ([so]\d+)\)|([so]\d+)\[\.\.\.\] = (.*))", line)
            if call:
                operands, result = (call[1], call[2]) if call[1] else (call[4], call[3])
                assert result not in operands.split(", "), line
                results.add(result)
        assert len(results) > 3, program.source_of_fresh
    several = numpy_runner._CACHE.compiled(plan.kernel, (*np.ones((2, 5), np.float32), *plan.numbers)).quick
    assert len(several.scratch) < len(program.scratch)


def test_programs_of_pytorch_work_in_place_by_methods():
    torch = pytest.importorskip("torch")
    runner = importlib.import_module("xbce._backends.torch_cpu")
    x = torch.linspace(-2, 2, 5)

    def function(xp, x):
        return xp.log1p(xp.exp(xp.abs(x) * 2 + x) - x)

    program = runner._CACHE.compiled(function, (x,)).quick
    (result,) = program.fresh((x,))
    assert torch.equal(result, torch.log1p(torch.exp(torch.abs(x) * 2 + x) - x))
    assert [line.strip() for line in program.source_of_fresh.splitlines() if "out=" not in line][2:-1] == [
        "o0 = empty_same(a0)", "o0.mul_(c1)", "o0.add_(a0)", "o0.exp_()", "o0.sub_(a0)", "o0.log1p_()",
    ]  # fmt: skip


def test_a_traceback_shows_the_line_of_a_program():
    x = np.zeros(3, np.float32)
    program = numpy_runner._CACHE.compiled(lambda xp, x: xp.exp(x), (x,)).exact
    with pytest.raises(TypeError) as raised:
        program.run((x,), (), ("no array",))
    (line,) = [entry for entry in traceback.extract_tb(raised.value.__traceback__) if "xbce program" in entry.filename]
    assert line.line.startswith("exp_")
    assert line.line in program.source


def test_an_index_is_sampled_inside_of_its_table():
    """A sample may be that of another array of the same kind, with a number far beyond the table."""
    table = Table("two", lambda: iter([1.0, 2.0]))
    samples = {}
    for far in (1000, 0):
        recorder = Recorder(TARGET.xp, samples)
        numbers = np.full(1, far), np.zeros(1, int)

        def function(xp, x, y):
            index = x + y
            return xp.lookup(table, index) if far == 0 else index  # noqa: B023 - called in this turn

        graph = record(recorder, function, numbers, (True, True))
    assert graph.outputs[0].dtype == np.float64
    assert graph.outputs[0].operands[0].sample == 1000


def test_what_needs_no_check_is_compiled_once():
    compiled = numpy_runner._CACHE.compiled(lambda xp, x: xp.exp(x), (np.zeros(3, np.float32),))
    assert compiled.quick is compiled.exact


def test_memory_by_identity():
    calls = []
    remember = IdentityCache(lambda x, y: calls.append((x, y)) or len(calls))
    half, other = Fraction(1, 2), Fraction(1, 2)
    assert [remember(half, 1), remember(half, 1), remember(other, 1), remember(half, 2)] == [1, 1, 2, 3]


class Key:
    """Something that can be found to be gone."""


def test_memory_by_identity_is_limited():
    remember = IdentityCache(lambda key, number: number)  # noqa: ARG005
    first = Key()
    gone = weakref.ref(first)
    remember(first, 0)
    del first
    for i in range(1, 1024):
        remember(Key(), i)
    assert len(remember._known) == 1024
    assert gone() is not None  # or a new object might have its identity
    assert remember(Key(), 1024) == 1024
    assert len(remember._known) == 1
    assert gone() is None


def test_plans_of_a_loss_are_limited(monkeypatch):
    loss, x = xbce.binary_cross_entropy_with_logits, np.zeros(3)
    monkeypatch.setattr(loss, "_plans", dict.fromkeys(range(1023)))
    loss(x, x)
    loss(x, x)
    assert len(loss._plans) == 1024
    loss(x, x, label_smoothing=0.125)
    assert len(loss._plans) == 1
    assert loss(x, x, label_smoothing=0.125).shape == (3,)
    assert len(loss._plans) == 1


@pytest.mark.parametrize("library", ["numpy", "torch_cpu"])
def test_programs_are_limited(library):
    pytest.importorskip(library.partition("_")[0])
    programs = importlib.import_module(f"xbce._backends.{library}")._CACHE
    assert programs._equal.cache_info().maxsize == 1024


@pytest.mark.parametrize("own_log1p", [False, True], indirect=True)
@pytest.mark.parametrize("size", [1, 7, 2000])
@pytest.mark.usefixtures("own_log1p")
def test_the_elements_of_an_array_have_the_bits_of_scalars(size):
    rng = np.random.default_rng(size)
    x, z = rng.normal(0, 4, size).astype(np.float32), rng.uniform(0, 1, size).astype(np.float32)
    together = xbce.binary_cross_entropy_with_logits(x, z)
    alone = [xbce.binary_cross_entropy_with_logits(np.asarray(a), np.asarray(b)) for a, b in zip(x, z, strict=True)]
    np.testing.assert_array_equal(together, np.asarray(alone), strict=True)
    softplus = xbce.special.softplus(x)
    np.testing.assert_array_equal(softplus, np.asarray([xbce.special.softplus(np.asarray(a)) for a in x]), strict=True)


def _eager_torch():
    return importlib.import_module("xbce._backends.torch_namespaces").EAGER


def errors(got, exact):
    """Return errors in ULP of the exact values, which have more digits."""
    info = np.finfo(got.dtype)
    ulp = np.spacing(np.maximum(np.abs(exact), info.smallest_normal).astype(got.dtype))
    return np.abs(got - exact) / ulp.astype(exact.dtype)


def test_the_series_is_within_its_bound():
    e = np.concatenate([2.0 ** -np.arange(40), np.linspace(0, 1, 2**16), np.geomspace(1e-45, 1, 2**16)]).astype(
        np.float32
    )
    for sign, most in ((1, 1), (-1, 0.5)):
        x = sign * e[e <= most]
        got = log1p_unit_by_series(numpy_runner.NAMESPACE, x)
        with step(
            "numpy", log1p_unit_by_series, sign=sign
        ):  # 1.29 measured at all numbers, 1.12 at negative ones; 1.96 is proved
            assert errors(got, np.log1p(x.astype(np.float64))).max() <= (1.3 if sign > 0 else 1.13)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_logarithms_have_a_small_relative_error(library):
    """A product has up to twice the error of its factor, in ULP: of the bound of 4, half is left for what follows."""
    if library == "torch":
        torch = pytest.importorskip("torch")
        xp, given, taken = _eager_torch(), torch.from_numpy, torch.Tensor.numpy
    else:
        xp, given, taken = numpy_runner.NAMESPACE, np.asarray, np.asarray
    near = np.concatenate([np.linspace(0, 4, 2**17), np.geomspace(2.0**-120, 2.0**120, 2**16)])
    m = np.concatenate([np.linspace(0, 0.5, 2**17), np.geomspace(1e-45, 0.5, 2**16)])
    cases = {
        "log": (elementary.accurate_log, np.log, near),
        "log1p": (elementary.accurate_log1p, np.log1p, np.concatenate([near, -m, m - 1])),
        "log1m": (_idioms.log1m_half, lambda x: np.log1p(-x), m),
    }
    for dtype, wider in ((np.float32, np.float64), (np.float64, np.longdouble)):
        if np.finfo(wider).nmant <= np.finfo(dtype).nmant:
            continue
        for name, (function, definition, arguments) in cases.items():
            x = arguments.astype(dtype)
            with np.errstate(all="ignore"):
                got, wanted = taken(function(xp, given(x))), definition(x.astype(wider))
            normal = np.isfinite(wanted) & (np.abs(wanted) >= np.finfo(dtype).smallest_normal)
            with step(library, name, dtype=dtype.__name__):
                np.testing.assert_array_equal(got[~np.isfinite(wanted)], wanted[~np.isfinite(wanted)])
                tiny = ~normal & np.isfinite(wanted)
                np.testing.assert_array_equal(got[tiny], wanted[tiny].astype(dtype))
                relative = np.abs(got[normal] - wanted[normal]) / np.abs(wanted[normal])
                assert relative.max() <= 3.2 * np.finfo(dtype).eps / 2


@pytest.mark.parametrize("library", ["numpy", "torch", "mlx"])
def test_a_subnormal_probability_keeps_its_digits_in_a_product(library):
    """PyTorch's log1p of the least subnormal number is 0, and off by a third for the next ones."""
    xp = pytest.importorskip({"numpy": "numpy", "torch": "torch", "mlx": "mlx.core"}[library])
    make = xp.asarray if library != "mlx" else xp.array
    p, zero, weight = (make(np.full(5, x, np.float32)) for x in (0.0, 0.0, 2.0**60))
    p = p + make(np.array([1, 2, 3, 5, 99], np.float32)) * 2.0**-149
    got = np.asarray(xbce.binary_cross_entropy(p, zero, weight=weight, reduction="none"))
    np.testing.assert_array_equal(got, np.array([1, 2, 3, 5, 99], np.float32) * np.float32(2.0**-89))


LOSSES = {
    **{name: (getattr(xbce, name), {}) for name in FAMILY},
    "smoothed": (xbce.binary_cross_entropy_with_logits, {"label_smoothing": 0.1}),
    "clipped": (xbce.binary_cross_entropy, {"clip": 1e-3}),
}
METHODS = [("value",), ("gradient",), ("hessian",), ("value", "gradient"), ("gradient", "hessian"), ("label_gradient",)]


@pytest.mark.parametrize("special", [False, True], ids=["usual numbers", "special numbers"])
@pytest.mark.parametrize("options", [False, True], ids=["plain", "all options"])
@pytest.mark.parametrize("rows", some_long({"small": 11, "one block": 2000, "blocks": 30_000}, {"small", "blocks"}))
@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("name", LOSSES)
def test_programs_have_the_bits_of_the_kernel(name, library, rows, options, special):
    loss, fixed = LOSSES[name]
    rng = np.random.default_rng(rows)
    x = rng.normal(0, 8, (rows, 5)).astype(np.float32)
    probabilities = FAMILY[loss.__name__].first == "probabilities"
    if probabilities:
        x = 1 / (1 + np.exp(-x))
    z = rng.choice([0, 1, 0.3], (rows, 5)).astype(np.float32)
    if special:
        numbers = [0, -0.0, 1, 1e-45, np.nan] if probabilities else [np.inf, -np.inf, np.nan, -0.0]
        x[:, 0] = rng.choice(np.asarray(numbers, np.float32), rows)
    arrays = {"pos_weight": rng.choice([0.0, 0.5, 3.0], 5).astype(np.float32)}
    arrays |= {"weight": rng.uniform(0, 2, (rows, 1)).astype(np.float32), "where": rng.uniform(size=(rows, 5)) < 0.9}
    if FAMILY[loss.__name__].modulated:
        del arrays["pos_weight"]
    arrays = arrays if options else {}
    if library == "torch":
        torch = pytest.importorskip("torch")
        x, z, arrays = torch.asarray(x), torch.asarray(z), {k: torch.asarray(v) for k, v in arrays.items()}
    for methods in METHODS:
        plan, given = loss._planned(methods, (x, z), {"reduction": "none", **fixed, **arrays})
        with np.errstate(all="ignore"):
            xp = numpy_runner.NAMESPACE if library == "numpy" else _eager_torch()
            exact = plan.kernel(xp, *given, *plan.numbers)
        for quantity, a, b in zip(methods, plan.results(given), exact, strict=True):
            with step(library, loss, quantity, methods, **fixed, **arrays):
                if library == "torch" and name == "asymmetric_loss":
                    # PyTorch's power has other bits at the end of an array than inside it.
                    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-6)
                else:
                    np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_what_watches_pytorch_sees_every_operation():
    torch = pytest.importorskip("torch")

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            seen.append(function.__name__)
            return function(*args, **(kwargs or {}))

    seen = []
    x = torch.zeros(3000)
    with Watch():
        xbce.binary_cross_entropy_with_logits(x, x)
    assert {"exp", "log1p"} <= set(seen)


@pytest.mark.parametrize(
    "shapes", [((2000, 1), (1, 0)), ((1, 2000, 1), (1, 1, 0)), ((2000, 1), (1, 3)), ((3, 1), (600,))]
)
def test_functions_of_arrays_that_broadcast(shapes):
    a, b = (np.full(shape, 0.5) for shape in shapes)
    result = xbce.special.xlogy(a, b)
    assert isinstance(result, np.ndarray)
    np.testing.assert_allclose(result, a * np.log(b), rtol=1e-15, strict=True)
