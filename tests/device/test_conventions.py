"""The other systems' losses take arrays of a device, and leave them there."""

from functools import partial

import numpy as np
import pytest
from array_api_compat import device as device_of

import xbce
from tests.device.family import arguments, bce, numbers
from tests.helpers import assert_same_bits
from xbce.conventions import caffe, keras, kornia, optax, pytorch, sklearn, tensorflow
from xbce.conventions.keras import BinaryCrossentropy

OF_LOGITS = {
    "optax": optax.sigmoid_binary_cross_entropy,
    "optax, focal": lambda x, z: optax.sigmoid_focal_loss(x, z, alpha=0.25),
    "optax, focal, arrays": lambda x, z: optax.sigmoid_focal_loss(x, z, alpha=z, gamma=z + 1),
    "kornia": lambda x, z: kornia.binary_focal_loss_with_logits(x, z, gamma=z + 1, ignore_index=0),
    "tensorflow": lambda x, z: tensorflow.sigmoid_cross_entropy_with_logits(labels=z, logits=x),
    "tensorflow, weighted": lambda x, z: tensorflow.weighted_cross_entropy_with_logits(z, x, 2.0),
    "tensorflow, v1": lambda x, z: tensorflow.sigmoid_cross_entropy(z, x, weights=0.5),
    "keras": lambda x, z: keras.binary_crossentropy(z, x, from_logits=True),
    "keras, class": lambda x, z: BinaryCrossentropy(from_logits=True)(z, x),
    "pytorch": lambda x, z: pytorch.binary_cross_entropy_with_logits(x, z, reduction="sum"),
    "torchvision": lambda x, z: pytorch.sigmoid_focal_loss(x, z, reduction="mean"),
    "caffe": lambda x, z: caffe.SigmoidCrossEntropyLoss().forward(x, z),
    "caffe, backward": lambda x, z: caffe.SigmoidCrossEntropyLoss().backward(x, z),
}
OF_PROBABILITIES = {
    "keras": keras.binary_crossentropy,
    "tensorflow, v1": tensorflow.log_loss,
    "pytorch": lambda z, p: pytorch.binary_cross_entropy(p, z),
}


def assert_close(device, got, x, wanted):
    assert device_of(got) == device_of(x)
    np.testing.assert_allclose(np.float64(device.to_numpy(got)), wanted, rtol=16 * 2.0**-23, atol=0)


@pytest.mark.parametrize("loss", OF_LOGITS.values(), ids=OF_LOGITS)
def test_losses_of_logits(device, loss):
    x, z, *_ = arguments(device, "float32")
    z = device.from_numpy(np.round(numbers("float32")[1]))
    doubles = np.float64(numbers("float32")[0]), np.float64(np.round(numbers("float32")[1]))
    assert_close(device, loss(x, z), x, loss(*doubles))


@pytest.mark.parametrize("loss", OF_PROBABILITIES.values(), ids=OF_PROBABILITIES)
def test_losses_of_probabilities(device, loss):
    p, z, *_ = arguments(device, "float32", probabilities=True)
    doubles = [np.float64(a) for a in numbers("float32", probabilities=True)[:2]]
    assert_close(device, loss(z, p), p, loss(*reversed(doubles)))


def test_log_loss_of_scikit_learn(device):
    p = device.from_numpy(numbers("float32", probabilities=True)[0][:, 0])
    y = device.from_numpy(np.array([0, 1, 1, 0, 1, 0]))
    wanted = sklearn.log_loss([0, 1, 1, 0, 1, 0], np.float64(numbers("float32", probabilities=True)[0][:, 0]))
    assert abs(float(sklearn.log_loss(y, p)) - wanted) <= 16 * 2.0**-24 * wanted


@pytest.mark.parametrize("name", ["BCEWithLogitsLoss", "BCELoss"])
def test_modules_of_pytorch_move(torch_device, name):
    torch = pytest.importorskip("torch")
    x, z, *_ = arguments(torch_device, "float32", probabilities=name == "BCELoss")
    module = getattr(pytorch, name)(weight=torch.tensor([2.0])).to(x.device)
    leaf = x.clone().requires_grad_()
    value = module(leaf, z)
    assert value.device == x.device
    value.backward()
    assert leaf.grad.device == x.device
    assert torch.isfinite(leaf.grad).all()
    loss = bce if name == "BCEWithLogitsLoss" else partial(xbce.binary_cross_entropy, log_floor=-100.0)
    assert_same_bits(torch_device, value.detach(), loss(x, z, weight=2.0, reduction="mean"))


@pytest.mark.parametrize("name", ["FocalLoss", "AsymmetricLoss", "BinaryFocalLossWithLogits"])
def test_modules_with_options_move(torch_device, name):
    """The options are parameters: they move with the module, and get a gradient on the device."""
    torch = pytest.importorskip("torch")
    x, z, *_ = arguments(torch_device, "float32")
    of = kornia if name == "BinaryFocalLossWithLogits" else pytorch
    module = getattr(of, name)(*(torch.nn.Parameter(torch.tensor(number)) for number in (0.75, 1.5))).to(x.device)
    value = module(x, z).sum()
    value.backward()
    assert value.device == x.device
    for parameter in module.parameters():
        assert parameter.device == x.device
        assert torch.isfinite(parameter.grad).all()
