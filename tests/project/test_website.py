"""The site of the documentation: `make docs` makes it without a warning, links lead somewhere, no page overflows."""

import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import xbce
import xbce_conformance
from tests.helpers import chromium
from website import figures, gallery, links, measured, stage
from website.stage import ROOT
from xbce_conformance.cases.losses import FAMILY

reference = pytest.importorskip("website.reference", reason="numpydoc is not installed: it comes with the extra docs")


PUBLIC = {*FAMILY, *(f"special.{name}" for name in xbce.special.__all__)}


# --- parts ----------------------------------------------------------------------------------------------------------


def test_every_page_has_a_place():
    assert {path for path in stage.PLACES if not (ROOT / path).exists()} == set()
    places = stage.places()
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")} <= {*places, *stage.INSTEAD}
    assert len({*places.values()}) == len(places), "two pages have one place"


def test_a_page_without_a_place_stands_at_the_end_of_a_section(tmp_path, monkeypatch):
    for name in ("docs/examples/fit.md", "docs/more.md", "SECURITY.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("# A page\n", "utf-8")
    monkeypatch.setattr(stage, "ROOT", tmp_path)
    monkeypatch.setattr(stage, "PLACES", {})
    stage.stage(tmp_path / "source")
    assert (tmp_path / "source/examples/fit.md").read_text("utf-8").startswith("# A page")
    end = (tmp_path / "source/project/index.md").read_text("utf-8").partition(":caption: More")[2]
    assert end.split() == ["more", "security", "```"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](accuracy.md#the-metric)", "[a](../evidence/accuracy.md#the-metric)"),
        ("![p](../conformance/results/cpu/error-by-logit-float32.svg)", None),
        (
            "[a](../tests) [b](../tests/api) [c](https://example.org/a.md)",
            "[a](../project/tests.md) b [c](https://example.org/a.md)",
        ),
        ("[a](../README.md)", "[a](../index.md)"),
        ("[a](examples)", "[a](../examples/index.md)"),
        ("```\n[a](nowhere.md)\n```\n", "```text\n[a](nowhere.md)\n```\n"),
        ("[a](#here)", "[a](#here)"),
    ],
)
def test_links_fit_the_place_in_the_site(text, expected, tmp_path):
    found = stage.relinked(text, "docs/why.md", "start/why.md", stage.places(), tmp_path)
    if expected is None:
        expected = "![p](../files/conformance/results/cpu/error-by-logit-float32.svg)"
        assert (tmp_path / "files/conformance/results/cpu/error-by-logit-float32.svg").exists()
    assert found == expected


def test_a_link_to_nothing_is_refused(tmp_path):
    with pytest.raises(stage.UnknownPage, match=r"docs/why\.md links to nowhere\.md, which does not exist"):
        stage.relinked("[a](nowhere.md)", "docs/why.md", "start/why.md", stage.places(), tmp_path)


def test_every_schema_is_listed():
    commands = importlib.import_module("website.commands")
    assert {path.name for path in (ROOT / "docs").glob("*.schema.json")} == {
        f"{name}.schema.json" for name in commands.FORMATS
    }


def test_broken_links_are_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html#there"></a><a href="b.html#gone"></a><img src="c.svg"><a href="https://x/y">'
    )
    (tmp_path / "b.html").write_text('<p id="there"></p>')
    assert links.broken(tmp_path) == [
        "a.html: b.html#gone: no such place in the page",
        "a.html: c.svg: no such file",
    ]


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("method", ["__call__", *reference.METHODS])
def test_signatures_are_the_real_ones(name, method):
    loss = getattr(xbce, name)
    called = loss if method == "__call__" else getattr(loss, method)
    names = [one.name for one in inspect.signature(called).parameters.values()]
    assert (
        re.findall(
            r"\b([a-z_]+)(?:=|,|\))",
            re.sub(r"'\w+'", "", reference.signature(called)).replace("=None", "=").replace("=False", "="),
        )
        == names
    )


def test_rows_of_results_are_understood():
    rows = figures.rows()
    named = {row.function for row in rows} - {"reduce"}
    assert named <= PUBLIC
    assert len(named) >= 11
    # A bound that is shown includes the exceptions that the contract states.
    assert [row for row in rows if row.passed != (row.share <= 1)] == []
    (row,) = [
        row
        for row in rows
        if (row.function, row.quantity, row.backend, row.dtype, row.case) == (
            "binary_cross_entropy_with_logits", "gradient", "torch:cpu", "float32", "(pos_weight)"
        )
        and row.way == ("backward",)
    ]  # fmt: skip
    assert row.automatic
    assert not row.compiled
    assert 0 < row.share <= 1
    assert row.passed


def test_figures_are_of_what_is_public():
    found = json.loads((ROOT / "website" / "data" / "figures.json").read_text("utf-8"))
    assert {*found["times"]} <= PUBLIC
    assert {name if name in FAMILY else f"special.{name}" for name in found["axes"]} == {*found["times"]} - {
        "binary_cross_entropy_with_logits"
    }
    for name, by_quantity in found["errors"].items():
        function = name if name in FAMILY else f"special.{name}"
        for quantity, series in by_quantity.items():
            for library, values in series.items():
                of = [
                    row.bound
                    for row in figures.rows()
                    if (row.function, row.case, row.quantity, row.dtype)
                    == (function, measured.CASES.get(function, ""), quantity, "float32")
                    and not row.way
                    and not row.high
                ]
                largest = max(value for value in values if value is not None)
                assert largest <= max(of), f"{function}, {quantity}, {library}: {largest} ULP"


# --- the site -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("pydata_sphinx_theme", reason="the theme is not installed: it comes with the extra docs")
    pytest.importorskip("myst_parser", reason="myst-parser is not installed: it comes with the extra docs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "website", "--out", folder / "site", "--source", folder / "source"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no warning" in done.stdout
    return folder / "site"


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_the_site_has_everything(site):
    reference_pages = {path.stem for path in (site / "reference").glob("*.html")}
    public = {f"xbce.{name}" for name in xbce.__all__ if name not in ("conventions", "special")}
    public |= {f"xbce.special.{name}" for name in xbce.special.__all__}
    public |= {f"xbce.conventions.{name}" for name in xbce.conventions.__all__}
    public |= {f"xbce_conformance.{name}" for name in xbce_conformance.__all__}
    assert public <= reference_pages
    for name in xbce.conventions.__all__:
        text = (site / "reference" / f"xbce.conventions.{name}.html").read_text("utf-8")
        for function in importlib.import_module(f"xbce.conventions.{name}").__all__:
            assert f'id="xbce.conventions.{name}.{function}"' in text, (name, function)
    for name in FAMILY:
        text = (site / "reference" / f"xbce.{name}.html").read_text("utf-8")
        for method in reference.METHODS:
            assert f'id="xbce.{name}.{method}"' in text, (name, method)
        if name in figures.measured()["times"]:
            assert f"{name}-error-dark" in text
            assert f"{name}-speed-light" in text
    theory = (site / "evidence" / "theory.html").read_text("utf-8")
    assert theory.count("<math") > 30
    assert (site / "searchindex.js").stat().st_size > 10**5


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_the_site_needs_no_network(site):
    for page in links.pages(site):
        loaded = re.findall(
            r'<(?:script|img|iframe|link)\b[^>]*?(?:src|href)="(https?:[^"]+)"', page.read_text("utf-8")
        )
        assert loaded == [], page


PAGES = (
    "index.html",
    "start/quickstart.html",
    "guide/capabilities.html",
    "examples/index.html",
    *(f"examples/{path.stem}.html" for path in gallery.pages()),
    "reference/index.html",
    "reference/xbce.sigmoid_focal_loss.html",
    "evidence/theory.html",
    "evidence/results.html",
)


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.mark.long
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1300])
def test_pages_fit_and_axe_finds_nothing(site, browser, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe-playwright-python is not installed")
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    for name in PAGES:
        page.goto((site / name).as_uri())
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert over <= 0, f"{name} is {over} pixels too wide"
        page.evaluate(Path(axe.AXE_FILE_PATH).read_text("utf-8"))
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        assert [(one["id"], [node["html"][:120] for node in one["nodes"][:2]]) for one in found] == [], name
    assert errors == []
    context.close()


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_search_finds_a_loss(site, browser):
    page = browser.new_page()
    page.goto((site / "search.html").as_uri() + "?q=focal")
    # Results come one after the other.
    page.wait_for_selector("#search-results li a[href*='sigmoid_focal_loss']", timeout=20_000)
    page.close()
