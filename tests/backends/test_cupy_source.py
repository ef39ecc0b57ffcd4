"""Without a GPU: what the fuser of CuPy makes of every kernel, compiled by NVRTC for a real GPU; nothing runs."""

import numpy as np
import pytest

import xbce
from tests.cuda_host.ptx import ptx
from tests.helpers import some_long, step
from xbce._call.kernel import Kernel, Output, SumSpec
from xbce._formulas import CrossEntropy

cupy = pytest.importorskip("cupy", exc_type=ImportError)
cupy_fusion = pytest.importorskip("cupy_fusion", exc_type=ImportError)
try:
    cupy.cuda.nvrtc.getVersion()
except RuntimeError as error:
    pytest.skip(f"NVRTC cannot be loaded: {error}", allow_module_level=True)

ARCHITECTURE = "90"
LOSSES = [
    ("binary_cross_entropy_with_logits", {}),
    ("binary_cross_entropy_with_logits", {"label_smoothing": 0.1}),
    ("sigmoid_focal_loss", {"gamma": 2, "alpha": 0.25}),
    ("sigmoid_focal_loss", {"gamma": 0.5}),
    ("sigmoid_focal_loss", {"gamma": 1.3, "label_smoothing": 0.1}),
    ("asymmetric_loss", {"gamma_pos": 1, "gamma_neg": 4, "shift": 0.05}),
    ("asymmetric_loss", {"gamma_pos": 0.3, "gamma_neg": 1.7}),
    ("binary_cross_entropy", {}),
    ("binary_cross_entropy", {"clip": 1e-7}),
    ("binary_cross_entropy", {"log_floor": -100}),
    ("binary_cross_entropy", {"log_offset": 1e-7}),
]
METHODS = [
    ("value",),
    ("gradient",),
    ("hessian",),
    ("label_gradient",),
    ("value", "gradient"),
    ("gradient", "hessian"),
]
array = cupy_fusion.array
F16, F32, F64 = map(np.dtype, ("float16", "float32", "float64"))


def compiled(kernel):
    """Return the log of compiling the body of an elementwise kernel, in a loop over one index."""
    *parameters, _index = kernel.params
    pointers = ", ".join(f"{p.ctype}* p_{p.name}" for p in parameters)
    loads = "".join(f"{p.ctype} {p.name} = p_{p.name}[i];\n" for p in parameters)
    stores = "".join(f"p_{p.name}[i] = {p.name};\n" for p in parameters)
    source = (
        "#include <cupy/carray.cuh>\n#include <cupy/math_constants.h>\n"  # two of those that CuPy puts before kernels
        f"{kernel.preamble}\n"
        f'extern "C" __global__ void fused({pointers}) {{\n'
        f"int i = blockIdx.x * blockDim.x + threadIdx.x;\n{loads}{kernel.operation}\n{stores}}}\n"
    )
    ptx(source, ("--std=c++17",), ARCHITECTURE)


def formula_of(name, **options):
    """Return the formula of a loss without its numbers, and these."""
    return getattr(xbce, name)._formula_of(None, None, **{"label_smoothing": None} | options).apart()


def _hoisted(kernel, arrays):
    """Return what the runner has CuPy fuse."""
    from xbce._compiler.hoisting import hoisted

    function = hoisted(kernel, arrays)
    return function, function.arguments(arrays)


def fused(kernel, arrays, total=None):
    from array_api_compat import cupy as xp

    from xbce._backends import cupy as _cupy

    return cupy_fusion.trace(_cupy.fused(xp, kernel, total, arrays[0].ndim), arrays)


def test_namespace_is_run_by_the_fusing_runner():
    from array_api_compat import cupy as xp

    from xbce._backends import cupy as _cupy
    from xbce._backends import runner_for

    assert runner_for(xp) is _cupy.RUNNER


# Half of the pairs has both dtypes, with a weight and without.
PAIRS = {
    "float32 and weighted float64": [(F32, False), (F64, True)],
    "weighted float32 and float64": [(F32, True), (F64, False)],
}


@pytest.mark.parametrize("pairs", some_long(PAIRS, {"float32 and weighted float64"}))
@pytest.mark.parametrize("methods", METHODS, ids="+".join)
@pytest.mark.parametrize(("name", "options"), LOSSES)
def test_every_method_is_one_kernel(name, options, methods, pairs):
    formula, numbers = formula_of(name, **options)
    for dtype, weighted in pairs:
        with step("cupy", getattr(xbce, name), methods, dtype, weighted, **options):
            arguments = 3 if weighted else 2
            outputs = tuple(Output(m, dtype, dtype) for m in methods)
            positions = tuple(range(arguments, arguments + len(numbers)))
            kernel = Kernel(formula, outputs, dtype, arguments, numbers=positions)
            arrays = tuple(array(shape, dtype) for shape in ((4, 3), (4, 3), (3,))[:arguments])
            made = fused(*_hoisted(kernel, (*arrays, *numbers)))
            assert not any("float16" in line for line in made.operation.splitlines())
            assert isinstance(made, cupy.ElementwiseKernel)
            assert [p.dtype for p in made.params if p.dtype is not None and not p.is_const] == [dtype] * len(methods)
            compiled(made)


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("binary_cross_entropy_with_logits", ("label_smoothing",)),
        ("binary_cross_entropy", ("clip",)),
        ("binary_cross_entropy", ("log_floor",)),
        ("binary_cross_entropy", ("log_offset",)),
        ("sigmoid_focal_loss", ("gamma", "alpha")),
        ("asymmetric_loss", ("gamma_pos", "gamma_neg", "shift")),
    ],
)
def test_options_that_are_arrays_are_arguments_of_the_kernel(name, own):
    formula, numbers = formula_of(name, **{option: array((3,), F32) for option in own})
    assert len(numbers) == len(own)
    places = tuple(range(2, 2 + len(numbers)))
    for methods in METHODS:
        with step("cupy", getattr(xbce, name), methods, own):
            kernel = Kernel(formula, tuple(Output(m, F32, F32) for m in methods), F32, 2, numbers=places)
            made = fused(*_hoisted(kernel, (array((4, 3), F32), array((4, 3), F32), *numbers)))
            assert isinstance(made, cupy.ElementwiseKernel)
            compiled(made)


@pytest.mark.parametrize("size", [30.0, 30, array((1, 1), F64)], ids=["float", "int", "array"])
def test_everything_that_a_kernel_can_have_is_in_one(size):
    """Half precision, integer labels, weights, a mask, a number of the formula, a denominator."""
    outputs = (Output("value", F64, F64, weights=(3,)), Output("gradient", F32, F16, weights=(3,), divisor=6))
    kernel = Kernel(CrossEntropy(1.0), outputs, F32, arguments=3, integers=(1,), where=4, numbers=(5,))
    arrays = (array((4, 3), F16), array((4, 3), "int64"), array((3,), F32), array((), F64), array((4, 1), bool))
    arrays = (*arrays, 0.1, size)
    made = fused(*_hoisted(kernel, arrays))
    assert isinstance(made, cupy.ElementwiseKernel)
    assert [p.dtype for p in made.params if p.dtype is not None and not p.is_const] == [F64, F16]
    compiled(made)


@pytest.mark.parametrize("axes", [(-2, -1), (-2,), (-1,)])
def test_a_single_sum_is_a_reduction_kernel(axes):
    kernel = Kernel(CrossEntropy(), (Output("value", F32, F32),), F32, arguments=2)
    made = fused(kernel, (array((4, 3), F32), array((4, 3), F32)), SumSpec(axes, F64))
    assert isinstance(made, cupy.ReductionKernel)
    assert [p.dtype for p in made.out_params] == [F64]
