"""What is tried: adversarial regimes of logits and labels, and logits of real models.

Every set is deterministic. A regime is one row of `_REGIMES`: a name, how to draw n pairs of a format, and what it is
for.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from xbce_conformance.formats import Doubles, Floats, Format

Rng = np.random.Generator
LEVELS = {"quick": 4096, "full": 65536}
"""Pairs per regime."""


@dataclass(frozen=True)
class InputSet:
    """Finite logits and labels in [0, 1] of one format, in named consecutive parts."""

    fmt: Format
    logits: Floats
    labels: Floats
    parts: dict[str, slice]

    @property
    def hard(self) -> npt.NDArray[np.bool_]:
        """Where the label is 0 or 1."""
        return np.asarray((self.labels == 0) | (self.labels == 1))


def input_set(fmt: Format, level: str) -> InputSet:
    """Return all regimes and all real data in one format."""
    drawn = {name: draw(fmt, LEVELS[level], _rng(name, fmt)) for name, (draw, _) in _REGIMES.items()}
    for name, (logits, labels) in real_logits().items():
        drawn[name] = fmt.round(logits), fmt.round(labels)
    parts: dict[str, slice] = {}
    start = 0
    for name, (logits, _) in drawn.items():
        parts[name] = slice(start, start + logits.size)
        start += logits.size
    return InputSet(
        fmt,
        np.concatenate([logits for logits, _ in drawn.values()]),
        np.concatenate([labels for _, labels in drawn.values()]),
        parts,
    )


def descriptions() -> dict[str, str]:
    """Return what each part is, by name."""
    return {name: text for name, (_, text) in _REGIMES.items()} | {
        BREAST_CANCER: "held-out logits of a logistic regression on scikit-learn's breast cancer data",
        DIGITS: "held-out logits of ten one-vs-rest logistic regressions on scikit-learn's digits, multilabel",
    }


# --- regimes --------------------------------------------------------------------------------------------------------


def _rng(name: str, fmt: Format) -> Rng:
    return np.random.default_rng([*name.encode(), *fmt.name.encode()])


def last_normal(fmt: Format) -> float:
    """Return the |x| beyond which exp(-|x|) is subnormal."""
    return -fmt.emin * math.log(2)


def _last_nonzero(fmt: Format) -> float:
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
    x = _signed(fmt.round(rng.uniform(last_normal(fmt), _last_nonzero(fmt), n)), rng)
    return x, _label_of_sign(fmt, x, agrees=True)


def _huge(fmt: Format, n: int, rng: Rng) -> tuple[Floats, Floats]:
    return _signed(_log_uniform(fmt, n, rng, _last_nonzero(fmt), fmt.max), rng), _hard(fmt, n, rng)


def _any_logits(fmt: Format, n: int, rng: Rng) -> Floats:
    """Half of them ordinary, half from the whole range."""
    half = n // 2
    ordinary = fmt.round(rng.uniform(-1.2, 1.2, n - half) * last_normal(fmt) ** rng.uniform(0, 1, n - half))
    return np.concatenate([ordinary, _signed(_log_uniform(fmt, half, rng, 0.0, fmt.max), rng)])


def _soft_near_0(fmt: Format, n: int, rng: Rng) -> tuple[Floats, Floats]:
    labels = _log_uniform(fmt, n, rng, fmt.smallest, 2.0**-4)
    return _any_logits(fmt, n, rng), rng.permutation(labels)


def _soft_near_1(fmt: Format, n: int, rng: Rng) -> tuple[Floats, Floats]:
    steps = np.exp2(rng.uniform(0, fmt.p - 4, n)).astype(np.int64)
    return _any_logits(fmt, n, rng), fmt.round(1 - steps * 2.0**-fmt.p)


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


_Draw = Callable[[Format, int, Rng], tuple[Floats, Floats]]
_REGIMES: dict[str, tuple[_Draw, str]] = {
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

# --- real data ------------------------------------------------------------------------------------------------------

BREAST_CANCER, DIGITS = "breast cancer", "digits"


@cache
def real_logits() -> dict[str, tuple[Doubles, Doubles]]:
    """Return logits of fitted models on held-out rows, with their labels, flattened."""
    from sklearn.datasets import load_breast_cancer, load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler, label_binarize

    def fit(data: Any, targets: Any, *, multilabel: bool) -> tuple[Doubles, Doubles]:
        train, test, train_targets, test_targets = train_test_split(data, targets, test_size=0.3, random_state=0)
        model = LogisticRegression(max_iter=1000)
        pipeline = make_pipeline(StandardScaler(), OneVsRestClassifier(model) if multilabel else model)
        logits = pipeline.fit(train, train_targets).decision_function(test)
        return np.asarray(logits, np.float64).ravel(), np.asarray(test_targets, np.float64).ravel()

    cancer, digits = load_breast_cancer(), load_digits()
    return {
        BREAST_CANCER: fit(cancer.data, cancer.target, multilabel=False),
        DIGITS: fit(digits.data, label_binarize(digits.target, classes=range(10)), multilabel=True),
    }
