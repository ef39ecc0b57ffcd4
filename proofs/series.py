"""The series, as Sollya has them: coefficients, the interval, and a certified bound of what the series leaves out."""

import shutil
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from proofs.polynomial import Polynomial, number, polynomial

FOLDER = Path(__file__).parent
SOURCE, COMMITTED = FOLDER / "series.sollya", FOLDER / "series.txt"


@dataclass(frozen=True)
class Series:
    """A polynomial without a constant term, next to a function."""

    coefficients: tuple[Fraction, ...]
    """From that of the first power on."""
    most: Fraction
    """The end of the interval."""
    error: Fraction
    """Bounds the difference from the function: absolute, or relative for `logarithm_near_1`."""

    def of(self, x: Polynomial) -> Polynomial:
        """Return the polynomial in another one."""
        result = polynomial(0)
        for coefficient in reversed(self.coefficients):
            result = (result + coefficient) * x
        return result

    def text(self, x: str) -> str:
        """Return the polynomial in a name, as Gappa reads it."""
        *others, last = self.coefficients
        text = number(last)
        for coefficient in reversed(others):
            text = f"{number(coefficient)} + {x} * ({text})"
        return f"{x} * ({text})"


def read(text: str) -> dict[str, Series]:
    """Return the series that Sollya printed, by their names."""
    rows: dict[str, list[list[str]]] = {}
    for line in text.splitlines():
        label, *row = line.split()
        rows.setdefault(label, []).append(row)
    return {label: _series(found) for label, found in rows.items()}


def _series(rows: list[list[str]]) -> Series:
    coefficients = {int(row[1]): _number(row[2]) for row in rows if row[0] == "coefficient"}
    most, error = (_number(row[1]) for kind in ("most", "error") for row in rows if row[0] == kind)
    return Series(tuple(coefficients[i] for i in range(1, len(coefficients) + 1)), most, error)


def _number(text: str) -> Fraction:
    mantissa, _, exponent = text.partition("b")
    return int(mantissa) * Fraction(2) ** int(exponent or 0)


def computed() -> str:
    """Return what Sollya prints now."""
    path = shutil.which("sollya")
    if path is None:
        msg = "sollya is not installed"
        raise FileNotFoundError(msg)
    done = subprocess.run(  # noqa: S603
        [path, "--warnonstderr", str(SOURCE)], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    )
    if done.stderr:
        raise ValueError(done.stderr)
    return done.stdout


SERIES = read(COMMITTED.read_text("utf-8"))
"""The committed ones."""
