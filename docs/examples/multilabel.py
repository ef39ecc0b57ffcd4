"""Train a multilabel network in PyTorch with autocast; compare eager, compiled and distributed steps.

Run it as ``python multilabel.py [DIRECTORY]``; it writes multilabel.json and multilabel.png there, or where it is
called, and prints what it found. It needs record_example.py beside it, PyTorch, scikit-learn, matplotlib and a C++
compiler, and minutes. multilabel.md says what it shows.

A picture is three of scikit-learn's handwritten digits side by side; its ten labels say which digits are in it.
"""

import sys
import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
from matplotlib.figure import Figure
from record_example import apart, over_steps, save, writable
from sklearn.datasets import load_digits
from torch.nn.parallel import DistributedDataParallel

import xbce
from xbce.conventions.pytorch import BCEWithLogitsLoss

bce = xbce.binary_cross_entropy_with_logits
CRITERIA = {"PyTorch": torch.nn.BCEWithLogitsLoss(), "xbce": BCEWithLogitsLoss()}
MODES = ("float32", "autocast")
BATCH, RATE, SPLIT = 100, 0.002, 1400


def pictures(images, classes, count):
    """Return pictures of three digits each, as 192 numbers, and ten columns of 0 and 1."""
    chosen = torch.randint(len(images), (count, 3))
    return images[chosen].flatten(1), torch.zeros(count, 10).scatter_(1, classes[chosen], 1.0)


def data(count):
    """Return pictures to train on, and pictures of other digits."""
    torch.manual_seed(0)
    images, classes = (torch.tensor(x) for x in load_digits(return_X_y=True))
    images = (images / 16).to(torch.float32)
    return pictures(images[:SPLIT], classes[:SPLIT], count), pictures(images[SPLIT:], classes[SPLIT:], 1000)


def network():
    """Return a network of one hidden layer, always the same."""
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(192, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))


def train(criterion, autocast, count, epochs):
    """Train; return the loss and the error of its gradient at each step, and what came of it on held-out pictures."""
    (inputs, labels), (tested, truth) = data(count)
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    history = {"loss": [], "exact loss": [], "gradient error": []}
    for _ in range(epochs):
        for batch in torch.randperm(count).split(BATCH):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                logits = model(inputs[batch])
                logits.retain_grad()
                loss = criterion(logits, labels[batch])
            loss.backward()
            optimizer.step()
            exact, slope = bce.value_and_gradient(logits.detach().double(), labels[batch].double(), reduction="mean")
            history["loss"].append(loss.item())
            history["exact loss"].append(exact.item())
            history["gradient error"].append(((logits.grad - slope).abs().sum() / slope.abs().sum()).item())
    with torch.no_grad():
        logits = model(tested)
    history["held-out loss"] = bce(logits, truth, reduction="mean", dtype=torch.float64).item()
    history["labels right"] = ((logits > 0) == (truth > 0)).double().mean().item()
    return history


def mean(model, inputs, labels):
    """Return the mean loss of a network."""
    return bce(model(inputs), labels, reduction="mean")


def gradients(model, inputs, labels, mean=mean):
    """Return the loss, and the gradient in all parameters as one vector."""
    loss = mean(model, inputs, labels)
    loss.backward()
    return loss.detach(), torch.cat([p.grad.flatten() for p in model.parameters()])


def as_high(logits, labels):
    """Return the loss of each element: exact, rounded once."""
    return bce(logits, labels, precision="high")


def worker(rank, folder):
    """Take one step as one of two processes, each with half of the pictures; leave what came of it in the folder."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    inputs, labels, logits = torch.load(f"{folder}/step.pt")
    mine = slice(rank, None, 2)
    loss, gradient = gradients(DistributedDataParallel(network()), inputs[mine], labels[mine])
    dist.all_reduce(loss)  # a sum of means of equally many elements
    part = xbce.SumAccumulator()
    part.add(as_high(logits[mine], labels[mine]))
    parts = [None, None]
    dist.all_gather_object(parts, part)
    total = xbce.SumAccumulator()
    for one in parts:
        total.merge(one)
    if rank == 0:
        torch.save((loss / 2, gradient, total.result()), f"{folder}/result.pt")
    dist.destroy_process_group()


def compare_steps():
    """Compare a step in one process, compiled, and in two processes: relative differences, and bits."""
    (inputs, labels), _ = data(1000)
    loss, gradient = gradients(network(), inputs, labels)
    logits = 20 * network()(inputs).detach()  # confident ones, too
    high = as_high(logits, labels)
    whole = xbce.reduce(high, reduction="sum", precision="high", dtype=torch.float64).item()
    compiled = gradients(network(), inputs, labels, torch.compile(mean, fullgraph=True))
    compiled_high = torch.compile(as_high, fullgraph=True)(logits, labels)
    with tempfile.TemporaryDirectory() as folder:
        torch.save((inputs, labels, logits), f"{folder}/step.pt")
        torch.multiprocessing.spawn(worker, (folder,), nprocs=2)
        *distributed, total = torch.load(Path(folder) / "result.pt")
    found = {}
    for name, (other, vector) in {"compiled": compiled, "two processes": distributed}.items():
        found[f"{name}: relative difference of the loss"] = ((other - loss).abs() / loss).item()
        found[f"{name}: relative difference of the gradient"] = ((vector - gradient).norm() / gradient.norm()).item()
    found["compiled, high: same bits of all losses"] = torch.equal(high, compiled_high)
    found["two processes, high: same bits of the sum"] = total == whole
    return found


def summary(results, steps):
    """Return the figures of the page."""
    found = dict(steps)
    for mode, histories in results.items():
        differences = apart(histories["PyTorch"]["loss"], histories["xbce"]["loss"])
        found[f"{mode}: relative difference of the losses, first step"] = differences[0]
        found[f"{mode}: relative difference of the losses, at most"] = max(differences)
        for name, history in histories.items():
            found[f"{mode}, {name}: error of the loss, at most"] = max(apart(history["loss"], history["exact loss"]))
            found[f"{mode}, {name}: error of the gradient, at most"] = max(history["gradient error"])
            for key in ("held-out loss", "labels right"):
                found[f"{mode}, {name}: {key}"] = history[key]
    return found


def plot(results):
    """Draw the losses, how far the curves are apart, and the errors of the gradient."""
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    axes = figure.subplots(1, 3)
    for mode, histories in results.items():
        for name, history in histories.items():
            look = {"color": "tab:orange" if name == "PyTorch" else "tab:blue", "label": f"{name}, {mode}"}
            look["linestyle"] = {"float32": "-", "autocast": "--"}[mode]
            look["linewidth"] = 3 if name == "PyTorch" else 1  # so that both can be seen where they are one
            axes[0].plot(history["loss"], **look)
            axes[2].plot(history["gradient error"], **look)
        differences = apart(histories["PyTorch"]["loss"], histories["xbce"]["loss"])
        axes[1].plot(differences, label=mode, color={"float32": "black"}.get(mode, "tab:green"))
    titles = (
        "loss of the batch",
        "PyTorch's and xbce's curve: relative difference",
        "error of the gradient in the logits",
    )
    for axis in axes:
        axis.set_yscale("log")
    over_steps(axes, titles)
    return figure


def main(directory=".", count=4000, epochs=15):
    """Run, record, draw."""
    directory = writable(directory)
    torch.set_num_threads(1)  # so that no two runs add in another order
    runs = {m: {name: train(c, m == "autocast", count, epochs) for name, c in CRITERIA.items()} for m in MODES}
    settings = {"pictures": count, "epochs": epochs, "batch": BATCH, "learning rate": RATE, "hidden units": 256}
    save(
        __file__,
        summary(runs, compare_steps()),
        plot(runs),
        settings=settings | {"steps": epochs * count // BATCH, "pictures of the compared step": 1000},
        threads=1,
        packages=("torch", "scikit-learn"),
        directory=directory,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
