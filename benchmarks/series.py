"""What is compared with xbce, and the targets: data, without a library."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

DTYPES = ("float32", "float64")
SIZES = (1, 10**3, 10**4, 10**5, 10**6, 10**7)
KNOWN = 10**3
"""Elements of the calls whose delay is measured."""
Key: TypeAlias = tuple[str, str, int]
"""A figure: the name of its series, dtype, size."""


@dataclass(frozen=True)
class Series:
    """One comparison over sizes: other / xbce, so above 1 xbce is quicker. Or a delay of xbce, in ms."""

    name: str
    backend: str
    baseline: str
    """What the other is, in words; nothing for a delay."""
    other: str
    """Its subject."""
    function: str
    sizes: tuple[int, ...]
    ours: str = "xbce"
    loss: str = ""
    """The prefix of the loss in `subjects.TABLES`."""
    threads: int = 2
    measure: Literal["ratio", "kind", "shape"] = "ratio"

    @property
    def compiled(self) -> bool:
        """Tell whether torch.compile takes seconds for each figure."""
        return self.ours.endswith("-compiled")

    def figures(self, *, quick: bool) -> tuple[Key, ...]:
        """Return what is measured; quickly, nearly nothing that is compiled."""
        if quick and self.compiled:
            return () if self.loss else ((self.name, "float32", 10**5),)
        return tuple((self.name, dtype, size) for dtype in DTYPES for size in self.sizes)


def _delay(library: str, backend: str) -> list[Series]:
    return [
        Series(f"{library}, first call of a kind", backend, "", "", "", (KNOWN,), threads=1, measure="kind"),
        Series(f"{library}, call with a new shape", backend, "", "", "", (KNOWN,), threads=1, measure="shape"),
    ]


PROBABILITIES = "Probabilities"
"""The prefix of the loss of probabilities, which takes these in place of logits."""
_STABLE, _NATIVE, _OPTAX, _CAREFUL = "the stable formula", "the native loss", "optax", "the careful formula"
_LOSSES, _MEAN, _STEP = ("losses", "elementwise"), ("mean", "mean"), ("step", "training_step")
_HUGE, _COMPILED, _JITTED, _FOCAL = (10**7,), (10**5, 10**7), (10**3, 10**5, 10**7), (10**3, 10**5, 10**6)
SERIES = (
    # First, while no loss has been called.
    *_delay("NumPy", "numpy"),
    Series("NumPy, 1 thread, losses", "numpy", _STABLE, "stable", "elementwise", SIZES, threads=1),
    Series("NumPy, 1 thread, mean", "numpy", _STABLE, "stable", "mean", (1,), threads=1),
    Series("NumPy, 1 thread, gradient", "numpy", _STABLE, "stable", "gradient", (1,), threads=1),
    *(
        Series(
            *(f"NumPy, 1 thread, {title} of probabilities", "numpy", _CAREFUL, "careful", function, sizes),
            loss=PROBABILITIES,
            threads=1,
        )
        for (title, function), sizes in ((_LOSSES, SIZES[1:]), (_MEAN, (10**5,)), (("gradient", "gradient"), (10**5,)))
    ),
    Series("NumPy, 2 threads, losses", "numpy", _STABLE, "stable", "elementwise", _HUGE),
    Series(
        *("NumPy, 2 threads, value and gradient", "numpy", "HalfBinomialLoss", "sklearn-threads"),
        *("value_and_gradient", SIZES),
    ),
    *_delay("PyTorch", "torch:cpu"),
    *(
        Series(f"PyTorch, {title} of one element", "torch:cpu", _STABLE, "stable", function, (1,))
        for title, function in (_LOSSES, _MEAN, ("gradient", "gradient"))
    ),
    Series("PyTorch, losses", "torch:cpu", _NATIVE, "native", "elementwise", SIZES),
    Series("PyTorch, mean", "torch:cpu", _NATIVE, "native", "mean", (1,)),
    Series("PyTorch, step", "torch:cpu", _NATIVE, "native", "training_step", SIZES),
    *(
        Series(f"PyTorch, focal {title}", "torch:cpu", "torchvision's formula", "torchvision", f, _FOCAL, loss="Focal")
        for title, f in (_LOSSES, _STEP)
    ),
    *(
        Series(f"torch.compile, {title}", "torch:cpu", _NATIVE, "native-compiled", f, _COMPILED, "xbce-compiled")
        for title, f in (_LOSSES, _MEAN, _STEP)
    ),
    *(
        Series(
            *(f"torch.compile, focal {title}", "torch:cpu", "torchvision's formula", "torchvision-compiled"),
            *(f, _COMPILED, "xbce-compiled", "Focal"),
        )
        for title, f in (_LOSSES, _STEP)
    ),
    *(
        Series(f"JAX, jitted, {title}", "jax", _OPTAX, "native-jit", f, _JITTED, "xbce-jit")
        for title, f in (_LOSSES, _MEAN, _STEP)
    ),
    *(
        Series(f"JAX, jitted, focal {title}", "jax", _OPTAX, "optax-jit", f, _FOCAL, "xbce-jit", "Focal")
        for title, f in (_LOSSES, _STEP)
    ),
)
"""In the order of measuring: what is compiled after the rest of its library, as it takes the time that is left."""
BY_NAME = {series.name: series for series in SERIES}

_ROWS: tuple[tuple[str, tuple[str, ...], Mapping[int, float]], ...] = (
    ("NumPy, 1 thread, losses", DTYPES, {1: 1 / 3, 10**3: 1, 10**4: 1, 10**5: 1, 10**6: 1}),
    ("NumPy, 1 thread, losses", ("float32",), {10**7: 2.5}),
    ("NumPy, 1 thread, losses", ("float64",), {10**7: 2}),
    ("NumPy, 1 thread, mean", DTYPES, {1: 1 / 3}),
    ("NumPy, 1 thread, gradient", DTYPES, {1: 1 / 3}),
    ("NumPy, 1 thread, losses of probabilities", DTYPES, {10**4: 1, 10**5: 1, 10**6: 1, 10**7: 1}),
    ("NumPy, 1 thread, mean of probabilities", DTYPES, {10**5: 1}),
    ("NumPy, 1 thread, gradient of probabilities", DTYPES, {10**5: 1}),
    ("NumPy, 2 threads, losses", ("float32",), {10**7: 4}),
    ("NumPy, 2 threads, losses", ("float64",), {10**7: 3.5}),
    ("NumPy, 2 threads, value and gradient", ("float32",), {10**5: 3, 10**6: 3, 10**7: 3}),
    ("NumPy, 2 threads, value and gradient", ("float64",), {10**5: 2, 10**6: 2, 10**7: 2}),
    *((f"PyTorch, {what} of one element", DTYPES, {1: 1 / 3}) for what in ("losses", "mean", "gradient")),
    ("PyTorch, losses", DTYPES, {10**3: 0.4, 10**4: 0.9, 10**5: 1, 10**6: 1, 10**7: 1}),
    ("PyTorch, step", DTYPES, {10**3: 0.6, 10**4: 0.6, 10**5: 0.8, 10**6: 1, 10**7: 1.5}),
    *((f"PyTorch, focal {what}", DTYPES, {10**5: 1, 10**6: 1}) for what in ("losses", "step")),
    *((f"torch.compile, {what}", DTYPES, {10**5: 1, 10**7: 1}) for what in ("losses", "mean", "step")),
    *((f"torch.compile, focal {what}", DTYPES, {10**5: 1, 10**7: 1}) for what in ("losses", "step")),
    ("JAX, jitted, losses", ("float32",), {10**3: 1, 10**5: 1, 10**7: 1}),
    ("JAX, jitted, losses", ("float64",), {10**3: 1, 10**5: 2, 10**7: 2}),
    *((f"JAX, jitted, {what}", DTYPES, {10**3: 1, 10**5: 1, 10**7: 1}) for what in ("mean", "step")),
    *((f"JAX, jitted, focal {what}", DTYPES, {10**5: 1, 10**6: 1}) for what in ("losses", "step")),
    *((f"{library}, first call of a kind", DTYPES, {KNOWN: 2}) for library in ("NumPy", "PyTorch")),
    *((f"{library}, call with a new shape", DTYPES, {KNOWN: 0.1}) for library in ("NumPy", "PyTorch")),
)
TARGETS: dict[Key, float] = {
    (name, dtype, size): bound for name, dtypes, bounds in _ROWS for dtype in dtypes for size, bound in bounds.items()
}
"""The least ratio, or the most ms of a delay."""


def power(size: int) -> str:
    """Return a size as the tables write it."""
    return f"10^{len(str(size)) - 1}" if size > 1 else "1"


def verdict(key: Key, figure: float | None) -> str:
    """Return a line that says whether a target is met, or by how much not."""
    name, dtype, size = key
    series, bound = BY_NAME[name], TARGETS[key]
    what = f"{name}, {dtype}, {power(size)}"
    if figure is None:
        return f"unknown  {what}: not measured"
    if series.measure == "ratio":
        shown, factor = f"{series.baseline} takes {figure:.2f} x as long", bound / max(figure, 1e-9)
    else:
        shown, factor = f"{figure:.2f} ms over a known call", figure / bound
    shown = f"{what}: {shown} (target {bound:.2g})"
    if factor <= 1:
        return f"met      {shown}"
    return f"not met  {shown}: " + (f"{factor:.1f} times too slow" if factor >= 1.1 else f"{factor - 1:.1%} too slow")
