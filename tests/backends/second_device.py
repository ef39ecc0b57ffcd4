"""Checks of xbce on a second device of PyTorch, in a process of its own: `python -m tests.backends.second_device`.

It writes JSON: of each check the operations that were watched, and the traceback if it failed. `--all` takes all
options and high precision with every case; without it they are taken with the first case.
"""

import re
import sys
from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import xbce
from tests.backends import played_device
from tests.backends.checks import Checks, say
from tests.device.family import bce, call_of, numbers, of_probabilities
from tests.device.test_transfers import OPTIONS, every_call, train
from xbce._precision import TABLES
from xbce.conventions import kornia, optax, pytorch, sklearn
from xbce_conformance.cases import METHODS, WITH_NUMBERS

HERE = torch.device(played_device.NAME, 0)
check = Checks()


class Watch(TorchDispatchMode):
    """Counts every operation, and refuses one that makes, takes or returns a tensor that is not on the device.

    PyTorch hands a Python number, which it has wrapped in a tensor of the CPU, to a mode as the number.
    """

    def __init__(self, *, numbers=False):
        super().__init__()
        self.calls = 0
        self.numbers = numbers
        """Whether PyTorch itself has numbers elsewhere: vmap those of its own operations, and their tangents."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.calls += 1
        result = function(*args, **(kwargs or {}))
        tensors = [a for a in tree_leaves((args, kwargs, result)) if isinstance(a, torch.Tensor)]
        strange = [a for a in tensors if a.device != HERE and not (self.numbers and not a.ndim)]
        assert not strange, f"{function} on {sorted({str(a.device) for a in strange})}"
        return result


def here(array):
    return torch.from_numpy(array.copy()).to(HERE)


def arrays(case, dtype="float32"):
    """Return scores, labels, pos_weight, weight and mask: on the CPU, and on the device."""
    given = numbers(dtype, probabilities=of_probabilities(case))
    return [torch.from_numpy(a.copy()) for a in given], [here(a) for a in given]


def same(got, wanted, *, probabilities=False):
    """Compare what the device has with what the CPU has: bit for bit, but for logarithms of probabilities.

    On the CPU these are of other forms, as PyTorch's functions there were measured.
    """
    for a, b in zip(got, wanted, strict=True):
        assert a.device == HERE
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        near = 2 * torch.finfo(b.dtype).eps if probabilities else 0
        torch.testing.assert_close(a.cpu(), b, rtol=near, atol=near, equal_nan=True)


def unmixed(function):
    """Call a function; the device must have taken no tensor of another one, as which a mode does not see a copy."""
    played_device.mixed.clear()
    result = function()
    assert not played_device.mixed, played_device.mixed
    return result


def family(case, chosen):
    """Take each method, reduction and derivative of a case, and compare values with those of the CPU."""
    (x, z, p, w, kept), there = arrays(case)
    with Watch() as watch:
        unmixed(lambda: every_call(case, there[0], there[1], there[3], there[4], chosen))
        before = watch.calls
        unmixed(lambda: train(case, torch, there[0], there[1], there[3], there[4], chosen))
        assert watch.calls > before + 20  # the threads of autograd are watched, too
    for method in METHODS:
        for options in ({}, {"reduction": "mean", "axis": 0, "normalize_by": "weight"}):
            got = unmixed(
                lambda m=method, o=options: call_of(case, m)(*there[:2], weight=there[3], where=there[4], **o)
            )
            wanted = call_of(case, method)(x, z, weight=w, where=kept, **options)
            same(got, wanted, probabilities=of_probabilities(case))
    same(call_of(case, "gradient")(*there[:2], pos_weight=there[2]), call_of(case, "gradient")(x, z, pos_weight=p))
    return watch.calls


@check
def tables_of_high_precision():
    """Each goes to the device once; nothing else does."""
    (x, z, _, w, kept), there = arrays(WITH_NUMBERS[0])
    played_device.mixed.clear()

    def every(x, z, w, kept):
        return [
            result
            for method in METHODS
            for o in ({}, {"reduction": "mean"})
            for result in call_of(WITH_NUMBERS[0], method)(x, z, weight=w, where=kept, precision="high", **o)
        ]

    got = every(*there[:2], *there[3:])
    lengths = [len(table.numbers) for table in TABLES.values()]
    wanted = [f"aten._copy_from.default takes cpu torch.float64 ({length},)" for length in lengths]
    assert sorted(played_device.mixed) == sorted(wanted)
    same(got, every(x, z, w, kept))
    played_device.operations.clear()
    unmixed(lambda: every(*there[:2], *there[3:]))
    return len(played_device.operations)


@check
def high_precision_watched():
    _, (x, z, _, w, kept) = arrays(WITH_NUMBERS[0])
    calls = {}
    for options in ({}, {"reduction": "mean", "normalize_by": "weight"}):
        with Watch() as watch:
            bce.value_and_gradient(x, z, weight=w, where=kept, precision="high", **options)
        calls[str(options)] = watch.calls
    leaf = x.clone().requires_grad_()
    with Watch() as watch:
        bce(leaf, z, precision="high", reduction="mean").backward()
    assert leaf.grad.device == HERE
    return sum(calls.values()) + watch.calls


@check
def options_that_are_arrays():
    _, (x, z, p, w, kept) = arrays(WITH_NUMBERS[0])
    (hx, hz, hp, *_), _ = arrays(WITH_NUMBERS[0])
    with Watch() as watch:
        got = unmixed(lambda: xbce.sigmoid_focal_loss.value_and_gradient(x, z, gamma=p, alpha=z, reduction="mean"))
        unmixed(lambda: bce(x, z, label_smoothing=z, pos_weight=p, weight=w, where=kept, reduction="sum", axis=1))
    same(got, xbce.sigmoid_focal_loss.value_and_gradient(hx, hz, gamma=hp, alpha=hz, reduction="mean"))
    return watch.calls


@check
def numbers_of_all_kinds():
    import numpy as np

    _, (x, *_) = arrays(WITH_NUMBERS[0])
    one = torch.ones((), device=HERE)
    with Watch() as watch:
        for number in (1, 1.0, True, np.float32(1), np.float64(1), np.asarray(1.0), one):
            got = unmixed(lambda n=number: bce(x, n, pos_weight=n, weight=n, reduction="mean"))
            assert got.device == HERE
    return watch.calls


@check
def dtypes_of_results():
    _, (x, z, *_) = arrays(WITH_NUMBERS[0])
    with Watch() as watch:
        for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
            got = unmixed(lambda d=dtype: bce(x, z, reduction="mean", dtype=d, keepdims=True))
            assert (got.device, got.dtype) == (HERE, dtype)
            half = unmixed(lambda d=dtype: bce.value_and_gradient(x.to(d), z > 0.5))
            assert [a.dtype for a in half] == [dtype, dtype]
    return watch.calls


@check
def functions_that_are_no_losses():
    _, (x, z, _, w, kept) = arrays(WITH_NUMBERS[0])
    with Watch() as watch:
        unmixed(lambda: xbce.reduce(x, weight=w, where=kept, normalize_by="weight"))
        unmixed(lambda: xbce.reduce(x, weight=w, precision="native", dtype=torch.float32))
        for name in xbce.special.__all__:
            function = getattr(xbce.special, name)
            count = function.__code__.co_argcount if hasattr(function, "__code__") else 1
            got = unmixed(lambda f=function, n=count: f(*(x, z)[:n]))
            assert all(a.device == HERE for a in tree_leaves(got))
    return watch.calls


@check
def values_are_read_by_scalars():
    """check_labels and SumAccumulator read values: by nothing but scalars of the device."""
    (hx, *_), (x, z, *_) = arrays(WITH_NUMBERS[0])
    total, wanted = xbce.SumAccumulator(), xbce.SumAccumulator()
    xbce.SumAccumulator().add(x)  # copies the tables
    played_device.operations.clear()
    unmixed(lambda: (xbce.check_labels(z), total.add(x)))
    assert "aten._local_scalar_dense.default" in played_device.operations
    wanted.add(hx)
    assert total.result() == wanted.result()
    with pytest.raises(ValueError, match=r"^labels must be in \[0, 1\], got "):
        xbce.check_labels(z + 1)
    return len(played_device.operations)


@check
def transforms():
    (hx, hz, *_), (x, z, *_) = arrays(WITH_NUMBERS[0])

    def mean(x, z):
        return bce(x, z, reduction="mean")

    def plain(x, z):
        return torch.func.grad(mean)(x, z), *torch.func.jvp(lambda x: bce(x, z), (x,), (z,))

    def mapped(x, z):
        return torch.func.vmap(torch.func.grad(mean))(x, z), torch.func.hessian(mean)(x[0], z[0])

    with Watch() as watch:
        got = unmixed(lambda: plain(x, z))
    same(got, plain(hx, hz))
    with Watch(numbers=True) as mapping:
        got = mapped(x, z)
    same(got, mapped(hx, hz))
    return watch.calls + mapping.calls


@check
def modules_and_conventions():
    (_, _, _, hw, _), (x, z, p, w, _) = arrays(WITH_NUMBERS[0])
    with Watch() as watch:
        criterion = unmixed(lambda: pytorch.BCEWithLogitsLoss(weight=w, pos_weight=p))
        leaf = x.clone().requires_grad_()
        unmixed(lambda: criterion(leaf, z).backward())
        assert leaf.grad.device == HERE
        for call in (
            lambda: pytorch.binary_cross_entropy(torch.sigmoid(x), z),
            lambda: pytorch.sigmoid_focal_loss(x, z, reduction="mean"),
            lambda: kornia.binary_focal_loss_with_logits(x, z, reduction="mean"),
            lambda: optax.sigmoid_binary_cross_entropy(x, z),
            lambda: sklearn.HalfBinomialLoss().loss_gradient(z[:, 0], x[:, 0], w[:, 0]),
        ):
            assert all(a.device == HERE for a in tree_leaves(unmixed(call)))
    moved = pytorch.BCEWithLogitsLoss(weight=hw).to(HERE)
    assert moved(x, z).device == HERE
    return watch.calls


@check
def a_training_step():
    """A linear model of two parameters, trained on the device, with an optimizer of PyTorch."""
    (hx, hz, *_), (x, z, *_) = arrays(WITH_NUMBERS[0])
    trained = []
    for a, labels in ((x, z), (hx, hz)):
        weight = torch.linspace(-1, 1, 5).to(a.device).requires_grad_()
        optimizer = torch.optim.SGD([weight], lr=0.5)
        for _ in range(3):
            optimizer.zero_grad()
            bce(a @ weight, labels[:, 0], reduction="mean").backward()
            optimizer.step()
        trained.append(weight.detach().cpu())
    torch.testing.assert_close(*trained, rtol=0, atol=0)
    return 3


@check
def errors_name_the_devices():
    given, there = arrays(WITH_NUMBERS[0])
    text = "{} must be on the device of logits ({}), got {}; nothing is transferred silently"
    refused = 0

    def refuse(name, first, other, loss, *arguments, **options):
        nonlocal refused
        played_device.operations.clear()
        with pytest.raises(ValueError, match=f"^{re.escape(text.format(name, first, other))}$"):
            loss(*arguments, **options)
        assert not played_device.operations, "something ran before the error"
        refused += 1

    x, labels, *_ = there
    for other, (_, z, p, w, kept) in (("cpu", given), ("meta", [a.to("meta") for a in given])):
        for method in METHODS:
            refuse("labels", HERE, other, call_of(WITH_NUMBERS[0], method), x, z)
        for name, a in {"pos_weight": p, "weight": w, "where": kept, "label_smoothing": z}.items():
            refuse(name, HERE, other, bce, x, labels, **{name: a})
        refuse("gamma", HERE, other, xbce.sigmoid_focal_loss, x, labels, gamma=p)
        refuse("labels", HERE, other, bce, x, z[0, 0])  # one without dimensions, too
    refuse("labels", "cpu", HERE, bce, given[0], labels)
    return refused


def main(everything):
    """Run all checks, and write the number of operations of each."""
    for i, case in enumerate(WITH_NUMBERS):
        check[case.name] = partial(family, case, OPTIONS if everything or i == 0 else OPTIONS[3:4])
        if everything and i:
            check[f"{case.name}, high"] = partial(_high, case)
    say(check.found())


def _high(case):
    (x, z, *_), (u, v, *_) = arrays(case)
    played_device.operations.clear()
    for method in METHODS:
        same(call_of(case, method)(u, v, precision="high"), call_of(case, method)(x, z, precision="high"))
    return len(played_device.operations)


if __name__ == "__main__":
    main("--all" in sys.argv)
