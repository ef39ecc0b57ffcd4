"""A Gappa script: definitions, cases of hypotheses and goals, and hints; and what Gappa says of it."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from proofs.polynomial import Number, number

_AND = " /\\\n     "
_OPTIONS = ("-Eno-auto-dichotomy", "-Eprecision=128")
_SECONDS = 60
"""After which a script counts as not proved: one that can be proved takes less than 10."""
_FOUND = re.compile(r"  .* in \[(\S+)(?: {[^}]*})?, (\S+?)(?: {[^}]*})?\]")


def within(expression: str, low: Number, high: Number) -> str:
    """Return that an expression lies in an interval whose ends are dyadic."""
    return f"{expression} in [{number(low)},{number(high)}]"


def at_most(expression: str, bound: Number) -> str:
    """Return that the magnitude of an expression is at most a dyadic number."""
    return f"|{expression}| <= {number(bound)}"


@dataclass
class Claim:
    """A bound of an expression."""

    expression: str
    bound: Fraction
    in_table: bool = True


@dataclass
class Script:
    """What Gappa gets."""

    doubles: Sequence[str] = ()
    """Names of variables that are numbers of the format."""
    lines: list[str] = field(default_factory=list)
    """Definitions."""
    always: list[str] = field(default_factory=list)
    """Hypotheses of all cases."""
    cases: list[tuple[list[str], list[str]]] = field(default_factory=list)
    """Hypotheses and goals of each."""
    hints: list[str] = field(default_factory=list)
    form: str = "ieee_64"
    """The format, as Gappa names it."""

    def text(self, claims: Sequence[Claim]) -> str:
        """Return the definitions, the cases one after the other, and the hints."""
        return "\n".join([*self._head(), *self._propositions(claims), *self.hints]) + "\n"

    def runs(self, claims: Sequence[Claim]) -> Iterator[str]:
        """Yield what Gappa runs for each case: it has one proposition in a script."""
        for proposition in self._propositions(claims):
            yield "\n".join([*self._head(), proposition, *self.hints]) + "\n"

    def _head(self) -> list[str]:
        rounding = [f"@rnd = float<{self.form},ne>;"] if self.doubles else []
        return [*rounding, *(f"{name} = rnd({name}_);" for name in self.doubles), *self.lines]

    def _propositions(self, claims: Sequence[Claim]) -> Iterator[str]:
        for hypotheses, goals in self.cases:
            wanted = [*goals, *(at_most(claim.expression, claim.bound) for claim in claims)]
            wanted += [f"{claim.expression} in ?" for claim in claims if claim.in_table]
            yield f"{{ {_AND.join(self.always + hypotheses)}\n  -> {_AND.join(wanted)} }}"


class UnprovedError(Exception):
    """What Gappa says where it does not prove a script."""


def gappa() -> str | None:
    """Return the path of Gappa, if it is installed."""
    return shutil.which("gappa")


def proved(script: str) -> Fraction:
    """Have Gappa prove a script; return the largest magnitude that it finds for what the script asks."""
    path = gappa()
    if path is None:
        msg = "gappa is not installed"
        raise FileNotFoundError(msg)
    try:
        done = subprocess.run(  # noqa: S603
            [path, *_OPTIONS], input=script, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        msg = f"no proof within {_SECONDS} s"
        raise UnprovedError(msg) from None
    said = done.stdout + done.stderr
    head, *answers = said.strip().splitlines() or [""]
    found = [_FOUND.fullmatch(answer) for answer in answers]
    # A warning is an identity that Gappa does not see, or a contradiction in the hypotheses.
    if done.returncode or head != "Results:" or not all(found):
        raise UnprovedError(said)
    return max(abs(Fraction(*_dyadic(end))) for match in found if match for end in match.groups())


def _dyadic(text: str) -> tuple[int, int]:
    mantissa, _, exponent = text.partition("b")
    power = int(exponent or 0)
    return int(mantissa) * 2 ** max(power, 0), 2 ** max(-power, 0)
