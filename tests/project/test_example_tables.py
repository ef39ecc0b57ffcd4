"""Each cell of a table in a page of examples is one value of the script's JSON, which is named here."""

import re

import pytest

from tests.project.test_examples import FOLDER, PAGES, is_among, numbers, written

LIBRARIES = ("NumPy", "PyTorch", "JAX")
DEFAULT = "scikit-learn's default"
TABLES = {
    "boosting": [
        (
            "{column}: {row}",
            {
                "XGBoost, 15 rounds": "XGBoost after 15 rounds",
                "XGBoost, 100 rounds": "XGBoost after 100 rounds",
                "LightGBM, 100 rounds": "LightGBM after 100 rounds",
            },
            {
                "largest score": "largest score",
                "largest difference of a score": "largest difference of scores",
                "largest difference of the log loss, over the rounds": "largest difference of log losses",
            },
        ),
        (
            "LightGBM, {row}: {column}",
            {
                "average precision": "average precision",
                "folds above the built-in one": "average precision, folds above",
                "log loss of `expit(scores)`": "log loss",
            },
            {
                "built in": "built in",
                "focal, gamma = 2, alpha = 0.25": "focal",
                "asymmetric, `gamma_neg=4`": "asymmetric",
                "focal, by differences": "focal, by differences",
            },
        ),
    ],
    "detector": [
        (
            "{column}: {row}",
            {
                "float32": "torchvision, float32",
                "autocast": "torchvision, autocast",
                "bfloat16": "torchvision, bfloat16",
                "xbce, bfloat16": "xbce, bfloat16",
            },
            {
                "loss as computed": "loss, at the end",
                "exact loss of the same logits": "exact loss, at the end",
                "gradients that are 0": "zero gradients, at the end",
                "error of the gradient, in the sum of absolute values": "gradient error, at the end",
                "average precision, held out, after all steps": "average precision",
            },
        )
    ],
    "digits": [
        (
            "bfloat16, {column}: {row} at the end",
            {"PyTorch": "PyTorch", "xbce": "xbce"},
            {
                "reported loss": "loss",
                "exact loss of the same logits": "exact loss",
                "gradients that are 0": "zero gradients",
                "error of the gradient, in the sum of absolute values": "gradient error",
            },
        )
    ],
    "jax_optax": [
        (
            "{column}: {row}, at most",
            {
                "optax, float32": "float32, optax",
                "xbce, float32": "float32, xbce",
                "optax, bfloat16": "bfloat16, optax",
                "xbce, bfloat16": "bfloat16, xbce",
            },
            {
                "error of the mean loss, relative": "error of the loss",
                "error of the gradient in the logits, in the sum of absolute values": "error of the gradient",
                "gradients that are 0 and should be a normal number": "lost gradients",
            },
        )
    ],
    "logistic_regression": [
        (
            "{column}: largest difference, {row}",
            {"tumours": "tumours", "digits": "digits"},
            {
                **{f"{on}, {dtype}": f"{on} {dtype}" for on in LIBRARIES for dtype in ("float64", "float32")},
                f'{DEFAULT}, `solver="lbfgs", tol=1e-4`, with `max_iter=1000`': DEFAULT,
            },
        ),
        (
            "{column}, {row}",
            {"C = 0.01": "C = 0.01", "C = 1": "C = 1", "C = 1e6": "C = 1e+06"},
            {
                "xbce, logits, float64": "float64: log loss",
                "xbce, logits, float32": "float32: log loss",
                "scikit-learn's `log_loss`, probabilities, float64": "float64: sklearn's log loss",
                "scikit-learn's `log_loss`, probabilities, float32": "float32: sklearn's log loss",
            },
        ),
    ],
    "multilabel": [
        (
            "{column}: {row}",
            {
                "PyTorch, float32": "float32, PyTorch",
                "xbce, float32": "float32, xbce",
                "PyTorch, autocast": "autocast, PyTorch",
                "xbce, autocast": "autocast, xbce",
            },
            {
                "error of the mean loss, at most": "error of the loss, at most",
                "error of the gradient in the logits, at most": "error of the gradient, at most",
                "loss of held-out pictures, after training": "held-out loss",
                "labels of held-out pictures that are right": "labels right",
            },
        ),
        (
            "{row}: relative difference {column}",
            {"of the loss": "of the loss", "of the gradient in all parameters": "of the gradient"},
            {
                "`torch.compile(fullgraph=True)`": "compiled",
                "`DistributedDataParallel`, two processes with gloo, half of the pictures each": "two processes",
            },
        ),
    ],
    "out_of_core": [
        (
            "{row}: {column}",
            {"mean": "mean", "megabytes, at most": "megabytes", "processor seconds": "processor seconds"},
            {
                "xbce on Dask": "xbce on Dask",
                "textbook's formula, NumPy, no limit": "textbook",
                "textbook's formula, NumPy": "textbook with the limit",
                "textbook's formula on Dask": "textbook on Dask",
                "`sklearn.metrics.log_loss`, a loop over parts": "scikit-learn by parts",
            },
        )
    ],
}
"""For each table of a page: the key of a cell, made of names for its column and its row, and these names."""


def tables(page):
    """Return the tables of a page: the names of the columns, and of each row its name and its cells."""
    found = []
    for text in re.findall(r"(?:^\|.*\|\n)+", page, re.MULTILINE):
        head, rule, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines())
        assert {*rule} == {"---"}
        found.append((head[1:], [(row[0], row[1:]) for row in rows]))
    return found


def wrong_cells(page, name, data):
    """Return the cells that are not what the JSON says: column, row, text, value. A cell may be empty."""
    wrong = []
    for (columns, rows), (key, column_names, row_names) in zip(tables(page), TABLES[name], strict=True):
        assert sorted(row for row, _ in rows) == sorted(row_names), name
        assert sorted(columns) == sorted(column_names), name
        for row, cells in rows:
            for column, cell in zip(columns, cells, strict=True):
                value = data.get(key.format(column=column_names[column], row=row_names[row]))
                if cell and not is_shown(cell, value):
                    wrong.append((column, row, cell, value))
    return wrong


def is_shown(cell, value):
    """Say whether a cell is a value, rounded to the digits that are shown, or its name."""
    if not numbers(cell):
        return cell.lower() == str(value).lower()
    ((number, percent),) = numbers(cell)
    return number + percent == cell and value is not None and is_among(number, percent, [float(value)])


@pytest.mark.parametrize("name", PAGES)
def test_each_cell_is_what_the_script_found(name):
    assert wrong_cells((FOLDER / f"{name}.md").read_text("utf-8"), name, written(name)["found"]) == []


@pytest.mark.parametrize("name", PAGES)
def test_columns_that_are_swapped_are_found(name):
    """In each table of each page: the heads of the first and the last column change places, the cells stay."""
    page, data = (FOLDER / f"{name}.md").read_text("utf-8"), written(name)["found"]
    heads = re.findall(r"^(\|.*\|)\n\|---", page, re.MULTILINE)
    assert len(heads) == len(TABLES[name])
    for head in heads:
        first, *others = head.strip("|").split("|")
        others[0], others[-1] = others[-1], others[0]
        swapped = page.replace(head, f"|{'|'.join([first, *others])}|")
        assert swapped != page
        assert wrong_cells(swapped, name, data), head


@pytest.mark.parametrize(
    ("cell", "value", "shown"),
    [
        ("0.012", 0.0123, True),
        ("0.013", 0.0123, False),
        ("1.2 %", 0.0123, True),
        ("1.2", 0.0123, False),
        ("NaN", "nan", True),
        ("NaN", "0.5", False),
        ("0.5", "0.5", True),
        ("0.5", None, False),
        ("about 0.5", 0.5, False),
        ("none", 0.5, False),
    ],
)
def test_cells_are_compared_as_they_are_shown(cell, value, shown):
    assert is_shown(cell, value) == shown
