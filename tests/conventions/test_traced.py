"""The conventions trace: jax.jit, torch.compile as one graph, torch.func.vmap; Dask stays lazy."""

import numpy as np
import pytest

from tests.helpers import some_long
from xbce.conventions import boosting, caffe, keras, numpy_reference, optax, pytorch, tensorflow

X = np.float32([[0.25, 0.5], [0.75, 0.125], [0.5, 0.875]])
Z = np.float32([[0, 1], [1, 1], [0, 0]])
W = np.float32([[1], [0], [2]])

CALLS = {
    "pytorch logits": lambda x, z, w: pytorch.binary_cross_entropy_with_logits(x, z, w, pos_weight=w),
    "pytorch probabilities": lambda x, z, w: pytorch.binary_cross_entropy(x, z, w),
    "pytorch focal": lambda x, z, w: pytorch.sigmoid_focal_loss(x, z * w / 2),
    "tensorflow": lambda x, z, w: tensorflow.sigmoid_cross_entropy_with_logits(z * w, x),
    "tensorflow weighted": lambda x, z, w: tensorflow.weighted_cross_entropy_with_logits(z, x, w),
    "tensorflow v1": lambda x, z, w: tensorflow.sigmoid_cross_entropy(z, x, w, 0.1),
    "tensorflow log_loss": lambda x, z, w: tensorflow.log_loss(z, x, w, reduction="weighted_mean"),
    "keras": lambda x, z, w: keras.BinaryCrossentropy()(z, x, w),
    "keras mask": lambda x, z, w: keras.BinaryCrossentropy(from_logits=True)(z, x, mask=w[:, 0] != 0),
    "keras focal": lambda x, z, w: keras.BinaryFocalCrossentropy(True, reduction="mean_with_sample_weight")(z, x, w),
    "optax": lambda x, z, w: optax.sigmoid_binary_cross_entropy(x, z * w),
    "optax focal": lambda x, z, w: optax.sigmoid_focal_loss(x, z, alpha=w),
    "caffe": lambda x, z, w: caffe.SigmoidCrossEntropyLoss(0, "VALID").forward(x, z * w),
    "caffe backward": lambda x, z, w: caffe.SigmoidCrossEntropyLoss(0, "VALID").backward(x, z * w),
    "xgboost": lambda x, z, w: boosting.xgboost_objective(scale_pos_weight=2)(z[:, 0], x[:, 0], w[:, 0])[0],
    "lightgbm": lambda x, z, w: boosting.lightgbm_objective(sigmoid=2.0)(z[:, 0], x[:, 0], w[:, 0])[1],
    "numpy_reference": lambda x, z, w: numpy_reference.binary_cross_entropy(x[:, 0], (z * w)[:, 0]),
}
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
        mask = torch.tensor(kept)
        np.testing.assert_allclose(exported(*arrays, mask), CALLS[name](*(a[kept] for a in (X, Z, W))), rtol=2e-6)
