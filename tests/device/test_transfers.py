"""A call copies nothing to the host or from it, and waits for nothing; neither the first of its kind nor later ones."""

import pytest

import xbce
from tests.device.family import arguments, bce, call_of, every_case, of_probabilities
from xbce_conformance.cases import METHODS, WITH_NUMBERS

OPTIONS = [
    {},
    {"reduction": "sum"},
    {"reduction": "mean"},
    {"reduction": "mean", "axis": 0, "normalize_by": "weight"},
    {"reduction": "mean", "normalize_by": "nonzero"},
    {"reduction": "mean", "normalize_by": "batch"},
]


def every_call(case, x, z, w, kept, chosen=OPTIONS):
    """Call all methods: with arrays, and with numbers in their places; each twice."""
    for options in chosen:
        for method in 2 * tuple(METHODS):
            call_of(case, method)(x, z, weight=w, where=kept, **options)
            call_of(case, method)(x, 1.0, weight=0.5, **options)


def train(case, torch, x, z, w, kept, chosen=OPTIONS):
    """Differentiate once and twice."""
    leaf = x.clone().requires_grad_()
    for options in chosen:
        call_of(case)(leaf, z, weight=w, where=kept, **options)[0].sum().backward()
        call_of(case)(leaf, 1.0, weight=0.5, **options)[0].sum().backward()
        (slope,) = torch.autograd.grad(call_of(case)(leaf, z, **options)[0].sum(), leaf, create_graph=True)
        torch.autograd.grad(slope.sum(), leaf)


@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype:UserWarning")
@every_case
def test_pytorch_does_not_wait(cuda_only, case):
    torch = pytest.importorskip("torch")
    x, z, _, w, kept = arguments(cuda_only, "float32", probabilities=of_probabilities(case))
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        every_call(case, x, z, w, kept)
        train(case, torch, x, z, w, kept)
        xbce.reduce(x, weight=w, where=kept, normalize_by="weight")
        xbce.special.softplus(x)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@every_case
def test_every_operation_of_pytorch_is_on_the_device(case):
    """On meta tensors, which have no values: what runs there without another device's tensors, runs so on a GPU."""
    torch = pytest.importorskip("torch")
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Watch(TorchDispatchMode):
        """Refuses operations on tensors of another device: a copy from the host begins with one."""

        calls = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            tensors = [a for a in tree_leaves((args, kwargs, result)) if isinstance(a, torch.Tensor)]
            assert {a.device.type for a in tensors} <= {"meta"}, function
            self.calls += 1
            return result

    x, z, w = (torch.empty(6, 5, device="meta") for _ in range(3))
    kept = torch.empty(6, 5, device="meta", dtype=torch.bool)
    with Watch() as watch:
        chosen = OPTIONS if case is WITH_NUMBERS[0] else OPTIONS[3:4]
        every_call(case, x, z, w, kept, chosen)
        train(case, torch, x, z, w, kept, chosen)
        xbce.reduce(x, weight=w, where=kept, normalize_by="weight")
    assert watch.calls > 100


def test_jitted_calls_of_jax_transfer_nothing(jax_device):
    jax = pytest.importorskip("jax")
    x, z, _, w, kept = arguments(jax_device, "float32")
    for options in OPTIONS[2:4]:
        step = jax.jit(lambda x, z, w, kept, o=options: bce.value_and_gradient(x, z, weight=w, where=kept, **o))
        slope = jax.jit(jax.grad(lambda x, z, w, kept, o=options: bce(x, z, weight=w, where=kept, **o).sum()))
        for function in (step, slope):
            function(x, z, w, kept)  # compiles
            with jax.transfer_guard("disallow"):
                jax.block_until_ready(function(x, z, w, kept))


def test_eager_calls_of_jax_take_nothing_to_the_host(jax_device):
    jax = pytest.importorskip("jax")
    x, z, _, w, kept = arguments(jax_device, "float32")
    with jax.transfer_guard_device_to_host("disallow"):
        every_call(WITH_NUMBERS[0], x, z, w, kept)
        jax.grad(lambda x: bce(x, z, weight=w, where=kept, reduction="mean"))(x)


@every_case
def test_cupy_does_not_wait(cupy_only, case, monkeypatch):
    cupy = pytest.importorskip("cupy")
    x, z, _, w, kept = arguments(cupy_only, "float32", probabilities=of_probabilities(case))

    def refuse(*_args, **_kwargs):
        pytest.fail("a value is looked at")

    for name in ("get", "item", "tolist", "set", "__bool__", "__float__", "__int__", "__index__", "__array__"):
        monkeypatch.setattr(cupy.ndarray, name, refuse, raising=False)
    monkeypatch.setattr(cupy, "asnumpy", refuse)
    monkeypatch.setattr(cupy.cuda.Stream, "synchronize", refuse)
    for name in ("deviceSynchronize", "streamSynchronize", "eventSynchronize", "memcpy"):
        monkeypatch.setattr(cupy.cuda.runtime, name, refuse)
    every_call(case, x, z, w, kept)
