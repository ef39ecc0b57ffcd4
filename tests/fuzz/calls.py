"""One call of xbce as data, and as the Python that makes it.

What the fuzzer runs is the text that `source` returns, so a finding that is printed is the call that was made. It needs
nothing but xbce and the library: it can be pasted.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from xbce_conformance.cases import CASES
from xbce_conformance.inputs.formats import FORMATS

FLOATS = tuple(FORMATS)


@dataclass(frozen=True)
class Array:
    """An array argument. `values` are exact numbers of `dtype`, in C order; `holder` says what holds them."""

    values: tuple[float, ...]
    dtype: str = "float32"
    shape: tuple[int, ...] | None = None
    """One dimension, unless given."""
    holder: str = "plain"
    chunks: tuple[tuple[int, ...], ...] = ()
    """Of Dask; one chunk, unless given."""
    filtered: int = 0
    """Where the element is inserted that the filter of an array of unknown length drops."""

    @property
    def dims(self) -> tuple[int, ...]:
        """The shape."""
        return (len(self.values),) if self.shape is None else self.shape

    @property
    def filtered_chunks(self) -> tuple[int, ...]:
        """The lengths of the chunks that the filter leaves."""
        (first, *rest), dropped = self.chunks[0], min(self.filtered, len(self.values))
        lengths = [first, *rest]
        lengths[-1] += 1
        for i, n in enumerate(lengths):
            if dropped < n:
                lengths[i] -= 1
                break
            dropped -= n
        return tuple(lengths)


@dataclass(frozen=True)
class Scalar:
    """A number: of Python, of NumPy ("numpy.float32"), or an array of one element ("0-d float32", "1-d float32").

    "item" is the number that a tensor gives within a function that PyTorch traces.
    """

    value: float
    kind: str = "python"


@dataclass(frozen=True)
class Call:
    """A function or method of xbce, its arguments, and how a library runs it."""

    function: str
    arguments: tuple[tuple[str, Array | Scalar], ...]
    """Array arguments by name, positional ones first."""
    method: str = ""
    library: str = "numpy"
    mode: str = "eager"
    options: tuple[tuple[str, Scalar], ...] = ()
    """Options that are numbers."""
    words: tuple[tuple[str, Any], ...] = ()
    """Other options: reduction, axis, normalize_by."""
    vector: tuple[float, ...] = ()
    """The cotangent (of the result's shape) of vjp, or the tangent of jvp."""
    copies: int = 1
    """How often each array of the full shape is repeated: large arrays run in blocks and threads."""
    lengths: str = "static"
    """"data": each array of the full shape is filtered by a mask in the call, so that its length depends on data.
    "jagged": they are PyTorch's nested tensors, whose rows have the lengths of `rows`."""
    rows: tuple[int, ...] = ()

    def argument(self, name: str) -> Array | Scalar | None:
        """Return an argument, or None."""
        return dict(self.arguments).get(name)

    def word(self, name: str, default: Any) -> Any:
        """Return an option that is not a number."""
        return dict(self.words).get(name, default)

    @property
    def first(self) -> Array:
        """The array whose shape and dtype count."""
        arrays = [a for _, a in self.arguments if isinstance(a, Array)]
        return arrays[0]


POSITIONAL = {case.function: case.arguments[: case.positional] for case in CASES}
"""The positional arguments of each function."""

REFUSED_HOLDERS = {
    "masked array": "mask",
    "array with a unit": "unit",
    "masked chunks": "mask",
    "chunks with a unit": "unit",
    "sparse": "layout",
    "CSR": "layout",
    "mkldnn": "layout",
    "masked tensor": "mask",
    "nested": "layout",
    "another library": "library",
    "list": "no array",
}
"""Holders whose arrays must be refused, and why."""


# --- numbers and arrays as text -------------------------------------------------------------------------------------


def number(x: float) -> str:
    """Write a number so that it is read back exactly, with the names inf and nan."""
    return repr(x) if isinstance(x, int) or math.isfinite(x) else str(float(x)).replace("+", "")


def _nested(values: Iterator[float], shape: tuple[int, ...]) -> str:
    if not shape:
        return next(values)
    return f"[{', '.join(_nested(values, shape[1:]) for _ in range(shape[0]))}]"


def _list(array: Array) -> str:
    texts = (number(bool(v) if array.dtype == "bool" else int(v) if "int" in array.dtype else v) for v in array.values)
    return _nested(iter(texts), array.dims)


def _dtype(library: str, name: str) -> str:
    if library in ("numpy", "dask"):
        return "ml_dtypes.bfloat16" if name == "bfloat16" else f"np.{name}"
    return f"{_MODULE[library]}.{'bool_' if library == 'mlx' and name == 'bool' else name}"


_MODULE = {
    "numpy": "np",
    "torch": "torch",
    "jax": "jnp",
    "dask": "da",
    "array-api-strict": "xp",
    "mlx": "mx",
    "ndonnx": "ndx",
}
_IMPORTS = {
    "numpy": (),
    "torch": ("import torch",),
    "jax": ("import jax", "jax.config.update('jax_enable_x64', True)", "import jax.numpy as jnp"),
    "dask": ("import dask.array as da",),
    "array-api-strict": ("import array_api_strict as xp",),
    "mlx": ("import mlx.core as mx", "mx.set_default_device(mx.cpu)"),
    "ndonnx": ("import ndonnx as ndx",),
}
_OF_NUMPY = {"dask": "{}", "numpy": "{}", "array-api-strict": "xp.asarray({})", "ndonnx": "ndx.asarray({})"}
"""Libraries whose arrays are made of arrays of NumPy, and how."""


def _plain(library: str, array: Array) -> str:
    """Return an expression of an array that owns its elements in C order."""
    maker = {"torch": "torch.tensor"}.get(library, f"{_MODULE[library]}.array")
    if library in _OF_NUMPY:
        maker = "np.array"
    dtype = _dtype("numpy" if maker == "np.array" else library, array.dtype)
    text = f"{maker}({_list(array)}, dtype={dtype})"
    if 0 in array.dims[1:] or (array.dims and array.dims[0] == 0):
        text += f".reshape({array.dims})"
    return _OF_NUMPY.get(library, "{}").format(text)


_ANY = "{a}"
_NUMPY_HOLDERS = {
    "plain": _ANY,
    "F order": "np.asfortranarray({a})",
    "strided": "np.repeat({a}, 2, axis=-1)[..., ::2]",
    "reversed": "{a}[..., ::-1].copy()[..., ::-1]",
    "zero strides": "np.broadcast_to({row}, {shape})",
    "unaligned": "np.frombuffer(b'-' + {a}.tobytes(), {dtype}, offset=1).reshape({shape})",
    "big-endian": "{a}.astype({a}.dtype.newbyteorder('>'))",
    "memmap": "in_memmap({a})",
    "recarray": "{a}.view(np.recarray)",
    "masked array": "np.ma.masked_array({a}, mask=np.zeros({shape}, bool))",
    "array with a unit": "{a}.view(WithUnit)",
    "another library": "torch.asarray({a})",
    "list": "{list}",
}
_HOLDERS = {
    "numpy": _NUMPY_HOLDERS,
    "torch": {
        "plain": _ANY,
        "strided": "{a}.repeat_interleave(2, -1)[..., ::2]",
        "transposed": "{a}.mT.contiguous().mT",
        "zero strides": "{row}.expand({shape})",
        "parameter": "torch.nn.Parameter({a})",
        "requires grad": "{a}.requires_grad_()",
        "negated view": "torch._neg_view(-{a})",
        "sparse": "{a}.to_sparse()",
        "CSR": "{a}.to_sparse_csr()",
        "mkldnn": "{a}.to_mkldnn()",
        "masked tensor": "torch.masked.masked_tensor({a}, torch.ones({shape}, dtype=torch.bool))",
        "nested": "torch.nested.nested_tensor(list({a}))",
        "another library": "np.zeros({shape})",
        "list": "{list}",
    },
    "jax": {
        "plain": _ANY,
        "numpy": "{numpy}",
        "sharded": "jax.device_put({a}, sharding)",
        "another library": "torch.zeros({shape})",
        "list": "{list}",
    },
    "dask": {
        "plain": "da.from_array({a}, chunks={chunks})",
        "unknown lengths": "{unknown}",
        "masked chunks": "da.ma.masked_array(da.from_array({a}, chunks={chunks}), mask=False)",
        "chunks with a unit": "da.from_array({a}.view(WithUnit), chunks={chunks}, asarray=False)",
        "another library": "np.zeros({shape})",
        "list": "{list}",
    },
    "array-api-strict": {"plain": _ANY, "another library": "np.zeros({shape})", "list": "{list}"},
    "mlx": {
        "plain": _ANY,
        "strided": "mx.repeat({a}, 2, axis=-1)[..., ::2]",
        "transposed": "mx.contiguous({a}.swapaxes(-1, -2)).swapaxes(-1, -2)",
        "zero strides": "mx.broadcast_to({row}, {shape})",
        "another library": "np.zeros({shape})",
        "list": "{list}",
    },
    "ndonnx": {"plain": _ANY, "another library": "np.zeros({shape})", "list": "{list}"},
}
"""How each library holds the numbers of an array."""

HOLDERS = {library: tuple(holders) for library, holders in _HOLDERS.items()}

_HELPERS = {
    "in_memmap": """\
def in_memmap(a):
    with tempfile.TemporaryFile() as file:
        held = np.memmap(file, a.dtype, shape=a.shape)
    held[...] = a
    return held
""",
    "WithUnit": """\
class WithUnit(np.ndarray):
    unit = "second"
""",
    "sharding": "sharding = jax.NamedSharding(jax.make_mesh((2,), ('d',)), jax.sharding.PartitionSpec('d'))\n",
}
"""What an expression of an array may need before it."""


def _held(library: str, array: Array) -> str:
    holder = array.holder
    template = (_NUMPY_HOLDERS | _HOLDERS[library] if library == "dask" else _HOLDERS[library])[holder]
    row = Array(array.values[: math.prod(array.dims[1:])], array.dtype, array.dims[1:]) if array.dims else array
    return template.format(
        a=_plain(library, array),
        row=_plain(library, row) if "{row}" in template else "",
        list=_list(array),
        numpy=_plain("numpy", array),
        shape=array.dims,
        dtype=_dtype("numpy", array.dtype),
        chunks=array.chunks or tuple((n,) for n in array.dims),
        unknown=_unknown(array) if holder == "unknown lengths" else "",
    )


def _filtered(array: Array) -> tuple[Array, str]:
    """Return a longer array and the list of which elements a filter keeps."""
    i = min(array.filtered, len(array.values))
    longer = (*array.values[:i], array.dtype in FLOATS and 0.25, *array.values[i:])
    kept = [k != i for k in range(len(longer))]
    return Array(longer, array.dtype), str(kept)


def _unknown(array: Array) -> str:
    longer, kept = _filtered(array)
    chunks = (*array.chunks[0][:-1], array.chunks[0][-1] + 1)
    return (
        f"da.from_array({_plain('dask', longer)}, chunks=({chunks},))"
        f"[da.from_array(np.array({kept}), chunks=({chunks},))]"
    )


def _scalar(library: str, scalar: Scalar) -> str:
    value, kind = scalar.value, scalar.kind
    if kind in ("python", "item"):
        return number(value)
    if kind.startswith("numpy."):
        name = kind.removeprefix("numpy.")
        dtype = "ml_dtypes.bfloat16" if name == "bfloat16" else f"np.{name}"
        return f"{dtype}({number(value)})"
    dims, dtype = ((), kind.removeprefix("0-d ")) if kind.startswith("0-d ") else ((1,), kind.removeprefix("1-d "))
    array = Array((value,), dtype, dims)
    text = _plain(library, array)
    return f"da.from_array({text})" if library == "dask" else text


# --- the call -------------------------------------------------------------------------------------------------------


def source(call: Call) -> str:
    """Return Python that leaves what the call returns in `result`."""
    setup, inside = _arguments(call)
    keywords = [f"{name}={inside[name]}" for name, _ in call.arguments if name not in POSITIONAL[call.function]]
    keywords += [f"{name}={_scalar(call.library, value)}" for name, value in call.options]
    keywords += [f"{name}={value!r}" for name, value in call.words]
    positional = [inside[name] for name in POSITIONAL[call.function]]
    expression = f"xbce.{_called(call)}({', '.join((*positional, *keywords))})"
    lines = _MODES[call.library, call.mode](call, expression)
    body = "\n".join((*setup, *lines))
    helpers = [text for name, text in _HELPERS.items() if name in body]
    imports = [f"import {name}" for name in ("ml_dtypes", "tempfile") if f"{name}." in body + "".join(helpers)]
    imports += ["import numpy as np"]
    imports += [line for line in _IMPORTS[call.library] if line not in imports]
    imports += ["import onnxruntime"] if "onnxruntime." in body else []
    if "torch." in body and "import torch" not in imports:
        imports.append("import torch")
    needs = [f"from math import {name}" for name in ("inf", "nan") if name in body]
    return "\n".join((*needs, *imports, "import xbce", "", *helpers, body)) + "\n"


AUTODIFF = ("backward", "backward, anomalies", "func", "vjp", "jvp", "grad", "debug_nans, grad", "export, backward")
"""Modes in which the library differentiates: the method is then what the derivative has to be."""


def _called(call: Call) -> str:
    if not call.method or call.mode in AUTODIFF:
        return call.function
    return f"{call.function}.{call.method}"


def _traced(call: Call) -> bool:
    """Tell whether scalars are arguments of the function that is traced, and not constants in it."""
    return call.mode in ("jit", "debug_nans, jit", "trace", "compile", "export", "export, backward", "graph")


def names(call: Call) -> list[str]:
    """Return the names that are arguments of a function around the call."""
    return [
        name
        for name, a in call.arguments
        if isinstance(a, Array)
        or (_traced(call) and call.library == "jax")
        or (a.kind.startswith("0-d") and call.mode != "vmap")
    ]


def _arguments(call: Call) -> tuple[list[str], dict[str, str]]:
    """Return statements that make the arguments, and the expression of each in the call."""
    setup, inside = [], {}
    full = call.first.dims
    for name, a in call.arguments:
        inside[name] = name
        if isinstance(a, Scalar) and a.kind == "item":
            setup.append(f"{name} = torch.tensor({number(a.value)}, dtype=torch.float64)")
            inside[name] = f"{name}.item()"
        elif isinstance(a, Scalar):
            text = _scalar(call.library, a)
            if name in names(call):
                setup.append(f"{name} = {text}")
            else:
                inside[name] = text
        elif call.lengths == "data" and a.dims == full:
            longer, kept = _filtered(a)
            setup.append(f"{name} = {_plain(call.library, longer)}")
            if name == POSITIONAL[call.function][0]:
                setup.append(f"kept = torch.tensor({kept})")
            inside[name] = f"{name}[kept]"
        elif call.lengths == "jagged" and a.dims == full:
            setup.append(f"{name} = {_jagged(call, name, a)}")
        else:
            text = _held(call.library, a)
            if call.copies > 1 and a.dims == full:
                text = f"{'torch' if call.library == 'torch' else 'np'}.tile({text}, ({call.copies},))"
            setup.append(f"{name} = {text}")
    return setup, inside


def _jagged(call: Call, name: str, a: Array) -> str:
    values = _plain("torch", a)
    if name == POSITIONAL[call.function][0]:
        offsets = [sum(call.rows[:i]) for i in range(len(call.rows) + 1)]
        return f"torch.nested.nested_tensor_from_jagged({values}, torch.tensor({offsets}))"
    return f"torch.nested.nested_tensor_from_jagged({values}, {POSITIONAL[call.function][0]}.offsets())"


def _assigned(_call: Call, expression: str) -> list[str]:
    return [f"result = {expression}"]


def _under(manager: str) -> Any:
    return lambda _call, expression: [f"with {manager}:", f"    result = {expression}"]


def _function(call: Call, expression: str, suffix: str = "") -> list[str]:
    return [f"def f({', '.join(_parameters(call))}):", f"    return {expression}{suffix}"]


def _parameters(call: Call) -> list[str]:
    extra = ["kept"] if call.lengths == "data" else []
    items = [name for name, a in call.arguments if isinstance(a, Scalar) and a.kind == "item"]
    return list(dict.fromkeys((*names(call), *items, *extra)))


_TRANSFORMS = {"torch": "torch.func", "jax": "jax", "mlx": "mx"}
"""Where libraries have vmap, grad, vjp and jvp."""


def _jitted(call: Call, expression: str) -> list[str]:
    jit = {"jax": "jax.jit", "mlx": "mx.compile"}[call.library]
    return [*_function(call, expression), f"result = {jit}(f)({', '.join(_parameters(call))})"]


def _debug_nans(lines: Any) -> Any:
    def guarded(call: Call, expression: str) -> list[str]:
        *before, last = lines(call, expression)
        return [*before, "with jax.debug_nans(True):", f"    {last}"]

    return guarded


def _vmapped(call: Call, expression: str) -> list[str]:
    module = _TRANSFORMS[call.library]
    return [*_function(call, expression), f"result = {module}.vmap(f)({', '.join(_parameters(call))})"]


def _grad(call: Call, expression: str) -> list[str]:
    lines, arguments = _function(call, expression, ".sum()"), ", ".join(_parameters(call))
    grad = f"{_TRANSFORMS[call.library]}.grad"
    if call.method == "hessian":
        return [*lines, f"result = {grad}(lambda *a: {grad}(f)(*a).sum())({arguments})"]
    return [*lines, f"result = {grad}(f, {int(call.method == 'label_gradient')})({arguments})"]


def _one_argument(call: Call, expression: str) -> tuple[list[str], str]:
    x = call.arguments[0][0]
    return [f"def f({x}):", f"    return {expression}"], x


def _vector(call: Call, like: str) -> str:
    values = f"[{', '.join(map(number, call.vector))}]"
    maker = {"torch": "torch.tensor", "jax": "jnp.array", "mlx": "mx.array"}[call.library]
    return f"{maker}({values}, dtype={like}.dtype).reshape({like}.shape)"


def _jax_vjp(call: Call, expression: str) -> list[str]:
    lines, x = _one_argument(call, expression)
    return [*lines, f"y, back = jax.vjp(f, {x})", f"(result,) = back({_vector(call, 'y')})"]


def _mlx_vjp(call: Call, expression: str) -> list[str]:
    lines, x = _one_argument(call, expression)
    return [*lines, f"y = f({x})", f"(result,) = mx.vjp(f, ({x},), ({_vector(call, 'y')},))[1]"]


def _jvp(call: Call, expression: str) -> list[str]:
    lines, x = _one_argument(call, expression)
    of_lists = "[0]" if call.library == "mlx" else ""
    module = _TRANSFORMS[call.library]
    return [*lines, f"result = {module}.jvp(f, ({x},), ({_vector(call, x)},))[1]{of_lists}"]


def _backward(call: Call, expression: str) -> list[str]:
    place = int(call.method == "label_gradient")
    x = call.arguments[place][0]
    once = f"torch.autograd.grad(({expression}).sum(), {x}"
    lines = [f"{x} = {x}.detach().requires_grad_()"]
    if call.method == "hessian":
        return [*lines, f"slope = {once}, create_graph=True)[0]", f"result = torch.autograd.grad(slope.sum(), {x})[0]"]
    return [*lines, f"result = {once})[0]"]


def _anomalies(call: Call, expression: str) -> list[str]:
    first, *rest = _backward(call, expression)
    return [first, "with torch.autograd.set_detect_anomaly(True):", *(f"    {line}" for line in rest)]


def _torch_vjp(call: Call, expression: str) -> list[str]:
    x = call.arguments[0][0]
    return [
        f"{x} = {x}.detach().requires_grad_()",
        f"y = {expression}",
        f"result = torch.autograd.grad(y, {x}, {_vector(call, 'y')})[0]",
    ]


def _compiled(options: str) -> Any:
    def lines(call: Call, expression: str) -> list[str]:
        made = [*_function(call, expression), f"compiled = torch.compile(f, fullgraph=True{options})"]
        if call.lengths == "data" or any(isinstance(a, Scalar) and a.kind == "item" for _, a in call.arguments):
            captured = "capture_scalar_outputs=True, capture_dynamic_output_shape_ops=True"
            made += ["import torch._dynamo", f"with torch._dynamo.config.patch({captured}):"]
            return [*made, f"    result = compiled({', '.join(_parameters(call))})"]
        return [*made, f"result = compiled({', '.join(_parameters(call))})"]

    return lines


def _exported(call: Call, expression: str) -> list[str]:
    parameters = ", ".join(_parameters(call))
    comma = "," if len(_parameters(call)) == 1 else ""
    return [
        "class Model(torch.nn.Module):",
        f"    def forward(self, {parameters}):",
        f"        return {expression}",
        f"exported = torch.export.export(Model(), ({parameters}{comma})).module()",
        f"result = exported({parameters})",
    ]


def _exported_backward(call: Call, expression: str) -> list[str]:
    *lines, last = _exported(call, expression)
    x = call.arguments[0][0]
    evaluated = last.removeprefix("result = ")
    return [
        *lines,
        f"{x} = {x}.detach().requires_grad_()",
        f"result = torch.autograd.grad({evaluated}.sum(), {x})[0]",
    ]


def _onnx(call: Call, expression: str) -> list[str]:
    """Make a graph of ONNX in which the length of arrays is not known, and have onnxruntime run it."""
    given = dict(call.arguments)
    shapes = {name: getattr(given[name], "dims", ()) for name in _parameters(call)}
    shapes |= {name: ("N", *shape[1:]) for name, shape in shapes.items() if shape == call.first.dims}
    places = (f"{name}=ndx.argument(shape={shape}, dtype={name}.dtype)" for name, shape in shapes.items())
    return [
        *_function(call, expression),
        f"places = dict({', '.join(places)})",
        "found = f(**places)",
        "found = found if isinstance(found, tuple) else (found,)",
        "model = ndx.build(places, {f'y{i}': y for i, y in enumerate(found)}).SerializeToString()",
        "session = onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider'])",
        f"given = dict({', '.join(f'{name}={name}' for name in shapes)})",
        "found = session.run(None, {name: a.unwrap_numpy() for name, a in given.items()})",
        "result = tuple(map(ndx.asarray, found))",
    ]


_MODES: dict[tuple[str, str], Any] = {
    ("numpy", "eager"): _assigned,
    ("numpy", "errors raised"): _under("np.errstate(all='raise')"),
    ("numpy", "large"): _assigned,
    ("array-api-strict", "eager"): _assigned,
    ("dask", "lazy"): _assigned,
    ("torch", "eager"): _assigned,
    ("torch", "large"): _assigned,
    ("torch", "autocast"): _under("torch.autocast('cpu', torch.bfloat16)"),
    ("torch", "backward"): _backward,
    ("torch", "backward, anomalies"): _anomalies,
    ("torch", "func"): _grad,
    ("torch", "vjp"): _torch_vjp,
    ("torch", "jvp"): _jvp,
    ("torch", "vmap"): _vmapped,
    ("torch", "export"): _exported,
    ("torch", "export, backward"): _exported_backward,
    ("torch", "trace"): _compiled(", backend='aot_eager'"),
    ("torch", "compile"): _compiled(""),
    ("jax", "eager"): _assigned,
    ("jax", "jit"): _jitted,
    ("jax", "grad"): _grad,
    ("jax", "vjp"): _jax_vjp,
    ("jax", "jvp"): _jvp,
    ("jax", "vmap"): _vmapped,
    ("jax", "debug_nans"): _debug_nans(_assigned),
    ("jax", "debug_nans, jit"): _debug_nans(_jitted),
    ("jax", "debug_nans, grad"): _debug_nans(_grad),
    ("mlx", "eager"): _assigned,
    ("mlx", "jit"): _jitted,
    ("mlx", "grad"): _grad,
    ("mlx", "vjp"): _mlx_vjp,
    ("mlx", "jvp"): _jvp,
    ("mlx", "vmap"): _vmapped,
    ("ndonnx", "eager"): _assigned,
    ("ndonnx", "graph"): _onnx,
}
MODES = tuple(_MODES)
"""Every library with every way in which it runs a call."""
