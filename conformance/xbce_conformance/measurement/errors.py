"""How far results are from the exact values: ULP, and what ULP must not hide."""

from dataclasses import dataclass

import numpy as np

from xbce_conformance.exact_values.exact import Exact
from xbce_conformance.inputs.formats import Doubles, Floats, Format, Mask


@dataclass(frozen=True)
class Errors:
    """Errors of one array of results, element by element."""

    ulp: Doubles
    """Error in ULP of the exact scale; inf where a finite result was due and none came; 0 where flushed."""
    flushed: Mask
    """The result is what flushing of subnormal numbers makes of it: counted apart."""
    zero_for_normal: Mask
    """Zero where a normal number is right."""
    correctly_rounded: Mask
    """Correctly rounded."""


@dataclass(frozen=True)
class Figures:
    """The errors of one array of results in figures."""

    count: int
    """How many results there are."""
    max_ulp: float
    """The largest error; infinite if a result is not finite where that is wrong."""
    p999_ulp: float
    """The 99.9th percentile; of a sweep the upper edge of a bin of 1/8 of a power of two."""
    correctly_rounded: int
    zero_for_normal: int
    """Zero where a normal number is right."""
    flushed: int
    """What flushing of subnormal numbers makes of a result: no error in ULP."""
    wrong_nonfinite: int
    """NaN or infinite where a finite number is right, or the other way round."""
    max_ulp_soft: float | None = None
    """The largest error for labels between 0 and 1; None without such."""

    @classmethod
    def none(cls) -> "Figures":
        """Return the figures of what cannot be measured: no results, and no bound on their errors."""
        return cls(0, np.inf, np.inf, 0, 0, 0, 0)

    @property
    def rounded_share(self) -> float:
        """The share of results that are correctly rounded."""
        return self.correctly_rounded / self.count if self.count else 0.0

    @classmethod
    def of(cls, errors: Errors) -> "Figures":
        """Summarise at least one element."""
        return cls(
            count=errors.ulp.size,
            max_ulp=float(errors.ulp.max()),
            p999_ulp=float(np.quantile(errors.ulp, 0.999, method="higher")),
            correctly_rounded=int(errors.correctly_rounded.sum()),
            zero_for_normal=int(errors.zero_for_normal.sum()),
            flushed=int(errors.flushed.sum()),
            wrong_nonfinite=int(np.isinf(errors.ulp).sum()),
        )


def measure(computed: Floats, exact: Exact, fmt: Format) -> Errors:
    """Measure results against exact values, with no allowance for flushing."""
    with np.errstate(invalid="ignore", over="ignore"):
        got = np.asarray(computed, np.float64)
        nearest = np.asarray(fmt.round_pair(exact.high, exact.low), np.float64)
        # Between the largest number and what rounds to inf, inf is the number that would come next: a computation in
        # a wider format cannot tell 65520 from less, which float16 rounds to another side.
        beyond = np.isinf(got) & (got * exact.high > 0) & (np.abs(exact.high) > fmt.max) & np.isfinite(nearest)
        following = np.copysign(np.ldexp(2.0, 1 - fmt.emin), got)  # infinite in float64, where nothing is beyond
        error = np.abs((np.where(beyond, following, got) - exact.high) - exact.low)
        ulp = error / fmt.ulp(exact.scale)
    # An exact value beyond the largest number rounds to inf: then inf is right, and counts as half a ULP.
    ulp = np.where(np.isinf(nearest) & (got == nearest), 0.5, ulp)
    ulp = np.where(np.isnan(got) | (np.isinf(got) & (got != nearest) & ~beyond), np.inf, ulp)
    # An exact value that is infinite itself is hit or missed.
    ulp = np.where(np.isinf(exact.high), np.where(got == exact.high, 0.0, np.inf), ulp)
    return Errors(
        ulp=ulp,
        flushed=np.zeros(ulp.shape, np.bool_),
        # Not where terms cancel: there 0 is as good as any number below the error that the scale allows.
        zero_for_normal=(got == 0) & (np.abs(exact.high) >= fmt.tiny) & (np.abs(exact.scale) == np.abs(exact.high)),
        correctly_rounded=got == nearest,
    )


def allow_flushing(
    errors: Errors,
    computed: Floats,
    fmt: Format,
    bound: Doubles,
    candidates: tuple[Exact, ...],
    terms: Doubles | float = 1.0,
) -> Errors:
    """Count apart the errors that flushing of subnormal numbers explains.

    Such is an error beyond `bound`, or a result of zero, that is off by at most `terms` smallest normal numbers more
    than the bound (results or terms were flushed) from one of the `candidates`: the exact value of the inputs, or of
    the inputs with their subnormal numbers replaced by zero.
    """
    got = np.asarray(computed, np.float64)
    explained = np.zeros(got.shape, np.bool_)
    with np.errstate(invalid="ignore", over="ignore"):
        for exact in candidates:
            error = np.abs((got - exact.high) - exact.low)
            explained |= error <= terms * fmt.tiny + bound * fmt.ulp(exact.scale)
            explained |= got == np.asarray(fmt.round_pair(exact.high, exact.low), np.float64)
    flushed = explained & ~errors.correctly_rounded & ((errors.ulp > bound) | (got == 0))
    return Errors(
        np.where(flushed, 0.0, errors.ulp), flushed, errors.zero_for_normal & ~flushed, errors.correctly_rounded
    )
