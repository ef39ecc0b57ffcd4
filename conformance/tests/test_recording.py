"""Steps of training that are recorded, kept, and judged afterwards."""

import importlib.util
import io
import re
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from rich.console import Console

from xbce_conformance import Recording, record, verdicts
from xbce_conformance.data.arrays import BadData

RNG = np.random.default_rng(1)
X = RNG.normal(-5, 2, (40, 5)).astype(np.float32)
Z = (RNG.random((40, 5)) < 0.1).astype(np.float32)
F = torch.nn.functional
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def formula(x, z):
    return np.maximum(x, 0) - x * z + np.log1p(np.exp(-np.abs(x)))


def test_a_training_step_of_pytorch():
    layer = torch.nn.Linear(3, 5)
    optimizer = torch.optim.SGD(layer.parameters())
    features, labels = torch.randn(40, 3), torch.tensor(Z)
    with record() as recording:
        loss = torch.nn.BCEWithLogitsLoss()(layer(features), labels)
        loss.backward()
        optimizer.step()
    (call,) = recording.calls
    assert (call.system, call.reduction) == ("torch", "mean")
    assert call.place.startswith("test_recording.py:")
    assert float(call.result) == loss.item()
    np.testing.assert_array_equal(call.arrays["labels"], Z)
    replayed = recording.judge().calls[0]
    assert abs(replayed.off) < 1e-6
    assert replayed.recorded == loss.item()


def test_what_is_recorded_is_what_was_there():
    """Arrays are copied: an update in place comes after them."""
    x = torch.tensor(X)
    with record() as recording:
        F.binary_cross_entropy_with_logits(x, torch.tensor(Z))
        x.zero_()
    np.testing.assert_array_equal(recording.calls[0].arrays["logits"], X)


def test_arguments_of_pytorch():
    x, z = torch.tensor(X), torch.tensor(Z)
    with record() as recording:
        F.binary_cross_entropy_with_logits(x, z, pos_weight=torch.tensor([2.0]), reduction="sum")
        F.binary_cross_entropy_with_logits(x, z, weight=torch.arange(5.0), reduction="mean")
        F.binary_cross_entropy_with_logits(x, z, reduction="none")
        F.binary_cross_entropy(torch.sigmoid(x), z)
    assert [call.case for call in recording.calls] == [
        "binary_cross_entropy_with_logits(pos_weight)",
        "binary_cross_entropy_with_logits",
        "binary_cross_entropy_with_logits",
        "binary_cross_entropy(log_floor=-100)",
    ]
    exact = formula(X.astype(float), Z)
    expected = [
        (exact * np.where(Z == 1, 2, 1)).sum(),
        (exact * np.arange(5.0)).sum() / exact.size,
        exact.mean(),
        exact.mean(),
    ]
    for call, right in zip(recording.judge().calls, expected, strict=True):
        np.testing.assert_allclose(call.certified, right, rtol=1e-6)  # sigmoid(x) of the last one is rounded
        np.testing.assert_allclose([call.recorded, call.other], right, rtol=1e-5)


def test_a_bfloat16_step_is_judged_three_ways():
    x = torch.tensor(X * 1.3, dtype=torch.bfloat16, requires_grad=True)
    with record() as recording:
        F.binary_cross_entropy_with_logits(x, torch.tensor(Z, dtype=torch.bfloat16)).backward()
    replay = recording.judge()
    (call,) = replay.calls
    assert call.dtype == "bfloat16"
    assert abs(call.other_off) < 2**-9 < abs(call.off)
    assert {o.subject for o in call.errors.outcomes} == {"torch", "xbce"}
    screen = Console(width=180, file=io.StringIO())
    screen.print(replay)
    assert re.search(r"torch@torch:cpu in bfloat16 .*single losses are more than 4 ULP off", screen.file.getvalue())
    assert "recorded losses" in replay._repr_html_()


def test_a_compiled_training_step_of_jax():
    labels = jnp.asarray(Z)

    @jax.jit
    def step(x):
        return jax.grad(lambda x: optax.sigmoid_binary_cross_entropy(x, labels).mean())(x)

    with record() as recording:
        step(jnp.asarray(X))
        step(jnp.asarray(X + 1))
    assert len(recording) == 2
    step(jnp.asarray(X))  # compiled with the callback, after the block
    assert len(recording) == 2
    np.testing.assert_array_equal([call.arrays["logits"] for call in recording.calls], [X, X + 1])
    assert all(abs(call.off) < 1e-6 for call in recording.judge("xbce").calls)
    assert optax.sigmoid_binary_cross_entropy is optax.losses.sigmoid_binary_cross_entropy
    assert not hasattr(optax.sigmoid_binary_cross_entropy, "__wrapped__")


def test_the_example_that_records_a_step(tmp_path):
    """A small model that is confident: what the guide shows."""
    spec = importlib.util.spec_from_file_location("own_step", EXAMPLES / "own_step.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    single, half = example.main(tmp_path).calls
    assert abs(single.off) < 1e-5
    assert half.off < -0.01
    assert abs(half.other_off) < 0.002
    grades = {(v.subject, v.dtype): v.grade for call in (single, half) for v in verdicts(call.errors.outcomes)}
    assert grades["torch", "bfloat16"] == "matters for training"
    assert grades["torch", "float32"] == grades["xbce", "bfloat16"] == "no difference for training"
    assert len(Recording.read(tmp_path / "step.npz")) == 2


def test_a_loss_of_ones_own():
    def loss(y_true, y_pred):
        return formula(y_pred, y_true).mean()

    with record() as recording:
        mine = recording.wrap(loss, order=("y_true=labels", "y_pred=logits"))
        mine(Z, X)
        mine(Z, y_pred=X)
        mine(y_pred=X, y_true=Z)
    assert [call.reduction for call in recording.calls] == ["mean"] * 3
    for call in recording.calls:
        assert call.system == "loss"
        np.testing.assert_array_equal(call.arrays["logits"], X)
    assert all(abs(call.off) < 1e-5 for call in recording.judge().calls)


def test_a_call_that_lacks_an_argument_is_refused():
    recording = Recording()
    with pytest.raises(ValueError, match="order names 'targets'"):
        recording.wrap(formula, order=("targets", "logits"))

    def unlabelled(x, z=0):
        return x - z

    loss = recording.wrap(unlabelled, order=("logits", "labels"))
    with pytest.raises(TypeError, match=r"the call has no labels that order \(logits, labels\) names"):
        loss(X)


def test_what_is_kept_is_what_was_recorded(tmp_path):
    with record() as recording:
        F.binary_cross_entropy_with_logits(torch.tensor(X, dtype=torch.bfloat16), torch.tensor(Z, dtype=torch.bfloat16))
        F.binary_cross_entropy_with_logits(torch.tensor(X), torch.tensor(Z), pos_weight=torch.tensor([2.0]))
    recording.save(tmp_path / "step.npz")
    again = Recording.read(tmp_path / "step.npz")
    for before, after in zip(recording.calls, again.calls, strict=True):
        assert (before.system, before.case, before.reduction, before.place) == (
            after.system,
            after.case,
            after.reduction,
            after.place,
        )
        assert before.arrays.keys() == after.arrays.keys()
        for name, array in before.arrays.items():
            assert array.dtype == after.arrays[name].dtype
            np.testing.assert_array_equal(array, after.arrays[name])
        np.testing.assert_array_equal(before.result, after.result)


def test_nothing_recorded_is_no_success(tmp_path):
    with record() as recording:
        pass
    for use in (recording.judge, lambda: recording.save(tmp_path / "a.npz")):
        with pytest.raises(BadData, match=r"no loss was recorded\. Seen are torch.nn.functional"):
            use()
    np.savez(tmp_path / "a.npz", logits=X)
    with pytest.raises(ValueError, match=r"a\.npz is no recording"):
        Recording.read(tmp_path / "a.npz")


def test_arguments_of_old_say_the_reduction():
    x, z = torch.tensor(X), torch.tensor(Z)
    with record() as recording, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # PyTorch's, that they are old
        F.binary_cross_entropy_with_logits(x, z, size_average=False)
        F.binary_cross_entropy_with_logits(x, z, reduce=False)
        F.binary_cross_entropy_with_logits(x, z, size_average=True)
    assert [call.reduction for call in recording.calls] == ["sum", "none", "mean"]


def test_what_is_not_finite_is_not_compared():
    """What came is of all elements, the certified values of those that are left."""

    def limits(x, z):
        with np.errstate(invalid="ignore"):
            return np.where(np.isinf(x), 0, np.maximum(x, 0) - x * z + np.log1p(np.exp(-np.abs(x)))).mean()

    with record() as recording:
        recording.wrap(limits)(np.float32([-np.inf, 0.5]), np.float32([0, 1]))
    (call,) = recording.judge().calls
    assert np.isnan([call.certified, call.other]).all()
    assert call.notes == ["1 of 2 elements are not finite and are left out; the first: logits -inf, labels 0.0"]


def test_another_system_is_judged_by_the_numbers_that_it_was_given():
    """Labels in float32 beside logits in bfloat16, as under autocast: a loss in bfloat16 rounds them first."""
    x, z = torch.tensor([5.0, -3.0], dtype=torch.bfloat16), np.float32([0.1, 0.1])
    with record() as recording:
        recording.wrap(lambda x, z: formula(x.double().numpy(), np.float64(z)).mean())(x, z)
    (call,) = recording.judge().calls
    assert abs(call.off) < 1e-15
    assert abs(call.other_off) < 2**-8


def test_a_system_without_such_a_loss_is_refused():
    with record() as recording:
        recording.wrap(formula, case="sigmoid_focal_loss(gamma=1.7)")(X, Z)
    with pytest.raises(BadData, match=r"sklearn has no function of sigmoid_focal_loss|sklearn is not here"):
        recording.judge("sklearn")


def test_a_recording_that_lacks_something_is_damaged(tmp_path):
    with record() as recording:
        recording.wrap(formula)(X, Z)
    recording.save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as arrays:
        np.savez(tmp_path / "b.npz", **{name: array for name, array in arrays.items() if name != "0.labels"})
    with pytest.raises(BadData, match=r"b\.npz is a recording that lacks something: KeyError: "):
        Recording.read(tmp_path / "b.npz")


def test_an_unknown_other_system_is_refused():
    with record() as recording:
        recording.wrap(formula)(X, Z)
    with pytest.raises(BadData, match="other is 'torhc'; one of "):
        recording.judge("torhc")
    with pytest.raises(BadData, match="paddle is not here: "):
        recording.judge("paddle")
