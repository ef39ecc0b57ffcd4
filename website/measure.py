"""Measure what the pages of the reference show: `python -m website.measure` writes `website/data/figures.json`.

Errors are those in float32, the largest in each of 120 intervals of the argument, of 4,096 numbers each. They are
against the same function in float64, whose own error is below 1e-7 ULP of float32: the suite has judged that against
ball arithmetic. The plain loss is not measured here: the suite's results have its errors by logit.

Times are the least of several calls, in seconds per call, in float32: processor time on one thread, which is what a
call takes where nothing else runs, so that other work on the machine counts little. Beside each is what the library has
for the same purpose, or who extends it. It takes some minutes.
"""

import functools
import json
import os
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import xbce
from xbce import special
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.results.environment import environment

DATA = Path(__file__).parent / "data" / "figures.json"
SINGLE = FORMATS["float32"]
INTERVALS = 120
SAMPLES = 4096
SIZES = (10**3, 10**4, 10**5, 10**6)
SECONDS = 0.5
VERSIONS = ("numpy", "scipy", "torch", "jax", "optax")

AXES = {
    "expit": ("x", -110, 110, lambda t: (t,)),
    "log_expit": ("x", -110, 110, lambda t: (t,)),
    "softplus": ("x", -110, 110, lambda t: (t,)),
    "logit": ("log2(p / (1 - p))", -126, 24, lambda t: (_probability(t),)),
    "log1mexp": ("log2(-x)", -126, 7, lambda t: (-(2.0**t),)),
    "xlogy": ("log2(y)", -126, 126, lambda t: (_factor(t), 2.0**t)),
    "xlog1py": ("log2(1 + y)", -24, 126, lambda t: (_factor(t), 2.0**t - 1)),
    "binary_cross_entropy": ("log2(u / (1 - u))", -126, 24, lambda t: (_probability(t), _labels(t))),
    "sigmoid_focal_loss": ("logit", -85, 85, lambda t: (t, _labels(t))),
    "asymmetric_loss": ("logit", -85, 85, lambda t: (t, _labels(t))),
}
"""What errors are plotted against, from where to where, and the arguments there."""

OPTIONS = {"sigmoid_focal_loss": {"gamma": 2, "alpha": 0.25}}


def _factor(t: Any) -> Any:
    return np.random.default_rng(1).uniform(0.5, 2, t.shape)


def _labels(t: Any) -> Any:
    return np.random.default_rng(2).integers(0, 2, t.shape)


def _probability(t: Any) -> Any:
    return np.where(t < 0, 1 / (1 + 2.0**-t), 1 - 1 / (1 + 2.0**t))


def public(name: str, method: str = "value") -> Callable[..., Any]:
    """Return a function, or a method of a loss, with the options that it is shown with."""
    found = getattr(special, name, None) or getattr(xbce, name)
    call = found if method == "value" else getattr(found, method)
    return functools.partial(call, **OPTIONS.get(name, {}))


def errors(name: str, library: Callable[..., Any], method: str = "value") -> list[float | None]:
    """Return the largest error in ULP of each interval."""
    _, low, high, arguments = AXES[name]
    edges = np.linspace(low, high, INTERVALS + 1)
    share = np.random.default_rng(0).uniform(0, 1, (INTERVALS, SAMPLES))
    t = edges[:-1, None] + share * (edges[1] - edges[0])
    with np.errstate(under="ignore"):
        arrays = [np.asarray(a, np.float32) for a in arguments(t)]
    f = public(name, method)
    exact = np.asarray(f(*(a.astype(np.float64) for a in arrays)))
    got = np.asarray(library(f, *arrays), np.float64)
    found = np.abs(got - exact) / SINGLE.ulp(exact)
    # What is subnormal, or comes of a subnormal number, is flushed on some libraries: the suite counts that apart.
    judged = np.isfinite(exact) & ((np.abs(exact) >= SINGLE.tiny) | (got != 0))
    judged &= np.abs(arrays[0]) >= SINGLE.tiny
    if name.startswith("xlog"):
        judged &= np.abs(arrays[1]) >= SINGLE.tiny
    largest = np.where(judged, found, -1).max(axis=1)
    return [None if e < 0 else float(f"{e:.3g}") for e in largest.tolist()]


def libraries() -> dict[str, Callable[..., Any]]:
    """Return how a function is called on each library."""
    import jax
    import torch

    return {
        "NumPy": lambda f, *a: f(*a),
        "PyTorch": lambda f, *a: f(*(torch.from_numpy(x) for x in a)).numpy(),
        "JAX": lambda f, *a: np.asarray(jax.jit(f)(*a)),
    }


def subjects() -> dict[str, tuple[Callable[..., Any], int, dict[str, tuple[str, Callable[..., Any]]]]]:
    """Return what is timed: how, of how many arrays, and by library what it stands beside."""
    import jax
    import optax
    import scipy.special as sp
    import torch
    from torch.nn import functional as F  # noqa: N812

    def stable(x: Any, z: Any) -> Any:
        return np.maximum(x, 0) - x * z + np.log1p(np.exp(-np.abs(x)))

    def focal(x: Any, z: Any) -> Any:
        return optax.sigmoid_focal_loss(x, z, alpha=0.25, gamma=2)

    beside = {
        "binary_cross_entropy_with_logits": {
            "NumPy": ("maximum(x, 0) - x z + log1p(exp(-abs(x)))", stable),
            "PyTorch": (
                "F.binary_cross_entropy_with_logits",
                lambda x, z: F.binary_cross_entropy_with_logits(x, z, reduction="none"),
            ),
            "JAX": ("optax.sigmoid_binary_cross_entropy", optax.sigmoid_binary_cross_entropy),
        },
        "binary_cross_entropy": {
            "PyTorch": ("F.binary_cross_entropy", lambda x, z: F.binary_cross_entropy(x, z, reduction="none")),
        },
        "sigmoid_focal_loss": {"JAX": ("optax.sigmoid_focal_loss", focal)},
        "asymmetric_loss": {},
        "special.expit": {
            "NumPy": ("scipy.special.expit", sp.expit),
            "PyTorch": ("torch.sigmoid", torch.sigmoid),
            "JAX": ("jax.nn.sigmoid", jax.nn.sigmoid),
        },
        "special.log_expit": {
            "NumPy": ("scipy.special.log_expit", sp.log_expit),
            "PyTorch": ("F.logsigmoid", F.logsigmoid),
            "JAX": ("jax.nn.log_sigmoid", jax.nn.log_sigmoid),
        },
        "special.softplus": {
            "NumPy": ("numpy.logaddexp(0, x)", lambda x: np.logaddexp(np.float32(0), x)),
            "PyTorch": ("F.softplus", F.softplus),
            "JAX": ("jax.nn.softplus", jax.nn.softplus),
        },
        "special.logit": {
            "NumPy": ("scipy.special.logit", sp.logit),
            "PyTorch": ("torch.logit", torch.logit),
            "JAX": ("jax.scipy.special.logit", jax.scipy.special.logit),
        },
        "special.log1mexp": {},
        "special.xlogy": {
            "NumPy": ("scipy.special.xlogy", sp.xlogy),
            "PyTorch": ("torch.xlogy", torch.xlogy),
            "JAX": ("jax.scipy.special.xlogy", jax.scipy.special.xlogy),
        },
        "special.xlog1py": {
            "NumPy": ("scipy.special.xlog1py", sp.xlog1py),
            "PyTorch": ("torch.special.xlog1py", torch.special.xlog1py),
            "JAX": ("jax.scipy.special.xlog1py", jax.scipy.special.xlog1py),
        },
    }
    made = {}
    for name, others in beside.items():
        call = public(name.removeprefix("special."))
        arrays = 1 if name.startswith("special.") and "xlog" not in name else 2
        made[name] = (call, arrays, others)
    return made


def drawn(name: str, size: int, arrays: int) -> list[Any]:
    """Return arguments like those of a user: logits of a classifier, probabilities, hard labels, negative numbers."""
    rng = np.random.default_rng(size)
    x = rng.normal(0, 4, size)
    if name in ("binary_cross_entropy", "special.logit"):
        x = rng.uniform(0.001, 0.999, size)
    if name == "special.log1mexp":
        x = -np.abs(x) - 1e-3
    second = np.abs(x) + 0.1 if name.startswith("special.") else rng.integers(0, 2, size)
    return [np.asarray(a, np.float32) for a in (x, second)[:arrays]]


def seconds(*calls: Callable[[], Any]) -> list[float]:
    """Return the least time of each call, taking turns for some tenths of a second; after two that are not counted."""
    for call in calls * 2:
        call()
    best, until = [float("inf")] * len(calls), time.perf_counter() + SECONDS * len(calls)
    while time.perf_counter() < until:
        for i, call in enumerate(calls):
            start = time.process_time()
            call()
            best[i] = min(best[i], time.process_time() - start)
    return [float(f"{one:.3g}") for one in best]


def timed(library: str, functions: list[Callable[..., Any]], arrays: list[Any]) -> list[float]:
    """Return the times of functions on one library."""
    import jax
    import torch

    if library == "NumPy":
        return seconds(*(functools.partial(f, *arrays) for f in functions))
    if library == "PyTorch":
        tensors = [torch.from_numpy(a) for a in arrays]
        return seconds(*(functools.partial(f, *tensors) for f in functions))
    on_jax = [jax.numpy.asarray(a) for a in arrays]

    def waiting(f: Callable[..., Any]) -> Callable[[], Any]:
        compiled = jax.jit(f)
        return lambda: compiled(*on_jax).block_until_ready()

    return seconds(*map(waiting, functions))


def main() -> None:
    """Measure; write the file."""
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import torch

    torch.set_num_threads(1)
    xbce.set_num_threads(1)
    found = {
        name: {
            method: {library: errors(name, call, method) for library, call in libraries().items()}
            for method in (("value",) if name in special.__all__ else ("value", "gradient"))
        }
        for name in AXES
    }
    times: dict[str, Any] = {}
    for name, (call, count, others) in subjects().items():
        times[name] = {}
        for library in ("NumPy", "PyTorch", "JAX"):
            of: dict[str, Any] = {"xbce": {}}
            beside = others.get(library)
            if beside is not None:
                of |= {"beside": beside[0], "times": {}}
            for size in SIZES:
                arrays = drawn(name, size, count)
                ours, *theirs = timed(library, [call] if beside is None else [call, beside[1]], arrays)
                of["xbce"][str(size)] = ours
                if theirs:
                    of["times"][str(size)] = theirs[0]
            times[name][library] = of
    here = environment()
    facts = {
        "processor": here["processor"],
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "date": here["date"],
        "versions": {"xbce": xbce.__version__, **{name: version(name) for name in VERSIONS}},
    }
    DATA.parent.mkdir(exist_ok=True)
    axes = {name: {"label": label, "low": low, "high": high} for name, (label, low, high, _) in AXES.items()}
    DATA.write_text(json.dumps({"machine": facts, "axes": axes, "errors": found, "times": times}) + "\n", "utf-8")


if __name__ == "__main__":
    main()
