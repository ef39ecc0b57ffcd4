"""The interactive page in a real browser, from a file and offline: what it computes, shows and lets one do."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from xbce_conformance.explore import LABELS, LOGITS, expand, read
from xbce_conformance.explore.certified import pair
from xbce_conformance.inputs.formats import FORMATS

FOLDER = Path(__file__).parents[2] / "docs" / "interactive"
FOCAL = "sigmoid_focal_loss(gamma=2, alpha=0.25)"


@pytest.fixture(scope="module")
def table():
    return read(FOLDER / "tables.json")


@pytest.fixture
def open_page(browser):
    """A function that opens the page, offline; nothing may go wrong on it, and nothing else be loaded."""
    contexts, problems, requests = [], [], []

    def opened(hash_="", **context):
        contexts.append(browser.new_context(**context))
        contexts[-1].set_offline(True)
        page = contexts[-1].new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto((FOLDER / "index.html").as_uri() + hash_)
        return page

    yield opened
    assert problems == []
    assert all(url.startswith((FOLDER / "index.html").as_uri()) for url in requests)
    assert len(requests) == len(contexts)
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page):
    return open_page()


def cell(page, system, quantity):
    """Return number, what is marked of it, and the words below."""
    found = page.locator(f"tr[data-system='{system}'] td[data-quantity='{quantity}']").first
    marks = found.locator("mark")
    text = marks.inner_text() if marks.count() else ""
    return found.locator(".number").inner_text(), text, found.locator("small").inner_text()


# --- what is shown --------------------------------------------------------------------------------------------------


def test_the_start_shows_lost_gradients(page):
    assert page.locator("#logit-shown").inner_text() == "20"
    assert page.locator("#label-shown").inner_text() == "1"
    assert page.locator(".reference .number").first.inner_text() == "2.0611536203143807032…e−9"
    assert cell(page, "torch", "value") == ("2.0611537e−9", "", "right")
    assert cell(page, "torch", "gradient") == ("0", "0", "0 instead of −2.06e−9")
    assert cell(page, "xbce", "gradient") == ("−2.0611537e−9", "", "right")
    mark = page.locator("tr[data-system=torch] mark")
    assert mark.evaluate("e => getComputedStyle(e).color") == "rgb(179, 38, 30)"
    assert mark.evaluate("e => getComputedStyle(e).textDecorationLine") == "underline"
    assert page.locator("#why").inner_text().startswith("sigmoid(x) is 1 − 2.06e−9.")
    assert re.match(r"Logit 20, label 1, float32\. Value: \d+ of \d+ are right", page.locator("#said").inner_text())


@pytest.mark.parametrize(
    ("case", "dtype", "label", "logit"),
    [
        ("binary_cross_entropy_with_logits", "float32", 6, 17.0),
        ("binary_cross_entropy_with_logits", "float64", 3, -36.0),
        ("binary_cross_entropy_with_logits", "bfloat16", 2, 1.875),
        (FOCAL, "float16", 4, 5.25),
    ],
)
def test_numbers_are_those_of_the_tables(open_page, table, case, dtype, label, logit):
    page = open_page(f"#loss={case}&dtype={dtype}&label={LABELS[label]}&logit={logit}")
    fmt, i = FORMATS[dtype], LOGITS.index(logit)
    texts = next(loss for loss in table["losses"] if loss["case"] == case)["exact"]
    rows = page.locator("#results tbody tr:not(.reference)")
    shown = 0
    for system in sorted(table["systems"], key=lambda system: system["judged"]):
        results = {r["quantity"]: r for r in system["results"] if r["case"] == case and dtype in r["steps"]}
        if not results:
            continue
        for quantity, result in results.items():
            right = int(fmt.round_pair(*pair(texts[quantity][label].split()[i])).view(fmt.bits))
            sign = 1 << (8 * fmt.dtype.itemsize - 1)
            step = expand(result["steps"][dtype][label])[i]
            text = rows.nth(shown).locator(f"[data-quantity={quantity}] .number").inner_text()
            if step == "nan":
                assert text == "NaN", (system["subject"], quantity)
                continue
            place = (-(right - sign) if right & sign else right) + int(step)
            number = fmt.from_bits([sign - place if place < 0 else place])[0]
            text = text.replace("−", "-").replace("∞", "inf")
            assert fmt.dtype.type(text) == number, (system["subject"], quantity, text)
        shown += 1
    assert shown == rows.count() > 3


def test_a_flushed_result_says_so(open_page):
    page = open_page("#logit=95&label=1&dtype=float32")
    assert cell(page, "optax", "value") == ("0", "0", "flushed to 0: subnormal")
    assert "is subnormal in float32" in page.locator("#why").inner_text()


def test_nothing_is_explained_that_is_not_certain(open_page):
    assert not open_page("#logit=1&label=1&dtype=float32").locator("#why").is_visible()


# --- what one does --------------------------------------------------------------------------------------------------


def test_by_keyboard_alone(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "logit"
    page.keyboard.press("ArrowRight")
    assert page.locator("#logit-shown").inner_text() == "20.5"
    assert page.locator("#logit").get_attribute("aria-valuetext") == "20.5"
    assert page.url.endswith("#loss=binary_cross_entropy_with_logits&dtype=float32&label=1&logit=20.5")
    assert cell(page, "xbce", "value")[0].startswith("1.25")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    assert page.locator("#label-shown").inner_text() == "0.99609375"
    page.keyboard.press("Tab")
    page.keyboard.press("s")  # sigmoid_focal_loss
    assert "loss=sigmoid_focal_loss" in page.url
    assert page.locator("tr[data-system=torch]").count() == 0
    page.keyboard.press("Tab")
    page.keyboard.press("b")  # bfloat16
    assert page.locator("#said").inner_text().startswith("Logit 20.5, label 0.99609375, bfloat16.")
    page.keyboard.press("Tab")
    page.keyboard.type("-3.1")
    page.keyboard.press("Enter")
    assert page.locator("#logit-shown").inner_text() == "−3"


def test_the_address_is_the_state(open_page):
    page = open_page("#logit=-88&label=0.9&dtype=float64&loss=nothing")
    assert page.locator("#logit-shown").inner_text() == "−88"
    assert page.locator("#label-shown").inner_text() == "0.8984375"
    assert page.locator("#dtype").input_value() == "float64"
    assert page.locator("#loss").input_value() == "binary_cross_entropy_with_logits"
    page.locator(".places a").nth(1).press("Enter")
    page.wait_for_function("() => document.getElementById('dtype').value === 'bfloat16'")
    assert page.locator("#logit-shown").inner_text() == "8"
    page.evaluate("location.hash = '#logit=far&dtype=float8'")
    page.wait_for_function("() => document.getElementById('dtype').value === 'float32'")
    assert page.locator("#logit-shown").inner_text() == "20"


def test_strips_are_of_every_logit(page):
    item = page.locator("#strips li", has_text="torch:cpu").first
    assert item.locator(".name").inner_text().startswith("torch")
    title = item.locator("svg").nth(1).get_attribute("aria-label")
    assert re.fullmatch(rf"torch on torch:cpu, gradient: every digit is lost at \d+ of {len(LOGITS)} logits", title)
    picture = item.locator("svg").first
    assert float(picture.locator("line").get_attribute("x1")) == LOGITS.index(20.0) + 0.5
    picture.click(position={"x": 1, "y": 5})
    assert page.locator("#logit-shown").inner_text() == "−1000"


def test_a_line_shows_the_result_again(page):
    page.locator("#which").select_option(label="textbook on numpy: gradient")
    command = shlex.split(page.locator("#code").inner_text())
    assert command[:2] == ["python", "-c"]
    done = subprocess.run([sys.executable, *command[1:]], capture_output=True, text=True, check=True)
    assert float.fromhex(done.stdout) == 0.0 == float(cell(page, "textbook", "gradient")[0])
    page.locator("#exactly").fill("-2.5")
    page.locator("#exactly").press("Enter")
    command = shlex.split(page.locator("#code").inner_text())
    done = subprocess.run([sys.executable, *command[1:]], capture_output=True, text=True, check=True)
    assert np.float32(cell(page, "textbook", "gradient")[0].replace("−", "-")) == float.fromhex(done.stdout)


def test_a_line_is_copied(page):
    page.locator("#copy").press("Enter")
    page.wait_for_function("() => document.getElementById('copy').textContent === 'copied'")
    line = page.locator("#code").inner_text()
    page.evaluate("document.querySelector('main').prepend(document.createElement('textarea'))")
    page.locator("textarea").focus()
    page.keyboard.press("Control+V")
    assert page.locator("textarea").input_value() == line
    assert line.startswith("python -c")


# --- how it looks ---------------------------------------------------------------------------------------------------


def test_the_page_fits(page):
    """The longest numbers, and results that are infinite or absent."""
    for hash_ in (f"#dtype=float64&label=0.1&logit=-3&loss={FOCAL}", "#dtype=float64&label=0.1&logit=-3", "#"):
        page.evaluate("(hash) => { location.hash = hash; }", hash_)
        page.wait_for_function(
            "(dtype) => document.getElementById('dtype').value === dtype", arg=hash_[7:14] or "float32"
        )
        for width in (1300, 390, 320):
            page.set_viewport_size({"width": width, "height": 844})
            over = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert over <= 0, (hash_, width)


def test_the_sliders_stay_in_sight(open_page):
    page = open_page(viewport={"width": 390, "height": 844})
    page.evaluate("document.getElementById('strips').scrollIntoView()")
    assert page.locator("#logit").bounding_box()["y"] < 150


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, pytest.param(1300, marks=pytest.mark.long)])
def test_axe_finds_nothing(open_page, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe-playwright-python is not installed")
    page = open_page(viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce")
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (colour == "rgb(255, 255, 255)") == (scheme == "light")
    page.evaluate(axe.AXE_FILE_PATH.read_text("utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [(v["id"], v["nodes"][0]["html"], v["nodes"][0]["failureSummary"]) for v in found] == []


def test_nothing_moves(page):
    moving = "[...document.querySelectorAll('*')].filter((e) => getComputedStyle(e).transitionDuration !== '0s').length"
    assert page.evaluate(moving) == 0
    assert page.evaluate("document.getAnimations().length") == 0


def test_without_scripts_it_says_what_it_needs(open_page):
    page = open_page(java_script_enabled=False)
    assert "needs JavaScript" in page.locator("main").inner_text()
