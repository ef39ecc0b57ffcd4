"""PyTorch on a device: derivatives, autocast, transforms, steps of training and the memory that they take."""

import weakref

import pytest

import xbce
from tests.device.family import arguments, bce, call_of, every_case, of_probabilities
from tests.helpers import assert_same_bits, saved_for_backward

torch = pytest.importorskip("torch")


@every_case
def test_gradcheck(torch_device, case):
    x, z, p, w, kept = arguments(torch_device, "float64", (3, 2), probabilities=of_probabilities(case))
    if of_probabilities(case):
        x = x * 0.8 + 0.1  # far enough from the ends for differences
    leaves = [a.clone().requires_grad_() for a in (x, z * 0.8 + 0.1, p, w)]

    def mean(x, z, p, w):
        return call_of(case)(x, z, pos_weight=p, weight=w, where=kept, reduction="mean", axis=0)[0]

    assert torch.autograd.gradcheck(mean, leaves, check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(mean, leaves, fast_mode=True)


@every_case
def test_backward_has_the_bits_of_the_closed_form(torch_device, case):
    x, z, _, w, kept = arguments(torch_device, "float32", probabilities=of_probabilities(case))
    leaf = x.clone().requires_grad_()
    call_of(case)(leaf, z, weight=w, where=kept, reduction="sum")[0].backward()
    closed = call_of(case, "gradient")(x, z, weight=w, where=kept)
    assert leaf.grad.device == x.device
    assert_same_bits(torch_device, leaf.grad, closed)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_autocast_computes_and_returns_float32(torch_device, half):
    kind = arguments(torch_device, "float32")[0].device.type
    generator = torch.Generator(kind).manual_seed(0)
    x = torch.randn(64, 8, generator=generator, device=kind)
    layer, z = torch.nn.Linear(8, 8, device=kind), torch.ones(64, 8, device=kind)
    with torch.autocast(kind, dtype=half):
        logits = layer(x)
        value = bce(logits, z.to(half), reduction="mean")
        native = torch.nn.functional.binary_cross_entropy_with_logits(logits, z)
    assert logits.dtype == half
    assert value.dtype == native.dtype == torch.float32
    assert_same_bits(torch_device, value, bce(logits.detach().float(), z, reduction="mean"))
    value.backward()
    assert layer.weight.grad.dtype == torch.float32


def test_transforms(torch_device):
    x, z, *_ = arguments(torch_device, "float64")

    def mean(x, z):
        return bce(x, z, reduction="mean")

    rows = torch.func.vmap(torch.func.grad(mean))(x, z)
    torch.testing.assert_close(rows, bce.gradient(x, z, reduction="mean", axis=1), rtol=1e-14, atol=0)
    _, tangent = torch.func.jvp(lambda x: mean(x, z), (x,), (torch.ones_like(x),))
    torch.testing.assert_close(tangent, bce.gradient(x, z, reduction="mean").sum(), rtol=1e-13, atol=0)


@pytest.mark.parametrize("reduction", ["none", "mean"])
@every_case
def test_backward_keeps_nothing_but_the_arguments(torch_device, case, reduction):
    x, z, _, w, kept = arguments(torch_device, "float32", probabilities=of_probabilities(case))
    leaf = x.clone().requires_grad_()

    def call(x, z, w, kept):
        return call_of(case)(x, z, weight=w, where=kept, reduction=reduction, normalize_by="size")[0]

    assert saved_for_backward(call, leaf, z, w, kept) == 0


def step(x, z, w):
    bce(x, z, weight=w, reduction="mean").backward()


ARRAYS_AT_ONCE = 7
"""Of the size of the logits, that a step of training has at once at most, beside its arguments; the gradient is one."""


def test_memory_of_a_step(cuda_only):
    n = 10**7
    x, z, w = (arguments(cuda_only, "float32", (1, 1))[0].new_ones(n) for _ in range(3))
    x.requires_grad_()
    step(x, z, w)
    x.grad = None
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    step(x, z, w)
    block = 2**21  # of PyTorch's allocator
    assert torch.cuda.memory_allocated() - before <= 4 * n + block
    assert torch.cuda.max_memory_allocated() - before <= ARRAYS_AT_ONCE * (4 * n + block)


def test_memory_of_a_step_as_its_operations_have_it():
    """On meta tensors: what is alive after each operation, as a GPU has it, where nothing is done block by block."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Memory(TorchDispatchMode):
        """Counts the bytes of the storages that are alive."""

        def __init__(self):
            super().__init__()
            self.known, self.now, self.peak = {}, 0, 0

        def forget(self, key):
            self.now -= self.known.pop(key)

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            for tensor in tree_leaves(result):
                storage = tensor.untyped_storage()
                key = storage._cdata
                if key not in self.known and key not in given:
                    self.known[key] = storage.nbytes()
                    self.now += storage.nbytes()
                    weakref.finalize(storage, self.forget, key)
            self.peak = max(self.peak, self.now)
            return result

    n = 10**7
    x, z, w = (torch.empty(n, device="meta") for _ in range(3))
    x.requires_grad_()
    given = {a.untyped_storage()._cdata for a in (x, z, w)}
    with Memory() as memory:
        step(x, z, w)
    assert 4 * n <= memory.now <= 4 * n + 64
    assert memory.peak <= ARRAYS_AT_ONCE * 4 * n + 64


def test_training_learns(torch_device):
    """Twenty steps of a linear model, whose loss falls, as on any device."""
    kind = arguments(torch_device, "float32")[0].device.type
    generator = torch.Generator(kind).manual_seed(0)
    x = torch.randn(500, 4, generator=generator, device=kind)
    z = (x[:, :1] > 0).float()
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1, device=kind)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    values = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = xbce.sigmoid_focal_loss(model(x), z, reduction="mean")
        loss.backward()
        optimizer.step()
        values.append(loss.detach())
    values = torch.stack(values)
    assert torch.isfinite(values).all()
    assert values[-1] < 0.5 * values[0]
