"""The modules are PyTorch's in everything but the loss."""

import copy
import pickle
import subprocess
import sys

import pytest

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
    if torch.cuda.is_available():
        ours, _ = make(name, weight=torch.tensor([2.0]))
        x, y = (t.cuda() for t in data())
        assert ours.cuda()(x, y).device.type == "cuda"


@module
def test_pickles_and_copies(name):
    ours, _ = make(name, weight=torch.tensor([2.0]), reduction="sum")
    x, y = data()
    for other in (pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours)):  # noqa: S301
        assert type(other) is type(ours)
        assert other(x, y) == ours(x, y)


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


# array_api_compat caches what it knows of types; Dynamo says that it looks past the cache.
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`")
@module
def test_compiles_as_one_graph(name):
    torch._dynamo.reset()
    ours, theirs = make(name, weight=torch.tensor([1.0, 0.5, 2.0]))
    compiled = torch.compile(ours, fullgraph=True, backend="aot_eager")
    results = []
    for criterion in (compiled, theirs):
        x, y = data()
        x.requires_grad_()
        loss = criterion(x, y)
        loss.backward()
        results.append((loss, x.grad))
    torch.testing.assert_close(results[0], results[1])


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
