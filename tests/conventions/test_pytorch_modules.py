"""The modules are PyTorch's in everything but the loss."""

import copy
import inspect
import io
import pickle
import subprocess
import sys

import pytest

from tests.helpers import assert_compiles_as_one_graph, step
from xbce.conventions import pytorch

torch = pytest.importorskip("torch")

MODULES = ["BCELoss", "BCEWithLogitsLoss"]
module = pytest.mark.parametrize("name", MODULES)


def make(name, **options):
    return getattr(pytorch, name)(**options), getattr(torch.nn, name)(**options)


def data(shape=(5, 3)):
    generator = torch.Generator().manual_seed(5)
    return torch.rand(shape, generator=generator), torch.rand(shape, generator=generator).round()


@module
def test_is_pytorchs(name):
    ours, theirs = make(name)
    assert isinstance(ours, getattr(torch.nn, name))
    assert repr(ours) == repr(theirs)
    assert type(ours).__module__ == "xbce.conventions.pytorch"
    assert name in dir(pytorch)


@module
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_loss_and_gradient(name, reduction):
    options = {"weight": torch.tensor([1.0, 0.0, 2.5]), "reduction": reduction}
    if name == "BCEWithLogitsLoss":
        options["pos_weight"] = torch.tensor([3.0, 1.0, 0.5])
    results = []
    for criterion in make(name, **options):
        x, y = data()
        x.requires_grad_()
        loss = criterion(x, y)
        loss.sum().backward()
        results.append((loss, x.grad))
    torch.testing.assert_close(results[0], results[1])


def test_state_dict():
    ours, theirs = make("BCEWithLogitsLoss", weight=torch.tensor([2.0]), pos_weight=torch.tensor([3.0, 4.0]))
    assert list(ours.state_dict()) == list(theirs.state_dict()) == ["weight", "pos_weight"]
    theirs.load_state_dict({"weight": torch.tensor([5.0]), "pos_weight": torch.tensor([6.0, 7.0])})
    ours.load_state_dict(theirs.state_dict())
    x, y = torch.tensor([[1.0, -2.0]]), torch.tensor([[1.0, 1.0]])
    torch.testing.assert_close(ours(x, y), theirs(x, y))


@module
def test_moves_and_casts(name):
    ours, _ = make(name, weight=torch.tensor([2.0]))
    assert ours.double().weight.dtype == torch.float64
    assert ours.to("meta").weight.device.type == "meta"


@module
def test_pickles_and_copies(name):
    ours, _ = make(name, weight=torch.tensor([2.0]), reduction="sum")
    x, y = data()
    for other in (pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours)):  # noqa: S301
        assert type(other) is type(ours), name
        assert other(x, y) == ours(x, y), other


def test_unpickles_in_a_new_process(tmp_path):
    path = tmp_path / "loss.pickle"
    path.write_bytes(pickle.dumps(pytorch.BCEWithLogitsLoss(reduction="sum")))
    code = f"import pickle; print(pickle.load(open({str(path)!r}, 'rb')))"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed == "BCEWithLogitsLoss()\n"


@module
def test_hooks(name):
    ours, _ = make(name)
    seen = []
    ours.register_forward_pre_hook(lambda _module, args: seen.append(len(args)))
    ours.register_forward_hook(lambda _module, _args, loss: seen.append(loss))
    loss = ours(*data())
    assert seen == [2, loss]


@module
def test_in_a_model(name):
    """As a submodule it is listed, and moved with the model."""
    ours, _ = make(name, weight=torch.tensor([2.0]))
    model = torch.nn.ModuleDict({"loss": ours}).half()
    assert dict(model.named_buffers())["loss.weight"].dtype == torch.float16
    assert not list(model.parameters())


@module
def test_compiles_as_one_graph(name):
    """Without a warning: Dynamo has none of array-api-compat's caches to look past."""
    assert_compiles_as_one_graph(*make(name, weight=torch.tensor([1.0, 0.5, 2.0])), data)


@module
def test_functional_transforms(name):
    ours, theirs = make(name)
    x, y = data()
    torch.testing.assert_close(torch.func.grad(ours)(x, y), torch.func.grad(theirs)(x, y))
    torch.testing.assert_close(
        torch.func.vmap(ours)(x, y), torch.stack([theirs(a, b) for a, b in zip(x, y, strict=True)])
    )


@module
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(name, dtype):
    x, y = (t.to(dtype) for t in data())
    ours, theirs = make(name)
    assert ours(x, y).dtype == dtype
    torch.testing.assert_close(ours(x, y), theirs(x, y))


@module
@pytest.mark.parametrize("dtypes", [("bfloat16", "float32"), ("bfloat16", "bfloat16"), ("float64", "float64")])
def test_under_autocast(name, dtypes):
    """Where PyTorch's loss runs in float32, unless it is given float64."""
    x, y = (t.to(getattr(torch, dtype)) for t, dtype in zip(data(), dtypes, strict=True))
    ours, theirs = make(name, weight=torch.tensor([1.0, 0.5, 2.0]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        results = ours(x, y), theirs(x, y)
    assert results[0].dtype == results[1].dtype
    torch.testing.assert_close(results[0], results[1])


# Both tails, the middle, the ends of [0, 1], and infinities of either label; what autodiff of a formula may spoil.
INFINITY = float("inf")
LOGITS = [0.0, -0.0, 20.0, -20.0, 40.0, -110.0, 200.0, -200.0, 1e-30, 0.3, INFINITY, -INFINITY, INFINITY, -INFINITY]
LOGIT_LABELS = [0.0, 1.0, 1.0, 0.0, 0.3, 0.7, 1.0, 0.0, 0.5, 0.25, 1.0, 0.0, 0.0, 1.0]
PROBABILITIES = [0.0, 1.0, 0.0, 1.0, 0.5, 1e-30, 1e-12, 1e-7, 1 - 2**-24, 0.25]
PROBABILITY_LABELS = [1.0, 0.0, 0.0, 1.0, 0.5, 0.0, 1.0, 1.0, 1.0, 0.0]


def hard_data(name):
    if name == "BCELoss":
        return torch.tensor(PROBABILITIES), torch.tensor(PROBABILITY_LABELS)
    return torch.tensor(LOGITS), torch.tensor(LOGIT_LABELS)


def with_gradient(criterion, x, y):
    """The loss, and its gradient in both arguments; in labels of finite logits alone: at others it is infinite."""
    finite = torch.isfinite(x)
    x, y = x.detach().clone().requires_grad_(), y.detach().clone().requires_grad_()
    loss = criterion(x, y)
    dx, dy = torch.autograd.grad(loss.sum(), (x, y))
    return loss.detach(), dx, dy[finite]


class Model(torch.nn.Module):
    """Whose loss, as a submodule, gets what is no leaf."""

    def __init__(self, criterion):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.criterion = criterion

    def forward(self, x, y):
        return self.criterion(self.scale * x, y)


def pickled(x):
    return pickle.loads(pickle.dumps(x))  # noqa: S301


@pytest.mark.parametrize("again", [lambda x: x, copy.deepcopy, pickled], ids=["traced", "copied", "pickled"])
@pytest.mark.parametrize("wrap", [lambda x: x, Model], ids=["alone", "in a model"])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@module
def test_fx_symbolic_trace(name, reduction, wrap, again):
    """As PyTorch's: one node for the loss, whose value and gradients are those of the module."""
    x, y = hard_data(name)
    ours, _ = make(name, weight=torch.linspace(0.5, 2, x.numel()), reduction=reduction)
    traced = again(torch.fx.symbolic_trace(wrap(ours)))
    calls = [node for node in traced.graph.nodes if node.op == "call_function" and "cross_entropy" in str(node.target)]
    assert len(calls) == 1
    for got, expected in zip(with_gradient(traced, x, y), with_gradient(wrap(ours), x, y), strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=0, equal_nan=True)
    x, y = (torch.cat([a, a])[None] for a in (x, y))
    if reduction != "none":
        with pytest.raises(RuntimeError, match="weight must broadcast"):
            traced(x, y)


FUNCTIONS = ["binary_cross_entropy", "binary_cross_entropy_with_logits", "sigmoid_focal_loss"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_fx_records_functions(name):
    """Whichever argument is the one that stands for an array."""
    function = getattr(pytorch, name)
    names = list(inspect.signature(function).parameters)[:2]
    x, y = torch.tensor([0.25, 0.5]), torch.tensor([0.0, 1.0])
    for traced, arguments in (
        (torch.fx.symbolic_trace(lambda a, b: function(a, b)), (x, y)),
        (torch.fx.symbolic_trace(lambda b: function(x, b)), (y,)),
        (torch.fx.symbolic_trace(lambda a, b: function(**dict(zip(names, (a, b), strict=True)))), (x, y)),
    ):
        with step("torch", function, len(arguments)):
            assert [node.target for node in traced.graph.nodes if node.op == "call_function"] == [function]
            torch.testing.assert_close(traced(*arguments), function(x, y), rtol=0, atol=0)


deprecated = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


def saved(traced):
    file = io.BytesIO()
    torch.jit.save(traced, file)
    file.seek(0)
    return torch.jit.load(file)


@deprecated
@pytest.mark.parametrize("again", [lambda x: x, saved], ids=["traced", "loaded"])
@pytest.mark.parametrize("wrap", [lambda x: x, Model], ids=["alone", "in a model"])
@pytest.mark.parametrize("requires_grad", [True, False])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@module
def test_jit_trace(name, reduction, requires_grad, wrap, again):
    """Checked, without a warning, and right for other data and another shape, with both gradients, run after run."""
    ours = wrap(make(name, reduction=reduction)[0])
    x, y = (torch.rand(3) for _ in range(2))
    traced = again(torch.jit.trace(ours, (x.requires_grad_(requires_grad), y.round()), check_trace=True))
    x, y = hard_data(name)
    for _ in range(3):  # TorchScript compiles after the first runs
        for got, expected in zip(with_gradient(traced, x, y), with_gradient(ours, x, y), strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-6, atol=0, equal_nan=True)


@deprecated
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 3.5])
@pytest.mark.parametrize("requires_grad", [True, False])
def test_jit_trace_of_the_focal_loss(gamma, requires_grad):
    """TorchScript differentiates it as it is written: for finite logits, as long as no probability underflows."""
    x, y = torch.tensor([0.0, 20.0, -20.0, 40.0, -80.0, 0.3]), torch.tensor([0.0, 1.0, 0.0, 0.3, 0.7, 0.25])

    def criterion(x, y):
        return pytorch.sigmoid_focal_loss(x, y, gamma=gamma)

    traced = torch.jit.trace(criterion, (x[:2].clone().requires_grad_(requires_grad), y[:2]))
    for _ in range(3):
        for got, expected in zip(with_gradient(traced, x, y)[:2], with_gradient(criterion, x, y)[:2], strict=True):
            torch.testing.assert_close(got, expected, rtol=4e-6, atol=0)


@module
def test_jit_script_is_refused(name):
    """As the documentation says: TorchScript's compiler would need a second formula."""
    with pytest.raises(torch.jit.frontend.NotSupportedError):
        torch.jit.script(make(name)[0])
