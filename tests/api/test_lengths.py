"""Arrays whose lengths change from call to call: an earlier plan serves, no bit depends on it, and checks are made."""

import numpy as np
import pytest

import xbce
from tests.helpers import forget_plans, step
from xbce._call.loss import Loss

bce, focal = xbce.binary_cross_entropy_with_logits, xbce.sigmoid_focal_loss
SHAPES = ((4, 3), (5, 3), (5, 1), (1, 5), (0, 3), (3, 0), (200, 120), (3, 4))
REDUCTIONS = (
    {},
    {"reduction": "mean"},
    {"reduction": "mean", "axis": -1},
    {"reduction": "mean", "normalize_by": "batch"},
)


def _others(shape):
    """Yield shapes that broadcast to a shape, itself among them."""
    yield shape
    yield shape[-1:]
    yield (shape[0], 1)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("name", ["weight", "pos_weight", "where", "gamma"])
def test_the_bits_of_a_call_do_not_depend_on_earlier_lengths(name, library):
    xp = pytest.importorskip(library)
    loss = focal if name == "gamma" else bce
    rng = np.random.default_rng(1)
    calls = []
    for shape in SHAPES:
        x, z = (xp.asarray(rng.normal(0, 3, shape).astype(np.float32)) for _ in range(2))
        for other in _others(shape):
            given = rng.uniform(0.5, 2, other).astype(np.float32)
            option = {name: xp.asarray(given > 1 if name == "where" else given)}
            calls += [(x, z, option | options) for options in REDUCTIONS]
    fresh = []
    for x, z, options in calls:
        forget_plans(loss)
        fresh.append(_bits(loss.value_and_gradient(x, z, **options)))
    for (x, z, options), bits in zip(calls, fresh, strict=True):
        with step(library, loss.value_and_gradient, x, **options):
            assert _bits(loss.value_and_gradient(x, z, **options)) == bits
    assert 0 < len(loss._of_any_lengths) < len(loss._plans)


def _bits(results):
    results = results if isinstance(results, tuple) else (results,)
    return [(np.asarray(x).shape, np.asarray(x).tobytes()) for x in results]


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_new_lengths_are_planned_once(library, monkeypatch):
    xp = pytest.importorskip(library)
    made = []
    plan = Loss._plan
    monkeypatch.setattr(Loss, "_plan", lambda self, *arguments: made.append(0) or plan(self, *arguments))
    forget_plans(bce)
    for n in range(2, 30):
        x = xp.zeros((n, 3))
        bce(x, x, weight=xp.ones(3), reduction="mean")
        bce(x, x, weight=xp.ones((n, 1)), reduction="mean")
    assert len(made) == 2


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_lengths_that_do_not_fit_are_refused_after_those_that_do(library):
    xp = pytest.importorskip(library)
    for n in (2, 3):
        x = xp.zeros((n, 4))
        bce(x, x, weight=xp.ones(4), where=xp.ones((n, 1)) > 0, reduction="mean", axis=1)
    x = xp.zeros((5, 4))
    with pytest.raises(ValueError, match=r"^labels must have the shape of logits"):
        bce(x, xp.zeros((5, 1)), weight=xp.ones(4), where=xp.ones((5, 1)) > 0, reduction="mean", axis=1)
    with pytest.raises(ValueError, match=r"^weight must broadcast"):
        bce(x, x, weight=xp.ones(5), where=xp.ones((5, 1)) > 0, reduction="mean", axis=1)
    with pytest.raises(ValueError, match=r"^where must broadcast"):
        bce(x, x, weight=xp.ones(4), where=xp.ones((1, 5, 1)) > 0, reduction="mean", axis=1)
    with pytest.raises(ValueError, match=r"^axis 1 is out of bounds"):
        bce(x[0], x[0], weight=xp.ones(4), reduction="mean", axis=1)


def test_a_step_of_training_with_other_lengths():
    torch = pytest.importorskip("torch")
    gradients = {}
    for forgets in (True, False):
        for n in (3, 1000, 40000, 7):
            if forgets:
                forget_plans(bce)
            x = torch.linspace(-5, 5, n, requires_grad=True)
            bce(x, (x.detach() > 0).float(), reduction="mean").backward()
            with step("torch", bce, n):
                assert torch.equal(gradients.setdefault(n, x.grad), x.grad)
