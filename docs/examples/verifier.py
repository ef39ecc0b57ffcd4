"""Say whether a result of binary cross-entropy with logits is the exact one, rounded once to nearest, ties to even.

Plain Python, without xbce: `decimal`, whose exponential and logarithm are correctly rounded, encloses the exact result,
with more digits until both ends round to one number; ends and roundings are fractions. Finite logits and labels.
``python verifier.py value -0x1.8p+1 0x0p+0 float32 0x1.8e0710p-5`` prints whether the result is right,
and exits with 1 if it is wrong, with 2 if there is nothing to verify.
"""

import sys
from collections.abc import Sequence
from decimal import Context, Decimal
from fractions import Fraction

FORMATS = {
    "float16": (11, -14, 15),
    "bfloat16": (8, -126, 127),
    "float32": (24, -126, 127),
    "float64": (53, -1022, 1023),
}
"""Binary digits, and the least and the largest exponent of a normal number."""


def rounded(exact: Fraction, dtype: str) -> float:
    """Return a fraction, rounded once to the nearest number of a format, ties to even."""
    digits, least, most = FORMATS[dtype]
    magnitude, sign = abs(exact), -1.0 if exact < 0 else 1.0
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    exponent -= magnitude < Fraction(2) ** exponent
    ulp = Fraction(2) ** (max(exponent, least) - digits + 1)
    nearest = round(magnitude / ulp) * ulp  # Python rounds ties of fractions to even
    return sign * (float(nearest) if nearest < Fraction(2) ** (most + 1) else float("inf"))


def enclosure(quantity: str, logit: float, label: float, digits: int) -> list[Fraction]:
    """Return numbers below and above the exact result."""
    x, z, upper = Fraction(logit), Fraction(label), logit >= 0
    # Beyond 2000 any number between 0 and 2^-2200 leads to the same rounding: all else is a multiple of 2^-2148.
    e = Context(digits).exp(Decimal(-min(abs(logit), 2000.0)))
    log = Context(2 * digits - e.adjusted()).ln(Context(2 * digits - e.adjusted()).add(Decimal(1), e))
    error = Fraction(0) if logit == 0 else Fraction(10) ** (2 - digits)  # exp(0) is exact
    exponentials = [Fraction(e) * (1 - error), Fraction(e) * (1 + error)]
    if quantity == "value":
        error = Fraction(10) ** (2 - digits)
        return [x * (upper - z) + Fraction(log) * (1 - error), x * (upper - z) + Fraction(log) * (1 + error)]
    if quantity == "gradient":
        return [1 / (1 + e) - z if upper else e / (1 + e) - z for e in exponentials]
    if quantity == "hessian":
        return [e / (1 + e) ** 2 for e in exponentials]
    msg = f"{quantity!r} is none of value, gradient and hessian"
    raise ValueError(msg)


def right_result(quantity: str, logit: float, label: float, dtype: str) -> float:
    """Return "value", "gradient" or "hessian" of the loss, rounded once."""
    digits = 25
    while True:
        ends = [rounded(end, dtype) for end in enclosure(quantity, logit, label, digits)]
        if ends[0] == ends[1]:
            return ends[0]
        digits *= 2


def right_sum(terms: Sequence[float], dtype: str, weights: Sequence[float] = ()) -> float:
    """Return the sum of terms times weights, rounded once."""
    return rounded(_total(terms, weights), dtype)


def right_mean(terms: Sequence[float], dtype: str, weights: Sequence[float] = ()) -> float:
    """Return their mean by count or, with weights, by the sum of these, rounded once."""
    return rounded(_total(terms, weights) / (_total(weights, ()) if weights else len(terms)), dtype)


def _total(terms: Sequence[float], weights: Sequence[float]) -> Fraction:
    pairs = zip(terms, weights or [1.0] * len(terms), strict=True)
    return sum((Fraction(x) * Fraction(w) for x, w in pairs), start=Fraction())


if __name__ == "__main__":
    if len(sys.argv) != 6:
        print("usage: verifier.py QUANTITY LOGIT LABEL DTYPE RESULT", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    quantity, logit, label, dtype, result = sys.argv[1:]
    right = right_result(quantity, float.fromhex(logit), float.fromhex(label), dtype)
    print("right" if float.fromhex(result) == right else f"wrong: {right.hex()} is right")  # noqa: T201
    sys.exit(float.fromhex(result) != right)
