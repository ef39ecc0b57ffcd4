"""Regimes: how the arguments of a function are drawn, so that each way in which formulas fail has its own name.

Every regime is deterministic. It is one row of a table: a name, how to draw n elements of a format, and what it is for.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from xbce_conformance.inputs.formats import Floats, Format

Rng = np.random.Generator
Arrays = tuple[Floats, ...]

STRATIFIED = "stratified"


def rng_of(name: str, fmt: Format) -> Rng:
    """Return the random generator of a name and a format."""
    return np.random.default_rng([*name.encode(), *fmt.name.encode()])


def last_normal(fmt: Format) -> float:
    """Return the |x| beyond which exp(-|x|) is subnormal."""
    return -fmt.emin * math.log(2)


def last_nonzero(fmt: Format) -> float:
    """Return the |x| beyond which exp(-|x|) rounds to zero."""
    return (fmt.p - fmt.emin) * math.log(2)


def _tail_start(fmt: Format) -> float:
    return min(16.0, last_normal(fmt) / 2)


def _log_uniform(fmt: Format, n: int, rng: Rng, low: float, high: float) -> Floats:
    """Draw from the bit patterns between two positive numbers: every binade alike, ends included."""
    first, last = (int(fmt.round(bound).view(fmt.bits)) for bound in (low, high))
    bits = rng.integers(first, last, n, endpoint=True)
    bits[:2] = first, last
    return fmt.from_bits(bits)


def _signed(magnitudes: Floats, rng: Rng) -> Floats:
    signs = rng.choice(np.array([-1.0, 1.0]), magnitudes.shape)
    return np.asarray((np.float64(magnitudes) * signs).astype(magnitudes.dtype))


def _hard(fmt: Format, n: int, rng: Rng) -> Floats:
    return fmt.round(rng.integers(0, 2, n))


def _near_zero(fmt: Format, n: int, rng: Rng) -> tuple[Floats, Floats]:
    x = _signed(_log_uniform(fmt, n, rng, 0.0, 2.0**-10), rng)
    return x, _hard(fmt, n, rng)


def _moderate(fmt: Format, n: int, rng: Rng) -> tuple[Floats, Floats]:
    limit = _tail_start(fmt)
    half = n // 2
    spread = _signed(_log_uniform(fmt, half, rng, 2.0**-10, limit), rng)
    return np.concatenate([fmt.round(rng.uniform(-limit, limit, n - half)), spread]), _hard(fmt, n, rng)


def _label_of_sign(fmt: Format, x: Floats, *, agrees: bool) -> Floats:
    return fmt.round((x > 0) == agrees)


def _tail(fmt: Format, n: int, rng: Rng, *, agrees: bool) -> tuple[Floats, Floats]:
    x = _signed(fmt.round(rng.uniform(_tail_start(fmt), last_normal(fmt), n)), rng)
    return x, _label_of_sign(fmt, x, agrees=agrees)


def _subnormal_result(fmt: Format, n: int, rng: Rng) -> tuple[Floats, Floats]:
    x = _signed(fmt.round(rng.uniform(last_normal(fmt), last_nonzero(fmt), n)), rng)
    return x, _label_of_sign(fmt, x, agrees=True)


def _huge(fmt: Format, n: int, rng: Rng) -> tuple[Floats, Floats]:
    return _signed(_log_uniform(fmt, n, rng, last_nonzero(fmt), fmt.max), rng), _hard(fmt, n, rng)


def _any_logits(fmt: Format, n: int, rng: Rng) -> Floats:
    """Half of them ordinary, half from the whole range."""
    half = n // 2
    ordinary = fmt.round(rng.uniform(-1.2, 1.2, n - half) * last_normal(fmt) ** rng.uniform(0, 1, n - half))
    return np.concatenate([ordinary, _signed(_log_uniform(fmt, half, rng, 0.0, fmt.max), rng)])


def _soft_near_0(fmt: Format, n: int, rng: Rng) -> tuple[Floats, Floats]:
    labels = _log_uniform(fmt, n, rng, fmt.smallest, 2.0**-4)
    return _any_logits(fmt, n, rng), rng.permutation(labels)


def _soft_near_1(fmt: Format, n: int, rng: Rng) -> tuple[Floats, Floats]:
    labels = _near_1(fmt, n, rng)
    return _any_logits(fmt, n, rng), labels


_SMOOTHED = np.array([0.5, 0.05, 0.95, 0.025, 0.975, 0.005, 0.995, 0.1, 0.9, 0.01, 0.99, 1e-3, 0.999])


def _soft_moderate(fmt: Format, n: int, rng: Rng) -> tuple[Floats, Floats]:
    half = n // 2
    labels = np.concatenate([rng.uniform(0, 1, n - half), rng.choice(_SMOOTHED, half)])
    return fmt.round(np.clip(rng.normal(0, 8, n), -fmt.max, fmt.max)), fmt.round(labels)


def _soft_at_root(fmt: Format, n: int, rng: Rng) -> tuple[Floats, Floats]:
    x = fmt.round(rng.uniform(-0.9, 0.9, n) * last_normal(fmt))
    root = fmt.round(1 / (1 + np.exp(-np.float64(x))))
    neighbour = np.float64(root) + rng.integers(-3, 4, n) * fmt.ulp(np.float64(root))
    return x, fmt.round(np.clip(neighbour, 0, 1))


def _root_underflows(fmt: Format, n: int, rng: Rng) -> Arrays:
    """Draw logits from where exp(-|x| / 4) is subnormal to where exp(-|x| / 5) is, with labels that agree."""
    x = _signed(fmt.round(rng.uniform(4 * last_normal(fmt), 5 * last_normal(fmt), n)), rng)
    return x, _label_of_sign(fmt, x, agrees=True)


def _beside_logit(shift: float, fmt: Format, n: int, rng: Rng) -> Arrays:
    """Draw logits close to where sigmoid(x) is the shift of an asymmetric loss."""
    distance = np.exp2(rng.uniform(4 - fmt.p, 0, n)) * rng.choice([-1, 1], n)
    hard, soft = _hard(fmt, n, rng), fmt.round(rng.uniform(0, 1, n))
    return fmt.round(math.log(shift / (1 - shift)) + distance), np.where(rng.random(n) < 0.75, hard, soft)


def _power_underflows(power: float, fmt: Format, n: int, rng: Rng) -> Arrays:
    """Draw logits from where exp(-|x|) is subnormal to where its power rounds to zero, with labels that agree."""
    last = min(last_nonzero(fmt) / power, fmt.max)
    x = _signed(fmt.round(rng.uniform(last_normal(fmt), last, n)), rng)
    return x, _label_of_sign(fmt, x, agrees=True)


# --- a fixed set of the plain loss -----------------------------------------------------------------------------------


_BRANCHES = (
    *(math.log(2), 1.0, 2.0, 9.0, 14.6, 16.0, 17.0, 18.0, 18.42, 20.0, 22.0, 33.3, 34.0, 36.0, 37.0),
    *(10.4, 11.0899, 65504.0, 87.3365, 88.7228, 103.2789, 103.9721, 708.3964, 709.7827, 744.4401, 745.1332),
)
"""Where known implementations change their formula, and where exp overflows or underflows in one of the formats."""


def stratified(fmt: Format) -> Arrays:
    """Return logits of every exponent, and neighbours of branches, of both signs and with both labels."""
    significands = rng_of(STRATIFIED, fmt).integers(0, 2 ** (fmt.p - 1), 2 ** (8 * fmt.dtype.itemsize - fmt.p) - 1)
    powers = np.arange(significands.size, dtype=np.uint64) << np.uint64(fmt.p - 1)
    positive = [fmt.from_bits(powers), fmt.from_bits(powers + significands.astype(np.uint64))]
    places = (*_BRANCHES, last_normal(fmt), last_nonzero(fmt), fmt.p * math.log(2))
    near = np.array([place for place in places if place < fmt.max])
    positive += [fmt.round(near + k * fmt.ulp(near)) for k in range(-2, 3)]
    x = np.concatenate(positive)
    both = np.concatenate([x, (-np.float64(x)).astype(fmt.dtype)])
    return np.tile(both, 2), fmt.round(np.repeat([0.0, 1.0], both.size))


# --- regimes of probabilities ---------------------------------------------------------------------------------------


def _labels(fmt: Format, n: int, rng: Rng) -> Floats:
    """Draw hard labels and soft ones of every size, half of each."""
    half = n // 4
    soft = (_log_uniform(fmt, half, rng, fmt.smallest, 0.5), _near_1(fmt, half, rng))
    labels = np.concatenate([_hard(fmt, n - 3 * half, rng), *soft, fmt.round(rng.uniform(0, 1, half))])
    return np.asarray(rng.permutation(labels))


def _near_1(fmt: Format, n: int, rng: Rng) -> Floats:
    steps = np.exp2(rng.uniform(0, fmt.p - 4, n)).astype(np.int64)
    return fmt.round(1 - steps * 2.0**-fmt.p)


def _ends(fmt: Format, n: int, rng: Rng) -> Arrays:
    return _hard(fmt, n, rng), _labels(fmt, n, rng)


def _small_probability(fmt: Format, n: int, rng: Rng, low: float, high: float) -> Arrays:
    return _log_uniform(fmt, n, rng, low, high), _labels(fmt, n, rng)


def _moderate_probability(fmt: Format, n: int, rng: Rng) -> Arrays:
    half = n // 2
    # Half of them next to 1/2, where the logit crosses zero.
    near_half = 0.5 + np.exp2(rng.uniform(-fmt.p, -1, half)) * rng.choice([-1, 1], half)
    return fmt.round(np.concatenate([rng.uniform(0, 1, n - half), near_half])), _labels(fmt, n, rng)


def _probability_near_1(fmt: Format, n: int, rng: Rng) -> Arrays:
    return _near_1(fmt, n, rng), _labels(fmt, n, rng)


def _probability_at_label(fmt: Format, n: int, rng: Rng) -> Arrays:
    p = fmt.round(rng.uniform(0, 1, n))
    neighbour = np.float64(p) + rng.integers(-3, 4, n) * fmt.ulp(np.float64(p))
    return p, fmt.round(np.clip(neighbour, 0, 1))


# --- regimes of other functions -------------------------------------------------------------------------------------


def _negative(fmt: Format, n: int, rng: Rng) -> Arrays:
    half = n // 2
    spread = -np.float64(_log_uniform(fmt, half, rng, fmt.smallest, last_nonzero(fmt)))
    return (fmt.round(np.concatenate([rng.uniform(-4, 0, n - half), spread])),)


def _any_number(fmt: Format, n: int, rng: Rng) -> Floats:
    return _signed(_log_uniform(fmt, n, rng, 0.0, fmt.max), rng)


def _factor_and_number(fmt: Format, n: int, rng: Rng) -> Arrays:
    half = n // 2
    near_1 = np.exp2(rng.uniform(-2, 1, n - half))
    y = np.concatenate([_log_uniform(fmt, half, rng, fmt.smallest, fmt.max), fmt.round(near_1)])
    return _any_number(fmt, n, rng), y


def _factor_and_number_from_minus_1(fmt: Format, n: int, rng: Rng) -> Arrays:
    third = n // 3
    spread = _signed(_log_uniform(fmt, third, rng, 0.0, 0.5), rng)
    to_minus_1 = -np.float64(_near_1(fmt, third, rng))
    y = np.concatenate([spread, fmt.round(to_minus_1), _log_uniform(fmt, n - 2 * third, rng, 0.25, fmt.max)])
    return _any_number(fmt, n, rng), y


def _factor(low: float, high: float, zeros: float) -> Callable[[Format, int, Rng], Floats]:
    def draw(fmt: Format, n: int, rng: Rng) -> Floats:
        factor = np.exp2(rng.uniform(math.log2(low), math.log2(high), n))
        return fmt.round(np.where(rng.random(n) < zeros, 0.0, factor))

    return draw


def _losses(fmt: Format, n: int, rng: Rng) -> Arrays:
    return (_factor(2.0**-10, 2.0**10, zeros=0.1)(fmt, n, rng),)


# --- the table ------------------------------------------------------------------------------------------------------

_Draw = Callable[[Format, int, Rng], Arrays]
_LOGITS: dict[str, tuple[_Draw, str]] = {
    "near 0": (_near_zero, "|x| < 2^-10, every binade down to the subnormal numbers and 0; hard labels"),
    "moderate": (_moderate, "|x| up to 16 (half the normal range in float16); hard labels"),
    "tail, label agrees": (
        lambda f, n, r: _tail(f, n, r, agrees=True),
        "|x| beyond that, while exp(-|x|) is normal; the loss is about exp(-|x|)",
    ),
    "tail, label disagrees": (
        lambda f, n, r: _tail(f, n, r, agrees=False),
        "the same logits with the other label; the loss is about |x|",
    ),
    "subnormal result": (_subnormal_result, "the loss exp(-|x|) is subnormal, down to where it rounds to zero"),
    "huge": (_huge, "|x| from there to the largest finite number; hard labels"),
    "soft near 0": (_soft_near_0, "labels from the smallest subnormal number to 1/16; logits from the whole range"),
    "soft near 1": (_soft_near_1, "labels 1 - k ULP; logits from the whole range"),
    "soft": (_soft_moderate, "uniform labels and the usual smoothed ones; logits with standard deviation 8"),
    "soft at the root": (_soft_at_root, "labels within 3 ULP of sigmoid(x), where the gradient is near 0"),
}
_PROBABILITIES: dict[str, tuple[_Draw, str]] = {
    "p = 0, p = 1": (_ends, "probabilities 0 and 1; labels 0, 1 and of every size between"),
    "p subnormal": (
        lambda f, n, r: _small_probability(f, n, r, f.smallest, f.tiny),
        "subnormal probabilities; such labels",
    ),
    "p near 0": (
        lambda f, n, r: _small_probability(f, n, r, f.tiny, 2.0**-4),
        "probabilities from the smallest normal number to 1/16; such labels",
    ),
    "p moderate": (_moderate_probability, "uniform probabilities, half of them close to 1/2; such labels"),
    "p near 1": (_probability_near_1, "probabilities 1 - k ULP; such labels"),
    "p at the label": (_probability_at_label, "labels within 3 ULP of the probability, where the gradient is near 0"),
}
_OF_NUMBERS: dict[str, tuple[Callable[[float, Format, int, Rng], Arrays], str]] = {
    "beside logit({})": (_beside_logit, "logits closer and closer to where sigmoid(x) is {}; hard and soft labels"),
    "exp(-|x|)^{} underflows": (
        _power_underflows,
        "|x| from where exp(-|x|) is subnormal to where its power {} rounds to zero; the label agrees",
    ),
}
"""Regimes of what an option is: their names, and the same of each, with the number in place of the braces."""


def beside_logit(shift: float) -> str:
    """Return the name of the regime of logits next to where sigmoid(x) is `shift`."""
    return f"beside logit({shift!r})"


def power_underflows(power: float) -> str:
    """Return the name of the regime in which exp(-|x|) underflows, and its power, below 1, does so last."""
    return f"exp(-|x|)^{power!r} underflows"


def _of_number(name: str) -> tuple[_Draw, str]:
    """Return a regime of a number."""
    for form, (draw, text) in _OF_NUMBERS.items():
        before, after = form.split("{}")
        if name.startswith(before) and name.endswith(after):
            number = name[len(before) : len(name) - len(after)]
            return partial(draw, float(number)), text.format(number)
    raise KeyError(name)


_OTHERS: dict[str, tuple[_Draw, str]] = {
    beside_logit(0.05): _of_number(beside_logit(0.05)),
    "exp(-|x|/4) underflows": (_root_underflows, "|x| from there on; the label agrees: a small power of it is normal"),
    "x < 0": (_negative, "negative numbers: up to 4, and every binade down to where exp(x) rounds to zero"),
    "x, y > 0": (_factor_and_number, "x of every size; y of every size, half of them between 1/4 and 2"),
    "losses": (_losses, "numbers between 2^-10 and 2^10, and 0"),
    "x, y > -1": (_factor_and_number_from_minus_1, "x of every size; y close to 0, close to -1 and large"),
}
REGIMES = _LOGITS | _PROBABILITIES | _OTHERS
LOGIT_REGIMES, PROBABILITY_REGIMES = tuple(_LOGITS), tuple(_PROBABILITIES)


DRAWN: dict[str, tuple[float, ...]] = {
    "label_smoothing": (0.0, 2.0**-20, 0.1, 0.5, 1.0),
    "gamma": (0.0, 0.3, 0.5, 1.0, 1.3, 2.0, 5.0),
    "alpha": (0.0, 0.25, 0.3, 0.999, 1.0),
    "gamma_pos": (0.0, 0.3, 1.0, 2.0),
    "gamma_neg": (2.5, 3.0, 4.0),
    "shift": (2.0**-20, 0.05, 0.25),
    "clip": (0.0, 2.0**-20, 1e-3, 0.1, 0.45),
    "log_floor": (-100.0, -16.1, -2.0),
    "log_offset": (0.0, 2.0**-20, 1e-3, 0.1, 0.25, 1.0),
}
"""What options that are arrays hold, each rounded to the format."""


def _one_of(numbers: tuple[float, ...]) -> Callable[[Format, int, Rng], Floats]:
    return lambda fmt, n, rng: fmt.round(rng.choice(numbers, n))


EXTRAS: dict[str, Callable[[Format, int, Rng], Floats]] = {
    "pos_weight": _factor(1e-4, 1e4, zeros=0.02),
    "weight": _factor(1e-3, 1e3, zeros=0.1),
    "where": lambda _, n, rng: np.asarray(rng.random(n) < 0.75),
    **{name: _one_of(numbers) for name, numbers in DRAWN.items()},
}


def draw(regime: str, fmt: Format, n: int) -> Arrays:
    """Return n elements of a regime."""
    return _regime(regime)[0](fmt, n, rng_of(regime, fmt))


def description(regime: str) -> str:
    """Say what a regime is."""
    return _regime(regime)[1]


def _regime(name: str) -> tuple[_Draw, str]:
    return REGIMES[name] if name in REGIMES else _of_number(name)
