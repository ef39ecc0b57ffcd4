"""The gallery of examples: what a page says is in the JSON of its script, and the script shows it again, made small."""

import contextlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module

import pytest
import record_example

from website import gallery
from website.stage import ROOT

FOLDER = ROOT / "docs" / "examples"
PAGES = [path.stem for path in gallery.pages()]
_NUMBER = re.compile(r"(?<![\w.])(\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?)(?![\w])( %)?")


def written(name, folder=ROOT / "docs" / "images"):
    return json.loads((folder / f"{name}.json").read_text("utf-8"))


def leaves(data):
    """Return the numbers in a JSON, those in its lists and keys included."""
    if isinstance(data, dict):
        return [number for key, value in data.items() for number in (*leaves(key), *leaves(value))]
    if isinstance(data, list):
        return [number for value in data for number in leaves(value)]
    if isinstance(data, str):
        return [float(number.replace(",", "")) for number, _ in _NUMBER.findall(data)]
    return [] if data is None else [float(data)]


def numbers(page):
    """Return the numbers that a page says in words, not those in code, names of files and its last line."""
    text = re.sub(r"^```.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`[^`]*`|(?<=\])\([^()]*\)|^\*Run on .*$", "", text, flags=re.MULTILINE)
    return _NUMBER.findall(text)


def is_among(number, percent, data):
    """Say whether a number is one of the data, rounded to the digits that are shown."""
    digits = number.replace(",", "")
    mantissa, exponential, _ = digits.partition("e")
    places = f".{len(mantissa.partition('.')[2])}{'e' if exponential else 'f'}"
    factor = 100 if percent else 1
    return any(float(format(abs(factor * value), places)) == float(digits) for value in data)


@pytest.mark.parametrize(
    ("number", "percent", "among"),
    [
        ("0.0123", "", True),
        ("0.0124", "", False),
        ("1.2", " %", True),
        ("1.2", "", False),
        ("1.2e-02", "", True),
        ("50,000", "", True),
    ],
)
def test_numbers_are_compared_as_they_are_shown(number, percent, among):
    assert is_among(number, percent, [0.01234, 50000.0]) == among
    assert numbers(f"Of {number}{percent} it says `7` and [that](9.md) in float32.\n```\n8\n```\n") == [
        (number, percent)
    ]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_what_its_script_wrote(name):
    page = (FOLDER / f"{name}.md").read_text("utf-8")
    data = written(name)
    assert numbers(page)
    among = leaves(data)
    assert [number for number in numbers(page) if not is_among(*number, among)] == []
    assert page.rstrip().endswith(record_example.run_on(data["on"]))
    assert f"]({name}.py)" in page, "a page links to its script"
    assert gallery.card(FOLDER / f"{name}.md").picture == f"docs/images/{name}.png"


def test_the_gallery_is_made_of_the_pages(tmp_path):
    (tmp_path / "examples").mkdir()
    gallery.write(tmp_path)
    text = (tmp_path / "examples" / "index.md").read_text("utf-8")
    assert sorted(re.findall(r"^:link: (.+)$", text, re.MULTILINE)) == PAGES
    assert all((ROOT / one.picture).exists() for one in gallery.cards())
    assert text.count("\n:::{grid-item-card} ") == len(PAGES)
    assert "README" not in text


def test_the_list_of_the_folder_is_that_of_the_pages():
    assert (ROOT / gallery.LIST).read_text("utf-8") == gallery.listing(), "python -m website.gallery writes it anew"
    assert sorted(re.findall(r"^- \[.+\]\((\w+)\.md\)\. .", gallery.listing(), re.MULTILINE)) == PAGES


@pytest.mark.parametrize(
    ("page", "missing"),
    [
        ("no heading\n", "heading"),
        ("# A\n\n```\ncode\n```\n", "sentence below its heading"),
        ("# A\n\nIs it so? It is.\n\n![](../images/digits.png)\n", "picture"),
    ],
)
def test_a_page_that_has_no_card_is_refused(page, missing, tmp_path):
    (tmp_path / "a.md").write_text(page, "utf-8")
    with pytest.raises(gallery.NoCard, match=f"^a\\.md has no {missing}$"):
        gallery.card(tmp_path / "a.md")


def test_a_card_has_the_first_sentence(tmp_path):
    text = "# Digits\n\nDo [they](a.md) learn 0.5\nthe same? They do.\n\n![Text.](../images/digits.png)\n"
    (tmp_path / "a.md").write_text(text, "utf-8")
    expected = gallery.Card("a", "Digits", "Do they learn 0.5 the same?", "docs/images/digits.png")
    assert gallery.card(tmp_path / "a.md") == expected


# --- the scripts ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def threads_of_torch():
    """Give PyTorch its threads back: scripts set their number."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    number = torch.get_num_threads()
    try:
        yield torch
    finally:
        torch.set_num_threads(number)


def found_by(name, folder, **sizes):
    """Run a script at a small size, and return what it wrote."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    script = import_module(name)
    script.main(folder, **sizes)
    assert (folder / f"{name}.png").stat().st_size > 10_000
    assert {*written(name, folder)["found"]} == {*written(name)["found"]}, "renew the committed JSON: run the script"
    return written(name, folder)["found"]


def test_what_is_to_be_imported_needs_little():
    """Neither a library that draws nor one to compare with, nor the module that records."""
    lines = "import sys, logistic_regression, out_of_core; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", lines], cwd=FOLDER, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    loaded = {*run.stdout.split()}
    assert {"logistic_regression", "out_of_core", "numpy", "xbce"} <= loaded
    others = {"dask", "jax", "matplotlib", "psutil", "record_example", "resource", "scipy", "sklearn", "torch"}
    assert loaded & others == set()


@pytest.mark.parametrize("where", ["missing", "file"])
def test_a_folder_that_cannot_be_written_ends_a_script_before_its_work(where, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder", "utf-8")
    script = import_module("out_of_core")
    monkeypatch.setattr(script, "write", None)  # its work begins with it
    with pytest.raises(SystemExit, match=rf"^cannot write into .*{where}: (No such file|Not a directory)"):
        script.main(tmp_path / where)


def test_a_script_writes_where_it_is_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert record_example.writable(".").resolve() == tmp_path.resolve()
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("name", PAGES)
def test_each_script_looks_at_its_folder_first(name):
    """What stands before it in `main` are imports."""
    text = (FOLDER / f"{name}.py").read_text("utf-8")
    lines = re.search(
        r'^def main\(directory="\."(?:, \w+=[\w()]+)*\):\n    """.+"""\n((?:.*\n)+?)\n\n', text, re.MULTILINE
    )
    first = [line for line in lines[1].splitlines() if line and not re.match(r"    (?:from|import) ", line)]
    assert first[0] == "    directory = writable(directory)"


@pytest.mark.long
def test_digits(tmp_path):
    """One curve in float32, and zeros in PyTorch's bfloat16 gradient alone."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    with threads_of_torch():
        found = found_by("digits", tmp_path, steps=60)
    assert found["float32: largest relative difference of the curves"] < 1e-3
    assert found["float32, xbce: loss at the end"] < 0.1 * found["float32, xbce: loss at the beginning"]
    assert found["bfloat16, PyTorch: zero gradients at the end"] > 0.1
    assert found["bfloat16, xbce: zero gradients, at most"] == 0
    assert found["bfloat16, xbce: gradient error, at most"] < 4e-3  # bfloat16's rounding
    errors = [found[f"bfloat16, {name}: gradient error at the end"] for name in ("PyTorch", "xbce")]
    assert errors[0] > 2 * errors[1]


def test_what_the_detectors_focal_loss_loses():
    """In bfloat16 it has no loss of negatives at the prior, and no gradient from a probability of 2**-9 down."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    detector = import_module("detector")
    prior = -math.log((1 - detector.PRIOR) / detector.PRIOR)
    for logit, labels, zeros in (
        (prior, 0.0, (True, False)),
        (-6.1875, 0.0, (True, False)),
        (-6.25, 0.0, (True, True)),
    ):
        for loss_of, expected in ((detector.torchvision_formula, zeros), (detector.sigmoid_focal_loss, (False, False))):
            for autocast in (False, True):
                x = torch.tensor([logit], dtype=torch.bfloat16, requires_grad=True)
                z = torch.full_like(x, labels, requires_grad=False)
                with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                    loss = loss_of(x, z, reduction="sum", **detector.OPTIONS)
                loss.backward()
                context = f"{loss_of.__name__} at {logit}, autocast {autocast}"
                assert (x.grad.item() == 0) == expected[1], context
                if not autocast:
                    assert (loss.item() == 0) == expected[0], context
    x = torch.linspace(-9, 9, 100, dtype=torch.float64)
    for labels in (torch.zeros_like(x), torch.ones_like(x)):
        losses = [
            f(x, labels, reduction="none", **detector.OPTIONS)
            for f in (detector.torchvision_formula, detector.sigmoid_focal_loss)
        ]
        torch.testing.assert_close(*losses, rtol=1e-8, atol=0)


@pytest.mark.long
def test_detector(tmp_path):
    """All runs learn the same; torchvision's formula alone has gradients that are 0."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    with threads_of_torch():
        found = found_by("detector", tmp_path, steps=200, seeds=1, every=100)
    for name in ("torchvision, bfloat16", "torchvision, autocast"):
        assert found[f"{name}: zero gradients, at the end"] > 1e-3, name
        assert (
            found[f"{name}: gradient error, at the end"] > 1.5 * found["xbce, bfloat16: gradient error, at the end"]
        ), name
    assert found["xbce, bfloat16: zero gradients, at the end"] == 0
    assert found["xbce, bfloat16: gradient error, at the end"] < 4e-3  # bfloat16's rounding
    for name in import_module("detector").RUNS:
        assert found[f"{name}: exact loss, at the end"] < 0.2 * found[f"{name}: exact loss, first step"], name
        assert found[f"{name}: average precision"] > 0.7, name


@pytest.mark.long
def test_jax_optax(tmp_path):
    """Both losses train alike; neither loses a gradient."""
    for package in ("jax", "optax", "sklearn"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    found = found_by("jax_optax", tmp_path, steps=40)
    assert found["float32: relative difference of the losses, at most"] < 1e-5
    assert found["bfloat16: relative difference of the losses, at most"] < 0.05
    for dtype, error in (("float32", 1e-6), ("bfloat16", 2**-8)):
        for name in ("optax", "xbce"):
            assert found[f"{dtype}, {name}: lost gradients, at most"] == 0, (dtype, name)
            assert found[f"{dtype}, {name}: loss at the end"] < 0.1, (dtype, name)
            assert found[f"{dtype}, {name}: error of the loss, at most"] < 1.5 * error, (dtype, name)
        assert found[f"{dtype}, xbce: error of the gradient, at most"] < error, dtype
    errors = [found[f"bfloat16, {name}: error of the gradient, at most"] for name in ("optax", "xbce")]
    assert errors[0] > errors[1]


@pytest.mark.long
def test_multilabel(tmp_path):
    """A step is the same in all ways; with either loss training under autocast is the same but for roundings."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    if shutil.which("g++") is None:
        pytest.skip("torch.compile needs g++, which is not installed")
    with threads_of_torch():
        found = found_by("multilabel", tmp_path, count=1000, epochs=4)
    for name in ("compiled", "two processes"):
        assert found[f"{name}: relative difference of the loss"] < 1e-6, name
        assert found[f"{name}: relative difference of the gradient"] < 1e-6, name
    assert found["compiled, high: same bits of all losses"]
    assert found["two processes, high: same bits of the sum"]
    for mode, error in (("float32", 1e-6), ("autocast", 2**-8)):
        assert found[f"{mode}: relative difference of the losses, first step"] < 1e-6, mode
        assert found[f"{mode}: relative difference of the losses, at most"] < 0.05, mode
        for name in ("PyTorch", "xbce"):
            assert found[f"{mode}, {name}: error of the loss, at most"] < 1e-6, (mode, name)
            assert found[f"{mode}, {name}: error of the gradient, at most"] < error, (mode, name)
            assert found[f"{mode}, {name}: held-out loss"] < 0.55, (mode, name)
