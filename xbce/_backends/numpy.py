"""NumPy: runs large arrays block by block on threads, without warnings, with accurate sums along any axis."""

import math
from collections.abc import Callable, Sequence
from contextvars import Context
from functools import partial
from typing import Any

import numpy as np
from array_api_compat import numpy as namespace
from numpy.lib import introspect

from .._call.kernel import Arguments, Function, Quotient, Sums, SumSpec, is_native, summed
from .._compiler.blocks import (
    TEMPORARY,
    Block,
    keep_freed_memory,
    run_in_blocks,
    sequentially,
)
from .._compiler.cache import CompiledCache
from .._compiler.layout import memory_order, sorting
from .._compiler.lowering import bitwise_where, by_form
from .._compiler.program import NotANumberError, Target, bit_calls, standard_calls
from .._compiler.threads import in_threads, usable_threads
from .._formulas import WithForms, log1p_unit
from .._formulas.series import (
    log1m_by_log,
    log1m_unit_by_log,
    log1m_unit_by_log1p,
    log1p_by_series,
    log1p_unit_by_series,
    log_by_series,
    log_unit_by_log,
    log_unit_by_log2,
)
from .._precision import exact_sum, merged, partial_sum, rounded_sum, unpacked
from .._typing import Array, Namespace
from .protocol import Run
from .quick_way import QuickWay

_BLOCK = 2**15
"""Elements of a block on one thread: its arrays fit into the cache, and the overhead of a NumPy call is small."""
_WHOLE = 2**17
"""Elements that are one block on one thread: each block takes 7 µs more."""
_ALIGNED = 64
"""Elements that blocks start at multiples of: then loads of wide registers cross no lines of cache."""
_SHARED_BLOCK_BYTES = 2**19
"""Bytes of one array of a block on several threads. NumPy holds the GIL between calls, so short calls serialise."""
_SMALL = 2**10
"""`map` calls its function directly on fewer elements: to compile it costs more than it saves."""
_SHARED = 2**19
"""Arrays of fewer elements are computed on one thread: waking others costs more than they save."""


class NumpyRunner:
    """Runs compiled programs without floating-point warnings: infinities and NaN have defined results here."""

    def run(self, _xp: Namespace, function: Function, arrays: Arguments, sums: Sums) -> Any:
        """Return the results, summed by NumPy's pairwise sum. The first array has the full shape."""
        run = _run if is_native(function) else _QUICK_WAY.run
        return run(function, arrays, sums)

    def prepared(
        self, otherwise: Run, _xp: Namespace, function: Function, sums: Sums, quotient: Quotient | None
    ) -> Run:
        """Return what does as `otherwise`; the program of small arrays is found once."""
        small: Run | None = None

        def run(arrays: Arguments) -> Any:
            nonlocal small
            first: Any = arrays[0]
            if small is None:
                if not (is_native(function) and first.ndim and 0 < first.size <= TEMPORARY):
                    return otherwise(arrays)
                small = _quietly(_compiled, function, arrays, sums, quotient)
            if min(first.strides) <= 0:
                return otherwise(arrays)
            return small(arrays)

        return run

    def estimated_sum(self, kernel: Function, arrays: Arguments, sums: Sums) -> tuple[Array, ...] | None:
        """Return an estimate of a sum, the bound of its error, and other results."""
        return _QUICK_WAY.estimated_sum(kernel, arrays, sums)

    def exact_sum(self, xp: Namespace, terms: tuple[Array, ...], spec: SumSpec) -> Array:
        """Return the sum of terms."""
        return _quietly(_exact_sum, xp, terms, spec)

    def map(self, xp: Namespace, function: Callable[..., Any], arrays: Arguments) -> Any:
        """Return `function(xp, *arrays)`, a single array, block by block if that is large."""
        if math.prod(getattr(a, "size", 1) for a in arrays) < _SMALL:  # the product bounds the size of the result
            return _quietly(_called, function, arrays)
        shape = np.broadcast_shapes(*(getattr(a, "shape", ()) for a in arrays))
        first: Any = arrays[0]
        return self.run(xp, function, (np.broadcast_to(first, shape), *arrays[1:]), (None,))


_QUIET = Context()
"""A context in which floating-point warnings are off. To enter a copy takes a fifth of the time of `np.errstate`."""
_QUIET.run(np.seterr, all="ignore")


def _quietly(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function without floating-point warnings. NumPy keeps the state of `np.errstate` in a context variable."""
    return _QUIET.copy().run(function, *arguments)


_STRICT = Context()
"""A context in which an operation that makes a NaN of numbers, and no other one, raises FloatingPointError."""
_STRICT.run(np.seterr, all="ignore", invalid="raise")


def _strictly(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function whose operations must make no NaN of numbers. To see it takes no time, as the processor does."""
    try:
        return _STRICT.copy().run(function, *arguments)
    except FloatingPointError:
        raise NotANumberError from None


def _sees_invalid() -> bool:
    """Tell whether NumPy sees operations that make NaN; WebAssembly has nothing that shows them."""
    for dtype in (np.float32, np.float64):
        for length in (1, 100):  # one by one, and in registers
            zeros = np.zeros(length, dtype)
            for operation, operand in ((np.multiply, math.inf), (np.divide, 0)):
                try:
                    _strictly(operation, zeros, operand)
                except NotANumberError:
                    continue
                return False
    return True


_SEES_INVALID = _sees_invalid()


def _compiled(function: Function, arrays: tuple[Any, ...], sums: Sums, quotient: Quotient | None) -> Run:
    return _CACHE.compiled(function, arrays).divided(sums, _sum, quotient, arrays[0].ndim)


def _run(function: Function, arrays: Arguments, sums: Sums) -> Any:
    """Return the results, without warnings."""
    return _quietly(_computed, function, arrays, sums)


def _computed(function: Function, arrays: Arguments, sums: Sums) -> Any:
    """Return the results; large arrays are run block by block on threads."""
    first: Any = arrays[0]
    if first.size <= (_BLOCK if any(sums) else _WHOLE):
        # The results of 0-d arrays are scalars, without memory to write into; max() of an empty array raises.
        # https://github.com/numpy/numpy/issues/24897
        if first.ndim == 0 or first.size == 0:
            return summed(namespace, _called(function, arrays), sums, _sum)
        if first.size > TEMPORARY:
            keep_freed_memory(namespace)
        if min(first.strides) <= 0:
            arrays = (_dense(first), *arrays[1:])
        return _CACHE.compiled(function, arrays).summed(arrays, sums, _sum)
    keep_freed_memory(namespace)
    unit = size = _BLOCK
    threads = usable_threads() if first.size >= _SHARED else 1
    if threads > 1:
        share = -(-first.size // threads)
        size = min(_SHARED_BLOCK_BYTES // max(4, first.dtype.itemsize), -(-share // unit) * unit)
    elif not any(sums):
        unit = size = _even(first.size)
    elif first.size <= _WHOLE:
        size = -(-first.size // unit) * unit  # one block; its units are summed as those of any other
    each = partial(_in_quiet_threads, threads) if threads > 1 else sequentially
    return run_in_blocks(_CACHE, function, arrays, sums, size, unit, _sum, _is_contiguous, _strides, each)


def _even(elements: int) -> int:
    """Return the elements of a block, so that all blocks have about as many: the last one costs as many calls."""
    size = -(-elements // round(elements / _BLOCK))
    return -(-size // _ALIGNED) * _ALIGNED


def _exact_sum(xp: Namespace, terms: tuple[Array, ...], spec: SumSpec) -> Array:
    first = terms[0]
    if first.size <= _BLOCK or len(spec.axes) < first.ndim:
        return exact_sum(xp, terms, spec.axes)
    flat = [x.reshape(-1) for x in terms]
    blocks = (tuple(x[i : i + _BLOCK] for x in flat) for i in range(0, first.size, _BLOCK))
    parts = unpacked(np.concatenate([partial_sum(xp, block, (0,)).packed(xp) for block in blocks]))
    return np.squeeze(rounded_sum(xp, merged(xp, parts, (0,))), axis=1)


def _called(function: Callable[..., Any], arrays: tuple[Any, ...]) -> Any:
    """Return `function(xp, *arrays)`; pairs take no scalars of NumPy, which are arrays and Python floats as well."""
    if is_native(function) or any(getattr(a, "ndim", 0) for a in arrays):
        return function(NAMESPACE, *arrays)
    results = function(NAMESPACE, *(a.reshape(1) if hasattr(a, "ndim") else a for a in arrays))
    return tuple(x[0] for x in results) if isinstance(results, tuple) else results[0]


def _in_quiet_threads(threads: int, work: Callable[[Block], None], blocks: Sequence[Block]) -> None:
    """Call `work` on all blocks, on threads, each of which has a context of its own."""
    in_threads(partial(_quietly, work), blocks, threads)


def _is_contiguous(x: Array) -> bool:
    return bool(x.flags.c_contiguous)


def _strides(x: Array) -> Sequence[int]:
    strides: Sequence[int] = x.strides
    return strides


def _dense(x: Array) -> Array:
    """Return a dense copy of an array; in NumPy's own copy of a broadcast one, that axis would be the innermost.

    Of an array that is read backwards NumPy computes some functions one by one, with other bits.
    """
    order = memory_order(x.shape, x.strides)
    return np.ascontiguousarray(x.transpose(order)).transpose(sorting(order))


def _sum(xp: Namespace, x: Array, spec: SumSpec) -> Array:
    """Return the sum, after moving the summed axes to the end and merging them.

    NumPy sums pairwise only along contiguous memory (https://github.com/numpy/numpy/issues/9393). Along any other axis
    the error grows with the length: 2e5 ULP of a float64 mean of 10^7 elements.
    """
    if len(spec.axes) == x.ndim:
        return xp.add.reduce(x.reshape(-1), dtype=spec.dtype)
    kept = tuple(i for i in range(x.ndim) if i - x.ndim not in spec.axes)
    shape = (*(x.shape[i] for i in kept), math.prod(x.shape[i] for i in spec.axes))
    flat = x.transpose(kept + spec.axes).reshape(shape)
    return xp.add.reduce(xp.ascontiguousarray(flat), axis=-1, dtype=spec.dtype)


def _minimum(x: Array, y: Array, out: Array) -> None:
    np.minimum(x, y, out=out)  # by position it is deprecated


def _maximum(x: Array, y: Array, out: Array) -> None:
    np.maximum(x, y, out=out)


def _take(table: Array, index: Array, out: Array) -> None:
    np.take(table, index, out=out, mode="clip")  # the default mode writes into a buffer first


def _copy(x: Array, out: Array) -> None:
    np.copyto(out, x, "unsafe")


def _vectorizes_log1p() -> bool:
    """Tell whether NumPy's log1p of float32, and with it log2, is compiled for wide registers of this processor."""
    targets = introspect.opt_func_info(func_name="^log1p$", signature="float32")["log1p"]
    return any(not target["current"].startswith("baseline") for target in targets.values())


_OWN_LOG1P = not _vectorizes_log1p()
"""Otherwise it computes one number at a time: 8 to 11 ns each, where the series takes 3."""


def _log1p_unit(xp: Namespace, e: Array) -> Array:
    """Use the series for float32. float64 would need one twice as long, which saves nothing."""
    own = _OWN_LOG1P and e.dtype == np.float32
    result: Array = log1p_unit_by_series(xp, e) if own else xp.log1p(e)
    return result


def _log1m_half(xp: Namespace, m: Array) -> Array:
    """Use the series for float32. For float64 NumPy's log, which takes half the time, and what 1 - m loses in it."""
    if not _OWN_LOG1P or m.dtype == np.float32:
        return log1p_unit(xp, -m)
    return log1m_by_log(xp, m)


def _log(xp: Namespace, y: Array) -> Array:
    """Use NumPy's log; between 1/2 and 2 the series for float32, of which NumPy is off by up to 3.8 ULP there."""
    result: Array = log_by_series(xp, y) if y.dtype == np.float32 else xp.log(y)
    return result


def _log1p(xp: Namespace, y: Array) -> Array:
    """Use NumPy's log1p for float64 alone: for float32 it is slow, or has 2 ULP."""
    result: Array = log1p_by_series(xp, y) if y.dtype == np.float32 else xp.log1p(y)
    return result


def _log_unit(xp: Namespace, u: Array, absent: Array | None, upper: Array, log_m: Array, rest: Array) -> Array:
    """Use NumPy's log for float64; for float32 it is off by up to 3.8 ULP above 1/2, log2, if quick, by 2.2."""
    if u.dtype == np.float32:
        result: Array = xp.where(upper, rest, log_m) if _OWN_LOG1P else log_unit_by_log2(xp, u, absent)
        return result
    return log_unit_by_log(xp, u, absent)


def _log1m_unit(xp: Namespace, u: Array, absent: Array | None, upper: Array, log_m: Array, rest: Array) -> Array:
    """Use log1p, if it is quick, and for float64 log."""
    if not _OWN_LOG1P:
        return log1m_unit_by_log1p(xp, u, absent)
    if u.dtype == np.float32:
        result: Array = xp.where(upper, log_m, rest)
        return result
    return log1m_unit_by_log(xp, u, absent)


_FORMS: dict[str, Callable[..., Array]] = {
    "log1p_unit": _log1p_unit,
    "log1m_half": _log1m_half,
    "log_unit": _log_unit,
    "log1m_unit": _log1m_unit,
    "accurate_log": _log,
    "accurate_log1p": _log1p,
}
NAMESPACE = WithForms(namespace, _FORMS)
"""What functions get that are called directly: scalars have the bits of the elements of an array."""


def _require_numbers(x: Array) -> None:
    largest = x.item(x.argmax())  # a NaN counts as the largest; `maximum.reduce` takes 1 µs more
    if largest != largest:
        raise NotANumberError


def _constant(_operation: str, value: Any, dtype: Any) -> Array:
    return np.asarray(value, dtype=dtype)


_CACHE = CompiledCache(
    Target(
        xp=namespace,
        calls={
            **standard_calls(np),
            "isinf": np.isinf,
            "round": np.rint,
            "log2": np.log2,
            "minimum": _minimum,
            "maximum": _maximum,
            "lookup": _take,
            "astype": _copy,
            "copy": _copy,
            **bit_calls(np, _copy),
        },
        lowerings={"where": bitwise_where, **{name: by_form(form) for name, form in _FORMS.items()}},
        constant=_constant,
        takes_number=lambda _operation, _position: False,
        positional_out=True,  # takes 0.1 µs less
        require_numbers=None if _SEES_INVALID else _require_numbers,
        strictly=_strictly if _SEES_INVALID else None,
        quietly=_quietly,
        copy_backwards=np.ascontiguousarray,  # see `_dense`
        empty=np.empty,
        empty_like=np.empty_like,
        empty_flat=np.empty,
        copying="{out}[...] = {x}",
        slow_in_place=True,  # 1.0 instead of 0.4 µs: arrays of one element have no strides that show an overlap as safe
    )
)
_QUICK_WAY = QuickWay(_run, np.nonzero, np.broadcast_to)
RUNNER = NumpyRunner()
