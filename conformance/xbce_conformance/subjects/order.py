"""In which order, and by which keywords, a function of someone else's takes the arguments of a case.

An entry is the name of an argument, "labels", or a keyword with it, "y_true=labels".
"""

import inspect
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from xbce_conformance.cases import Case
from xbce_conformance.subjects.spec import is_name

_LIKE_LABELS = ("label", "true", "target")
"""What names of labels have in them, in most libraries."""


def wrong_with_order(order: Sequence[str], case: Case) -> str:
    """Say what is wrong with an order; nothing if it is right, or empty: then it is that of the case."""
    arguments = f"the arguments of {case.name} are {', '.join(case.arguments)}"
    pairs = [entry.rpartition("=")[::2] for entry in order]
    for entry, (keyword, name) in zip(order, pairs, strict=True):
        if name not in case.arguments or ("=" in entry and not is_name(keyword)):
            return f"order names {entry!r}; {arguments}"
    keywords, names = [keyword for keyword, _ in pairs if keyword], [name for _, name in pairs]
    for several in (names, keywords):
        twice = [text for text, count in Counter(several).items() if count > 1]
        if twice:
            return f"order names {', '.join(twice)} more than once; {arguments}"
    left_out = [name for name in case.arguments if order and name not in names]
    if left_out:
        return f"order leaves out {', '.join(left_out)}; {arguments}"
    for (before, _), (keyword, name) in pairwise(pairs):
        if before and not keyword:
            return f"order has {name!r} after a keyword; those without one come first"
    return ""


def wrong_with_call(function: Callable[..., Any], order: Sequence[str], name: str) -> str:
    """Say why a function cannot be called in an order; nothing if it can be, or its signature is not known."""
    try:
        # A wrapper takes what it takes, whatever the function takes that it wraps.
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):
        return ""
    pairs = [entry.rpartition("=")[::2] for entry in order]
    try:
        signature.bind(*(argument for keyword, argument in pairs if not keyword), **{k: a for k, a in pairs if k})
    except TypeError as error:
        how = f"({', '.join(order)})"
        return f"{name}{signature} cannot be called with {how}: {error}{_advice(signature, [a for _, a in pairs])}"
    return ""


def _advice(signature: inspect.Signature, arguments: Sequence[str]) -> str:
    """Return an order by keywords that would fit, where as many are required as there are arguments."""
    by_keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    required = [p.name for p in signature.parameters.values() if p.default is p.empty and p.kind in by_keyword]
    if len(required) != len(arguments):
        return ""
    # Those that look like labels are given the labels, the others what is left, in its order.
    left = [argument for argument in arguments if argument != "labels"]
    labels = [p for p in required if any(part in p.lower() for part in _LIKE_LABELS)]
    if "labels" in arguments and len(labels) == 1:
        entries = [f"{p}={'labels' if p in labels else left.pop(0)}" for p in required]
    else:
        entries = [f"{p}={argument}" for p, argument in zip(required, arguments, strict=True)]
    return f"; an order by keywords says how, such as {','.join(entries)}"
