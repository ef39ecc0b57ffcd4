"""A call is made, and what came is compared with what is right."""

import contextlib
import io
import logging
import re
import sys
import traceback
import warnings
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import xbce
from tests.fuzz.calls import POSITIONAL, Call, source
from tests.fuzz.oracle import RANGES, Refused, Right, expected
from xbce_conformance.inputs.formats import FORMATS, Floats
from xbce_conformance.measurement.errors import allow_flushing, measure
from xbce_conformance.subjects.backend import Backend
from xbce_conformance.subjects.backends import find_backends

_PACKAGE = Path(xbce.__file__).parent
_BACKEND_NAMES = {"torch": "torch:cpu"}


@cache
def _all_backends() -> dict[str, Backend]:
    found, _ = find_backends()
    return {name.partition(":")[0]: backend for name, backend in found.items() if not name.endswith("cuda")}


def libraries() -> tuple[str, ...]:
    """Return the libraries that are here."""
    return tuple(_all_backends())


def backend(library: str) -> Backend:
    """Return the conformance suite's adapter of a library."""
    return _all_backends()[library]


@dataclass(frozen=True)
class Finding:
    """A call that does not do what it has to."""

    call: Call
    what: str
    """In a few words, without numbers: findings with the same are taken for one."""
    came: str
    right: str

    @property
    def signature(self) -> tuple[str, ...]:
        """What tells a finding from another."""
        call = self.call
        if any(text in self.what for text in ("raises", "not refused", "another dtype", "another shape")):
            # What the checks of arguments do is the same for every loss, however it is run.
            return call.library, call.lengths, self.what
        return call.library, call.mode, call.lengths, call.function, self.what

    def __str__(self) -> str:
        call = self.call
        title = f"{call.function}{'.' * bool(call.method)}{call.method} on {call.library}, {call.mode}: {self.what}"
        return f"{title}\n\n{source(call)}\n# came:  {self.came}\n# right: {self.right}\n"


class Raised(Exception):  # noqa: N818 - it holds what a call raised
    """A call raised something."""


def run(call: Call) -> list[Floats]:
    """Make the call; return its results in NumPy, or raise what it raises."""
    names: dict[str, Any] = {"__name__": __name__}  # torch.compile of PyTorch 2.8 imports the module of that name
    code = compile(source(call), "<call>", "exec")
    with warnings.catch_warnings():
        warnings.simplefilter("error" if call.mode in _QUIET else "ignore")
        for text in _THEIR_OWN:
            warnings.filterwarnings("ignore", text)
        silence = call.mode in _COMPILED
        try:
            if silence:  # PyTorch shows graphs that it cannot make
                logging.disable()
            with contextlib.redirect_stderr(io.StringIO() if silence else sys.stderr):
                exec(code, names)  # noqa: S102 - our own text
            results = names["result"]
            return [_to_numpy(call, x) for x in (results if isinstance(results, tuple) else (results,))]
        finally:
            if silence:
                logging.disable(logging.NOTSET)
                sys.modules["torch"].compiler.reset()


_COMPILED = ("trace", "compile", "export", "export, backward")

_QUIET = ("eager", "large", "errors raised", "lazy", "backward", "jit", "grad", "vjp", "func", "graph")
"""Modes in which a warning is an error: the others make the library warn of itself."""

_THEIR_OWN = (
    ".*torch.jit.script",
    ".*should not be instantiated",
    "Sparse",
    "The PyTorch API of",
    "The PyTorch API of MaskedTensors",
    ".*nested tensors is in prototype",
)
"""Warnings of libraries about themselves."""


def _to_numpy(call: Call, x: Any) -> Floats:
    own = {
        "numpy": lambda: isinstance(x, np.ndarray | np.generic),
        "torch": lambda: isinstance(x, sys.modules["torch"].Tensor),
        "jax": lambda: isinstance(x, sys.modules["jax"].Array),
        "dask": lambda: isinstance(x, sys.modules["dask.array"].Array),
        "array-api-strict": lambda: type(x).__module__.startswith("array_api_strict"),
        "mlx": lambda: isinstance(x, sys.modules["mlx.core"].array),
        "ndonnx": lambda: isinstance(x, sys.modules["ndonnx"].Array),
    }[call.library]
    if not own():
        msg = f"the result is of the class {type(x).__module__}.{type(x).__qualname__}"
        raise Raised(msg)
    if call.lengths == "jagged" and x.is_nested:
        x = x.values()
    if call.library == "torch":
        x = x.detach().resolve_neg()
    if call.library == "dask":
        x = x.compute(scheduler="synchronous")
    return np.asarray(backend(call.library).to_numpy(x))


def judge(call: Call) -> Finding | None:
    """Return what is wrong with a call, or None."""
    right = expected(call)
    try:
        came = run(call)
    except Exception as error:  # noqa: BLE001 - whatever comes is judged
        return _judge_error(call, error, right)
    if isinstance(right, Refused):
        shown = "; ".join(np.array2string(a.astype(np.float64) if a.dtype.kind == "V" else a) for a in came)
        return Finding(call, f"not refused: {right.reason}", shown, f"an error that names {' or '.join(right.names)}")
    for quantity, array in zip(right, came, strict=True):
        finding = _judge_array(call, quantity, array)
        if finding is not None:
            return finding
    return None


def _judge_error(call: Call, error: Exception, right: Refused | tuple[Right, ...]) -> Finding | None:
    text = f"{type(error).__name__}: {error}".strip()
    short = re.sub(_VARYING, "_", text.splitlines()[0])[:70]
    if isinstance(right, Refused):
        if isinstance(error, (TypeError, ValueError)) and _own(error) and _names(right.names, str(error)):
            return None
        return Finding(
            call,
            f"{right.reason} raises {short}",
            text[:600],
            f"an error of xbce that names {' or '.join(right.names)}",
        )
    if call.mode in _WATCHED and _is_nan_right(call):
        return None  # whatever it is: JAX has errors of its own while it looks for the NaN in sharded arrays
    return Finding(call, f"raises {short}", text[:600], "; ".join(map(_shown, right)))


_WATCHED = ("debug_nans", "debug_nans, jit", "debug_nans, grad", "backward, anomalies")
"""Modes in which the library raises where it finds NaN."""


def _is_nan_right(call: Call) -> bool:
    """Tell whether NaN is right somewhere, or nothing is promised: in the result, the loss or its first derivative."""
    for method in {"", "gradient", call.method}:
        right = expected(replace(call, method=method))
        if isinstance(right, Refused):
            continue
        if any(not np.all(r.known) or np.isnan(_sum(r.exact.high)) for r in right):
            return True
    return False


def _sum(x: Floats) -> float:
    """Return a sum that is NaN if any is, or if infinities of both signs are there: derivatives are of such sums."""
    with np.errstate(all="ignore"):
        return float(np.where(np.isfinite(x), 0.0, x).sum())


_VARYING = re.compile(
    rf"\d+(\.\d+)?|\(.*?\)|\b({'|'.join((*RANGES, 'weight', 'where', *sum(POSITIONAL.values(), ())))})\b|numpy\.\w+"
)
"""What differs between messages about the same."""


def _own(error: BaseException) -> bool:
    """Tell whether xbce itself raised an error, and not a library that it called."""
    frames = traceback.extract_tb(error.__traceback__)
    return any(_PACKAGE in Path(frame.filename).parents for frame in frames[-1:])


def _names(arguments: tuple[str, ...], text: str) -> bool:
    return any(re.search(rf"\b{name}\b", text) for name in arguments)


def _judge_array(call: Call, right: Right, came: Floats) -> Finding | None:
    fmt = FORMATS[right.dtype]
    if came.dtype != fmt.dtype:
        return Finding(call, "another dtype", str(came.dtype), right.dtype)
    if came.shape != right.shape and call.lengths != "jagged":
        return Finding(call, "another shape", str(came.shape), str(right.shape))
    got = came.reshape(-1)
    exact = right.exact
    allowed = np.zeros(got.shape, bool)
    with np.errstate(all="ignore"):
        errors = measure(got, exact, fmt)
        if backend(call.library).flushes_subnormals(fmt) or _computes_flushed(call, right):
            others = [
                r
                for flushed in ("own", "computation")
                for r in expected(call, flushed=flushed)
                if r.quantity == right.quantity
            ]
            candidates = (exact, *(other.exact for other in others))
            errors = allow_flushing(errors, got, fmt, np.float64(right.bound), candidates, right.terms)
            for other in others:
                high = other.exact.high
                allowed |= ~other.known | (np.float64(got) == high) | (np.isnan(high) & np.isnan(np.float64(got)))
        nan = np.isnan(exact.high)
        # A bound may be larger than what is right, where that is a difference of large numbers; then 0 is within it.
        zero_for_normal = errors.zero_for_normal & (np.float64(right.bound) < 2.0**fmt.p)
        wrong = np.where(nan, ~np.isnan(np.float64(got)), (errors.ulp > right.bound) | zero_for_normal)
    wrong &= np.asarray(right.known, bool) & ~allowed
    if not wrong.any():
        return None
    i = int(np.argmax(np.where(wrong, np.nan_to_num(errors.ulp, nan=np.inf), -1)))
    value, exactly = float(got[i]), float(exact.high[i])
    if np.isnan(value):
        what = "NaN"
    elif np.isinf(value) or np.isinf(exactly):
        what = "another infinity"
    elif np.isnan(exactly):
        what = "no NaN"
    else:
        what = "wrong number"
    place = f" at {i}" if got.size > 1 else ""
    ulp = f", {errors.ulp[i]:.4g} ULP" if np.isfinite(errors.ulp[i]) else ""
    limit = float(np.broadcast_to(right.bound, got.shape)[i])
    return Finding(call, f"{right.quantity}: {what}", f"{value!r}{place}{ulp}", f"{exactly!r}, within {limit:.4g} ULP")


def _computes_flushed(call: Call, right: Right) -> bool:
    """JAX computes the half types in float32, whose subnormal numbers it flushes."""
    return call.library == "jax" and FORMATS[right.dtype].p < FORMATS["float32"].p


def _shown(right: Right) -> str:
    return np.array2string(right.exact.high.reshape(right.shape) if right.exact.high.size else right.exact.high)
