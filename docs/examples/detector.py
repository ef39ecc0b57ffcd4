"""Train a small detector with a focal loss in bfloat16: torchvision's formula against xbce's, beside float32.

Run it as ``python detector.py [DIRECTORY]``; it writes detector.json and detector.png there, or where it is called, and
prints what it found. It needs record_example.py beside it, PyTorch, scikit-learn and matplotlib, and some minutes.
detector.md says what it shows.

The digits are scikit-learn's, handwritten; their places on the canvas are drawn. As in RetinaNet, each cell of a grid
has a logit for each class, almost all labels are negative, and the last bias begins at a probability of 0.01. The
convolutions are in float32 throughout; logits and loss are bfloat16, so that the runs differ in the loss alone.
"""

import math
import sys

import torch
import torch.nn.functional as F  # noqa: N812
from matplotlib.figure import Figure
from record_example import over_steps, save, writable
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score

import xbce
from xbce.conventions.pytorch import sigmoid_focal_loss

CANVAS, STRIDE, DIGITS = 40, 4, 3
CELLS = CANVAS // STRIDE
BATCH, RATE, PRIOR, SPLIT = 16, 0.01, 0.01, 1400
OPTIONS = {"alpha": 0.25, "gamma": 2.0}


def torchvision_formula(inputs, targets, alpha, gamma, reduction):
    """Compute the focal loss as torchvision.ops.sigmoid_focal_loss does."""
    p = torch.sigmoid(inputs)
    ce_loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = ce_loss * ((1 - p_t) ** gamma)
    alpha_t = alpha * targets + (1 - alpha) * (1 - targets)
    return (alpha_t * loss).sum() if reduction == "sum" else alpha_t * loss


RUNS = {
    "torchvision, float32": (torchvision_formula, torch.float32, False),
    "torchvision, autocast": (torchvision_formula, torch.bfloat16, True),
    "torchvision, bfloat16": (torchvision_formula, torch.bfloat16, False),
    "xbce, bfloat16": (sigmoid_focal_loss, torch.bfloat16, False),
}
"""A loss, the dtype of its logits and labels, and whether it runs under autocast to bfloat16."""


def canvases(images, classes, count, generator):
    """Return canvases with some of the images at random places, and the labels of their cells."""
    chosen = torch.randint(len(images), (count, DIGITS), generator=generator).tolist()
    places = torch.randint(CELLS - 1, (count, DIGITS, 2), generator=generator).tolist()
    canvas = 0.2 * torch.rand((count, 1, CANVAS, CANVAS), generator=generator)
    labels = torch.zeros((count, 10, CELLS, CELLS))
    for i in range(count):
        for which, (row, column) in zip(chosen[i], places[i], strict=True):
            patch = canvas[i, 0, STRIDE * row :, STRIDE * column :][:8, :8]
            torch.maximum(patch, images[which], out=patch)
            labels[i, classes[which], row + 1, column + 1] = 1
    return canvas, labels


def data(seed):
    """Return canvases to train on, and canvases of other digits."""
    images, classes = load_digits(return_X_y=True)
    images = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 8, 8)
    generator = torch.Generator().manual_seed(seed)
    training = canvases(images[:SPLIT], classes[:SPLIT], 2000, generator)
    return training, canvases(images[SPLIT:], classes[SPLIT:], 256, generator)


def detector():
    """Return a network that gives a logit for each class and cell; all of them begin at the prior probability."""
    layers = []
    for channels, wider, stride in ((1, 16, 2), (16, 32, 2), (32, 32, 1)):
        layers += [torch.nn.Conv2d(channels, wider, 3, stride, 1), torch.nn.GroupNorm(4, wider), torch.nn.ReLU()]
    layers.append(torch.nn.Conv2d(32, 10, 1))
    torch.nn.init.normal_(layers[-1].weight, std=0.01)
    torch.nn.init.constant_(layers[-1].bias, -math.log((1 - PRIOR) / PRIOR))
    return torch.nn.Sequential(*layers)


def train(run, seed, steps, every):
    """Return what there is to see at each step, and the average precision on held-out canvases now and then."""
    loss_of, dtype, autocast = RUNS[run]
    torch.manual_seed(seed)
    model = detector()
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    (training, training_labels), (tested, truth) = data(seed)
    history = {"loss": [], "exact loss": [], "zero gradients": [], "gradient error": [], "precision": []}
    for step in range(steps + 1):
        if step % every == 0:
            with torch.no_grad():
                scores = model(tested)
            history["precision"].append(average_precision_score(truth.ravel(), scores.ravel()))
        batch = torch.randint(len(training), (BATCH,))
        labels = training_labels[batch]
        logits = model(training[batch]).to(dtype)
        logits.retain_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = loss_of(logits, labels.to(dtype), reduction="sum", **OPTIONS) / labels.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        exact, gradient = xbce.sigmoid_focal_loss.value_and_gradient(
            logits.detach().double(), labels.double(), **OPTIONS
        )
        gradient /= labels.sum()
        error = (logits.grad - gradient).abs().sum() / gradient.abs().sum()
        history["loss"].append(loss.item())
        history["exact loss"].append((exact.sum() / labels.sum()).item())
        history["zero gradients"].append((logits.grad == 0).double().mean().item())
        history["gradient error"].append(error.item())
    return history


def summary(results, last):
    """Return figures of the first step, of the mean of the last ones, and of the best of all seeds."""
    found = {}
    for run, histories in results.items():
        for when, part in (("first step", slice(1)), ("at the end", slice(-last, None))):
            for key in ("loss", "exact loss", "zero gradients", "gradient error"):
                values = [value for history in histories for value in history[key][part]]
                found[f"{run}: {key}, {when}"] = sum(values) / len(values)
        precisions = [history["precision"][-1] for history in histories]
        found[f"{run}: average precision of each seed"] = precisions
        found[f"{run}: average precision"] = sum(precisions) / len(precisions)
    return found


def plot(results, every):
    """Draw the means over the seeds."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    axes = figure.subplots(2, 2)
    styles = {"float32": ("black", ":"), "autocast": ("tab:red", "-"), "bfloat16": ("tab:orange", "-")}
    for run, histories in results.items():
        color, style = ("tab:blue", "--") if run.startswith("xbce") else styles[run.split()[1]]
        curves = {key: torch.tensor([history[key] for history in histories]).mean(0) for key in histories[0]}
        curves["ratio"] = curves["loss"] / curves["exact loss"]
        for axis, key in zip(axes.flat, ("ratio", "zero gradients", "exact loss", "precision"), strict=True):
            values = curves[key]
            if key == "precision":
                axis.plot([every * i for i in range(len(values))], values, style, color=color, label=run)
            else:  # means of 10 steps
                means = values[: len(values) // 10 * 10].reshape(-1, 10).mean(1)
                axis.plot([10 * i + 5 for i in range(len(means))], means, style, color=color, label=run)
    titles = (
        "loss as computed / exact loss",
        "share of gradients that are 0",
        "exact loss",
        "average precision, held out",
    )
    over_steps(axes.flat, titles)
    axes[1, 0].set_yscale("log")
    return figure


def main(directory=".", steps=600, seeds=3, every=50):
    """Run, record, draw."""
    directory = writable(directory)
    torch.set_num_threads(1)
    results = {run: [train(run, seed, steps, every) for seed in range(seeds)] for run in RUNS}
    settings = {"steps": steps, "seeds": seeds, "canvas": CANVAS, "cells": CELLS, "digits": DIGITS, "batch": BATCH}
    settings |= {"learning rate": RATE, "prior": PRIOR, "logits of a canvas": 10 * CELLS**2, **OPTIONS}
    save(
        __file__,
        summary(results, last=50),
        plot(results, every),
        settings=settings,
        threads=1,
        packages=("torch", "scikit-learn"),
        directory=directory,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
