"""What is drawn: calls of every function on every library, in every mode, with arguments that are hard.

A legal call is drawn first; then, rarely, one fault is put into it for which it must be refused. What has to come of
either is the oracle's business.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.fuzz.calls import AUTODIFF, FLOATS, HOLDERS, POSITIONAL, REFUSED_HOLDERS, Array, Call, Scalar
from tests.fuzz.check import backend
from tests.fuzz.oracle import LOSSES, RANGES, Refused, expected
from xbce_conformance.cases.losses import COMMON, FAMILY
from xbce_conformance.inputs.formats import FORMATS

Draw = Any

OPTIONS = {name: ("label_smoothing", *loss.options) for name, loss in FAMILY.items()}
"""The options of each loss that are numbers."""

ARRAYS = ("pos_weight", "weight", "where")
WORDS = ("reduction", "axis", "normalize_by", "precision", "keepdims")
METHODS = ("", "gradient", "hessian", "value_and_gradient", "gradient_and_hessian", "label_gradient")
PRIMITIVES = tuple(name for name in POSITIONAL if name.startswith("special."))

# --- numbers --------------------------------------------------------------------------------------------------------

_inf, _nan = math.inf, math.nan
_LOGITS = (0.0, -0.0, 1.0, -1.0, 20.0, -20.0, 36.491142, -36.491142, 88.7, -88.7, 103.9, -103.9, 745.0, -745.0, 0.35)
_FAR_LOGITS = (_inf, -_inf, _nan)


def rounded(numbers: st.SearchStrategy[float], dtype: str) -> st.SearchStrategy[float]:
    """Draw numbers of a dtype."""
    fmt = FORMATS[dtype]
    return numbers.map(lambda x: float(fmt.round(x)))


def _edges(dtype: str) -> list[float]:
    fmt = FORMATS[dtype]
    positive = [fmt.max, fmt.tiny, fmt.smallest, 2.0**-fmt.p, 2.0**fmt.p]
    return positive + [-x for x in positive]


@cache
def logits(dtype: str, *, finite: bool) -> st.SearchStrategy[float]:
    """Draw logits: of the size that models give, at the edges of the format, and anything."""
    largest = FORMATS[dtype].max
    near = rounded(st.floats(-40, 40), dtype)
    far = rounded(st.floats(-1200, 1200), dtype)
    anything = rounded(st.floats(-largest, largest, allow_nan=False), dtype)
    edges = [float(FORMATS[dtype].round(x)) for x in (*_LOGITS, *_edges(dtype))]
    drawn = [st.sampled_from(edges), near, near, far, anything]
    return st.one_of(*drawn) if finite else st.one_of(*drawn, st.sampled_from(_FAR_LOGITS))


@cache
def unit(dtype: str) -> st.SearchStrategy[float]:
    """Draw numbers from 0 to 1: hard, soft, next to either end."""
    fmt = FORMATS[dtype]
    hard = st.sampled_from([0.0, 1.0])
    edges = [0.5, 0.25, fmt.smallest, fmt.tiny, 1 - 2.0**-fmt.p, 2.0**-fmt.p, 0.1, 0.9, 1e-7, 1 - 1e-7]
    edges = [float(fmt.round(x)) for x in edges]
    return st.one_of(hard, hard, st.sampled_from(edges), rounded(st.floats(0, 1), dtype))


@cache
def probabilities(dtype: str, *, finite: bool) -> st.SearchStrategy[float]:
    """Draw probabilities, rarely beyond [0, 1]."""
    outside = st.sampled_from([-0.5, 1.5]) if finite else st.sampled_from([-0.5, 1.5, _inf, -_inf, _nan])
    return st.one_of(*[unit(dtype)] * 7, outside)


@cache
def factors(dtype: str) -> st.SearchStrategy[float]:
    """Draw weights: not negative, finite."""
    fmt = FORMATS[dtype]
    edges = [float(fmt.round(x)) for x in (0.0, 1.0, 2.0, 0.1, 3.7, 1000.0)]
    moderate = rounded(st.floats(0, 100), dtype)
    wide = rounded(st.floats(fmt.tiny, min(fmt.max, 1e30)), dtype)
    return st.one_of(st.sampled_from(edges), st.sampled_from(edges), moderate, wide)


_HARD = {
    name: option.hard
    for options in (COMMON, *(loss.options for loss in FAMILY.values()))
    for name, option in options.items()
}
_HARD["weight"] = _HARD["pos_weight"]

_NUMPY_KINDS = ("numpy.float16", "numpy.float32", "numpy.float64", "numpy.int64", "numpy.bool")


def _kind(kinds: Sequence[str]) -> st.SearchStrategy[str]:
    """Draw who holds a number: Python, three times of four."""
    return st.one_of(*[st.just("python")] * 3, st.sampled_from(kinds))


@st.composite
def number_of(draw: Draw, name: str, kinds: tuple[str, ...] = ("python",)) -> Scalar:
    """Draw a number for an option, and who holds it."""
    low, high, below = RANGES.get(name, (0, _inf, True))
    least, most = max(low, -200.0), min(high, 50.0)
    # JAX takes a subnormal number of float64 for 0.
    anything = st.floats(least, most, exclude_max=below and most == high, allow_subnormal=False)
    value = draw(st.one_of(st.sampled_from(_HARD[name]), st.sampled_from(_HARD[name]), anything))
    kind = draw(_kind(kinds))
    if kind == "python" and value == int(value) and abs(value) < 2**53 and draw(st.booleans()):
        value = int(value)
    return held(value, kind)


def held(value: float, kind: str) -> Scalar:
    """Return a number as its holder rounds it; one that a narrow holder cannot hold is Python's."""
    name = kind.removeprefix("numpy.").removeprefix("0-d ").removeprefix("1-d ")
    if name in ("int64", "bool"):
        fits = value == int(value) and abs(value) < 2**53 and (name != "bool" or value in (0, 1))
        return Scalar(int(value), kind) if fits else Scalar(value)
    if name in FLOATS:
        near = float(FORMATS[name].round(value))
        if math.isfinite(near) and (near != 0) == (value != 0):
            return Scalar(near, kind)
        return Scalar(value)
    return Scalar(value, kind)


# --- arrays ---------------------------------------------------------------------------------------------------------

_SHAPES = ((4,), (2, 3), (), (1,), (2, 1), (0,), (2, 0), (2, 1, 3), (9,))
_FEW_SHAPES = ((8,), (2, 3))
"""Of libraries that compile anew for each shape."""


@st.composite
def broadcast_shape(draw: Draw, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Draw a shape that broadcasts to another without enlarging it."""
    dropped = draw(st.integers(0, len(shape)))
    return tuple(1 if draw(st.booleans()) and draw(st.booleans()) else n for n in shape[dropped:])


@st.composite
def array(
    draw: Draw, library: str, dtype: str, shape: tuple[int, ...], values: st.SearchStrategy[float], holders: Any
) -> Array:
    """Draw an array, and what holds its numbers."""
    size = math.prod(shape)
    holder = draw(st.sampled_from(holders))
    if not _can_hold(holder, dtype, shape):
        holder = "plain"
    if holder == "zero strides":
        row = draw(st.lists(values, min_size=size // shape[0], max_size=size // shape[0]))
        numbers = row * shape[0]
    else:
        numbers = draw(st.lists(values, min_size=size, max_size=size))
    chunks = tuple(draw(_chunks(n)) for n in shape) if library == "dask" else ()
    return Array(tuple(numbers), dtype, shape, holder, chunks)


@st.composite
def _chunks(draw: Draw, n: int) -> tuple[int, ...]:
    if n < 2 or draw(st.booleans()):
        return (n,)
    cut = draw(st.integers(1, n - 1))
    return (cut, n - cut)


def _can_hold(holder: str, dtype: str, shape: tuple[int, ...]) -> bool:
    size, ndim, floating = math.prod(shape), len(shape), dtype in FLOATS
    needs: dict[str, bool] = {
        "strided": ndim > 0,
        "F order": ndim > 0,
        "reversed": ndim > 0,
        "zero strides": ndim > 0 and size > 0,
        "unaligned": size > 0 and dtype != "bfloat16",
        "big-endian": dtype not in ("bfloat16", "bool"),
        "memmap": size > 0 and ndim > 0 and dtype != "bfloat16",
        "recarray": dtype != "bfloat16",
        "transposed": ndim > 1,
        "parameter": floating,
        "requires grad": floating,
        "negated view": floating,
        "sharded": ndim > 0 and size > 0 and shape[0] % 2 == 0 and _devices() > 1,
        "sparse": ndim > 0,
        "CSR": ndim == 2 and size > 0,
        "mkldnn": ndim > 0 and size > 0 and dtype == "float32",
        "masked tensor": floating and dtype != "bfloat16",
        "nested": ndim > 1 and size > 0,
        "unknown lengths": False,
        "array with a unit": dtype != "bfloat16" and ndim > 0,
        "chunks with a unit": ndim > 0,
        "masked array": dtype != "bfloat16" and ndim > 0,
        "masked chunks": ndim > 0 and size > 0,
        "another library": dtype != "bfloat16",
        "list": ndim > 0,
    }
    return needs.get(holder, True)


@cache
def _devices() -> int:
    import jax

    return len(jax.devices())


def _holders(library: str, *, first: bool) -> tuple[str, ...]:
    usual = [h for h in HOLDERS[library] if h not in REFUSED_HOLDERS and not (first and h == "numpy")]
    return ("plain",) * 2 + tuple(usual)


# --- calls ----------------------------------------------------------------------------------------------------------

COMPILED = ("jit", "debug_nans, jit", "trace", "compile", "export", "export, backward", "graph")


@st.composite
def calls(draw: Draw, library: str, mode: str) -> Call:
    """Draw a call of one library in one mode."""
    if mode in ("eager", "lazy", "errors raised", "jit", "compile") and draw(st.integers(0, 7)) == 0:
        return draw(_primitive_calls(library, mode))
    if mode in ("eager", "lazy", "errors raised", "large") and draw(st.integers(0, 7)) == 0:
        return draw(_reduce_calls(library, mode))
    call = draw(_loss_calls(library, mode))
    if mode in ("eager", "lazy", "errors raised", "jit") and draw(st.integers(0, 4)) == 0:
        return draw(_faulty(call))
    return call


@st.composite
def _loss_calls(draw: Draw, library: str, mode: str) -> Call:
    # The loss of probabilities is three in one: each rule has formulas of its own.
    function = draw(st.sampled_from((*LOSSES, "binary_cross_entropy", "binary_cross_entropy")))
    method = draw(_methods(mode))
    lengths, shape = draw(_lengths(library, mode))
    dtype = draw(st.sampled_from(_dtypes(library)))
    static = lengths == "static"
    holders = _holders(library, first=True) if static and mode not in COMPILED and mode != "large" else ("plain",)
    if mode in AUTODIFF or mode == "vmap" or mode.startswith("debug_nans"):
        holders = ("plain",)
    finite = mode.startswith("debug_nans") or mode == "backward, anomalies"
    of_probabilities = FAMILY[function].first == "probabilities"
    scores = probabilities if of_probabilities else logits
    numbers = scores(dtype, finite=draw(st.booleans()))
    where = draw(st.integers(0, 2)) == 0 and lengths != "jagged"
    if finite and not where:
        infinite = st.one_of(logits(dtype, finite=True), st.sampled_from([_inf, -_inf]))
        numbers = scores(dtype, finite=True) if of_probabilities else infinite
    first = draw(array(library, dtype, shape, numbers, holders))
    first_name = POSITIONAL[function][0]
    arguments: list[tuple[str, Any]] = [(first_name, first)]
    others = _holders(library, first=False) if holders != ("plain",) or library == "jax" else ("plain",)
    if mode in ("vmap", "vjp", "jvp", "grad") or mode in COMPILED or mode.startswith("debug_nans"):
        others = tuple(h for h in others if h in ("plain", "numpy"))
    arguments.append(("labels", draw(_labels(library, mode, method, first, others, lengths))))
    options = draw(_options(function, library, mode, first.dims if mode != "vmap" else ()))
    for name in ARRAYS:
        wanted = where if name == "where" else draw(st.integers(0, 2)) == 0
        if wanted:
            argument = draw(_array_option(name, library, mode, first, others, lengths))
            if argument is not None:
                arguments.append((name, argument))
    words = draw(_words(first, library, mode, lengths))
    if mode == "graph":
        words = _without_batch(words)
    call = Call(function, tuple(arguments), method, library, mode, options, words, lengths=lengths)
    if lengths == "jagged":
        cut = draw(st.integers(0, math.prod(shape)))
        call = replace(call, rows=(cut, math.prod(shape) - cut))
    if library == "dask" and len(shape) == 1 and shape[0] > 0 and draw(st.booleans()):
        call = draw(_of_unknown_length(call))
    if mode == "large":
        call = replace(call, copies=draw(st.sampled_from([1, 700, 9000])))
    if mode in ("vjp", "jvp"):
        call = draw(_with_vector(call))
    return call


def _dtypes(library: str) -> tuple[str, ...]:
    here = backend(library).dtypes
    return tuple(d for d in ("float32", "float64", "float32", "float16", "bfloat16") if d in here)


def _methods(mode: str) -> st.SearchStrategy[str]:
    if mode in ("vjp", "jvp", "export, backward"):
        return st.just("gradient")
    if mode in AUTODIFF:
        return st.sampled_from(["gradient", "hessian", "label_gradient"])
    return st.sampled_from(METHODS)


@st.composite
def _lengths(draw: Draw, library: str, mode: str) -> tuple[str, tuple[int, ...]]:
    """Draw how the lengths are known, and a shape."""
    if library == "torch" and mode in ("trace", "compile", "export") and draw(st.booleans()):
        return "data", (4,)
    if library == "torch" and mode == "eager" and draw(st.integers(0, 9)) == 0:
        return "jagged", (5,)
    if mode == "large":
        return "static", (7,)
    if mode == "vmap":
        return "static", draw(st.sampled_from([(2, 3), (4,)]))
    if library == "jax" or mode in COMPILED:
        return "static", draw(st.sampled_from(_FEW_SHAPES))
    if library == "mlx" and mode in AUTODIFF:  # its own sum of nothing does not always return
        return "static", draw(st.sampled_from([shape for shape in _SHAPES if 0 not in shape]))
    return "static", draw(st.sampled_from(_SHAPES))


@st.composite
def _labels(draw: Draw, library: str, mode: str, method: str, first: Array, holders: Any, lengths: str) -> Any:
    differentiated = mode in AUTODIFF and method == "label_gradient"
    scalar = not differentiated and draw(st.integers(0, 3)) == 0 and mode != "vmap"
    if scalar:
        kinds = _scalar_kinds(library, mode)
        # Numbers that every format holds, so that rounding a label is no question.
        value = draw(st.sampled_from([0.0, 1.0, 0.5, 0.25, 0.75]))
        kind = draw(_kind([k for k in kinds if k != "item"]))
        if kind == "python":
            return Scalar(draw(st.sampled_from([value, int(value), bool(value)])) if value in (0, 1) else value)
        return held(value, kind)
    if draw(st.integers(0, 2)) == 0 and not differentiated:
        dtype = draw(st.sampled_from(["bool", "int64", "uint8"]))
        return draw(array(library, dtype, first.dims, st.sampled_from([0.0, 1.0]), holders))
    dtypes = (first.dtype,) if differentiated or draw(st.booleans()) else _dtypes(library)
    dtype = draw(st.sampled_from(dtypes))
    numbers = unit(dtype)
    if mode == "export, backward":  # differentiated operation by operation: no powers of subnormal numbers
        numbers = numbers.map(lambda z: 0.0 if z < 1e-30 else z)
    if lengths == "static" and mode not in ("debug_nans", "debug_nans, jit", "debug_nans, grad"):
        numbers = st.one_of(*[numbers] * 9, st.just(_nan))
    return draw(array(library, dtype, first.dims, numbers, holders))


def _scalar_kinds(library: str, mode: str) -> tuple[str, ...]:
    zero_d = tuple(f"0-d {d}" for d in ("float32", "float64", "int64"))
    kinds = ("python", *_NUMPY_KINDS, *zero_d)
    if library == "torch" and mode in COMPILED:
        return ("python", "item", *zero_d)
    return kinds


@st.composite
def _options(draw: Draw, function: str, library: str, mode: str, shape: tuple[int, ...]) -> Any:
    found = []
    of_arrays = tuple(f"{n}-d {d}" for n in range(2 if shape else 1) for d in ("float32", "float64"))
    rules = ("clip", "log_floor", "log_offset")
    rule = draw(st.sampled_from((None, "log_offset", *rules)))
    for name in OPTIONS[function]:
        if name == rule or (name not in rules and draw(st.booleans())):
            traced = mode in COMPILED and library == "torch"
            kinds = ("python",) if traced else ("python", *_NUMPY_KINDS[:4], *of_arrays)
            number = draw(number_of(name, kinds))
            if number.kind in of_arrays and not _float32_holds(number):
                number = Scalar(number.value)
            found.append((name, number))
    return tuple(found)


@st.composite
def _array_option(draw: Draw, name: str, library: str, mode: str, first: Array, holders: Any, lengths: str) -> Any:
    numeric = name != "where"
    if numeric and (draw(st.booleans()) or lengths == "jagged"):
        kinds = _scalar_kinds(library, mode) if lengths != "jagged" else ("python",)
        number = draw(number_of(name, tuple(k for k in kinds if k != "numpy.bool")))
        in_array = number.kind == "item" or number.kind.startswith("0-d") or (library == "jax" and mode in COMPILED)
        return number if _float32_holds(number) or not in_array else replace(number, value=1)
    if mode == "vmap":
        shape = first.dims
    elif lengths == "data" or mode == "large":
        shape = draw(st.sampled_from([first.dims, (1,), ()]))
    else:
        shape = draw(broadcast_shape(first.dims))
    if not numeric:
        return draw(array(library, "bool", shape, st.sampled_from([True, True, False]), holders))
    if shape == ():  # a 0-d array is a number
        return None
    dtype = draw(st.sampled_from((first.dtype, *_dtypes(library), "int64", "bool")))
    values = st.sampled_from([0.0, 1.0]) if dtype == "bool" else st.sampled_from([0.0, 1.0, 2.0, 3.0])
    return draw(array(library, dtype, shape, factors(dtype) if dtype in FLOATS else values, holders))


def _float32_holds(number: Scalar) -> bool:
    """Tell whether an array may hold a number: its values are cast, however exact an option is."""
    return number.value == 0 or 1e-30 < abs(number.value) < 1e30


@st.composite
def _words(draw: Draw, first: Array, library: str, mode: str, lengths: str) -> tuple[tuple[str, Any], ...]:
    reduction = draw(st.sampled_from(["none", "mean", "sum", "mean"]))
    words: list[tuple[str, Any]] = []
    ndim = len(first.dims) - (mode == "vmap")
    if reduction != "none" or draw(st.integers(0, 9)) == 0:
        words.append(("reduction", reduction))
    if reduction != "none" and ndim and draw(st.booleans()) and mode != "vmap" and lengths != "jagged":
        sign = st.booleans().map(lambda negative: -ndim if negative else 0)
        one = st.integers(0, ndim - 1)
        some = st.lists(one, unique=True, max_size=ndim)
        words.append(("axis", draw(st.one_of(one.map(lambda i: i + draw(sign)), some.map(tuple)))))
    if reduction == "mean" and draw(st.booleans()):
        allowed = ["count", "size", "weight", "nonzero", *(["batch"] if ndim and mode != "vmap" else [])]
        allowed = allowed if lengths != "jagged" else ["count", "size"]
        words.append(("normalize_by", draw(st.sampled_from(allowed))))
    if reduction != "none" and mode in ("eager", "jit", "compile") and lengths != "jagged" and draw(st.booleans()):
        words.append(("keepdims", draw(st.booleans())))
    # JAX and compilers take a second for each new kernel of high precision, ndonnx for each call.
    quick = mode == "graph" or (mode == "eager" and library not in ("jax", "ndonnx"))
    if quick and lengths == "static" and draw(st.integers(0, 3)) == 0:
        words.append(("precision", "high"))
    return tuple(words)


def _without_batch(words: tuple[tuple[str, Any], ...]) -> tuple[tuple[str, Any], ...]:
    """Leave out what needs the length of a batch."""
    return tuple(word for word in words if word != ("normalize_by", "batch"))


@st.composite
def _of_unknown_length(draw: Draw, call: Call) -> Call:
    """Make the arrays of the full shape such whose length is not known."""
    words = _without_batch(call.words)
    filtered = draw(st.integers(0, call.first.dims[0]))
    chunks = call.first.chunks
    arguments = tuple(
        (
            name,
            replace(a, holder="unknown lengths", chunks=chunks, filtered=filtered)
            if isinstance(a, Array) and a.dims == call.first.dims
            else a,
        )
        for name, a in call.arguments
    )
    return replace(call, arguments=arguments, words=words)


@st.composite
def _with_vector(draw: Draw, call: Call) -> Call:
    """Draw a cotangent or tangent: anything, NaN included, for what is dropped, or is the mean of nothing."""
    plain = replace(call, mode="eager", method="")
    right = expected(plain)
    if isinstance(right, Refused):  # an option that its holder rounded to the end of its range
        return call
    (losses,) = right
    kept = call.argument("where")
    size = math.prod(call.first.dims)
    full = np.ones(size, bool)
    if isinstance(kept, Array):
        full = np.broadcast_to(np.array(kept.values, bool).reshape(kept.dims), call.first.dims).ravel()
    reduced = call.mode == "vjp" and call.word("reduction", "none") != "none"
    used = ~np.isnan(losses.exact.high) if reduced else full
    count = losses.exact.high.size if reduced else size
    anything = st.sampled_from([_nan, 0.0, 1.0] if reduced else [_nan, 1.0, _inf])
    vector = [draw(st.sampled_from([1.0, 0.5, -2.0]) if used[i] else anything) for i in range(count)]
    return replace(call, vector=tuple(vector))


@st.composite
def _primitive_calls(draw: Draw, library: str, mode: str) -> Call:
    function = draw(st.sampled_from(PRIMITIVES))
    dtype = draw(st.sampled_from(_dtypes(library)))
    shape = draw(st.sampled_from(_FEW_SHAPES if library == "jax" or mode == "compile" else _SHAPES))
    numbers = probabilities if function == "special.logit" else logits
    holders = _holders(library, first=True) if mode != "compile" else ("plain",)
    arguments: list[tuple[str, Any]] = []
    for name in POSITIONAL[function]:
        if arguments and draw(st.booleans()):
            arguments.append((name, Scalar(draw(st.sampled_from([1.0, 0.0, 2, 0.5, -0.25])))))
        else:
            arguments.append((name, draw(array(library, dtype, shape, numbers(dtype, finite=False), holders))))
    return Call(function, tuple(arguments), "", library, mode)


@st.composite
def _reduce_calls(draw: Draw, library: str, mode: str) -> Call:
    dtype = draw(st.sampled_from(_dtypes(library)))
    shape = (7,) if mode == "large" else draw(st.sampled_from(_FEW_SHAPES if library == "jax" else _SHAPES))
    fmt = FORMATS[dtype]
    losses = rounded(st.floats(-min(fmt.max, 1e30), min(fmt.max, 1e30)), dtype)
    numbers = st.one_of(losses, losses, rounded(st.floats(-10, 10), dtype), st.sampled_from([_inf, -_inf, _nan, 0.0]))
    holders = _holders(library, first=True) if mode != "large" else ("plain",)
    first = draw(array(library, dtype, shape, numbers, holders))
    arguments: list[tuple[str, Any]] = [("losses", first)]
    for name in ("weight", "where"):
        if draw(st.booleans()):
            argument = draw(_array_option(name, library, mode, first, holders, "static"))
            if argument is not None:
                arguments.append((name, argument))
    copies = draw(st.sampled_from([1, 700, 9000])) if mode == "large" else 1
    return Call(
        "reduce", tuple(arguments), "", library, mode, (), draw(_words(first, library, mode, "static")), copies=copies
    )


# --- faults ---------------------------------------------------------------------------------------------------------


@st.composite
def _faulty(draw: Draw, call: Call) -> Call:
    """Put one fault into a call for which it must be refused."""
    faults = [_infinite_option, _beyond_range, _two_rules, _another_shape, _refused_holder, _refused_holder, _bad_axis]
    if call.first.holder == "unknown lengths":
        faults += [_another_shape] * 7
    return draw(draw(st.sampled_from(faults))(call))


def _set(call: Call, name: str, scalar: Scalar) -> Call:
    """Set an option that is a number."""
    if name == "pos_weight":
        kept = tuple((n, a) for n, a in call.arguments if n != name)
        return replace(call, arguments=(*kept, (name, scalar)))
    return replace(call, options=(*((n, s) for n, s in call.options if n != name), (name, scalar)))


@st.composite
def _numeric(draw: Draw, call: Call) -> str:
    given = {name for name, _ in call.options} & {"clip", "log_floor", "log_offset"}
    names = [n for n in OPTIONS[call.function] if n not in ("clip", "log_floor", "log_offset") or n in given]
    return draw(st.sampled_from((*names, "pos_weight")))


@st.composite
def _infinite_option(draw: Draw, call: Call) -> Call:
    name = draw(_numeric(call))
    kind = draw(st.sampled_from(["python", "numpy.float64", "numpy.float32"]))
    traced = call.mode == "jit" and name == "pos_weight"
    return call if traced else _set(call, name, Scalar(-_inf if name == "log_floor" else _inf, kind))


@st.composite
def _beyond_range(draw: Draw, call: Call) -> Call:
    name = draw(_numeric(call))
    low, high, _ = RANGES[name]
    beyond = [_nan]
    beyond += [low - 0.25, -_inf] if low > -_inf else []
    beyond += [high + 0.25] if high < _inf else []
    traced = call.mode == "jit" and name == "pos_weight"
    return call if traced else _set(call, name, Scalar(draw(st.sampled_from(beyond))))


@st.composite
def _two_rules(draw: Draw, call: Call) -> Call:
    if call.function != "binary_cross_entropy":
        return call
    names = draw(st.lists(st.sampled_from(["clip", "log_floor", "log_offset"]), min_size=2, unique=True))
    for name in names:
        call = _set(call, name, draw(number_of(name)))
    return call


@st.composite
def _another_shape(draw: Draw, call: Call) -> Call:
    """Give one array a shape that does not fit, also where lengths are not known."""
    full = call.first.dims
    candidates = [n for n, a in call.arguments[1:] if isinstance(a, Array)]
    if call.lengths != "static" or not candidates or not full:
        return call
    name = draw(st.sampled_from(candidates))
    old = dict(call.arguments)[name]
    shapes = [(full[0] + 1, *full[1:]), (1, *full), (*full, 1), *([(1,)] if name == "labels" and full != (1,) else [])]
    unknown = old.holder == "unknown lengths"
    if unknown and draw(st.booleans()):  # as long as the first array, but not each of its chunks
        other = replace(old, filtered=full[0] - call.first.filtered)
        return replace(call, arguments=tuple((n, other if n == name else a) for n, a in call.arguments))
    shape = draw(st.sampled_from([(full[0] + 1,), (1,), (2,)] if unknown else shapes))
    if shape == full or (name != "labels" and shape in ((1,), ())):
        return call
    value = old.values[0] if old.values else 0.0
    chunks = tuple((n,) for n in shape) if call.library == "dask" else ()
    if unknown and len(call.first.chunks[0]) > 1:
        return call
    new = replace(old, values=(value,) * math.prod(shape), shape=shape, chunks=chunks)
    new = new if unknown else replace(new, holder="plain")
    return replace(call, arguments=tuple((n, new if n == name else a) for n, a in call.arguments))


@st.composite
def _refused_holder(draw: Draw, call: Call) -> Call:
    """Put the numbers of one array into a holder that must be refused."""
    holders = [h for h in HOLDERS[call.library] if h in REFUSED_HOLDERS]
    candidates = [
        (name, holder)
        for name, a in call.arguments
        for holder in holders
        if isinstance(a, Array) and a.dims and _can_hold(holder, a.dtype, a.dims)
        if not (holder in ("another library", "list") and name == call.arguments[0][0])
        if not (call.mode == "jit" and holder in ("another library", "list"))
    ]
    if not candidates or call.lengths != "static":
        return call
    name, holder = draw(st.sampled_from(candidates))
    return replace(
        call,
        arguments=tuple((n, replace(a, holder=holder) if n == name else a) for n, a in call.arguments),
    )


@st.composite
def _bad_axis(draw: Draw, call: Call) -> Call:
    ndim = len(call.first.dims)
    if call.lengths == "jagged":  # it has one dimension more than its numbers
        return call
    axis = draw(st.sampled_from([ndim, -ndim - 1, (0, -ndim) if ndim else 0]))
    reduction = draw(st.sampled_from(["mean", "sum", "none"]))
    return replace(call, words=(("reduction", reduction), ("axis", axis)))
