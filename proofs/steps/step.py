"""A step of the algorithm, with what is proved of it."""

from dataclasses import dataclass
from fractions import Fraction

from proofs.script import Claim, Script, proved


@dataclass(frozen=True)
class Step:
    """A script, and what it proves: in each case, that the expressions of its claims are at most their bounds."""

    slug: str
    """Name of the script."""
    what: str
    """What is bounded."""
    domain: str
    """For which arguments."""
    script: Script
    claims: tuple[Claim, ...]

    @property
    def bound(self) -> Fraction:
        """The bound in the table."""
        return self.claims[0].bound

    def text(self) -> str:
        """Return the script: Gappa runs it once for each case."""
        return f"# {self.what}\n# {self.domain}\n{self.script.text(self.claims)}"

    def proved(self) -> Fraction:
        """Have Gappa prove all cases; return the largest magnitude that it finds."""
        return max(map(proved, self.script.runs(self.claims)))


def power(exponent: int, factor: int | Fraction = 1) -> Fraction:
    """Return a number times a power of two."""
    return Fraction(factor) * Fraction(2) ** exponent
