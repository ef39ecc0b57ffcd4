"""Train a small multilabel network with PyTorch's loss and with xbce's: the same curve in float32, not in bfloat16.

Run it as ``python digits.py [DIRECTORY]``; it writes digits.json and digits.png there, or where it is called, and
prints what it found. It needs record_example.py beside it, PyTorch, scikit-learn, matplotlib and less than a minute.
digits.md says what it shows.

The labels are properties of scikit-learn's handwritten digits. In the bfloat16 runs the parameters stay in float32, as
is usual in mixed precision; activations, logits and the loss are bfloat16, and so is the gradient in the logits.
"""

import sys

import torch
from matplotlib.figure import Figure
from record_example import save, writable
from sklearn.datasets import load_digits

import xbce
from xbce.conventions.pytorch import BCEWithLogitsLoss

PROPERTIES = {
    "even": {0, 2, 4, 6, 8},
    "prime": {2, 3, 5, 7},
    "above 4": {5, 6, 7, 8, 9},
    "has a loop": {0, 6, 8, 9},
    "multiple of 3": {0, 3, 6, 9},
}
LOSSES = {"PyTorch": torch.nn.BCEWithLogitsLoss, "xbce": BCEWithLogitsLoss}


def data():
    """Return 500 images as 64 numbers in [0, 1], and a column of 0 and 1 for each property."""
    images, digits = (x[:500] for x in load_digits(return_X_y=True))
    labels = [[float(digit in digits_of) for digits_of in PROPERTIES.values()] for digit in digits.tolist()]
    return torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)


def train(criterion, dtype, steps, rate):
    """Return what there is to see at each step.

    The loss as the criterion computes it, and as it is exactly for these logits; the share of logits whose gradient is
    zero; and how far the gradient in the logits is from the exact one, relative to that (both in the sum of absolute
    values).
    """
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, len(PROPERTIES)))
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9)
    images, labels = (x.to(dtype) for x in data())
    history = {"loss": [], "exact loss": [], "zero gradients": [], "gradient error": []}
    for _ in range(steps):
        parameters = {name: p.to(dtype) for name, p in model.named_parameters()}
        logits = torch.func.functional_call(model, parameters, images)
        logits.retain_grad()
        loss = criterion(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        exact_loss, exact_gradient = xbce.binary_cross_entropy_with_logits.value_and_gradient(
            logits.detach().double(), labels, reduction="mean"
        )
        error = (logits.grad - exact_gradient).abs().sum() / exact_gradient.abs().sum()
        history["loss"].append(loss.item())
        history["exact loss"].append(exact_loss.item())
        history["zero gradients"].append((logits.grad == 0).double().mean().item())
        history["gradient error"].append(error.item())
    return history


def runs(steps=600, rate=2.0):
    """Train with both losses in both dtypes."""
    return {
        dtype: {name: train(loss(), getattr(torch, dtype), steps, rate) for name, loss in LOSSES.items()}
        for dtype in ("float32", "bfloat16")
    }


def summary(results):
    """Return the figures that the documentation gives."""
    float32 = results["float32"]
    curves = zip(float32["PyTorch"]["loss"], float32["xbce"]["loss"], strict=True)
    figures = {"float32: largest relative difference of the curves": max(abs(a - b) / b for a, b in curves)}
    figures["float32, xbce: loss at the beginning"] = float32["xbce"]["loss"][0]
    figures["float32, xbce: loss at the end"] = float32["xbce"]["loss"][-1]
    for name, history in results["bfloat16"].items():
        for key, values in history.items():
            figures[f"bfloat16, {name}: {key} at the end"] = values[-1]
            if key in ("zero gradients", "gradient error"):
                figures[f"bfloat16, {name}: {key}, at most"] = max(values)
    return figures


def plot(results):
    """Draw the curves."""
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    axes = figure.subplots(2, 2).flat
    styles = {"PyTorch": ("tab:orange", "-"), "xbce": ("tab:blue", "--")}
    for axis, dtype, key, title in (
        (axes[0], "float32", "loss", "float32: loss"),
        (axes[1], "bfloat16", "loss", "bfloat16: loss / exact loss"),
        (axes[2], "bfloat16", "zero gradients", "bfloat16: share of zero gradients"),
        (axes[3], "bfloat16", "gradient error", "bfloat16: error of the gradient"),
    ):
        for name, history in results[dtype].items():
            color, style = styles[name]
            curve = history[key]
            if axis is axes[1]:
                curve = [loss / exact for loss, exact in zip(curve, history["exact loss"], strict=True)]
            axis.plot(curve, style, color=color, label=name)
        axis.set_title(title, fontsize="medium")
        axis.set_xlabel("step")
        axis.legend()
    axes[0].set_yscale("log")
    return figure


def main(directory=".", steps=600):
    """Run, record, draw."""
    directory = writable(directory)
    torch.set_num_threads(1)  # so small a network is slower with more, and no two runs would add in the same order
    results = runs(steps)
    save(
        __file__,
        summary(results),
        plot(results),
        settings={"steps": steps, "images": 500, "hidden units": 32, "properties": len(PROPERTIES)},
        threads=1,
        packages=("torch", "scikit-learn"),
        directory=directory,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
