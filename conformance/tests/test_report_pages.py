"""The pages of a run: what they say, that they are safe and whole, and how they behave in a real browser."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from xbce_conformance import assess, compare
from xbce_conformance.cli import main
from xbce_conformance.data.page import write_page
from xbce_conformance.report import write_html, write_plots, write_reports, write_system_pages
from xbce_conformance.report.systems import systems
from xbce_conformance.results.model import Results

EVIL = "<script>alert('&')</script>\"' onload=x $y$"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Reports of the plain loss on NumPy, with peers beside it."""
    out = tmp_path_factory.mktemp("report")
    options = ["--subject", "xbce", "--subject", "textbook", "--subject", "tf-formula", "--subject", "sklearn"]
    options += ["--function", "binary_cross_entropy_with_logits", "--dtype", "float32", "--dtype", "float16"]
    result = CliRunner().invoke(
        main, ["run", "--backend", "numpy", *options, "--out", str(out)], catch_exceptions=False
    )
    assert result.exit_code == 0
    assert f"; pages of single systems in {out / 'systems'}: 4." in result.output
    x, z = np.linspace(-30, 30, 100, dtype=np.float32), np.arange(100) % 2
    shown = assess(x, z, subjects=["textbook", "xbce@numpy"]), compare("textbook", "sklearn", x, z, dtypes=["float32"])
    write_page("Data", shown, out / "data.html")
    return out


@pytest.fixture(scope="module")
def results(folder):
    return Results.read(folder / "results.json")


@pytest.fixture(scope="module")
def pages(folder):
    """The text of each page by its name."""
    return {path.name: path.read_text("utf-8") for path in (folder / "report.html", *(folder / "systems").iterdir())}


# --- without a browser ----------------------------------------------------------------------------------------------


class Elements(HTMLParser):
    """The elements of a page, in order: name, attributes, names of those around, and the text inside."""

    VOID = frozenset({"meta", "input", "br", "link", "img"})

    def __init__(self, text):
        super().__init__()
        self.found, self._open = [], []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        element = {"name": tag, "attributes": dict(attrs), "around": [e["name"] for e in self._open], "text": ""}
        self.found.append(element)
        if tag not in self.VOID:
            self._open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self._open.pop()

    def handle_endtag(self, tag):
        assert self._open.pop()["name"] == tag

    def handle_data(self, data):
        for element in self._open:
            element["text"] += data

    def named(self, *names):
        return [element for element in self.found if element["name"] in names]


@pytest.fixture(scope="module", params=["report.html", "textbook-on-numpy.html", "xbce-on-numpy.html"])
def elements(request, pages):
    return Elements(pages[request.param])


def test_a_page_has_language_viewport_and_landmark(elements):
    assert elements.found[0]["attributes"]["lang"] == "en"
    assert any(e["attributes"].get("name") == "viewport" for e in elements.named("meta"))
    assert len(elements.named("main")) == 1


def test_headings_are_in_order(elements):
    levels = [int(e["name"][1]) for e in elements.named("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


def test_every_picture_has_a_title(elements):
    pictures = elements.named("svg")
    titles = [e for e in elements.named("title") if "svg" in e["around"]]
    assert len(titles) == len(pictures) > 0
    assert all(e["text"] for e in titles)
    assert all(e["attributes"]["role"] == "img" and e["attributes"]["aria-label"] for e in pictures)


def test_every_heading_of_a_table_has_a_scope(elements):
    assert elements.named("table")
    assert all(e["attributes"].get("scope") in ("col", "row") for e in elements.named("th"))


def test_what_scrolls_is_reached_and_named(elements):
    scrolling = [e["attributes"] for e in elements.found if "scroll" in (e["attributes"].get("class") or "").split()]
    assert scrolling
    assert all(a["tabindex"] == "0" and a["role"] == "group" and a["aria-label"] for a in scrolling)


def test_no_name_is_given_twice(elements):
    names = [e["attributes"]["id"] for e in elements.found if "id" in e["attributes"]]
    assert len(names) == len(set(names))


def test_a_page_needs_nothing_else(elements):
    for element in elements.found:
        assert element["name"] not in ("link", "img", "iframe", "object")
        for name in ("src", "href", "xlink:href", "action"):
            assert re.match("#|systems/|$", element["attributes"].get(name, "")), element


def test_texts_are_escaped(results, tmp_path):
    """Names of subjects, failures, remarks, versions, reproducers: whatever a user's code may say."""
    texts = {"subject": EVIL, "function": EVIL, "version": EVIL, "reproducer": EVIL, "remarks": [EVIL]}
    rows = [replace(row, **texts, failure=EVIL * (row.kind == "behaviour")) for row in results.rows]
    rows += [replace(row, failure=EVIL, backend="other", subject=f"{EVIL} again") for row in rows[:1]]
    changed = replace(results, rows=rows, missing={EVIL: EVIL}, waivers=[EVIL], environment={EVIL: EVIL, "xbce": EVIL})
    changed = replace(changed, backends={"numpy": {EVIL: EVIL}}, regimes={EVIL: EVIL}, level=EVIL)
    write_html(changed, tmp_path / "report.html")
    paths = write_system_pages(changed, tmp_path / "systems")
    for path in (tmp_path / "report.html", *paths):
        assert path.resolve().is_relative_to(tmp_path)
        elements = Elements(path.read_text("utf-8"))
        assert not any("onload" in e["attributes"] for e in elements.found)
        scripts = elements.named("script")
        assert len(scripts) == (path.name == "report.html")
        assert all("alert(" not in e["text"] for e in scripts)
        assert any(EVIL in e["text"] for e in elements.named("h3", "h1"))


def test_plots_reach_the_largest_number(pages):
    plots = re.findall(
        r'<svg [^>]*aria-label="Largest error by logit, (\w+)".*?</svg>', pages["report.html"], re.DOTALL
    )
    assert {*plots} == {"float16", "float32"}
    for text in ("-6.6e4", "6.6e4", "-3.4e38", "3.4e38"):
        assert f">{text}</text>" in pages["report.html"]
    assert "mathdefault" not in pages["report.html"]


def test_no_empty_panel_is_drawn(results, tmp_path):
    values = [row for row in results.rows if row.quantity == "value" and row.subject != "sklearn"]
    plots = write_plots(replace(results, rows=values), tmp_path)
    assert len(plots) == 4
    for path in plots:
        text = path.read_text("utf-8")
        assert ">value" in text
        assert ">gradient" not in text
        assert "prefers-color-scheme" in text
    nothing = [row for row in results.rows if not row.profiles.logit]
    assert write_plots(replace(results, rows=nothing), tmp_path) == []


def test_the_page_of_a_system_names_no_other(pages, results):
    assert {*pages} == {"report.html", *(system.page for system in systems(results))}
    text = pages["sklearn-on-numpy.html"]
    assert "tf-formula" not in text
    assert "textbook" not in text
    assert results.environment["processor"] in text
    (row, *_) = (row for row in results.rows if row.subject == "sklearn" and row.dtype == "float32")
    assert f"<dd>{row.version}</dd>" in text
    assert len(text) < 100_000


def test_a_page_is_linked_once(pages):
    assert sorted(re.findall(r'href="systems/([^"]+)"', pages["report.html"])) == sorted({*pages} - {"report.html"})


def test_every_reproducer_is_on_the_page(pages, results):
    codes = [e["text"] for e in Elements(pages["report.html"]).named("code")]
    assert sorted(codes) == sorted(row.reproducer for row in results.rows if row.reproducer)


def test_pages_are_of_any_results(tmp_path, results):
    """Rows of behaviour alone, and none at all."""
    from xbce_conformance.cli.common import console

    for name, rows in {"behaviour": [r for r in results.rows if not r.of_errors], "none": []}.items():
        write_reports(replace(results, rows=rows), tmp_path / name, console())
        assert "<main>" in (tmp_path / name / "report.html").read_text("utf-8")


# --- in a browser ---------------------------------------------------------------------------------------------------


@pytest.fixture
def open_page(browser, folder):
    """A function that opens a page; nothing may go wrong on it, and nothing else be loaded."""
    contexts, problems, requests = [], [], []

    def opened(name="report.html", hash_="", **context):
        contexts.append(browser.new_context(**context))
        page = contexts[-1].new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        url = (folder / name).as_uri()
        page.goto(url + hash_)
        return page

    yield opened
    assert problems == []
    assert all(Path(url.partition("#")[0]).suffix == ".html" for url in requests)
    assert len(requests) == len(contexts)
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page):
    return open_page()


def test_page_shows_everything(page):
    assert page.title() == "xbce conformance report"
    assert "rows of xbce pass." in page.locator(".verdict").inner_text()
    plots = page.locator(".figure svg")
    assert plots.count() == 4  # by logit and by label, in two dtypes
    for i in range(4):
        box = plots.nth(i).bounding_box()
        assert box["width"] > 400
        assert box["height"] > 200
    assert page.locator("details.rows").count() > 5


@pytest.mark.parametrize("name", ["report.html", "systems/textbook-on-numpy.html", "data.html"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1300, 390])
def test_page_fits_and_follows_the_screen(open_page, name, width, scheme):
    page = open_page(name, viewport={"width": width, "height": 844}, color_scheme=scheme)
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (colour == "rgb(255, 255, 255)") == (scheme == "light")


@pytest.mark.parametrize("name", ["report.html", "systems/textbook-on-numpy.html", "data.html"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1300, pytest.param(390, marks=pytest.mark.long)])
def test_axe_finds_nothing(open_page, name, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe-playwright-python is not installed")
    page = open_page(name, viewport={"width": width, "height": 844}, color_scheme=scheme)
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    page.evaluate(axe.AXE_FILE_PATH.read_text("utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [(v["id"], v["nodes"][0]["html"], v["nodes"][0]["failureSummary"]) for v in found] == []


def test_league_table_is_sorted_by_buttons(page):
    def column(index):
        return page.locator("#league-value tbody tr").evaluate_all(
            "(rows, index) => rows.map(row => row.cells[index].dataset.value ?? row.cells[index].textContent)", index
        )

    errors = [float(text) for text in column(1) if text != "–"]
    assert errors == sorted(errors)
    head = page.locator("#league-value thead th").nth(1)
    head.locator("button").click()
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    errors = [float(text) for text in column(1) if text != "–"]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] == float("inf")
    page.locator("#league-value thead th button").first.press("Enter")
    assert column(0) == sorted(column(0))


def shown(page):
    """Return subject, backend and dtype of each row that is seen."""
    return page.evaluate(
        """() => [...document.querySelectorAll("details.rows tbody tr")].filter((row) => row.checkVisibility())
        .map((row) => [row.closest("details").dataset.subject, row.cells[0].textContent, row.cells[1].textContent])"""
    )


def test_rows_are_filtered(page, results):
    page.locator("#filter").fill("textbook float16")
    rows = [row for row in results.rows if (row.subject, row.dtype) == ("textbook", "float16")]
    assert shown(page) == [["textbook", "numpy", "float16"]] * len(rows)
    assert page.locator("#shown").inner_text().startswith(f"{len(rows)} of ")
    assert page.url.endswith("#filter=textbook+float16")
    assert not page.locator("li[data-of='numpy float32']:visible").count()
    page.locator("#filter").fill("nothing-of-this-name")
    assert shown(page) == []
    page.locator("#filter").fill("")
    assert page.locator("details.rows:visible").count() == page.locator("details.rows").count()


def test_a_filter_is_in_the_address(open_page):
    page = open_page(hash_="#filter=xbce+float32")
    assert page.locator("#filter").input_value() == "xbce float32"
    assert {tuple(row) for row in shown(page)} == {("xbce", "numpy", "float32")}


def test_the_name_of_a_system_is_that_system(page):
    """Not xbce's rows on a backend of that name, nor another system's whose name has it inside."""
    page.locator("#filter").fill("numpy float32")
    assert {backend for _, backend, _ in shown(page)} == {"numpy"}
    page.locator("#filter").fill("sklearn")
    assert {subject for subject, *_ in shown(page)} == {"sklearn"}


def test_without_scripts_all_is_there(open_page):
    page = open_page(java_script_enabled=False)
    assert not page.locator("#filter").is_visible()
    assert page.locator("details.rows").count() == page.locator("details.rows:visible").count() > 5


def test_a_reproducer_is_copied(page, results):
    page.locator("#filter").fill("sklearn .loss")
    page.locator("details.rows:visible td summary").first.press("Enter")
    button = page.locator("button.copy").first
    button.click()
    page.wait_for_function("() => document.querySelector('button.copy').textContent === 'copied'")
    page.locator("#filter").fill("")
    page.locator("#filter").focus()
    page.keyboard.press("Control+V")
    pasted = page.locator("#filter").input_value()
    assert pasted in {row.reproducer for row in results.rows if row.subject == "sklearn"}
