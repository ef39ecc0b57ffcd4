"""The lines of Python in the pages of examples run, and do what the page says."""

import inspect
import re
from importlib import import_module

import numpy as np
import pytest

from tests.helpers import approx
from tests.project.test_examples import FOLDER, PAGES


def lines(name):
    """Return the blocks of Python in a page."""
    return re.findall(r"^```python\n(.*?)^```$", (FOLDER / f"{name}.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)


def run(name, **names):
    """Run all lines of a page, with the names that they take for given; return all names."""
    for block in lines(name):
        exec(block, names)  # noqa: S102  # lines of this repository
    return names


def boosting():
    for package in ("lightgbm", "sklearn"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    features = np.random.default_rng(0).normal(size=(400, 3))
    labels = (features[:, 0] > 1).astype(float)
    scores = run("boosting", features=features, labels=labels)["scores"]
    assert scores[labels == 1].min() > scores[labels == 0].max()


def detector():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    script = pytest.importorskip("detector", reason="scikit-learn or matplotlib is not installed", exc_type=ImportError)
    logits = torch.linspace(-9, 9, 24, dtype=torch.float64).reshape(2, 3, 4).requires_grad_()
    labels = torch.zeros(2, 3, 4, dtype=torch.float64)
    labels[0, 1] = 1
    loss = run("detector", logits=logits, labels=labels)["loss"]
    exact = script.torchvision_formula(logits, labels, alpha=0.25, gamma=2, reduction="sum") / 4
    assert loss.item() == approx(exact.item(), rel=1e-12)
    loss.backward()
    assert bool((logits.grad != 0).all())


def digits():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    criterion = run("digits")["criterion"]
    logits, labels = torch.linspace(-9, 9, 10), torch.tensor([0.0, 1.0] * 5)
    torch.testing.assert_close(criterion(logits, labels), torch.nn.BCEWithLogitsLoss()(logits, labels))


def jax_optax():
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    optax = pytest.importorskip("optax", reason="optax is not installed")
    optimizer = optax.adam(0.01)
    features, labels = jax.numpy.asarray([[1.0, 2.0], [3.0, -1.0]]), jax.numpy.asarray([0.0, 1.0])
    weights = jax.numpy.zeros(2)
    names = {"network": lambda weights, features: features @ weights, "optimizer": optimizer, "weights": weights}
    names = run("jax_optax", features=features, labels=labels, state=optimizer.init(weights), **names)
    assert names["loss"] == approx(np.log(2), rel=1e-6)
    assert np.asarray(names["weights"]).tolist() == approx([0.01, -0.01], rel=1e-4)  # a first step of Adam


def logistic_regression():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    features = torch.linspace(-3, 3, 60, dtype=torch.float64).reshape(-1, 1)
    labels = (features[:, 0] + torch.tensor([0.5, -0.5, 0.0] * 20) > 0).to(torch.float64)
    given = {"w": torch.zeros(1, dtype=torch.float64), "y": labels, "options": {"reduction": "sum"}}
    names = run("logistic_regression", features=features, labels=labels, xbce=import_module("xbce"), **given)
    assert float(names["error"]) < 0.2
    assert names["model"].coef_.dtype == features.dtype
    assert names["hessian"].tolist() == [0.25] * 60


def multilabel():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    model, pictures, labels = torch.nn.Linear(4, 3), torch.rand(5, 4), torch.rand(5, 3)
    loss = run("multilabel", model=model, pictures=pictures, labels=labels)["loss"]
    assert loss.dtype == torch.float32, "the comment in the page says so"
    assert all(bool(p.grad.any()) for p in model.parameters())


def out_of_core():
    pytest.importorskip("dask", reason="Dask is not installed")
    import_module("out_of_core").write(".", 5_000)
    names = run("out_of_core")
    p, y = (np.load(f"{name}.npy") for name in ("probabilities", "labels"))
    assert float(names["mean"]) == approx(float(names["xbce"].binary_cross_entropy(p, y, reduction="mean")), rel=2e-7)


CALLED = {
    one.__name__: one for one in (boosting, detector, digits, jax_optax, logistic_regression, multilabel, out_of_core)
}


@pytest.mark.parametrize("name", PAGES)
def test_the_lines_of_a_page_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    CALLED[name]()


def test_the_class_in_the_page_is_that_of_the_script():
    (block,) = lines("out_of_core")
    assert f"\n\n\n{inspect.getsource(import_module('out_of_core').File)}\n\n" in block
