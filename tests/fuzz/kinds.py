"""Which kind of fault a finding is of.

The kinds are those that the fuzzer was first shown to find. One is told by what cures it: a call that is right as soon
as its options are numbers that every format holds has a fault of that kind.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

from tests.fuzz.calls import FLOATS, Array, Call, Scalar
from tests.fuzz.check import Finding, judge
from tests.fuzz.oracle import Refused, expected
from xbce_conformance.inputs.formats import FORMATS

KINDS = {
    1: "what compilers may rewrite",
    2: "options that the format cannot hold",
    3: "shapes taken for plain numbers",
    4: "refused outside, let in inside",
    5: "checks that wait for a length are never made",
    6: "0 times what is not finite",
    7: "scalars",
    8: "infinite options",
    0: "none of these",
}


def kind_of(finding: Finding) -> int:
    """Return the number of the kind."""
    call = finding.call
    right = expected(call)
    if isinstance(right, Refused):
        plain = _without_scalars(call)
        if right.reason == "infinite option":
            return 8
        if right.reason == "length that is not known yet":
            return 5
        if right.reason in ("mask", "unit", "layout"):
            return 4
        return 7 if plain != call and judge(plain) is None else 0
    of_numbers = any(text in finding.what for text in ("wrong number", "NaN", "infinity", "FloatingPointError", "nan"))
    for kind, cure in _CURES:
        if kind in (1, 6) and not of_numbers:  # neither is a matter of dtypes and checks
            continue
        cured = cure(call)
        if cured != call and _is_well(cured):
            return kind
    # Two kinds at once.
    for (kind, first), (_, second) in itertools.combinations(_CURES, 2):
        cured = second(first(call))
        if cured != first(call) != call and _is_well(cured):
            return kind
    return 0


def _is_well(call: Call) -> bool:
    return not isinstance(expected(call), Refused) and judge(call) is None


def _without_scalars(call: Call) -> Call:
    return _arrays_for_scalars(_plain_options(call))


def _known_lengths(call: Call) -> Call:
    arguments = tuple(
        (name, replace(a, kind="python") if isinstance(a, Scalar) and a.kind == "item" else a)
        for name, a in call.arguments
    )
    return replace(call, lengths="static", rows=(), arguments=arguments)


def _plain_options(call: Call) -> Call:
    """Have Python hold every option."""
    return replace(call, options=tuple((name, Scalar(s.value)) for name, s in call.options))


def _arrays_for_scalars(call: Call) -> Call:
    """Have an array of the dtype of the first one hold every scalar, and plain arrays of one library everything."""
    first = call.first

    def plain(a: Array | Scalar) -> Array | Scalar:
        if isinstance(a, Array):
            alike = a.dims == () and a is not first and a.dtype in FLOATS
            a = replace(a, dtype=first.dtype, values=(_near(first.dtype, a.values[0]),)) if alike else a
            return replace(a, holder="plain") if a.holder in ("numpy", "sharded") else a
        dtype = first.dtype if math.isfinite(_near(first.dtype, a.value)) else "float64"
        value = _near(dtype, a.value)
        chunks = tuple((n,) for n in first.dims) if first.chunks else ()
        chunks = first.chunks if first.holder == "unknown lengths" else chunks
        return Array((value,) * math.prod(first.dims), dtype, first.dims, _lazy(first), chunks, first.filtered)

    if any(isinstance(a, Scalar) and a.kind == "item" for _, a in call.arguments):
        return call
    return replace(call, arguments=tuple((name, plain(a)) for name, a in call.arguments))


def _near(dtype: str, x: float) -> float:
    return float(FORMATS[dtype].round(x))


def _lazy(first: Array) -> str:
    return "unknown lengths" if first.holder == "unknown lengths" else "plain"


def _held_options(call: Call) -> Call:
    """Make every option a number that the half types hold, neither huge nor tiny."""

    def near(scalar: Scalar) -> Scalar:
        if not scalar.value or not math.isfinite(scalar.value):
            return scalar
        size = min(max(abs(scalar.value), 2.0**-8), 64.0)
        value = math.copysign(
            math.ldexp(int(math.ldexp(math.frexp(size)[0], 4)), math.frexp(size)[1] - 4), scalar.value
        )
        return replace(scalar, value=value)

    options = tuple((name, near(s)) for name, s in call.options)
    arguments = tuple(
        (name, near(a) if isinstance(a, Scalar) and name != "labels" else a) for name, a in call.arguments
    )
    return replace(call, options=options, arguments=arguments)


def _finite(call: Call) -> Call:
    """Make all numbers finite, and of a moderate size; keep everything."""

    def moderate(a: Array | Scalar) -> Array | Scalar:
        if isinstance(a, Scalar) or a.dtype not in FLOATS:
            return a
        return replace(a, values=tuple(v if math.isfinite(v) else 0.5 for v in a.values))

    vector = tuple(v if math.isfinite(v) and v else 1.0 for v in call.vector)
    arguments = tuple((name, moderate(a)) for name, a in call.arguments)
    return replace(call, arguments=arguments, vector=vector)


def _kept(call: Call) -> Call:
    return replace(_finite(call), arguments=tuple((n, a) for n, a in _finite(call).arguments if n != "where"))


def _eagerly(call: Call) -> Call:
    return replace(call, mode="eager") if call.mode in ("jit", "trace", "compile", "export", "graph") else call


_UNWATCHED = {
    "debug_nans": "eager",
    "debug_nans, jit": "jit",
    "debug_nans, grad": "grad",
    "backward, anomalies": "backward",
}


def _unwatched(call: Call) -> Call:
    """Have the library not look for NaN on the way."""
    return replace(call, mode=_UNWATCHED.get(call.mode, call.mode))


def _not_exported(call: Call) -> Call:
    """Have xbce give the derivatives; what is exported is differentiated operation by operation."""
    return replace(call, mode="backward") if call.mode == "export, backward" else call


_CURES: tuple[tuple[int, Callable[[Call], Call]], ...] = (
    (3, _known_lengths),
    (1, _eagerly),
    (2, _held_options),
    (7, _plain_options),
    (7, _arrays_for_scalars),
    (6, _finite),
    (6, _kept),
    (6, _not_exported),
    (6, _unwatched),
)
