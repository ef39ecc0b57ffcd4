"""Polynomials in names, with exact rational coefficients."""

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction

Monomial = tuple[tuple[str, int], ...]
"""Names with their powers, in order of the names."""
Number = int | float | Fraction


class Polynomial:
    """A polynomial; equal ones are equal."""

    __slots__ = ("terms",)

    def __init__(self, terms: Iterable[tuple[Monomial, Fraction]] = ()) -> None:
        self.terms = {monomial: coefficient for monomial, coefficient in terms if coefficient}
        """Coefficients that are not 0, by monomial."""

    def __add__(self, other: "Polynomial | Number") -> "Polynomial":
        terms = dict(self.terms)
        for monomial, coefficient in polynomial(other).terms.items():
            terms[monomial] = terms.get(monomial, Fraction()) + coefficient
        return Polynomial(terms.items())

    def __neg__(self) -> "Polynomial":
        return Polynomial((monomial, -coefficient) for monomial, coefficient in self.terms.items())

    def __sub__(self, other: "Polynomial | Number") -> "Polynomial":
        return self + -polynomial(other)

    def __mul__(self, other: "Polynomial | Number") -> "Polynomial":
        terms: dict[Monomial, Fraction] = {}
        for a, x in self.terms.items():
            for b, y in polynomial(other).terms.items():
                monomial = _product(a, b)
                terms[monomial] = terms.get(monomial, Fraction()) + x * y
        return Polynomial(terms.items())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polynomial) and self.terms == other.terms

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return bool(self.terms)

    def power(self, exponent: int) -> "Polynomial":
        """Return the polynomial to a whole power."""
        result = polynomial(1)
        for _ in range(exponent):
            result = result * self
        return result

    def replaced(self, name: str, value: "Polynomial") -> "Polynomial":
        """Return the polynomial with another one in place of a name."""
        result = Polynomial()
        for monomial, coefficient in self.terms.items():
            rest = tuple(factor for factor in monomial if factor[0] != name)
            result = result + Polynomial([(rest, coefficient)]) * value.power(dict(monomial).get(name, 0))
        return result

    def text(self) -> str:
        """Return the polynomial as Gappa reads it."""
        ordered = sorted(self.terms.items(), key=lambda term: (term[1] < 0, term[0]))
        if not ordered:
            return "0"
        first, *others = ordered
        head = _term(first[0], abs(first[1])) if first[1] > 0 else f"-{_term(first[0], abs(first[1]))}"
        return head + "".join(f" {'+' if c > 0 else '-'} {_term(m, abs(c))}" for m, c in others)

    def nested(self) -> str:
        """Return the polynomial as Gappa reads it, by Horner's scheme: far fewer operations."""
        counts = Counter(factor for monomial in self.terms for factor, _ in monomial)
        if len(self.terms) < 2 or max(counts.values()) < 2:
            return self.text()
        common = max(counts, key=lambda factor: (counts[factor], factor))
        without = Polynomial((m, c) for m, c in self.terms.items() if common not in dict(m))
        divided = Polynomial((_divided(m, common), c) for m, c in self.terms.items() if common in dict(m))
        head = f"{without.nested()} + " if without else ""
        return f"{head}{common} * ({divided.nested()})"


def polynomial(x: "Polynomial | Number") -> Polynomial:
    """Return a number as a polynomial."""
    return x if isinstance(x, Polynomial) else Polynomial([((), Fraction(x))])


def name(text: str) -> Polynomial:
    """Return the polynomial that is a name."""
    return Polynomial([(((text, 1),), Fraction(1))])


def number(x: Number) -> str:
    """Return a number as Gappa reads it, without a rounding: m b e is m 2^e."""
    x = Fraction(x)
    exponent = 0
    while x.denominator % 2 == 0:
        x, exponent = x * 2, exponent - 1
    while x and x.denominator == 1 and x.numerator % 2 == 0:
        x, exponent = x / 2, exponent + 1
    whole = str(x.numerator) if not exponent else f"{x.numerator}b{exponent}"
    return whole if x.denominator == 1 else f"({whole} / {x.denominator})"


def _product(a: Monomial, b: Monomial) -> Monomial:
    powers = dict(a)
    for factor, power in b:
        powers[factor] = powers.get(factor, 0) + power
    return tuple(sorted(powers.items()))


def _divided(monomial: Monomial, name: str) -> Monomial:
    return tuple((factor, power - (factor == name)) for factor, power in monomial if (factor, power) != (name, 1))


def _term(monomial: Monomial, coefficient: Fraction) -> str:
    factors = [factor for factor, power in monomial for _ in range(power)]
    if not factors or coefficient != 1:
        factors.insert(0, number(coefficient))
    return " * ".join(factors)
