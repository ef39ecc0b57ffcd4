"""The interactive page, where the repository has one: `docs/interactive/`, which is copied into the site as it is."""

import shutil
from pathlib import Path

from website.stage import ROOT

FOLDER = ROOT / "docs" / "interactive"

_PAGE = """# Try it

```{raw} html
<p><a href="../interactive/index.html">The page by itself</a></p>
<iframe class="interactive" src="../interactive/index.html" title="Losses of every system, and the exact one"></iframe>
```
"""
_BACK = '<header>\n<p><a href="../index.html" target="_top">Documentation of xbce</a></p>'
_BUTTON = """```{button-ref} start/try-it
:ref-type: doc
:color: primary
:outline:
Try it
```"""


def write(source: Path) -> None:
    """Give the page a place in the navigation, and a button on the front page."""
    if not (FOLDER / "index.html").exists():
        return
    (source / "start" / "try-it.md").write_text(_PAGE, "utf-8")
    for name, mark, text in (
        ("start/index.md", "quickstart\n", "quickstart\ntry-it\n"),
        ("index.md", "% button: try-it", _BUTTON),
    ):
        page = source / name
        page.write_text(page.read_text("utf-8").replace(mark, text, 1), "utf-8")


def copy(site: Path) -> None:
    """Copy the page into a built site, with a link to its front page."""
    if (FOLDER / "index.html").exists():
        shutil.copytree(FOLDER, site / "interactive", dirs_exist_ok=True)
        page = site / "interactive" / "index.html"
        page.write_text(page.read_text("utf-8").replace("<header>", _BACK, 1), "utf-8")
