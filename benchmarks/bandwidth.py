"""Counts the bytes of memory that an element moves for each subject, in the programs themselves.

This needs no GPU, and times nothing. Run as a command, it writes the section of docs/benchmarks.md.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import click
import jax
import numpy as np
import torch
from benchmarks.calls import ARRAYS_MOVED, TITLES, NotMeasured, function_of
from cupy_fusion import array, trace
from page import ON_PAPER, with_section
from torch._functorch import config as functorch
from torch._inductor import config as inductor
from torch._inductor.async_compile import AsyncCompile
from torch._inductor.graph import GraphLowering
from torch.nn.functional import logsigmoid
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import xbce
from xbce._backends import cupy as _cupy
from xbce._call.kernel import Kernel, SumSpec, summed

ROOT = Path(__file__).parents[1]
DTYPES = ("float32", "float16")
SIZE = 2**15
"""Elements of the arrays; so many that the bytes of scalars vanish in the rounding."""


def eager_torch(subject: str, function: str, dtype: str) -> int:
    """Return the bytes of PyTorch's operations, each of which is a kernel on a GPU."""
    x, z = (torch.zeros(SIZE, dtype=getattr(torch, dtype)) for _ in range(2))
    # Under a dispatch mode xbce does not work block by block, as it does on a CPU only.
    with TorchTraffic() as traffic:
        function_of("torch", subject, function)(x, z)
    return traffic.bytes


class TorchTraffic(TorchDispatchMode):
    """Counts the bytes that each operation reads and writes."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten.binary_cross_entropy_with_logits.default:
            with self:
                return native_loss(*args, **kwargs)
        result = func(*args, **kwargs)
        name = func.overloadpacket.__name__
        if func.is_view or func.namespace == "prim" or name.startswith("empty"):
            return result
        # The second result of log_sigmoid_forward is scratch of the CPU's kernel; on a GPU it is empty.
        written = tree_leaves(result)[:1] if name == "log_sigmoid_forward" else tree_leaves(result)
        read = [] if name.endswith("_like") else tree_leaves((args, kwargs))
        self.bytes += sum(_moved(a) for a in (*read, *written) if isinstance(a, torch.Tensor))
        return result


def _moved(a: torch.Tensor) -> int:
    """Return the bytes of an array in memory, where a broadcast axis has length 1."""
    lengths = (n for n, stride in zip(a.shape, a.stride(), strict=True) if stride)
    return int(np.prod(list(lengths))) * a.element_size()


def native_loss(x: Any, z: Any, weight: None = None, pos_weight: None = None, reduction: int = 1) -> Any:  # noqa: ARG001
    """Call the operations of the native loss (ATen's Loss.cpp), which no dispatch mode intercepts inside of it."""
    losses = torch.ones_like(z).sub_(z).mul_(x).sub_(logsigmoid(x))
    return losses if reduction == 0 else losses.mean()


def compiled_torch(subject: str, function: str, dtype: str) -> int:
    """Return Inductor's count of bytes for the kernels that it generates, which are not built."""
    total = 0
    compile_to_module = GraphLowering.compile_to_module

    def counted(graph: GraphLowering) -> Any:
        nonlocal total
        module = compile_to_module(graph)
        total += graph.count_bytes()[0]
        return module

    x, z = (torch.zeros(SIZE, dtype=getattr(torch, dtype)) for _ in range(2))
    # Or else torch.compile would make code for all sizes, since it has compiled others before.
    torch.compiler.reset()
    with (
        mock.patch.object(GraphLowering, "compile_to_module", counted),
        mock.patch.object(AsyncCompile, "cpp_pybinding", return_value=lambda *_: None),
        inductor.patch(fx_graph_cache=False),
        functorch.patch(enable_autograd_cache=False),
    ):
        function_of("torch", f"{subject}-compiled", function)(x, z)
    return total


def fused_cupy(_subject: str, function: str, dtype: str) -> int:
    """Return the bytes of arguments and results of the kernels that CuPy fuses, and of the sums after them."""
    methods = ("value",) if function in ("elementwise", "mean") else ("value", "gradient")
    reduction = "mean" if function in ("mean", "training_step") else "none"
    arguments = (array((SIZE,), dtype), array((SIZE,), dtype))
    planned = xbce.binary_cross_entropy_with_logits._planned  # noqa: SLF001
    plan, _ = planned(methods, arguments, {"reduction": reduction})
    runner = _CupyTraffic()
    with mock.patch.multiple(_cupy, fused=runner.fused, summed=runner.summed):
        replace(plan, runner=runner).results(arguments)
    return runner.bytes


class _CupyTraffic(_cupy.CupyRunner):
    """Launches no kernel, and counts the bytes that it would move."""

    def __init__(self) -> None:
        self.bytes = 0

    def fused(self, xp: Any, kernel: Kernel, total: SumSpec | None = None, ndim: int = 0) -> Callable[..., Any]:
        """Return a function that counts bytes, in place of the fused one."""
        function = _fused(xp, kernel, total, ndim)

        def count(*arrays: Any) -> Any:
            shape = () if total is not None else arrays[0].shape
            kernel = trace(function, arrays)
            written = kernel.out_params if total is not None else [p for p in kernel.params if _is_result(p)]
            results = tuple(array(shape, p.dtype) for p in written)
            self.bytes += sum(a.nbytes for a in (*arrays, *results) if hasattr(a, "nbytes"))
            return results if len(results) > 1 else results[0]

        return count

    def summed(self, xp: Any, results: tuple[Any, ...], sums: tuple[SumSpec | None, ...]) -> tuple[Any, ...]:
        """Return results, of which some are summed after the fused kernel."""
        return summed(xp, results, sums, self._summed_later)

    def _summed_later(self, _xp: Any, x: Any, spec: SumSpec) -> Any:
        self.bytes += x.nbytes
        return array((), spec.dtype)

    def map(self, xp: Any, function: Any, arrays: tuple[Any, ...]) -> Any:  # noqa: ARG002
        """Return the first array in place of a quotient of scalars."""
        assert arrays[0].ndim == 0, "a function of full size is not counted"  # noqa: S101
        return arrays[0]


_fused = _cupy.fused


def _is_result(parameter: Any) -> bool:
    return parameter.dtype is not None and not parameter.is_const


def unfused_cupy(subject: str, function: str, dtype: str) -> int:
    """Return the bytes of CuPy's functions, each of which is a kernel, by calling the same functions of NumPy."""
    traffic = NumpyTraffic()
    function_of("numpy", subject, function)(*traffic.arrays(SIZE, dtype))
    return traffic.bytes


class NumpyTraffic:
    """Counts the bytes that ufuncs and their reductions read and write."""

    def __init__(self) -> None:
        self.bytes = 0

    def arrays(self, size: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
        """Return two arrays; ufuncs of them and of their results are counted."""
        x, z = (np.zeros(size, dtype).view(_Counted) for _ in range(2))
        x.traffic = z.traffic = self
        return x, z


class _Counted(np.ndarray):
    traffic: NumpyTraffic

    def __array_finalize__(self, other: Any) -> None:
        if isinstance(other, _Counted):
            self.traffic = other.traffic

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = (), **options: Any) -> Any:
        plain = [np.asarray(a) if isinstance(a, np.ndarray) else a for a in inputs]
        if out:
            options["out"] = tuple(np.asarray(a) for a in out)
        result = getattr(ufunc, method)(*plain, **options)
        self.traffic.bytes += sum(a.nbytes for a in (*plain, result) if isinstance(a, np.ndarray))
        if isinstance(result, np.ndarray):
            result = result.view(_Counted)
            result.traffic = self.traffic
        return result


def jitted_jax(subject: str, function: str, dtype: str) -> float:
    """Return XLA's count of bytes for the program that it compiles for a CPU."""
    shaped = jax.ShapeDtypeStruct((SIZE,), dtype)
    with jax.enable_x64(True):
        compiled = function_of("jax", f"{subject}-jit", function).lower(shaped, shaped).compile()
    return compiled.cost_analysis()["bytes accessed"]


@dataclass(frozen=True)
class Way:
    """A way of running a subject."""

    name: str
    """Its name on the page."""
    count: Callable[[str, str, str], float]
    """Takes subject, function and dtype, and returns the bytes."""
    counted: str
    """The subject that `count` takes."""
    backend: str
    """The backend that `device.py` times it on."""
    subject: str
    """The subject that `device.py` times."""


WAYS = (
    Way("PyTorch, xbce", eager_torch, "xbce", "torch:cuda", "xbce"),
    Way("PyTorch, native loss", eager_torch, "native", "torch:cuda", "native"),
    Way("PyTorch, scikit-learn", eager_torch, "sklearn-array-api", "torch:cuda", "sklearn-array-api"),
    Way("PyTorch, textbook", eager_torch, "textbook", "torch:cuda", "textbook"),
    Way("torch.compile, xbce", compiled_torch, "xbce", "torch:cuda", "xbce-compiled"),
    Way("torch.compile, native loss", compiled_torch, "native", "torch:cuda", "native-compiled"),
    Way("CuPy, xbce (fused)", fused_cupy, "xbce", "cupy", "xbce"),
    Way("CuPy, textbook", unfused_cupy, "textbook", "cupy", "textbook"),
    Way("jax.jit, xbce", jitted_jax, "xbce", "jax:cuda", "xbce-jit"),
    Way("jax.jit, optax", jitted_jax, "native", "jax:cuda", "native-jit"),
)


@dataclass(frozen=True)
class Row:
    """Bytes that an element moves, and the least possible number."""

    function: str
    way: Way
    dtype: str
    bytes: float
    least: int


def rows(ways: Iterable[Way] = WAYS) -> list[Row]:
    """Count the bytes of every function that a way has."""
    found = []
    for function, moved in ARRAYS_MOVED.items():
        for way in ways:
            for dtype in DTYPES:
                try:
                    count = way.count(way.counted, function, dtype)
                except NotMeasured:
                    continue
                found.append(Row(function, way, dtype, count / SIZE, moved * np.dtype(dtype).itemsize))
    return found


def table(found: list[Row], function: str, measured: list[dict[str, Any]]) -> list[list[str]]:
    """Return the cells of a table of the page."""
    cells = [["", "dtype", "bytes per element", "least possible", "ratio", "measured share of a copy's bandwidth"]]
    for row in found:
        if row.function == function:
            share = share_of(row, measured)
            last = "-" if share is None else f"{share:.0%}"
            cells.append(
                [row.way.name, row.dtype, f"{row.bytes:.0f}", f"{row.least}", f"{row.bytes / row.least:.1f}", last]
            )
    return cells


def share_of(row: Row, measured: list[dict[str, Any]]) -> float | None:
    """Return the measured share of a row at the largest size."""
    key = (row.way.backend, row.dtype, row.function, row.way.subject)
    mine = [m for m in measured if (m["backend"], m["dtype"], m["function"], m["subject"]) == key]
    return max(mine, key=lambda m: m["size"])["share"] if mine else None


def on_devices(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a results file of `device.py` that were measured on a GPU."""
    return [row for row in results["rows"] if results["environments"][row["backend"]]["kind"] == "GPU"]


TEXT = """\
Made by `python benchmarks/bandwidth.py`, without a GPU: the bytes of memory that an element moves for each subject,
counted in the programs themselves. The baseline of the ratio is the least possible: logits and labels are read once,
results are written once. Where memory limits a GPU, a ratio of 2 takes twice the time. The last column is the share of
the bandwidth of a copy of the least bytes that `benchmarks/device.py` has measured on a GPU; "-" where it has not.

- PyTorch: the bytes that each operation reads and writes on a GPU, where xbce does not work block by block.
- torch.compile: Inductor's count for the kernels that it generates for a CPU.
- CuPy: arguments and results of the fused kernels, and of sums after them. The textbook has a kernel for each function.
- jax.jit: XLA's count for the program that it compiles for a CPU. For a GPU it fuses by other rules, which must be
  measured; here several results, or a sum and the operations before it, are several kernels.
"""


def section(found: list[Row], measured: list[dict[str, Any]]) -> str:
    """Return the section of the page."""
    parts = [ON_PAPER, "", TEXT]
    for function, title in TITLES.items():
        head, *body = ("| " + " | ".join(row) + " |" for row in table(found, function, measured))
        parts += [f"### On paper: {title}", "", head, "|" + "---|" * 6, *body, ""]
    return "\n".join(parts)


@click.command()
@click.option(
    "--measured",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A benchmarks.json of benchmarks/device.py, for the last column. More than once.",
)
def main(measured: tuple[Path, ...]) -> None:
    """Count the bytes that an element moves, and write the section of docs/benchmarks.md."""
    shares = [row for path in measured for row in on_devices(json.loads(path.read_text("utf-8")))]
    page = ROOT / "docs" / "benchmarks.md"
    page.write_text(with_section(page.read_text("utf-8"), ON_PAPER, section(rows(), shares)), "utf-8")


if __name__ == "__main__":
    main()
