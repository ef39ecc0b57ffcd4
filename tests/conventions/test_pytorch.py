"""`xbce.conventions.pytorch` against the installed PyTorch, and against torchvision's published definition."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conventions.differential import (
    LOGITS,
    PROBABILITIES,
    SHAPES,
    SOFT,
    WEIGHTS,
    agree,
    arrays,
    narrowed,
    on,
)
from tests.conventions.gathered import MATRIX, VECTOR, ZEROS_AND_ONES
from tests.helpers import approx, step
from xbce.conventions import pytorch

torch = pytest.importorskip("torch")
F = torch.nn.functional

FLOATS = st.sampled_from(["float32", "float64", "float16", "bfloat16"])
REDUCTIONS = st.sampled_from(["mean", "sum", "none"])


def tensor(x, dtype):
    return torch.as_tensor(x).to(getattr(torch, dtype))


def numpy_of(x):
    return x.detach().to(torch.float64).numpy()


def unit(*tensors):
    """The rounding error of the coarsest dtype among tensors."""
    return max(torch.finfo(x.dtype).eps for x in tensors if x.is_floating_point())


def reduced(x, reduction):
    return x if reduction == "none" else getattr(x, reduction)()


def size_of_terms(x, y, weight, pos_weight):
    """The terms of PyTorch's (1 - y) x - log_sigmoid(x) (1 + (q - 1) y): each may be rounded."""
    x, y = x.double(), y.double()
    q = torch.ones((), dtype=torch.float64) if pos_weight is None else pos_weight.double()
    terms = ((1 - y) * x).abs() + (1 + (q - 1).abs() * y) * (x.abs() + 1)
    return terms * (1.0 if weight is None else weight.double())


def draw_call(data, elements, dtypes=FLOATS, *, one_dtype=False, names=("weight", "pos_weight")):
    """Draw the arguments of a call, all of them valid."""
    shape = data.draw(SHAPES, label="shape")
    dtype, target_dtype, weight_dtype = (data.draw(dtypes, label=f"dtype of {of}") for of in ("x", "y", "weights"))
    x = tensor(data.draw(arrays(elements, shape), label="x"), dtype)
    y = tensor(data.draw(arrays(SOFT, shape), label="y"), dtype if one_dtype else target_dtype)
    weights = {
        name: tensor(data.draw(arrays(WEIGHTS, data.draw(narrowed(shape), label="shape")), label=name), weight_dtype)
        for name in names
        if data.draw(st.booleans(), label=f"with {name}")
    }
    return x, y, weights | {"reduction": data.draw(REDUCTIONS, label="reduction")}


@pytest.mark.compared("pytorch.binary_cross_entropy_with_logits", "torch")
@settings(max_examples=400)
@given(st.data())
def test_with_logits(data):
    x, y, options = draw_call(data, LOGITS)
    weight, pos_weight = options.get("weight"), options.get("pos_weight")
    floats = [t for t in (x, y, weight, pos_weight) if t is not None]
    terms = reduced(size_of_terms(x, y, weight, pos_weight), options["reduction"])
    agree(
        lambda: pytorch.binary_cross_entropy_with_logits(x, y, **options),
        lambda: F.binary_cross_entropy_with_logits(x, y, **options),
        tolerance=numpy_of(8 * unit(*floats) * terms),
        to_numpy=numpy_of,
    )


def derivatives(function, x, y, options):
    """The gradient in logits (or probabilities) and labels, and the second derivative in the logits."""
    x, y = x.detach().requires_grad_(), y.detach().requires_grad_()
    total = function(x, y, **options).sum()
    dx, dy = torch.autograd.grad(total, (x, y), create_graph=True)
    (dxx,) = torch.autograd.grad(dx.sum(), x, allow_unused=True)
    return dx.detach(), dy.detach(), torch.zeros_like(x) if dxx is None else dxx.detach()


@pytest.mark.compared("pytorch.binary_cross_entropy_with_logits", "torch")
@settings(max_examples=200)
@given(st.data(), st.integers(0, 2))
def test_with_logits_autograd(data, which):
    x, y, options = draw_call(data, LOGITS, st.just("float64"))
    scale = torch.ones((), dtype=torch.float64)
    for weight in (options.get("weight"), options.get("pos_weight")):
        scale = scale if weight is None else scale * (1 + weight)
    if which == 1:
        scale = scale * (1 + x.abs())
    agree(
        lambda: derivatives(pytorch.binary_cross_entropy_with_logits, x, y, options)[which],
        lambda: derivatives(F.binary_cross_entropy_with_logits, x, y, options)[which],
        tolerance=numpy_of(16 * unit(x) * scale),
        to_numpy=numpy_of,
    )


@pytest.mark.compared("pytorch.binary_cross_entropy", "torch")
@settings(max_examples=400)
@given(st.data())
def test_of_probabilities(data):
    p, y, options = draw_call(data, PROBABILITIES, one_dtype=True, names=("weight",))
    weight = 1.0 if "weight" not in options else options["weight"].double()
    floored = -p.double().log().clamp(-100) - (-p.double()).log1p().clamp(-100)
    agree(
        lambda: pytorch.binary_cross_entropy(p, y, **options),
        lambda: F.binary_cross_entropy(p, y, **options),
        tolerance=numpy_of(8 * unit(p) * reduced((1 + floored) * weight, options["reduction"])),
        to_numpy=numpy_of,
    )


@pytest.mark.compared("pytorch.binary_cross_entropy", "torch")
@settings(max_examples=300)
@given(st.data(), st.sampled_from(["float32", "float64"]))
def test_of_probabilities_gradient(data, dtype):
    p, y, options = draw_call(data, PROBABILITIES, st.just(dtype), names=("weight",))

    def gradient(function):
        leaf = p.detach().requires_grad_()
        function(leaf, y, **options).sum().backward()
        return leaf.grad

    size = (1 / (p * (1 - p)).clamp(1e-12)).double()
    agree(
        lambda: gradient(pytorch.binary_cross_entropy),
        lambda: gradient(F.binary_cross_entropy),
        tolerance=numpy_of(16 * unit(p) * size * (1 if "weight" not in options else options["weight"].double())),
        to_numpy=numpy_of,
    )


WRONG = {
    "shape": lambda x, y, o: (x, torch.cat([y.reshape(-1), torch.ones(1, dtype=y.dtype)]), o),
    "lower rank": lambda x, y, o: (x[None], y, o),
    "integer target": lambda x, y, o: (x, y.long(), o),
    "boolean target": lambda x, y, o: (x, y > 0.5, o),
    "integer input": lambda x, y, o: (x.long(), y, o),
    "boolean input": lambda x, y, o: (x > 0, y, o),
    "enlarging weight": lambda x, y, o: (x, y, {**o, "weight": torch.ones(2, *x.shape, dtype=x.dtype)}),
    "unfitting weight": lambda x, y, o: (x, y, {**o, "weight": torch.ones(7, dtype=x.dtype)}),
    "enlarging pos_weight": lambda x, y, o: (x, y, {**o, "pos_weight": torch.ones(2, *x.shape, dtype=x.dtype)}),
    "unfitting pos_weight": lambda x, y, o: (x, y, {**o, "pos_weight": torch.ones(7, dtype=x.dtype)}),
    "number for weight": lambda x, y, o: (x, y, {**o, "weight": 2.0}),
    "number for pos_weight": lambda x, y, o: (x, y, {**o, "pos_weight": 2.0}),
    "number for target": lambda x, _, o: (x, 1.0, o),
    "list for input": lambda x, y, o: (x.tolist(), y, o),
    "unknown reduction": lambda x, y, o: (x, y, {**o, "reduction": "average"}),
    "reduction None": lambda x, y, o: (x, y, {**o, "reduction": None}),
    "NaN": lambda x, y, o: (x * torch.nan, y, o),
    "above 1": lambda x, y, o: (x.abs() + 2, y, o),
    "below 0": lambda x, y, o: (-x.abs() - 2, y, o),
    "target above 1": lambda x, y, o: (x, y + 2, o),
    "target of another dtype": lambda x, y, o: (x, y.double() if y.dtype == torch.float32 else y.float(), o),
}


@pytest.mark.parametrize("name", ["binary_cross_entropy", "binary_cross_entropy_with_logits"])
class TestErrors:
    """Type and condition of errors. Where PyTorch trips over a list or number, xbce raises TypeError."""

    @pytest.fixture(autouse=True)
    def _row(self, name, request):
        request.node.add_marker(pytest.mark.compared(f"pytorch.{name}", "torch"))

    @given(data=st.data(), wrong=st.sampled_from(list(WRONG)))
    def test_alike(self, name, data, wrong):
        with_logits = name.endswith("logits")
        names = ("weight", "pos_weight") if with_logits else ("weight",)
        elements = LOGITS if with_logits else PROBABILITIES
        x, y, options = draw_call(data, elements, st.just("float32"), names=names)
        x, y, options = WRONG[wrong](x, y, options)
        agree(
            lambda: getattr(pytorch, name)(x, y, **options),
            lambda: getattr(F, name)(x, y, **options),
            tolerance=1e-3,
            to_numpy=numpy_of,
            errors={"AttributeError": TypeError},
        )

    @pytest.mark.parametrize("wrong", WRONG)
    def test_each_is_met(self, name, wrong):
        """What PyTorch raises for each, here too: no case is left to chance."""
        x = torch.tensor([0.25, 0.5])
        x, y, options = WRONG[wrong](x, torch.tensor([0.0, 1.0]), {})
        agree(
            lambda: getattr(pytorch, name)(x, y, **options),
            lambda: getattr(F, name)(x, y, **options),
            tolerance=1e-6,
            to_numpy=numpy_of,
            errors={"AttributeError": TypeError},
        )

    @pytest.mark.parametrize("size_average", [None, True, False])
    @pytest.mark.parametrize("reduce", [None, True, False])
    def test_deprecated_options(self, name, size_average, reduce):
        x, y = torch.tensor([[0.25, 0.5]]), torch.tensor([[0.0, 1.0]])
        results = []
        for module in (pytorch, F):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                results.append(getattr(module, name)(x, y, None, size_average, reduce, reduction="sum"))
            assert len(caught) == (size_average is not None or reduce is not None)
            assert all(w.category is UserWarning and w.filename == __file__ for w in caught) or module is F
        agree(lambda: results[0], lambda: results[1], tolerance=1e-6, to_numpy=numpy_of)

    def test_elementwise_mean(self, name):
        x, y = torch.tensor([0.25, 0.5]), torch.tensor([0.0, 1.0])
        with pytest.warns(UserWarning, match="elementwise_mean"):
            loss = getattr(pytorch, name)(x, y, reduction="elementwise_mean")
        agree(lambda: loss, lambda: getattr(F, name)(x, y), tolerance=1e-6, to_numpy=numpy_of)


def published_focal(inputs, targets, alpha, gamma):
    """torchvision's published definition, in float64: alpha_t (1 - p_t)^gamma CE, all three linear in the label."""
    x, y = inputs.double(), targets.double()
    wrong = y * torch.sigmoid(-x) + (1 - y) * torch.sigmoid(x)
    loss = (y * F.softplus(-x, threshold=800) + (1 - y) * F.softplus(x, threshold=800)) * wrong**gamma
    return loss if alpha == -1 else loss * (alpha * y + (1 - alpha) * (1 - y))


@pytest.mark.compared("pytorch.sigmoid_focal_loss", "its published definition")
@settings(max_examples=300)
@given(st.data())
def test_focal_meets_its_published_definition(data):
    x, y, options = draw_call(data, LOGITS, st.sampled_from(["float32", "float64"]), names=())
    alpha = data.draw(st.sampled_from([-1, 0, 0.25, 1]) | st.floats(0, 1), label="alpha")
    gamma = data.draw(st.sampled_from([0, 0.5, 1, 2, 5]), label="gamma")
    if alpha != -1 and data.draw(st.booleans(), label="tensors"):
        alpha, gamma = torch.tensor(alpha, dtype=torch.float64), torch.full(x.shape[-1:], gamma, dtype=torch.float64)
    dtype = torch.promote_types(x.dtype, y.dtype)
    expected = reduced(published_focal(x, y, alpha, gamma), options["reduction"])
    agree(
        lambda: pytorch.sigmoid_focal_loss(x, y, alpha, gamma, options["reduction"]),
        lambda: expected.to(dtype),
        tolerance=64 * torch.finfo(dtype).eps * numpy_of(expected) + 1e-37,  # subnormal numbers of float32 are coarser
        to_numpy=numpy_of,
    )


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"alpha": 1.5}, ValueError),
        ({"alpha": -0.5}, ValueError),
        ({"reduction": "average"}, ValueError),
        ({"targets": torch.ones(3)}, ValueError),
        ({"targets": torch.ones(2, dtype=torch.int64)}, RuntimeError),
        ({"inputs": torch.ones(2, dtype=torch.int64)}, RuntimeError),
        ({"inputs": [1.0, 2.0]}, TypeError),
    ],
)
def test_focal_errors(arguments, error):
    with pytest.raises(error, match=r"alpha|reduction|targets|inputs"):
        pytorch.sigmoid_focal_loss(**{"inputs": torch.ones(2), "targets": torch.ones(2)} | arguments)


@pytest.fixture(scope="module")
def torchvision_ops():
    try:
        from torchvision import ops
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"torchvision cannot be imported beside this PyTorch: {error}")
    return ops


@settings(max_examples=100)
@given(data=st.data())
def test_focal_against_torchvision(torchvision_ops, data):
    x, y, options = draw_call(data, st.floats(-8, 8, width=32), st.just("float32"), names=())
    alpha = data.draw(st.sampled_from([-1, 0.25]), label="alpha")
    agree(
        lambda: pytorch.sigmoid_focal_loss(x, y, alpha, 2.0, options["reduction"]),
        lambda: torchvision_ops.sigmoid_focal_loss(x, y, alpha, 2.0, options["reduction"]),
        tolerance=1e-5,
        to_numpy=numpy_of,
    )


def test_digits_that_pytorch_loses():
    """The numbers that the docstring states."""
    x, y = torch.tensor([-10.0, -17.0]), torch.zeros(2)
    theirs = F.binary_cross_entropy_with_logits(x, y, reduction="none")
    assert theirs[0].item() == approx(4.5776e-05, rel=1e-4)
    assert theirs[1].item() == 0
    assert pytorch.binary_cross_entropy_with_logits(x, y, reduction="none")[0].item() == approx(
        4.5398899216870535e-05, rel=4 * 2**-23
    )
    for function, expected in ((F, 0.0), (pytorch, -2.0611536e-09)):
        with step("torch", function.binary_cross_entropy_with_logits):
            x = torch.tensor(20.0, requires_grad=True)
            function.binary_cross_entropy_with_logits(x, torch.ones(())).backward()
            assert x.grad.item() == approx(expected, rel=1e-6)


@pytest.mark.parametrize(("logit", "label", "loss"), [(np.inf, 1.0, 0.0), (-np.inf, 0.0, 0.0), (np.inf, 0.0, np.inf)])
def test_infinite_logits(logit, label, loss):
    x, y = torch.tensor(logit), torch.tensor(label)
    assert pytorch.binary_cross_entropy_with_logits(x, y).item() == loss
    theirs = F.binary_cross_entropy_with_logits(x, y).item()
    assert theirs == loss or np.isnan(theirs)


def test_weights_have_a_derivative():
    """PyTorch refuses; the docstring says that here there is one."""
    x, y, w = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0]), torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="not differentiable"):
        F.binary_cross_entropy_with_logits(x, y, w)
    pytorch.binary_cross_entropy_with_logits(x, y, w, reduction="sum").backward()
    np.testing.assert_allclose(w.grad, F.binary_cross_entropy_with_logits(x, y, reduction="none"), rtol=1e-6)


@pytest.mark.parametrize("name", ["binary_cross_entropy_with_logits", "binary_cross_entropy", "sigmoid_focal_loss"])
def test_any_library(name, backend):
    x, y, w = [[0.25, 0.5], [1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]], [[2.0], [0.5]]
    options = {} if name == "sigmoid_focal_loss" else {"weight": w}
    ours = getattr(pytorch, name)(on(backend, x), on(backend, y), **{key: on(backend, z) for key, z in options.items()})
    reference = getattr(pytorch, name)(
        torch.tensor(x), torch.tensor(y), **{key: torch.tensor(z) for key, z in options.items()}
    )
    np.testing.assert_allclose(backend.to_numpy(ours), reference, rtol=1e-6)


# --- what the tests of all conventions call ----------------------------------------------------------------------

ARRAYS = {
    "pytorch.binary_cross_entropy_with_logits": (
        pytorch.binary_cross_entropy_with_logits,
        {"input": MATRIX, "target": ZEROS_AND_ONES, "weight": VECTOR, "pos_weight": VECTOR},
    ),
    "pytorch.binary_cross_entropy": (
        pytorch.binary_cross_entropy,
        {"input": MATRIX, "target": ZEROS_AND_ONES, "weight": VECTOR},
    ),
    "pytorch.sigmoid_focal_loss": (
        pytorch.sigmoid_focal_loss,
        {"inputs": MATRIX, "targets": ZEROS_AND_ONES, "alpha": VECTOR, "gamma": VECTOR},
    ),
}
TRACED = {
    "pytorch logits": lambda x, z, w: pytorch.binary_cross_entropy_with_logits(x, z, w, pos_weight=w),
    "pytorch probabilities": lambda x, z, w: pytorch.binary_cross_entropy(x, z, w),
    "pytorch focal": lambda x, z, w: pytorch.sigmoid_focal_loss(x, z * w / 2, alpha=w / 2, gamma=w),
}
