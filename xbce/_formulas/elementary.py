r"""Elementwise functions that losses are made of.

Functions of exponentials start from e = exp(-|x|), which neither overflows nor cancels. Functions of logarithms need a
logarithm with a small relative error everywhere, since an error in ULP may double in a product. Few libraries have one:

- `log` of NumPy's float32 is off by up to 3.8 ULP between 0.6 and 2 (https://github.com/numpy/numpy/pull/13134);
- `log1p` of JAX's float32 on CPU is off by up to 2.5 ULP between 0.41 and 1, where it is the log of 1 + x, rounded;
- `log1p` of JAX's float64 on CPU is off by up to 129 ULP between -0.4143 and -0.2929, and `atanh` with it
  (https://github.com/jax-ml/jax/issues/39707).

`accurate_log` and `accurate_log1p` combine ranges in which all libraries are accurate. Up to 1/2 the library's own log
is enough, and between -1/2 and 1 the idiom `log1p_unit`, for which JAX on CPUs has a series of ours. `expm1` and `tanh`
are avoided: torch.compile replaces expm1(x) by exp(x) - 1 (https://github.com/pytorch/pytorch/pull/190533), and JAX's
float32 `tanh` is off by 4.2 ULP.

Where two forms meet, each gets a harmless argument in place of those that the other form serves. Automatic
differentiation multiplies the derivative of an element that `where` does not select by 0, so it must be finite
(https://github.com/pytorch/pytorch/issues/52248).
"""

from .._typing import Array, Namespace
from .idioms import idiom, log1m_half, log1m_unit, log1p_unit, log_unit, one_for_nan, smaller_part, vanishes
from .parts import halves
from .series import LOG_2


def expit(xp: Namespace, x: Array) -> Array:
    """Return 1 / (1 + exp(-x)), as exp(x) / (1 + exp(x)) for x < 0: the left tail keeps its digits."""
    e = halves(xp, x).e
    return xp.where(x >= 0, 1.0, e) / (1 + e)


def softplus(xp: Namespace, x: Array) -> Array:
    """Return log(1 + exp(x)) as max(x, 0) + log1p(exp(-|x|)), a sum of non-negative terms."""
    e = halves(xp, x).e
    return xp.where(x >= 0, x, 0.0) + log1p_unit(xp, e)


def log_expit(xp: Namespace, x: Array) -> Array:
    """Return log(expit(x)) as -softplus(-x)."""
    return -softplus(xp, -x)


def logit(xp: Namespace, p: Array) -> Array:
    """Return log(p / (1 - p)) as log(m) - log1p(-m), negated for p > 1/2, where m is the smaller of p and 1 - p.

    m is exact for p > 1/2. From m = 1/3 on the two terms cancel, but then 1 - 2 m is exact, too, and so
    -log1p((1 - 2 m) / m) has all digits next to the root at 1/2. The derivative of log(m / (1 - m)) would be NaN at 0.
    """
    upper = p > 0.5
    m = smaller_part(xp, p, upper)
    near = m >= _THIRD
    ratio = (1 - 2 * m) / xp.where(near, m, 1.0)
    lower = xp.where(near, 0.0, xp.log(xp.where(near, 1.0, m))) - log1p_unit(xp, xp.where(near, ratio, -m))
    return xp.where(upper, -lower, lower)


_THIRD = 0.3333333432674408
"""A float32 number above 1/3, so that (1 - 2 m) / m is at most 1 in each dtype."""


def logs(xp: Namespace, u: Array, no_u: Array | None = None, no_v: Array | None = None) -> tuple[Array, Array]:
    """Return log(u) and log(1 - u): log(m) and log1p(-m), where m is the smaller of u and 1 - u.

    m is exact for u > 1/2, and up to 1/2 every library's log is accurate. Where an infinite logarithm of u, or of
    1 - u, is to be absent, it is log(1), whose derivative is finite.
    """
    upper = u > 0.5
    m = smaller_part(xp, u, upper)
    absent = no_v if no_u is None else no_u if no_v is None else no_u | no_v
    log_m = xp.log(m if absent is None else one_for_nan(xp, absent, m))
    rest = log1m_half(xp, m)
    return log_unit(xp, u, no_u, upper, log_m, rest), log1m_unit(xp, u, no_v, upper, log_m, rest)


# B(2k) / (2k (2k)!) for k = 1, 2, ..., with the Bernoulli numbers B: log(sinh(y) / y) in powers of (2y)^2. For
# |2y| <= 1.4 what is left out is below 2^-59.
_LOG_SINHC = (
    1 / 24,
    -1 / 2880,
    1 / 181440,
    -1 / 9676800,
    1 / 479001600,
    -691 / 15692092416000,
    1 / 1046139494400,
    -3617 / 170729965486080000,
    43867 / 91963695909076992000,
    -174611 / 16057153253965824000000,
    77683 / 310224200866619719680000,
    -236364091 / 40651779281561848066867200000,
)


@idiom()
def log1mexp(xp: Namespace, x: Array) -> Array:
    """Return log(1 - exp(x)).

    For x < -1.4 as log1p(-exp(x)). Nearer to 0 that would multiply the error of exp(x), by exp(x) / (1 - exp(x)). But

        1 - exp(x) = -x exp(x / 2) sinh(x / 2) / (x / 2),

    whose logarithm is log(-x) + x / 2 + a series in x^2: no exponential, and little cancels.
    """
    near = x >= -1.4
    tail = log1m_half(xp, xp.exp(xp.where(near, -2.0, x)))
    x = xp.where(near, x, -1.0)
    square = x * x
    series = _LOG_SINHC[-1] * square
    for coefficient in reversed(_LOG_SINHC[:-1]):
        series = (series + coefficient) * square
    # 0 - x is +0 for both zeros: a logarithm of -0 would have a derivative of the wrong sign.
    return xp.where(near, (accurate_log(xp, 0.0 - x) + 0.5 * x) + series, tail)


def xlogy(xp: Namespace, x: Array, y: Array) -> Array:
    """Return x log(y), which is 0 where x is 0 unless y is NaN.

    y is guarded, not the product, and only where its logarithm is not finite: the derivative in x at x = 0 is log(y).
    The 0 at the end makes a zero of either sign SciPy's +0.
    """
    y = xp.where(vanishes(xp, x) & ((y < 0) | vanishes(xp, y) | (y == xp.inf)), 1.0, y)
    return x * accurate_log(xp, y) + 0.0


def xlog1py(xp: Namespace, x: Array, y: Array) -> Array:
    """Return x log(1 + y), which is 0 where x is 0 unless y is NaN; guarded like `xlogy`."""
    y = xp.where(vanishes(xp, x) & ((y <= -1) | (y == xp.inf)), 0.0, y)
    return x * accurate_log1p(xp, y) + 0.0


@idiom()
def accurate_log(xp: Namespace, y: Array) -> Array:
    """Return log(y) with an error of up to 1.9 ULP, and of up to 2.4 ULP in a product (measured, float32).

    Between 1/2 and 2 as log1p(m - 1) + k log(2), where y = m 2^k and m lies between the roots of 1/2 and 2: m - 1 is
    exact, and in the range where the log1p of every library is accurate.
    """
    near, small, large = (y >= 0.5) & (y <= 2), y < 0.7071, y > 1.4142
    m = xp.where(small, 2 * y, xp.where(large, 0.5 * y, y))
    part = xp.log1p(xp.where(near, m, 1.0) - 1)
    part = xp.where(small, part - LOG_2, xp.where(large, part + LOG_2, part))
    return xp.where(near, part, xp.log(xp.where(near, 2.0, y)))


@idiom()
def accurate_log1p(xp: Namespace, y: Array) -> Array:
    """Return log(1 + y) as log(u) + (y - d) / u, where u is 1 + y rounded and d = u - 1.

    For small y that is y itself, while PyTorch's log1p of a subnormal number is off by one ULP. The 1 is [y >= -1], or
    else XLA would simplify (1 + y) - 1 to y (https://github.com/jax-ml/jax/issues/8022). Where d = y, as at -1 and at
    infinity, nothing is added to log(u), and the quotient may be undefined.
    """
    one = xp.astype(y >= -1, y.dtype)
    u = one + y
    d = u - one
    exact = d == y
    return accurate_log(xp, u) + xp.where(exact, 0.0, y - d) / xp.where(exact, 1.0, u)
