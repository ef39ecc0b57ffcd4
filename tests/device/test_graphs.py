"""CUDA graphs: a call, and a step of training, are captured, and replayed with the bits of eager calls."""

import pytest

from tests.device.family import arguments, bce, call_of, every_case, of_probabilities
from tests.helpers import assert_same_bits

MEAN = {"reduction": "mean", "normalize_by": "weight"}


@every_case
def test_call_of_pytorch(cuda_only, case):
    torch = pytest.importorskip("torch")
    call = call_of(case, "value_and_gradient")
    x, z, p, w, kept = arguments(cuda_only, "float32", (300, 40), probabilities=of_probabilities(case))
    call(x, z, pos_weight=p, weight=w, where=kept, **MEAN)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = call(x, z, pos_weight=p, weight=w, where=kept, **MEAN)
    for _ in range(2):
        x.copy_(x.flip(0))
        graph.replay()
        assert_same_bits(cuda_only, results, call(x, z, pos_weight=p, weight=w, where=kept, **MEAN))


def test_step_of_training_of_pytorch(cuda_only):
    torch = pytest.importorskip("torch")
    x, z, p, w, kept = arguments(cuda_only, "float32", (300, 40))
    scale = torch.ones(40, device="cuda", requires_grad=True)

    def step():
        loss = bce(x * scale, z, pos_weight=p, weight=w, where=kept, **MEAN)
        (slope,) = torch.autograd.grad(loss, scale)
        return loss.detach(), slope

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # PyTorch wants the first steps on another stream
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = step()
    for _ in range(2):
        x.copy_(x.flip(0))
        graph.replay()
        assert_same_bits(cuda_only, results, step())


@every_case
def test_call_of_cupy(cupy_only, case):
    cupy = pytest.importorskip("cupy")
    call = call_of(case, "value_and_gradient")
    x, z, p, w, kept = arguments(cupy_only, "float32", (300, 40), probabilities=of_probabilities(case))
    other = x[::-1].copy()
    wanted = call(other, z, pos_weight=p, weight=w, where=kept, **MEAN)
    cupy.cuda.Device().synchronize()
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        call(x, z, pos_weight=p, weight=w, where=kept, **MEAN)  # compiles, and leaves memory for the graph
        stream.synchronize()
        stream.begin_capture()
        results = call(x, z, pos_weight=p, weight=w, where=kept, **MEAN)
        graph = stream.end_capture()
        x[...] = other
        graph.launch(stream)
    stream.synchronize()
    assert_same_bits(cupy_only, results, wanted)
