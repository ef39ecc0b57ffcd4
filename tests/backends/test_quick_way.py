"""What stands for pairs in high precision has their bits, and is there for nearly all numbers.

Estimates for results up to float32, pairs of moderate numbers for float64: on NumPy and on PyTorch's CPU, which look at
values. Each result is compared with that of pairs alone.
"""

from dataclasses import replace

import flint
import numpy as np
import pytest
from array_api_compat import array_namespace

import xbce
from tests.helpers import assert_same_bits, step
from xbce._backends import numpy as numpy_backend
from xbce._backends import quick_way, torch_cpu
from xbce._precision.estimates import FUNCTION_ERROR
from xbce_conformance.subjects.backends import find_backends

bce = xbce.binary_cross_entropy_with_logits
N = 400
CASES = [
    (bce, {}),
    (bce, {"label_smoothing": 0.1}),
    (bce, {"pos_weight": "pos_weight"}),
    (bce, {"weight": "weight"}),
    (bce, {"weight": "weight", "where": "where"}),
    *((xbce.sigmoid_focal_loss, {"gamma": gamma}) for gamma in (0.0, 0.01, 0.5, 1.0, 1.3, 2.0, 5.0)),
    (xbce.sigmoid_focal_loss, {"gamma": 2.5, "alpha": 0.25}),
    (xbce.asymmetric_loss, {}),
    (xbce.asymmetric_loss, {"gamma_pos": 1.0, "gamma_neg": 0.3, "shift": 0.0}),
    (xbce.binary_cross_entropy, {}),
    (xbce.binary_cross_entropy, {"clip": 1e-7}),
    (xbce.binary_cross_entropy, {"log_floor": -100.0}),
    (xbce.binary_cross_entropy, {"log_offset": 1e-7}),
    (xbce.binary_cross_entropy, {"pos_weight": "pos_weight", "label_smoothing": 0.2}),
]
METHODS = ("value_and_gradient", "hessian", "label_gradient")


@pytest.fixture(params=("numpy", "torch:cpu"))
def eager(request):
    """Return a backend whose values can be looked at."""
    found, missing = find_backends((request.param,))
    if missing:
        pytest.skip(f"{request.param}: {missing[request.param]}")
    return found[request.param]


def numbers(dtype, *, probabilities, n=N):
    """Return logits or probabilities of all magnitudes and kinds, and labels, some next to the optimum."""
    random, wide = np.random.default_rng(19), np.dtype(dtype).itemsize
    with np.errstate(over="ignore", invalid="ignore"):
        logits = np.concatenate(
            [
                random.normal(0, 3, n),
                random.normal(0, 60, n),
                random.choice([-1, 1], n) * 2.0 ** random.uniform(*((-150, 128) if wide < 8 else (-1070, 1020)), n),
                random.choice([-1, 1], n) * 2.0 ** random.uniform(-26, -9, n),  # next to 0 gradients are ties
                random.choice([0.0, -0.0, np.inf, -np.inf, np.nan, 3e38, 1e-45, 700, -700.5, 746, 600, 104, -88], n),
            ]
        ).astype(dtype)
        sigmoids = 1 / (1 + np.exp(-logits.astype(np.float64)))
        ends = random.choice([0, 1, 0.5, 1e-45, 1 - 2.0**-24, -0.0, 1.5, -0.5], 5 * n)
        kind = random.integers(0, 4, 5 * n)
        labels = np.choose(kind, [random.integers(0, 2, 5 * n), random.random(5 * n), sigmoids, ends]).astype(dtype)
        if probabilities:
            ends = random.choice([0, 1, 0.5, 1e-7, 1 - 1e-7], 5 * n)
            scores = np.where((random.random(5 * n) < 0.1) | np.isnan(sigmoids), ends, sigmoids).astype(dtype)
        else:
            scores = logits
        options = {
            "pos_weight": np.where(random.random(5 * n) < 0.9, 2.0 ** random.uniform(-10, 10, 5 * n), 0).astype(dtype),
            "weight": (random.normal(0, 1, 5 * n) * 2.0 ** random.integers(-20, 14, 5 * n)).astype(dtype),
            "where": random.random(5 * n) < 0.7,
        }
    return scores, labels, options


def by_pairs_alone(monkeypatch, call):
    with monkeypatch.context() as patch:
        patch.setattr(quick_way.QuickWay, "_results", lambda *_: None)
        return call()


@pytest.mark.parametrize(
    ("kind", "loss", "options"),
    [
        # Programs take a second to compile: the others are tried when there is time.
        pytest.param(kind, loss, options, marks=pytest.mark.long if i % (2 if kind == "float32" else 6) else [])
        for kind in ("float64", "float32", "float16")
        for i, (loss, options) in enumerate(CASES)
    ],
    ids=str,
)
def test_bits_are_those_of_pairs(eager, monkeypatch, kind, loss, options):
    scores, labels, arrays = numbers(kind, probabilities=loss is xbce.binary_cross_entropy)
    x, z = eager.from_numpy(scores), eager.from_numpy(labels)
    options = {name: eager.from_numpy(arrays[name]) if isinstance(o, str) else o for name, o in options.items()}
    for method in METHODS:
        with step(eager, getattr(loss, method), **options):

            def call(method=method):
                return getattr(loss, method)(x, z, precision="high", **options)

            got, wanted = call(), by_pairs_alone(monkeypatch, call)
            same_but_nan(eager, got, wanted)


def same_but_nan(backend, got, wanted):
    """Compare bits; those of a NaN are not promised."""
    for a, b in zip(*([x] if not isinstance(x, tuple) else x for x in (got, wanted)), strict=True):
        a, b = backend.to_numpy(a), backend.to_numpy(b)
        kept = ~np.isnan(b)
        np.testing.assert_array_equal(np.isnan(a), ~kept)
        integers = f"u{a.itemsize}"
        np.testing.assert_array_equal(a.view(integers)[kept], b.view(integers)[kept])


@pytest.mark.parametrize("kind", ["float32", "float16"])
@pytest.mark.parametrize("options", [{}, {"weight": "weight", "normalize_by": "weight"}], ids=str)
def test_sums_are_those_of_pairs(eager, monkeypatch, options, kind):
    scores, labels, arrays = numbers(kind, probabilities=False)
    finite = np.clip(np.nan_to_num(scores.astype(np.float64)), -90, 90).astype(kind)
    x, z = eager.from_numpy(finite.reshape(-1, 5)), eager.from_numpy(labels.reshape(-1, 5))
    if "weight" in options:
        options = {**options, "weight": eager.from_numpy(np.abs(arrays["weight"]).reshape(-1, 5))}
    for axis in (None, 0, 1):

        def call(axis=axis):
            return bce.value_and_gradient(x, z, reduction="mean", axis=axis, precision="high", **options)

        with step(eager, bce.value_and_gradient, axis=axis):
            assert_same_bits(eager, call(), by_pairs_alone(monkeypatch, call))


@pytest.fixture
def left_to_pairs(monkeypatch):
    """Count the elements that kernels of pairs are run with."""
    counts = []

    def counting(run):
        def counted(kernel, arrays, sums):
            if kernel.arithmetic in ("pairs", "extended"):
                counts.append(int(np.prod(tuple(arrays[0].shape))))
            return run(kernel, arrays, sums)

        return counted

    for module, name in ((numpy_backend, "_QUICK_WAY"), (torch_cpu, "QUICK_WAY")):
        own = getattr(module, name)
        monkeypatch.setattr(module, name, replace(own, plainly=counting(own.plainly)))
    return counts


@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_few_results_are_left_to_pairs(eager, left_to_pairs, kind):
    random = np.random.default_rng(3)
    x = eager.from_numpy(random.normal(0, 3, 100_000).astype(kind))
    z = eager.from_numpy(random.integers(0, 2, 100_000).astype(kind))
    for method in METHODS:
        getattr(bce, method)(x, z, precision="high")
    assert sum(left_to_pairs) < 20


def test_gradients_next_to_the_optimum_are_left_to_pairs(eager, left_to_pairs):
    x = eager.from_numpy(np.random.default_rng(3).normal(0, 3, 100_000).astype(np.float32))
    teacher = eager.from_numpy((1 / (1 + np.exp(-eager.to_numpy(x).astype(np.float64)))).astype(np.float32))
    bce.gradient(x, teacher, precision="high")
    assert left_to_pairs[-1] > 50_000


def test_a_sum_next_to_a_tie_is_rounded_right(eager):
    terms = np.array([1, 2.0**-24, 2.0**-70], np.float32)
    assert xbce.reduce(eager.from_numpy(terms), reduction="sum", precision="high") == 1 + 2.0**-23
    assert xbce.reduce(eager.from_numpy(terms[:2]), reduction="sum", precision="high") == 1


def test_functions_keep_the_bound_that_estimates_rest_on(eager):
    """Measured against ball arithmetic where the suite's report has no function, and on this processor."""
    random = np.random.default_rng(5)
    e = np.exp(-np.abs(random.normal(0, 8, 3000))) * (1 - random.random(3000) * 2.0**-20)
    g = random.uniform(0.005, 5, 3000)
    xp = array_namespace(eager.from_numpy(e))
    with flint.ctx.workprec(200):
        got = {
            "exp": (xp.exp(eager.from_numpy(np.log(e))), [flint.arb(x).exp() for x in np.log(e)]),
            "log": (xp.log(eager.from_numpy(e)), [flint.arb(x).log() for x in e]),
            "log1p": (xp.log1p(eager.from_numpy(e)), [flint.arb(x).log1p() for x in e]),
            "log1p(-e)": (xp.log1p(eager.from_numpy(-e)), [flint.arb(-x).log1p() for x in e]),
            "tanh": (xp.tanh(eager.from_numpy(e)), [flint.arb(x).tanh() for x in e]),
            "pow": (eager.from_numpy(e) ** eager.from_numpy(g), [flint.arb(x) ** y for x, y in zip(e, g, strict=True)]),
        }
        for name, (results, exact) in got.items():
            results = eager.to_numpy(results).tolist()
            errors = [float(abs(flint.arb(x) / y - 1)) for x, y in zip(results, exact, strict=True)]
            assert 0 < max(errors) < FUNCTION_ERROR * 2.0**-53, name
