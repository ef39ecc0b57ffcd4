"""The conventions trace: jax.jit, torch.compile as one graph, torch.func.vmap; Dask stays lazy."""

import numpy as np
import pytest

from tests.conventions.gathered import gathered
from tests.helpers import some_long, step

X = np.float32([[0.25, 0.5], [0.75, 0.125], [0.5, 0.875]])
Z = np.float32([[0, 1], [1, 1], [0, 0]])
W = np.float32([[1], [0], [2]])

CALLS = gathered("TRACED")
calls = pytest.mark.parametrize("name", CALLS)


@calls
def test_jax_jit(name):
    jax = pytest.importorskip("jax")
    result = jax.jit(CALLS[name])(*map(jax.numpy.asarray, (X, Z, W)))
    np.testing.assert_allclose(result, CALLS[name](X, Z, W), rtol=2e-6)


@pytest.mark.parametrize("name", some_long({n: n for n in CALLS}, {"pytorch logits", "keras mask", "xgboost", "caffe"}))
def test_torch_compile(name):
    """In one graph, and without a warning of Dynamo: warnings are errors."""
    torch = pytest.importorskip("torch")
    torch._dynamo.reset()
    compiled = torch.compile(CALLS[name], fullgraph=True, backend="eager")
    result = compiled(*map(torch.as_tensor, (X, Z, W)))
    np.testing.assert_allclose(result, CALLS[name](X, Z, W), rtol=2e-6)


@calls
def test_torch_vmap(name):
    torch = pytest.importorskip("torch")
    x, z, w = (torch.as_tensor(np.stack([a, a[::-1]])) for a in (X, Z, W))
    result = torch.func.vmap(CALLS[name])(x, z, w)
    expected = np.stack([CALLS[name](X, Z, W), CALLS[name](X[::-1], Z[::-1], W[::-1])])
    np.testing.assert_allclose(result, expected, rtol=2e-6)


@calls
def test_dask_stays_lazy(name):
    dask = pytest.importorskip("dask")
    dask_array = pytest.importorskip("dask.array")

    def refuse(*_args, **_kwargs):
        pytest.fail("something was computed")

    with dask.config.set(scheduler=refuse):
        result = CALLS[name](*(dask_array.from_array(a, chunks=2) for a in (X, Z, W)))
    np.testing.assert_allclose(result.compute(), CALLS[name](X, Z, W), rtol=2e-6)


@pytest.mark.parametrize("name", [name for name in CALLS if name not in ("xgboost", "lightgbm", "numpy_reference")])
def test_export_of_rows_that_depend_on_data(name):
    """No length of axis 0 is known, nor whether it is 0: then means are those of no elements."""
    torch = pytest.importorskip("torch")

    class Model(torch.nn.Module):
        def forward(self, x, z, w, kept):
            return CALLS[name](x[kept], z[kept], w[kept])

    arrays = tuple(map(torch.as_tensor, (X, Z, W)))
    exported = torch.export.export(Model(), (*arrays, torch.tensor([True, False, True]))).module()
    for kept in ([True, False, True], [False, True, False], [True, True, True], [False, False, False]):
        with step("torch", CALLS[name], kept):
            mask = torch.tensor(kept)
            np.testing.assert_allclose(exported(*arrays, mask), CALLS[name](*(a[kept] for a in (X, Z, W))), rtol=2e-6)
