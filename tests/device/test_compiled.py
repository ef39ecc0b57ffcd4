"""torch.compile on a device: loss and backward pass are one graph, within the bounds of the eager call."""

import pytest

from tests.device.family import arguments, bce

torch = pytest.importorskip("torch")


def test_loss_and_backward(torch_device):
    x, z, _, w, kept = arguments(torch_device, "float32", (300, 40))
    leaf = x.clone().requires_grad_()
    torch._dynamo.reset()
    counters = torch._dynamo.utils.counters
    counters.clear()

    @torch.compile(fullgraph=True)
    def step(x, z, w, kept):
        return bce(x, z, pos_weight=2.0, weight=w, where=kept, reduction="mean", normalize_by="weight")

    value = step(leaf, z, w, kept)
    value.backward()
    step(leaf.detach().clone().requires_grad_(), z, w, kept)
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]
    assert value.device == leaf.grad.device == x.device
    doubles = x.double(), z.double()
    options = {"pos_weight": 2.0, "weight": w.double(), "where": kept, "reduction": "mean", "normalize_by": "weight"}
    mean, gradient = bce.value_and_gradient(*doubles, **options)
    torch.testing.assert_close(value.detach().double(), mean, rtol=2.0**-23, atol=0)
    largest = gradient.abs().max().item()
    torch.testing.assert_close(leaf.grad.double(), gradient, rtol=6 * 2.0**-23, atol=2.0**-23 * largest)
