"""A step of the algorithm, with what is proved of it."""

from dataclasses import dataclass
from fractions import Fraction

from proofs.script import Claim, Script, failure, magnitude


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
    """The first one stands in the table."""

    def text(self) -> str:
        """Return the script that proves the claims: Gappa runs it once for each case."""
        return f"# {self.what}\n# {self.domain}\n{self.script.text(self.claims)}"

    def failure(self) -> str:
        """Return why Gappa does not prove the claims; nothing if it does."""
        return next(filter(None, map(failure, self.script.runs(self.claims))), "")

    def magnitude(self) -> Fraction:
        """Return the largest magnitude that Gappa finds for the first claim's expression."""
        return max(map(magnitude, self.script.runs(self.claims[:1], asks=True)))


def power(exponent: int, factor: int | Fraction = 1) -> Fraction:
    """Return a number times a power of two."""
    return Fraction(factor) * Fraction(2) ** exponent
