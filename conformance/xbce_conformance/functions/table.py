"""The functions, under the names of each library: one row for each.

A row has the definition twice: in float64 of any namespace, in a form that loses no digits, and in ball arithmetic.
`points` are the places where implementations branch, and `span` holds all inputs whose results are of interest.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import flint
import numpy as np

from xbce_conformance.exact_values.plain_loss import tails
from xbce_conformance.functions import pairs
from xbce_conformance.functions.pairs import Pairs
from xbce_conformance.inputs.formats import Doubles, Format, Mask
from xbce_conformance.sweep.device import Array

Ball: TypeAlias = flint.arb

LN2 = math.log(2)


@dataclass(frozen=True)
class Elementary:
    """A function of one number or of two."""

    name: str
    exact: Callable[..., Array]
    """Namespace and numbers in float64 in, values in float64 out."""
    ball: Callable[..., Ball]
    """The same of finite numbers in ball arithmetic; not finite where the definition has no finite value."""
    paths: dict[str, str]
    """module:attribute per library."""
    points: Callable[[Format], tuple[float, ...]] = lambda _fmt: ()
    span: Callable[[Format], tuple[float, float]] = lambda _fmt: (0.0, 1.0)
    pairs: Pairs | None = None
    """Of a function of two numbers: what it is tried with besides pairs that suit all such functions."""
    cancels: Callable[[Doubles, Doubles, Doubles], Mask] | None = None
    """Tell from arguments and value where `exact` loses digits: ball arithmetic has to do it there."""
    scale: Callable[..., Doubles] | None = None
    """What errors are measured against in the place of the value, from arguments and value."""

    @property
    def arguments(self) -> int:
        """How many numbers it takes."""
        return 1 if self.pairs is None else 2


# --- definitions in float64 -----------------------------------------------------------------------------------------


def _sigmoid(xp: Any, x: Array) -> Array:
    _, small, large = tails(xp, x)
    return xp.where(x >= 0, large, small)


def _softplus(xp: Any, x: Array) -> Array:
    return xp.where(x > 0, x, xp.zeros_like(x)) + xp.log1p(xp.exp(-xp.abs(x)))


def _logit(xp: Any, p: Array) -> Array:
    # Near 1/2 two logarithms cancel; 2 p - 1 is exact there. Elsewhere the sum loses at most a bit.
    near = xp.abs(p - 0.5) < 0.25
    inner = xp.where(near, p, xp.full_like(p, 0.5))
    return xp.where(near, xp.log1p((2 * inner - 1) / (1 - inner)), xp.log(p) - xp.log1p(-p))


def _logaddexp(xp: Any, a: Array, b: Array) -> Array:
    larger = xp.where(a >= b, a, b)
    differ = xp.log1p(xp.exp(-xp.abs(a - b)))
    nan = xp.isnan(a) | xp.isnan(b)
    total = larger + xp.where(a == b, xp.full_like(a, LN2), differ)  # infinity - infinity would be NaN
    return xp.where(nan, xp.full_like(a, math.nan), total)


def _xlogy(xp: Any, x: Array, y: Array) -> Array:
    return xp.where((x == 0) & ~xp.isnan(y), xp.zeros_like(x), x * xp.log(y))


def _crosses_zero(a: Doubles, b: Doubles, value: Doubles) -> Mask:
    """Tell where logaddexp is below 1/32 of its terms: elsewhere float64 is off by 2^-22 ULP of float32 at most."""
    return np.abs(value) < np.maximum(a, b) * -(2.0**-5)


def _larger_term(a: Doubles, b: Doubles, value: Doubles) -> Doubles:
    """Return the value of logaddexp, or the larger one of the two terms that it is the sum of, if they cancel."""
    return np.where((value < 0) | (np.maximum(a, b) < 0), np.fmax(np.abs(value), -np.maximum(a, b)), value)


# --- definitions in ball arithmetic ---------------------------------------------------------------------------------


def _ball_sigmoid(x: Ball) -> Ball:
    e = (-abs(x)).exp()
    return (1 if x >= 0 else e) / (1 + e)


def _ball_softplus(x: Ball) -> Ball:
    log = (-abs(x)).exp().log1p()
    return x + log if x > 0 else log


def _ball_logit(p: Ball) -> Ball:
    if abs(p - 0.5) < 0.25:
        return ((2 * p - 1) / (1 - p)).log1p()
    return p.log() - (-p).log1p()


def _ball_logaddexp(a: Ball, b: Ball) -> Ball:
    return (a if a >= b else b) + (-abs(a - b)).exp().log1p()


def _ball_xlogy(x: Ball, y: Ball) -> Ball:
    return flint.arb(0) if x == 0 else x * y.log()


# --- where they are interesting -------------------------------------------------------------------------------------


def overflow(fmt: Format) -> float:
    """Return where exp overflows."""
    return math.log(fmt.max)


def underflow(fmt: Format) -> float:
    """Return the negative number below which exp is 0."""
    return math.log(fmt.smallest) - LN2


def _lost(fmt: Format) -> float:
    """Return where exp(-x) is lost beside 1."""
    return (fmt.p + 1) * LN2


def _ends(fmt: Format) -> tuple[float, ...]:
    return overflow(fmt), math.log(fmt.tiny), underflow(fmt) + LN2, underflow(fmt)


def _both(*points: float) -> tuple[float, ...]:
    return tuple(sign * point for point in points for sign in (1.0, -1.0))


def _range_ends(fmt: Format) -> tuple[float, ...]:
    return fmt.tiny, fmt.smallest, fmt.max


def _sigmoid_points(fmt: Format) -> tuple[float, ...]:
    return 0.0, *_both(*_ends(fmt), LN2, 1.0, _lost(fmt), 16.0, 20.0)


def _sigmoid_span(fmt: Format) -> tuple[float, float]:
    return underflow(fmt), -underflow(fmt)


def _everywhere(name: str) -> dict[str, str]:
    return {"numpy": f"numpy:{name}", "torch": f"torch:{name}", "jax": f"jax.numpy:{name}", "cupy": f"cupy:{name}"}


def _special(name: str, torch: str, jax: str) -> dict[str, str]:
    """Return the paths of a function that NumPy has in SciPy."""
    return {"numpy": f"scipy.special:{name}", "torch": torch, "jax": jax, "cupy": f"cupyx.scipy.special:{name}"}


ELEMENTARY = {
    function.name: function
    for function in (
        Elementary(
            "exp",
            lambda xp, x: xp.exp(x),
            lambda x: x.exp(),
            _everywhere("exp"),
            lambda fmt: (0.0, *_both(LN2 / 2, LN2, 1.0), *_ends(fmt)),
            lambda fmt: (underflow(fmt), overflow(fmt)),
        ),
        Elementary(
            "expm1",
            lambda xp, x: xp.expm1(x),
            lambda x: x.expm1(),
            _everywhere("expm1"),
            lambda fmt: (0.0, *_both(LN2 / 2, LN2, 0.5, 1.0, 1.5 * LN2), -_lost(fmt), *_ends(fmt)),
            lambda fmt: (-_lost(fmt) - 1, overflow(fmt)),
        ),
        Elementary(
            "log",
            lambda xp, x: xp.log(x),
            lambda x: x.log(),
            _everywhere("log"),
            lambda fmt: (1.0, math.sqrt(0.5), math.sqrt(2), 0.5, 2.0, math.e, *_range_ends(fmt)),
            lambda _: (0.0, 4.0),
        ),
        Elementary(
            "log1p",
            lambda xp, x: xp.log1p(x),
            lambda x: x.log1p(),
            _everywhere("log1p"),
            lambda fmt: (0.0, -1.0, math.sqrt(0.5) - 1, math.sqrt(2) - 1, *_both(0.5, 1e-4), 1.0, *_range_ends(fmt)),
            lambda _: (-1.0, 4.0),
        ),
        Elementary(
            "tanh",
            lambda xp, x: xp.tanh(x),
            lambda x: x.tanh(),
            _everywhere("tanh"),
            lambda fmt: (0.0, *_both(0.55, 0.625, 0.0004, 1.0, _lost(fmt) / 2, 7.9, 9.0, 20.0)),
            lambda fmt: (-_lost(fmt) / 2 - 1, _lost(fmt) / 2 + 1),
        ),
        Elementary(
            "sqrt",
            lambda xp, x: xp.sqrt(x),
            lambda x: x.sqrt(),
            _everywhere("sqrt"),
            lambda fmt: (0.0, 1.0, 2.0, 4.0, *_range_ends(fmt)),
            lambda _: (0.0, 4.0),
        ),
        Elementary(
            "divide",
            lambda _, a, b: a / b,
            lambda a, b: a / b,
            _everywhere("divide"),
            pairs=pairs.of_quotients,
        ),
        Elementary(
            "logaddexp",
            _logaddexp,
            _ball_logaddexp,
            _everywhere("logaddexp"),
            pairs=pairs.of_logarithms,
            cancels=_crosses_zero,
        ),
        # Where the value crosses zero, no library has a correct digit. This row says how good it is otherwise.
        Elementary(
            "logaddexp-by-term",
            _logaddexp,
            _ball_logaddexp,
            _everywhere("logaddexp"),
            pairs=pairs.of_logarithms,
            cancels=_crosses_zero,
            scale=_larger_term,
        ),
        Elementary(
            "sigmoid",
            _sigmoid,
            _ball_sigmoid,
            _special("expit", "torch:sigmoid", "jax.nn:sigmoid"),
            _sigmoid_points,
            _sigmoid_span,
        ),
        Elementary(
            "log-sigmoid",
            lambda xp, x: -_softplus(xp, -x),
            lambda x: -_ball_softplus(-x),
            _special("log_expit", "torch.nn.functional:logsigmoid", "jax.nn:log_sigmoid"),
            _sigmoid_points,
            _sigmoid_span,
        ),
        Elementary(
            "softplus",
            _softplus,
            _ball_softplus,
            _special("softplus", "torch.nn.functional:softplus", "jax.nn:softplus"),
            _sigmoid_points,
            _sigmoid_span,
        ),
        Elementary(
            "logit",
            _logit,
            _ball_logit,
            _special("logit", "torch.special:logit", "jax.scipy.special:logit"),
            lambda fmt: (0.0, 0.5, 1.0, 0.25, 0.75, 0.3, 0.65, *_range_ends(fmt)),
            lambda _: (0.0, 1.0),
        ),
        Elementary(
            "xlogy",
            _xlogy,
            _ball_xlogy,
            _special("xlogy", "torch.special:xlogy", "jax.scipy.special:xlogy"),
            pairs=pairs.of_products_with_logarithms,
        ),
    )
}

LIBRARIES = tuple(dict.fromkeys(library for function in ELEMENTARY.values() for library in function.paths))
"""What a backend's name begins with, up to a colon."""
