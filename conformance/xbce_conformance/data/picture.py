"""Where the parts of a picture lie: a dot for each system and dtype, on a scale of shares with three zones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from xbce_conformance.data.verdict import GRADES, LARGE, Verdict, harmless, percent

WIDTH, ROW, HEAD, NAMES = 460, 20, 30, 190
"""Of the picture, a line, the head of a dtype, and the names, in units of the SVG."""
_LEAST, _MOST = -12.0, 0.0
"""Powers of ten at the ends of the scale."""


@dataclass(frozen=True)
class Dot:
    """One system."""

    name: str
    x: float
    y: float
    said: str
    """Its error, and what that means."""
    mark: str
    """The shape that its grade has, besides its colour."""


@dataclass(frozen=True)
class Panel:
    """One dtype."""

    dtype: str
    y: float
    height: float
    zones: list[tuple[float, float, str]]
    """Left end, width and name of each zone."""
    dots: list[Dot]


@dataclass(frozen=True)
class Picture:
    """All of them, from top to bottom."""

    height: float
    panels: list[Panel]
    ticks: list[tuple[float, str]]
    title: str


def picture(verdicts: Sequence[Verdict]) -> Picture:
    """Return the picture of some verdicts."""
    panels, y = [], 0.0
    for dtype in dict.fromkeys(verdict.dtype for verdict in verdicts):
        mine = [verdict for verdict in verdicts if verdict.dtype == dtype]
        top = y + HEAD
        dots = [_dot(verdict, top + ROW * (i + 0.5)) for i, verdict in enumerate(mine)]
        panels.append(Panel(dtype, top, ROW * len(mine), _zones(dtype), dots))
        y = top + ROW * len(mine)
    ticks = [(_place(10.0**power), f"1e{power}" if power else "1") for power in range(-12, 1, 3)]
    return Picture(y + HEAD, panels, ticks, "How far each system's mean or gradient is off, as a share of it")


def _dot(verdict: Verdict, y: float) -> Dot:
    grade = GRADES.index(verdict.grade)
    off = "not finite" if math.isinf(verdict.off) else f"off by {percent(verdict.off)}"
    name = f"{verdict.subject}@{verdict.backend}"
    return Dot(name, _place(verdict.off), y, f"{name} in {verdict.dtype}: {off}, {verdict.grade}", "●◆✖"[grade])


def _zones(dtype: str) -> list[tuple[float, float, str]]:
    ends = [0.0, harmless(dtype), max(LARGE, harmless(dtype)), math.inf]
    places = [_place(end) for end in ends]
    names = ("no difference", "may matter", "matters")
    pairs = zip(places, places[1:], names, strict=False)
    return [(left, right - left, name) for left, right, name in pairs if right > left]


def _place(share: float) -> float:
    """Return where a share lies on the logarithmic scale; at its ends what is beyond."""
    power = _LEAST if share <= 0 else math.log10(share) if math.isfinite(share) else _MOST
    return NAMES + (WIDTH - NAMES - 10) * (min(max(power, _LEAST), _MOST) - _LEAST) / (_MOST - _LEAST)
