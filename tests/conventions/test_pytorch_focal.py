"""`FocalLoss` and `AsymmetricLoss` of `xbce.conventions.pytorch`: modules as PyTorch's, with options that may learn."""

import copy
import inspect
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conventions.differential import SHAPES, SOFT, agree, arrays
from tests.helpers import approx, assert_compiles_as_one_graph, step
from xbce.conventions import pytorch

torch = pytest.importorskip("torch")

OPTIONS = {"FocalLoss": ("alpha", "gamma"), "AsymmetricLoss": ("gamma_neg", "gamma_pos", "clip")}
module = pytest.mark.parametrize("name", OPTIONS)
kind = pytest.mark.parametrize("kind", ["number", "buffer", "parameter"])


def option(kind, value):
    if kind == "number":
        return value
    tensor = torch.tensor(value, dtype=torch.float32)
    return tensor if kind == "buffer" else torch.nn.Parameter(tensor)


def make(name, kind="number", **options):
    numbers = {"alpha": 0.25, "gamma": 1.5, "gamma_neg": 3.0, "gamma_pos": 0.5, "clip": 0.125}
    return getattr(pytorch, name)(**{key: option(kind, numbers[key]) for key in OPTIONS[name]}, **options)


def data(shape=(5, 3)):
    generator = torch.Generator().manual_seed(5)
    return 4 * torch.randn(shape, generator=generator), torch.rand(shape, generator=generator)


@module
def test_is_a_module_of_pytorch(name):
    cls = getattr(pytorch, name)
    assert issubclass(cls, torch.nn.Module)
    assert cls.__module__ == "xbce.conventions.pytorch"
    assert name in dir(pytorch)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (lambda: pytorch.FocalLoss(), "FocalLoss(alpha=0.25, gamma=2.0, reduction='mean')"),
        (
            lambda: pytorch.FocalLoss(None, torch.nn.Parameter(torch.ones(3)), "sum"),
            "FocalLoss(alpha=None, gamma=Parameter of shape (3,), reduction='sum')",
        ),
        (
            lambda: pytorch.AsymmetricLoss(torch.tensor(4.0), 1, 0.05, 1e-8, True),
            (
                "AsymmetricLoss(gamma_neg=Tensor of shape (), gamma_pos=1, clip=0.05, "
                "disable_torch_grad_focal_loss=True, reduction='sum')"
            ),
        ),
    ],
)
def test_repr(made, text):
    assert repr(made()) == text
    assert repr(made().to("meta")) == text


@kind
@module
def test_state(name, kind):
    """Tensors are in the state dict, move and are cast with the module, and are loaded; parameters are learnable."""
    ours = make(name, kind)
    names = [] if kind == "number" else list(OPTIONS[name])
    assert list(ours.state_dict()) == names
    assert [key for key, _ in ours.named_parameters()] == (names if kind == "parameter" else [])
    assert [key for key, _ in ours.named_buffers()] == (names if kind == "buffer" else [])
    other = getattr(pytorch, name)(**{key: option(kind, 0.75) for key in OPTIONS[name]})
    if kind != "number":
        assert other(*data()) != ours(*data())
        other.load_state_dict(ours.state_dict())
        assert other(*data()) == ours(*data())
    in_model = torch.nn.ModuleDict({"loss": ours}).double()["loss"]
    assert {x.dtype for x in in_model.state_dict().values()} <= {torch.float64}
    assert {x.device.type for x in in_model.to("meta").state_dict().values()} <= {"meta"}


@kind
@module
def test_pickles_and_copies(name, kind):
    ours = make(name, kind)
    for other in (pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours)):  # noqa: S301
        assert type(other) is type(ours)
        assert other(*data()) == ours(*data())
        assert repr(other) == repr(ours)


@kind
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_focal_is_the_function(kind, reduction):
    x, y = data()
    ours = make("FocalLoss", kind, reduction=reduction)
    expected = pytorch.sigmoid_focal_loss(x, y, alpha=0.25, gamma=1.5, reduction=reduction)
    torch.testing.assert_close(ours(x, y), expected, rtol=0 if kind == "number" else 1e-6, atol=0)


@pytest.mark.parametrize("alpha", [-1, None])
def test_focal_without_alpha(alpha):
    x, y = data()
    expected = pytorch.sigmoid_focal_loss(x, y, alpha=-1, reduction="mean")
    assert pytorch.FocalLoss(alpha)(x, y) == expected != pytorch.FocalLoss()(x, y)


@module
def test_a_number_may_change(name):
    """As in a schedule."""
    first = OPTIONS[name][1]
    ours = make(name)
    setattr(ours, first, 0.75)
    expected = copy.deepcopy(ours)
    setattr(expected, first, torch.tensor(0.75))
    torch.testing.assert_close(ours(*data()), expected(*data()))


def published(x, y, options, reduction, eps=1e-8):
    """The authors' module `AsymmetricLoss`."""
    p = torch.sigmoid(x)
    negative = 1 - p if not options["clip"] else (1 - p + options["clip"]).clamp(max=1)
    loss = -y * p.clamp(min=eps).log() - (1 - y) * negative.clamp(min=eps).log()
    with torch.set_grad_enabled(not options["disable_torch_grad_focal_loss"]):
        wrong = 1 - p * y - negative * (1 - y)
        factor = wrong.clamp(min=0) ** (options["gamma_pos"] * y + options["gamma_neg"] * (1 - y))
    loss = loss * factor
    return loss if reduction == "none" else getattr(loss, reduction)()


@pytest.mark.compared("pytorch.AsymmetricLoss", "its published definition")
@settings(max_examples=200)
@given(st.data())
def test_asymmetric_meets_its_published_definition(data):
    """Value and gradient. Theirs have the roundings of 1 - p, which tell in its logarithm: 1e-13 at the logit 8."""
    shape = data.draw(SHAPES, label="shape")
    x, y = (torch.as_tensor(data.draw(arrays(e, shape), label="data")) for e in (st.floats(-8, 8), SOFT))
    exponents = st.sampled_from([0, 1, 1.5, 2, 4])
    options = {
        "gamma_neg": data.draw(exponents, label="gamma_neg"),
        "gamma_pos": data.draw(exponents, label="gamma_pos"),
        "clip": data.draw(st.sampled_from([None, 0, 0.05, 0.3]), label="clip"),
        "disable_torch_grad_focal_loss": data.draw(st.booleans(), label="constant factor"),
    }
    reduction = data.draw(st.sampled_from(["sum", "mean", "none"]), label="reduction")

    def value_and_gradient(criterion):
        leaf = x.clone().requires_grad_()
        loss = criterion(leaf, y)
        return loss.detach(), torch.autograd.grad(loss.sum(), leaf)[0]

    results = (
        value_and_gradient(criterion)
        for criterion in (
            pytorch.AsymmetricLoss(**options, reduction=reduction),
            lambda x, y: published(x, y, options, reduction),
        )
    )
    for got, expected in zip(*results, strict=True):
        agree(lambda got=got: got, lambda expected=expected: expected, tolerance=1e-11)


@pytest.mark.parametrize(("ours", "loss", "slope"), [(True, 30, 1), (False, 18.420681, 0)])
def test_where_the_authors_clamp(ours, loss, slope):
    """The numbers that the docstring states."""
    x, y = torch.tensor([30.0], dtype=torch.float64, requires_grad=True), torch.zeros(1, dtype=torch.float64)
    options = {"gamma_neg": 4, "gamma_pos": 1, "clip": 0, "disable_torch_grad_focal_loss": True}
    value = pytorch.AsymmetricLoss(**options)(x, y) if ours else published(x, y, options, "sum")
    value.backward()
    assert value.item() == approx(loss, rel=1e-7)
    assert x.grad.item() == approx(slope, rel=1e-7)
    assert 1 - torch.sigmoid(torch.tensor(17.0)) == 0


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_asymmetric_dtypes(dtype, constant):
    """Both ways have one result dtype, under autocast, too."""
    x, y = (t.to(getattr(torch, dtype)) for t in data())
    criterion = pytorch.AsymmetricLoss(disable_torch_grad_focal_loss=constant)
    expected = pytorch.AsymmetricLoss()(x.double(), y.double())
    for labels, wanted in ((y, x.dtype), (y.double(), torch.float64), ((y > 0.5).int(), x.dtype)):
        assert criterion(x, labels).dtype == wanted
    torch.testing.assert_close(criterion(x, y), expected.to(x.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = criterion(x, y)
    assert loss.dtype == (torch.float64 if dtype == "float64" else torch.float32)
    torch.testing.assert_close(loss, expected.to(loss.dtype))


@pytest.mark.parametrize("constant", [True, False])
def test_learnable_options_of_the_asymmetric_loss(constant):
    """Each has the derivative that central differences have; with a constant factor the exponents have none."""
    x, y = (t.double() for t in data())
    values = {"gamma_neg": 3.0, "gamma_pos": 0.5, "clip": 0.125}
    learning = {key: torch.nn.Parameter(torch.tensor(value, dtype=torch.float64)) for key, value in values.items()}
    pytorch.AsymmetricLoss(**learning, disable_torch_grad_focal_loss=constant)(x, y).backward()
    for key, value in values.items():
        if constant:
            assert key == "clip" or learning[key].grad is None
            continue
        above, below = (pytorch.AsymmetricLoss(**values | {key: value + d})(x, y) for d in (1e-5, -1e-5))
        torch.testing.assert_close(learning[key].grad, (above - below) / 2e-5, rtol=1e-7, atol=0)


def test_a_learnable_gamma_trains_as_in_optax():
    """Ten steps of SGD on a scale of the logits, alpha and gamma; the same data, with optax's loss in JAX."""
    jax = pytest.importorskip("jax")
    optax = pytest.importorskip("optax")
    x = data((64,))[0].numpy()
    y = 1 / (1 + np.exp(-x))
    start = {"scale": 0.25, "alpha": 0.25, "gamma": 2.0}

    criterion = pytorch.FocalLoss(*(torch.nn.Parameter(torch.tensor(start[name])) for name in ("alpha", "gamma")))
    scale = torch.nn.Parameter(torch.tensor(start["scale"]))
    descent = torch.optim.SGD([scale, *criterion.parameters()], lr=0.5)
    ours = []
    for _ in range(10):
        descent.zero_grad()
        loss = criterion(scale * torch.tensor(x), torch.tensor(y))
        loss.backward()
        descent.step()
        ours.append([t.item() for t in (loss, scale, criterion.alpha, criterion.gamma)])

    def mean(p):
        return optax.sigmoid_focal_loss(p["scale"] * x, y, alpha=p["alpha"], gamma=p["gamma"]).mean()

    parameters, sgd = jax.tree.map(jax.numpy.float32, start), optax.sgd(0.5)
    state, theirs = sgd.init(parameters), []
    for _ in range(10):
        loss, gradients = jax.value_and_grad(mean)(parameters)
        updates, state = sgd.update(gradients, state)
        parameters = optax.apply_updates(parameters, updates)
        theirs.append([float(t) for t in (loss, parameters["scale"], parameters["alpha"], parameters["gamma"])])
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert ours[-1][3] - start["gamma"] > 0.1
    assert ours[-1][0] < ours[0][0]


@kind
@module
def test_functional_transforms(name, kind):
    ours = make(name, kind)
    x, y = data()
    expected = torch.stack([ours(a, b) for a, b in zip(x, y, strict=True)])
    torch.testing.assert_close(torch.func.vmap(ours)(x, y), expected)
    leaf = x.clone().requires_grad_()
    ours(leaf, y).backward()
    torch.testing.assert_close(torch.func.grad(ours)(x, y), leaf.grad)


@kind
@pytest.mark.parametrize(
    ("name", "options"),
    [("FocalLoss", {}), ("AsymmetricLoss", {}), ("AsymmetricLoss", {"disable_torch_grad_focal_loss": True})],
)
def test_compiles_as_one_graph(name, options, kind):
    ours = make(name, kind, **options)
    assert_compiles_as_one_graph(ours, ours, data)


@kind
@module
def test_fx_records_one_node(name, kind):
    ours = make(name, kind)
    traced = pickle.loads(pickle.dumps(torch.fx.symbolic_trace(ours)))  # noqa: S301
    assert len([node for node in traced.graph.nodes if node.op == "call_function"]) == 1
    assert traced(*data()) == ours(*data())


@module
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_jit_trace(name):
    ours = make(name)
    traced = torch.jit.trace(ours, tuple(t[:2] for t in data()))
    torch.testing.assert_close(traced(*data()), ours(*data()))


X, Y = torch.tensor([[0.25, -0.5]]), torch.tensor([[0.0, 1.0]])


@pytest.mark.parametrize(
    ("name", "options", "changed", "error", "text"),
    [
        ("FocalLoss", {"alpha": 1.5}, {}, ValueError, r"alpha must be -1 \(none\) or in \[0, 1\], got 1.5"),
        ("FocalLoss", {"gamma": -1.0}, {}, ValueError, "gamma must be at least 0, got -1.0"),
        ("FocalLoss", {"reduction": "average"}, {}, ValueError, "reduction must be .*, got 'average'"),
        ("FocalLoss", {"gamma": torch.ones(3)}, {}, ValueError, r"gamma must .*, got gamma \(3,\) and logits \(1, 2\)"),
        ("AsymmetricLoss", {"gamma_neg": -1}, {}, ValueError, "gamma_neg must be at least 0, got -1"),
        ("AsymmetricLoss", {"gamma_pos": "1"}, {}, TypeError, "gamma_pos must be .* number or an array, got str"),
        ("AsymmetricLoss", {"clip": 1.0}, {}, ValueError, "clip must be at least 0 and below 1, got 1.0"),
        ("AsymmetricLoss", {"reduction": None}, {}, ValueError, "reduction must be .*, got None"),
        ("AsymmetricLoss", {}, {"input": X.int()}, NotImplementedError, "input must be of a floating dtype.*"),
        ("AsymmetricLoss", {}, {"target": Y[0]}, ValueError, "target must have the shape of input, .*"),
        ("AsymmetricLoss", {}, {"target": 1.0}, TypeError, "target must be an array .*, got float"),
    ],
)
def test_refusals(name, options, changed, error, text):
    """In a call: an option that is an attribute may be set until then."""
    criterion = getattr(pytorch, name)(**options)
    with pytest.raises(error, match=f"^{text}$"):
        criterion(**{"input": X, "target": Y} | changed)


def test_signatures():
    """Those of torchvision's function, and of the authors' module."""
    parameters = {name: list(inspect.signature(getattr(pytorch, name)).parameters) for name in OPTIONS}
    with step("torch", "signature"):
        assert parameters["FocalLoss"] == ["alpha", "gamma", "reduction"]
        assert parameters["AsymmetricLoss"][:5] == [
            *("gamma_neg", "gamma_pos", "clip", "eps", "disable_torch_grad_focal_loss"),
        ]
