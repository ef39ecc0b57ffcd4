"""exp and log1p by series, as JAX has them on CPUs: accuracy, special values, derivatives."""

import flint
import numpy as np
import pytest

import xbce
from proofs.steps import own_functions
from tests.helpers import approx
from xbce._formulas import series
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.subjects.backends import find_backends

jax = pytest.importorskip("jax")
jnp = jax.numpy
find_backends(("jax",))  # float64

if jax.default_backend() != "cpu":
    pytest.skip("another device has the library's own functions", allow_module_level=True)

from xbce._backends.jax import _NAMESPACE, _exp_not_positive, _log1p_of_unit  # noqa: E402

DTYPES = ("float32", "float64")
RNG = np.random.default_rng(0)
N = 3000


def arguments_of_exp(dtype):
    """Return numbers next to multiples of log(2) / 2, where r is largest, and numbers of every size."""
    lowest = -87.33 if dtype == "float32" else -708.39
    k = RNG.integers(1, int(-2 * lowest / np.log(2)), N)
    near = -k * np.log(2) / 2 * (1 + RNG.normal(0, 1, N) * 2.0 ** -RNG.integers(10, 50, N))
    x = np.concatenate([near, RNG.uniform(lowest, 0, N), -(2.0 ** RNG.uniform(-60, 6, N)), [lowest]])
    return np.maximum(x, lowest).astype(dtype)


def arguments_of_log(dtype):
    """Return numbers up to 1, half of them next to where the binade of the result changes."""
    ends = np.expm1(2.0 ** -RNG.integers(1, 6, N)) * (1 + RNG.normal(0, 1, N) * 2.0 ** -RNG.integers(5, 50, N))
    smallest = -125 if dtype == "float32" else -1021
    x = np.concatenate([ends, RNG.uniform(0, 1, N), 2.0 ** RNG.uniform(smallest, 0, N), [1.0]])
    return np.minimum(x, 1).astype(dtype)


CASES = {
    "exp": (_exp_not_positive, arguments_of_exp, lambda x: x.exp(), 0.95, own_functions.EXP),
    "log1p": (_log1p_of_unit, arguments_of_log, lambda x: x.log1p(), 1.1, own_functions.LOG1P),
}


def largest_error(got, x, exact, dtype):
    fmt, worst = FORMATS[dtype], 0.0
    with flint.ctx.workprec(200):
        for a, b in zip(got.tolist(), x.tolist(), strict=True):
            y = exact(flint.arb(b))
            worst = max(worst, float(abs(flint.arb(a) - y)) / fmt.ulp(float(y)))
    return worst


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_accuracy(name, dtype):
    """Compiled, XLA may fuse products; what was found is less than what is proved."""
    function, arguments, exact, found, proved = CASES[name]
    x = arguments(dtype)
    for run in (jax.jit(function), function):
        got = np.asarray(run(x))
        assert got.dtype == dtype
        assert largest_error(got, x, exact, dtype) < found < proved


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values_of_exp(dtype):
    info = np.finfo(dtype)
    x = np.array([0, -0.0, -info.smallest_subnormal, -np.inf, -info.max, series.SINGLE.lowest * 9, np.nan], dtype)
    np.testing.assert_array_equal(jax.jit(_exp_not_positive)(x), np.array([1, 1, 1, 0, 0, 0, np.nan], dtype))
    least = np.log(info.smallest_normal)
    beyond = np.linspace(least * 1.0001, least * 1.01, 999).astype(dtype)
    got = np.asarray(jax.jit(_exp_not_positive)(beyond))
    assert ((got >= 0) & (got < info.smallest_normal)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values_of_log1p(dtype):
    e = np.array([0, np.finfo(dtype).smallest_normal * 2, 1, np.nan], dtype)
    got = jax.jit(_log1p_of_unit)(e)
    np.testing.assert_array_equal(got, np.array([0, e[1], np.log(2), np.nan], dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_of_2(dtype):
    info = np.finfo(dtype)
    k = np.arange(info.minexp - 1, 1).astype(dtype)
    wanted = np.where(k < info.minexp, 0, np.exp2(k.astype(np.float64))).astype(dtype)
    np.testing.assert_array_equal(_NAMESPACE.power_of_2(jnp.asarray(k)), wanted)


def test_derivatives_of_any_order():
    of_exp, of_log = _exp_not_positive, _log1p_of_unit
    for n in range(1, 5):
        of_exp, of_log = jax.grad(of_exp), jax.grad(of_log)
        for x in (0.0, -1.25, -30.0):
            assert float(of_exp(x)) == approx(np.exp(x), rel=1e-15)
        for e in (0.0, 0.3, 1.0):
            wanted = -np.prod(-np.arange(1.0, n)) * -1 * (1 + e) ** -n
            assert float(of_log(e)) == approx(wanted, rel=1e-14)


def test_third_derivatives_of_a_loss():
    """These are differentiated operation by operation."""

    def loss(x):
        return xbce.binary_cross_entropy_with_logits(x, jnp.asarray(0.0), reduction="sum")

    third = jax.jit(jax.grad(jax.grad(jax.grad(loss))))
    for x in (-700.0, -3.0, 0.0, 0.5, 40.0):
        p = 1 / (1 + np.exp(-x))
        q = 1 / (1 + np.exp(x))
        assert float(third(x)) == approx(p * q * (q - p), rel=1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_loss_is_one_loop(dtype):
    """XLA on a CPU makes no array of an exponential or a quotient, and sums what one loop gives."""
    x = jnp.zeros(10**5, dtype)
    for reduction, loops in (("none", 1), ("mean", 3)):

        def loss(x, z, reduction=reduction):
            return xbce.binary_cross_entropy_with_logits(x, z, reduction=reduction)

        text = jax.jit(loss).lower(x, x).compile().as_text()
        assert text[text.index("ENTRY") :].count(" fusion(") <= loops, text
