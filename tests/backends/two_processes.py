"""Checks of xbce in two processes of PyTorch, joined by gloo: `python -m tests.backends.two_processes FOLDER`.

The command starts both, with the folder for their meeting. It writes JSON: of each check the traceback, or null.
`--all` takes all losses.
"""

import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

import xbce
from tests.backends.checks import Checks, say
from tests.device.family import bce, call_of, numbers, of_probabilities
from xbce_conformance.cases import WITH_NUMBERS

check = Checks()
SHAPE = (13, 6)
PLACES = {"rows": Shard(0), "columns": Shard(1), "replicated": Replicate()}
"""Of 13 rows one process has 7, and the other 6."""


def arrays(case=WITH_NUMBERS[0], dtype="float32"):
    """Return scores, labels, pos_weight, weight and mask."""
    given = numbers(dtype, SHAPE, probabilities=of_probabilities(case))
    return [torch.from_numpy(a.copy()) for a in given]


def placed(mesh, tensors, place):
    return [distribute_tensor(a, mesh, [place]) for a in tensors]


def whole(a):
    return a.full_tensor() if isinstance(a, DTensor) else a


def close(got, wanted, rtol=1e-6):
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(whole(a).detach(), b.detach(), rtol=rtol, atol=0)


def mine(a):
    """Return this process's rows."""
    return a[: len(a) // 2 + 1] if dist.get_rank() == 0 else a[len(a) // 2 + 1 :]


@check
def dtensor_of_every_loss(mesh):
    """Losses and closed derivatives, elementwise and reduced, keep their place."""
    for case in WITH_NUMBERS if "--all" in sys.argv else WITH_NUMBERS[::5]:
        x, z, _, w, kept = arrays(case)
        for name, place in PLACES.items():
            a, b, c, d = placed(mesh, (x, z, w, kept), place)
            for options in ({}, {"reduction": "mean"}, {"reduction": "mean", "normalize_by": "weight"}):
                got = call_of(case, "value_and_gradient")(a, b, weight=c, where=d, **options)
                close(got, call_of(case, "value_and_gradient")(x, z, weight=w, where=kept, **options))
                assert isinstance(got[1], DTensor), (case.name, name)
                assert got[1].placements == (place,), (case.name, name)


@check
def dtensor_backward(mesh):
    x, z, _, w, kept = arrays()
    for place in PLACES.values():
        for options in ({"reduction": "mean", "normalize_by": "weight"}, {"reduction": "sum", "axis": 0}):
            leaf = x.clone().requires_grad_()
            bce(leaf, z, weight=w, where=kept, **options).sum().backward()
            a, b, c, d = placed(mesh, (x, z, w, kept), place)
            a.requires_grad_()
            bce(a, b, weight=c, where=d, **options).sum().backward()
            close((a.grad,), (leaf.grad,))


@check
def dtensor_beside_a_tensor_is_refused(mesh):
    x, z, *_ = arrays()
    (a,) = placed(mesh, (x,), Shard(0))
    with pytest.raises(RuntimeError, match=r"mixed torch\.Tensor and DTensor"):
        bce(a, z)


@check
def labels_are_checked_by_each_process(mesh):
    """PyTorch flattens no unevenly sharded tensor, so that the whole has no first wrong label."""
    _, z, *_ = arrays()
    text = "labels must be a tensor of this process, got a DTensor: pass what its method to_local returns"
    for place in PLACES.values():
        (shared,) = placed(mesh, (z,), place)
        with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
            xbce.check_labels(shared)
    z[9, 4] = 1.5  # of the second process, whose row 2 it is
    (shared,) = placed(mesh, (z,), PLACES["rows"])
    if dist.get_rank() == 0:
        xbce.check_labels(shared.to_local())
    else:
        with pytest.raises(ValueError, match=r"^labels must be in \[0, 1\], got 1\.5 at index \(2, 4\)$"):
            xbce.check_labels(shared.to_local())


@check
def high_precision_has_the_same_bits_sharded_or_not(mesh):
    """A DTensor gathers the digits of an exact sum, and so does an accumulator of parts."""
    x, z, _, w, kept = arrays()
    for place in PLACES.values():
        a, b, c, d = placed(mesh, (x, z, w, kept), place)
        for options in (
            {},
            {"reduction": "sum", "dtype": torch.float64},
            {"reduction": "mean", "normalize_by": "weight", "dtype": torch.float64},
            {"reduction": "mean", "axis": 0, "dtype": torch.float64},
        ):
            got = bce.value_and_gradient(a, b, weight=c, where=d, precision="high", **options)
            wanted = bce.value_and_gradient(x, z, weight=w, where=kept, precision="high", **options)
            assert all(torch.equal(whole(i), j) for i, j in zip(got, wanted, strict=True)), (place, options)
        a.requires_grad_()
        leaf = x.clone().requires_grad_()
        bce(a, b, reduction="mean", precision="high").backward()
        bce(leaf, z, reduction="mean", precision="high").backward()
        close((a.grad,), (leaf.grad,), 1e-7)
    part = xbce.SumAccumulator()
    part.add(bce(mine(x), mine(z)).to(torch.float64))
    parts = [None, None]
    dist.all_gather_object(parts, part)
    total = xbce.SumAccumulator()
    for other in reversed(parts):
        total.merge(other)
    assert total.result() == xbce.reduce(bce(x, z), reduction="sum", precision="high", dtype=torch.float64).item()
    assert total.count == x.numel()
    (shared,) = placed(mesh, (bce(x, z).to(torch.float64),), Shard(0))
    text = "losses must be a tensor of this process, got a DTensor: pass what its method to_local returns"
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        part.add(shared)
    local = xbce.SumAccumulator()
    local.add(shared.to_local())
    assert (local.result(), local.count) == (part.result(), part.count)


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))


def trained(network, x, z, share=1.0):
    """Take three steps; `share` is what a mean of parts has to be multiplied with to be part of the whole's."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.3)
    for _ in range(3):
        optimizer.zero_grad()
        (bce(network(x), z, reduction="mean") * share).backward()
        optimizer.step()
    return [whole(a) for a in network.parameters()]


@check
def ddp_steps_as_one_process(_mesh):
    """DDP averages gradients, so the means of 7 and 6 rows are weighted by the number of rows."""
    x, z = arrays()[0], arrays()[1][:, :1]
    share = 2 * len(mine(x)) / len(x)
    close(trained(DistributedDataParallel(model()), mine(x), mine(z), share), trained(model(), x, z), 1e-5)


@check
def fsdp_steps_as_one_process(mesh):
    x, z = arrays()[0], arrays()[1][:, :1]
    network = model()
    for layer in (network[0], network[2], network):
        fully_shard(layer, mesh=mesh)
    assert all(isinstance(a, DTensor) for a in network.parameters())
    close(trained(network, mine(x), mine(z), 2 * len(mine(x)) / len(x)), trained(model(), x, z), 1e-5)


@check
def a_mean_of_all_processes(_mesh):
    """Sums and counts are added, and divided once."""
    x, z, _, _, kept = arrays()
    total, slope = bce.value_and_gradient(mine(x), mine(z), where=mine(kept), reduction="sum")
    both = torch.stack([total, mine(kept).sum()])
    dist.all_reduce(both)
    mean, gradient = bce.value_and_gradient(x, z, where=kept, reduction="mean")
    close((both[0] / both[1], slope / both[1]), (mean, mine(gradient)))


def work(rank, folder):
    """Run all checks as one of the processes, and write what came of each."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2, timeout=timedelta(seconds=120)
    )
    mesh = init_device_mesh("cpu", (2,))
    found = check.found(mesh)
    (Path(folder) / f"{rank}.json").write_text(json.dumps(found), "utf-8")
    dist.destroy_process_group()


def main(folder):
    """Start both processes, and print what came of each check."""
    command = [sys.executable, "-m", "tests.backends.two_processes", *sys.argv[1:]]
    started = [subprocess.Popen(command, env=os.environ | {"RANK": str(rank)}) for rank in range(2)]
    for process in started:
        process.wait()
    of_each = [json.loads((Path(folder) / f"{rank}.json").read_text("utf-8")) for rank in range(2)]
    say({name: result if result["error"] else of_each[1][name] for name, result in of_each[0].items()})


if __name__ == "__main__":
    if "RANK" in os.environ:
        work(int(os.environ["RANK"]), sys.argv[1])
    else:
        main(sys.argv[1])
