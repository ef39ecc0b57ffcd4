"""`xbce.conventions.kornia` against the installed kornia."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conventions.differential import LOGITS, SOFT, WEIGHTS, agree, arrays, on
from tests.conventions.gathered import MATRIX, VECTOR, ZEROS_AND_ONES
from tests.helpers import step
from xbce.conventions import kornia as ours
from xbce.conventions.pytorch import sigmoid_focal_loss

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    kornia = pytest.importorskip("kornia")

F = torch.nn.functional
theirs = kornia.losses.binary_focal_loss_with_logits
focal = pytest.mark.compared("kornia.binary_focal_loss_with_logits", "kornia")

SHAPES = st.sampled_from([(2, 3), (1, 1), (2, 3, 2), (2, 1, 2, 2), (0, 3), (2, 0)])
FLOATS = st.sampled_from(["float32", "float64", "bfloat16"])  # in float16 kornia overflows on the way
WEIGHT = ("weight", "pos_weight")
TINY = 1e-37  # the coarse numbers of float32 and bfloat16, as products of weights
ERRORS = {"BaseError": ValueError, "ShapeError": ValueError, "TypeCheckError": TypeError, "AttributeError": TypeError}


def tensor(x, dtype):
    return torch.as_tensor(x).to(getattr(torch, dtype))


def numpy_of(x):
    return x.detach().to(torch.float64).numpy()


def draw_call(data, dtypes=FLOATS):
    """Draw the arguments of a call, all of them valid; soft, hard and integer labels, some of them ignored."""
    shape = data.draw(SHAPES, label="shape")
    dtype, target_dtype, weight_dtype = (data.draw(dtypes, label=f"dtype of {of}") for of in ("x", "y", "weights"))
    ignored = data.draw(st.sampled_from([-100, 255, 0]), label="ignored")
    labels = data.draw(st.sampled_from([SOFT, SOFT | st.just(float(ignored)), st.sampled_from([0, 1, ignored])]))
    target_dtype = data.draw(st.sampled_from([target_dtype, target_dtype, "int64"]), label="dtype of y")
    x = tensor(data.draw(arrays(LOGITS, shape), label="x"), dtype)
    y = tensor(data.draw(arrays(labels, shape), label="y"), target_dtype)
    options = {
        name: tensor(data.draw(arrays(WEIGHTS, shape[1:2]), label=name), weight_dtype)
        for name in WEIGHT
        if data.draw(st.booleans(), label=f"with {name}")
    }
    alpha = data.draw(st.sampled_from([None, 0, 0.25, 1]) | st.floats(0, 1, width=16), label="alpha")
    gamma = data.draw(st.sampled_from([0, 0.5, 1, 2, 3.5]), label="gamma")
    if data.draw(st.booleans(), label="tensors"):
        alpha = None if alpha is None else torch.full(shape[-1:], alpha, dtype=x.dtype)
        gamma = torch.tensor(float(gamma))
    reduction = data.draw(st.sampled_from(["mean", "sum", "none"]), label="reduction")
    ignore_index = ignored if data.draw(st.booleans(), label="ignores") else None
    options |= {"reduction": reduction, "alpha": alpha, "gamma": gamma, "ignore_index": ignore_index}
    return x, y, options


def tolerance(x, y, options):
    """A few roundings of each term, in the coarsest dtype; kornia takes the power as the exponential of a logarithm."""
    arrays = [x, *(options[name] for name in WEIGHT if name in options)]
    unit = max(torch.finfo(a.dtype).eps for a in (*arrays, y) if a.is_floating_point())
    kept = torch.ones_like(y, dtype=torch.bool) if options["ignore_index"] is None else y != options["ignore_index"]
    x, y, alpha, gamma = x.double(), y.double(), options["alpha"], float(options["gamma"])
    weight, pos_weight = (
        options[name].double().reshape(-1, *(1,) * (x.ndim - 2)) if name in options else 1.0 for name in WEIGHT
    )
    of_1, of_0 = y.abs() * pos_weight, (1 - y).abs()
    if alpha is not None:
        of_1, of_0 = of_1 * alpha, of_0 * (1 - alpha)
    terms = sum(w * F.softplus(-s) * torch.sigmoid(-s) ** gamma for w, s in ((of_1, x), (of_0, -x)))
    size = terms * weight * kept * (8 + gamma * (1 + x.abs()))
    return numpy_of(unit * (size if options["reduction"] == "none" else getattr(size, options["reduction"])())) + TINY


@focal
@settings(max_examples=300)
@given(st.data())
def test_value(data):
    x, y, options = draw_call(data)
    agree(
        lambda: ours.binary_focal_loss_with_logits(x, y, **options),
        lambda: theirs(x, y, **options),
        tolerance=tolerance(x, y, options),
        to_numpy=numpy_of,
    )


def derivatives(function, x, y, options):
    """The gradient in logits, and in labels where they are floating."""
    leaves = [t.detach().requires_grad_() for t in (x, y) if t.is_floating_point()]
    loss = function(leaves[0], leaves[-1] if len(leaves) == 2 else y, **options)
    return torch.stack(torch.autograd.grad(loss.sum(), leaves))


@focal
@settings(max_examples=200)
@given(st.data())
def test_gradients(data):
    x, y, options = draw_call(data, st.just("float64"))
    kept = torch.ones_like(x) if options["ignore_index"] is None else (y != options["ignore_index"]).double()
    weights = max(float(options[name].max()) if options.get(name) is not None and x.numel() else 1 for name in WEIGHT)
    scale = 2**-52 * (1 + weights) ** 2 * (1 + y.abs()) * (1 + x.abs()) ** 2 * 16
    agree(
        lambda: derivatives(ours.binary_focal_loss_with_logits, x, y, options),
        lambda: derivatives(theirs, x, y, options),
        tolerance=numpy_of(scale * kept),
        to_numpy=numpy_of,
    )


@focal
@pytest.mark.parametrize("gamma", [0, 0.5, 2])
@pytest.mark.parametrize("alpha", [None, 0.25])
def test_soft_labels(alpha, gamma):
    """To the last digits, which no single call of ``xbce.sigmoid_focal_loss`` has."""
    generator = torch.Generator().manual_seed(3)
    x, y = 4 * torch.randn(2, 3, 5, generator=generator).double(), torch.rand(2, 3, 5, generator=generator).double()
    agree(
        lambda: ours.binary_focal_loss_with_logits(x, y, alpha, gamma),
        lambda: theirs(x, y, alpha, gamma),
        tolerance=numpy_of(2**-50 * theirs(x, y, alpha, gamma)),
    )
    linear = sigmoid_focal_loss(x, y, alpha=-1 if alpha is None else alpha, gamma=gamma)
    off = (linear / theirs(x, y, alpha, gamma) - 1).abs().max()
    assert (off > 0.1) == (gamma > 0 or alpha is not None)


X, Y = torch.tensor([[0.25, -0.5]]), torch.tensor([[0.0, 1.0]])


@focal
@pytest.mark.parametrize(
    ("changed", "error", "text"),
    [
        ({"pred": X[0], "target": Y[0]}, ValueError, r"pred must have at least two dimensions, got shape \(2,\)"),
        ({"target": Y[0]}, ValueError, r"target must have the shape of pred, got target \(2,\) and pred \(1, 2\)"),
        ({"pred": X.int()}, NotImplementedError, "pred must be of a floating dtype, got torch.int32"),
        ({"target": Y > 0}, RuntimeError, "target must be floating or integer, got torch.bool"),
        ({"target": 1.0}, TypeError, "target must be an array .*, got float"),
        ({"pred": [[0.25, -0.5]]}, TypeError, "pred must be an array .*, got list"),
        ({"weight": 2.0}, TypeError, "weight must be an array .*, got float"),
        ({"pos_weight": 2.0}, TypeError, "pos_weight must be an array .*, got float"),
        (
            {"weight": torch.ones(3)},
            ValueError,
            r"weight must have one number for each class of pred, got weight \(3,\).*",
        ),
        (
            {"pos_weight": torch.ones(1, 2)},
            ValueError,
            r"pos_weight must have one number .*, got pos_weight \(1, 2\).*",
        ),
        ({"reduction": "average"}, NotImplementedError, "reduction must be 'none', 'mean' or 'sum', got 'average'"),
        ({"ignore_index": "1"}, TypeError, "ignore_index must be an int or None, got '1'"),
        ({"gamma": None}, TypeError, "gamma must be .* number or an array, got NoneType"),
        ({"gamma": "2"}, TypeError, "gamma must be .* number or an array, got str"),
        ({"alpha": "1"}, TypeError, "alpha must be .* number or an array, got str"),
    ],
)
def test_errors(changed, error, text):
    """Of the type that kornia raises, or of the class of Python that is nearest to it."""
    arguments = {"pred": X, "target": Y} | changed
    agree(
        lambda: ours.binary_focal_loss_with_logits(**arguments),
        lambda: theirs(**arguments),
        tolerance=0,
        errors=ERRORS,
    )
    with pytest.raises(error, match=f"^{text}$"):
        ours.binary_focal_loss_with_logits(**arguments)


@pytest.mark.parametrize("option", [{"alpha": -0.5}, {"alpha": 1.5}, {"gamma": -1.0}])
def test_numbers_that_kornia_takes(option):
    """Meaningless ones are refused, as the documentation says; in tensors they follow the formula."""
    assert torch.isfinite(theirs(X, Y, **option)).all()
    with pytest.raises(ValueError, match="must be at least 0"):
        ours.binary_focal_loss_with_logits(X, Y, **option)
    tensors = {name: torch.tensor(x) for name, x in option.items()}
    torch.testing.assert_close(ours.binary_focal_loss_with_logits(X, Y, **tensors), theirs(X, Y, **option))


def test_ignored_elements_hold_anything():
    """Value and gradient are 0 there; kornia has NaN."""
    x, y = torch.tensor([[torch.nan, torch.inf, 0.5]], requires_grad=True), torch.tensor([[-100.0, -100.0, 0.25]])
    assert theirs(x, y, reduction="sum").isnan()
    loss = ours.binary_focal_loss_with_logits(x, y, reduction="mean")
    torch.testing.assert_close(loss, theirs(x[:, 2:], y[:, 2:], reduction="sum") / 3)
    loss.backward()
    assert x.grad[0, :2].tolist() == [0, 0]
    assert x.grad[0, 2] != 0


def test_infinite_logits():
    """NaN where the label agrees, in both."""
    for function in (ours.binary_focal_loss_with_logits, theirs):
        assert function(torch.tensor([[torch.inf]]), torch.tensor([[1.0]])).isnan().all()
        assert function(torch.tensor([[torch.inf]]), torch.tensor([[0.0]])).isposinf().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_rounded_once(dtype):
    x, y = torch.linspace(-6, 6, 22).reshape(2, 11).to(dtype), torch.linspace(0, 1, 22).reshape(2, 11).to(dtype)
    for reduction in ("none", "mean", "sum"):
        expected = theirs(x.double(), y.double(), reduction=reduction)
        got = ours.binary_focal_loss_with_logits(x, y, reduction=reduction)
        torch.testing.assert_close(got, expected.to(dtype), rtol=0, atol=0)


@focal
@pytest.mark.parametrize("target", [torch.int64, torch.uint8, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("weight", [torch.int64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("pred", [torch.float16, torch.bfloat16, torch.float32])
def test_dtypes(pred, weight, target):
    """An integer target counts as float32, an integer weight for nothing."""
    x, y, w = X.to(pred), Y.to(target), torch.ones(2, dtype=weight)
    agree(
        lambda: ours.binary_focal_loss_with_logits(x, y, weight=w),
        lambda: theirs(x, y, weight=w),
        tolerance=0.01,
        to_numpy=numpy_of,
    )


def test_any_library(backend):
    x, y, w = [[0.25, -0.5], [3.0, -20.0]], [[0.0, 0.75], [1.0, -100.0]], [2.0, 0.5]
    expected = theirs(torch.tensor(x), torch.tensor(y), reduction="mean", pos_weight=torch.tensor(w))
    options = {"alpha": on(backend, 0.25), "gamma": on(backend, [2.0]), "pos_weight": on(backend, w)}
    got = ours.binary_focal_loss_with_logits(on(backend, x), on(backend, y), reduction="mean", **options)
    np.testing.assert_allclose(backend.to_numpy(got), expected, rtol=4e-6)


class TestModule:
    @pytest.mark.parametrize("kind", [lambda x: x, torch.nn.Parameter], ids=["buffer", "parameter"])
    @pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
    def test_is_as_kornias(self, reduction, kind):
        options = {"pos_weight": kind(torch.tensor([2.0, 0.5])), "weight": kind(torch.tensor([1.0, 3.0]))}
        modules = [m.BinaryFocalLossWithLogits(0.5, 1.5, reduction, **options) for m in (ours, kornia.losses)]
        x, y = torch.tensor([[0.5, -1.0], [3.0, 2.0]]), torch.tensor([[0.25, 1.0], [-100.0, 0.0]])
        torch.testing.assert_close(*(module(x, y) for module in modules))
        for listed in ("state_dict", "named_buffers", "named_parameters"):
            names = [sorted(dict(getattr(module, listed)())) for module in modules]
            assert names[0] == names[1], listed
        assert repr(modules[0]) == repr(modules[1])
        assert modules[0].double().weight.dtype == torch.float64

    def test_pickles_and_copies(self):
        module = ours.BinaryFocalLossWithLogits(torch.nn.Parameter(torch.tensor(0.25)), reduction="sum")
        for other in (pickle.loads(pickle.dumps(module)), copy.deepcopy(module)):  # noqa: S301
            assert type(other).__module__ == "xbce.conventions.kornia"
            assert other(X, Y) == module(X, Y)

    def test_gamma_learns(self):
        module = ours.BinaryFocalLossWithLogits(0.25, torch.nn.Parameter(torch.tensor(2.0)), "sum")
        theirs_gamma = torch.tensor(2.0, requires_grad=True)
        module(X, Y).backward()
        theirs(X, Y, 0.25, theirs_gamma, "sum").backward()
        torch.testing.assert_close(module.gamma.grad, theirs_gamma.grad)

    def test_traces(self):
        module = ours.BinaryFocalLossWithLogits(0.25, reduction="mean")
        torch._dynamo.reset()
        compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
        recorded = torch.fx.symbolic_trace(module)
        for traced in (compiled, recorded):
            with step("torch", type(traced)):
                torch.testing.assert_close(traced(X, Y), module(X, Y))
        assert len([node for node in recorded.graph.nodes if node.op == "call_function"]) == 1


# --- what the tests of all conventions call ----------------------------------------------------------------------

ARRAYS = {
    "kornia.binary_focal_loss_with_logits": (
        ours.binary_focal_loss_with_logits,
        {
            "pred": MATRIX,
            "target": ZEROS_AND_ONES,
            **dict.fromkeys(("alpha", "gamma", "pos_weight", "weight"), VECTOR),
        },
    ),
}
TRACED = {
    "kornia": lambda x, z, w: ours.binary_focal_loss_with_logits(x, z * w / 2, alpha=w / 2, gamma=w, ignore_index=0),
}
