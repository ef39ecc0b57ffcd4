"""Record a training step of one's own, and judge it: whether its errors matter, in float32 and in bfloat16.

Run it as ``python own_step.py [DIRECTORY]``. It trains a linear classifier of scikit-learn's digits in PyTorch, one
class against the rest, records the loss of one step in float32 and in bfloat16, and prints what the suite says of both.
The recording is written to step.npz, for ``xbce-conformance run --data step.npz``. It needs PyTorch, scikit-learn and
xbce-conformance, and a few seconds.
"""

import sys
from pathlib import Path

import torch
from rich import print as show
from sklearn.datasets import load_digits

from xbce_conformance import record

STEPS = 300


def data():
    """Return images as 64 numbers in [0, 1], and ten columns of 0 and 1."""
    images, digits = load_digits(return_X_y=True)
    classes = torch.nn.functional.one_hot(torch.tensor(digits), 10)
    return torch.tensor(images / 16, dtype=torch.float32), classes.to(torch.float32)


def fit(features, labels):
    """Return a model that is confident of most images."""
    torch.manual_seed(0)
    model = torch.nn.Linear(64, 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(STEPS):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(model(features), labels).backward()
        optimizer.step()
    return model


def recorded_step(model, features, labels):
    """Record one step in float32, and the same one in bfloat16."""
    criterion = torch.nn.BCEWithLogitsLoss()
    with record() as recording:
        for dtype in (torch.float32, torch.bfloat16):
            logits = model(features).to(dtype)
            criterion(logits, labels.to(dtype)).backward(retain_graph=True)
    return recording


def main(directory):
    """Record, judge, and keep the recording."""
    features, labels = data()
    recording = recorded_step(fit(features, labels), features, labels)
    recording.save(Path(directory) / "step.npz")
    replay = recording.judge(other="xbce")
    show(replay)
    return replay


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else ".")
