"""Cases by text: "sigmoid_focal_loss(gamma=1.7, alpha=0.3)" is one, whether the table lists it or not."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache

from xbce_conformance.cases.case import Case
from xbce_conformance.cases.losses import ARRAYS, COMMON, FAMILY, Loss, Option, Tried, hard_places
from xbce_conformance.cases.table import BY_NAME, CASES, FUNCTIONS

EXAMPLE = "sigmoid_focal_loss(gamma=1.7, alpha=0.3, pos_weight)"

_CALL = re.compile(r"\s*([\w.]+)\s*(?:\((.*)\)\s*)?", re.DOTALL)
_BY_KEY = {case.key: case for case in CASES}


class BadCase(ValueError):  # noqa: N818
    """A text names no case; the message says why."""


def case_named(text: str) -> Case:
    """Return the case of a text: a function, and in parentheses its options, in any order.

    An option is `name=number`, or its bare name where it is an array; so are pos_weight, weight and where. Texts of the
    same options return the same case; one that the table lists has the regimes and reductions that are stated there.

    Raises
    ------
    BadCase
        If the text is malformed, or names a function, an option or a number that there is not.
    """
    if text in BY_NAME:
        return BY_NAME[text]
    match = _CALL.fullmatch(text)
    if match is None:
        raise _malformed(text)
    function, inside = match.groups(default="")
    if function not in FUNCTIONS:
        msg = f"{function!r} is no function of xbce that is measured; one of {', '.join(FUNCTIONS)} is expected"
        raise BadCase(msg + _closest(function, FUNCTIONS))
    entries = dict(_entries(text, inside))
    if function not in FAMILY:
        return _other(function, entries)
    loss = FAMILY[function]
    _check_names(loss, entries)
    numbers = {name: _number(_option(loss, name), name, entries[name]) for name in _numbers(loss) if entries.get(name)}
    arrays = tuple(name for name in (*ARRAYS, *_options(loss)) if entries.get(name) == "")
    key = function, tuple(numbers.items()), (loss.first, "labels", *arrays)
    return _BY_KEY.get(key) or _free(function, key[1], arrays)


@cache
def _free(function: str, options: tuple[tuple[str, float], ...], arrays: tuple[str, ...]) -> Case:
    """Return a case that no table lists; one for all texts, as what is computed of a case is kept by it."""
    loss, numbers = FAMILY[function], dict(options)
    return loss.case(Tried(numbers, arrays, regimes=hard_places(loss, numbers, arrays)))


def _entries(text: str, inside: str) -> Iterator[tuple[str, str]]:
    """Yield the names in the parentheses with the text of their numbers; an empty one for an array."""
    seen = set()
    for entry in inside.split(",") if inside.strip() else ():
        name, equals, number = (part.strip() for part in entry.partition("="))
        if not name.isidentifier() or bool(equals) != bool(number):
            raise _malformed(text)
        if name in seen:
            msg = f"{name} is given twice in {text!r}"
            raise BadCase(msg)
        seen.add(name)
        yield name, number


def _closest(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _malformed(text: str) -> BadCase:
    return BadCase(f"{text!r} is not a function with options as numbers, and arrays as bare names, such as {EXAMPLE}")


def _other(function: str, entries: Mapping[str, str]) -> Case:
    """Return the one case of a function that is no loss; its arrays may be left out."""
    (case,) = (case for case in CASES if case.function == function)
    wrong = [name for name, number in entries.items() if number or name not in case.keywords]
    if wrong:
        takes = f"{' and '.join(case.keywords)} as arrays" if case.keywords else "no options"
        msg = f"{function} takes {takes}; got {', '.join(f'{name}={entries[name]}'.rstrip('=') for name in wrong)}"
        raise BadCase(msg)
    return case


# --- options of a loss ----------------------------------------------------------------------------------------------

_WEIGHT = Option(None, 0, math.inf, whole=1, hard=(), below=True)
"""What a number for weight may be here: losses are not negative."""


def _options(loss: Loss) -> tuple[str, ...]:
    """Return the options that may be numbers or arrays."""
    return (*loss.options, "label_smoothing")


def _numbers(loss: Loss) -> tuple[str, ...]:
    """Return the options that may be numbers."""
    return (*_options(loss), "pos_weight", "weight")


def _option(loss: Loss, name: str) -> Option:
    return ({**loss.options, **COMMON, "weight": _WEIGHT})[name]


def _check_names(loss: Loss, entries: Mapping[str, str]) -> None:
    takes = dict.fromkeys((*_options(loss), *ARRAYS))
    for name, number in entries.items():
        if name not in takes:
            msg = f"{loss.name} has no option {name!r}; it takes {', '.join(takes)}"
            raise BadCase(msg + _closest(name, takes))
        if number and name not in _numbers(loss):
            msg = f"{name} must be an array, written as its bare name; got {number}"
            raise BadCase(msg)
    rules = [name for name in loss.alternatives if name in entries]
    if len(rules) > 1:
        msg = f"at most one of {', '.join(loss.alternatives)} may be given, got {' and '.join(rules)}"
        raise BadCase(msg)


def _number(option: Option, name: str, text: str) -> float:
    """Return the number of a text, if the option takes it."""
    try:
        number = float(text) + 0.0  # -0.0 is 0
    except ValueError:
        number = math.nan
    if math.isnan(number):
        msg = f"{name} must be a number, got {text}; an array is written as its bare name"
        raise BadCase(msg)
    low, high = option.low, option.high
    if not (low <= number <= high and math.isfinite(number)) or (option.below and number == high):
        limits = [f"at least {low:g}"] if math.isfinite(low) else []
        if math.isfinite(high):
            limits += [f"{'below' if option.below else 'at most'} {high:g}"]
        finite = [] if len(limits) > 1 else ["finite"]
        msg = f"{name} must be {' and '.join([*limits, *finite])}, got {text}"
        raise BadCase(msg)
    return number
