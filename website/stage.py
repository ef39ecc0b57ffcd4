"""The pages of the site, gathered from where they lie in the repository, with links that fit their places in the site.

Pages are read on a forge, too, and tested where they lie. So the site has copies, made at each build below `build/`:
a link from page to page leads to the page's place in the site, one to any other file to a copy of that file.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "website" / "pages"

PLACES = {
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "benchmarks/README.md": "evidence/benchmarks-method.md",
    "conformance/results/README.md": "evidence/results.md",
    "conformance/results/behaviour/README.md": "evidence/behaviour.md",
    "conformance/results/cuda-host/README.md": "evidence/cuda-host.md",
    "conformance/results/faults/README.md": "evidence/faults.md",
    "conformance/results/findings/README.md": "evidence/findings-on-data.md",
    "conformance/results/functions/README.md": "evidence/functions.md",
    "conformance/results/hashes/README.md": "evidence/hashes.md",
    "conformance/results/platforms/README.md": "evidence/platforms.md",
    "conformance/xbce_conformance/README.md": "project/suite.md",
    "conformance/xbce_conformance/contract/data/README.md": "project/contract.md",
    "docs/accuracy.md": "evidence/accuracy.md",
    "docs/benchmarks.md": "evidence/benchmarks.md",
    "docs/command.md": "conformance/command.md",
    "docs/conformance.md": "conformance/index.md",
    "docs/conventions.md": "guide/conventions.md",
    "docs/design.md": "project/design.md",
    "docs/distributed.md": "guide/distributed.md",
    "docs/findings.md": "evidence/findings.md",
    "docs/install.md": "start/install.md",
    "docs/library-authors.md": "guide/library-authors.md",
    "docs/peer-tests.md": "guide/peer-tests.md",
    "docs/policy.md": "project/policy.md",
    "docs/porting.md": "guide/porting.md",
    "docs/precision.md": "evidence/precision.md",
    "docs/quickstart.md": "start/quickstart.md",
    "docs/releasing.md": "project/releasing.md",
    "docs/scope.md": "project/scope.md",
    "docs/theory.md": "evidence/theory.md",
    "docs/vectors.md": "conformance/vectors.md",
    "docs/vendoring.md": "guide/vendoring.md",
    "docs/why.md": "start/why.md",
    "gpu/README.md": "project/gpu.md",
    "proofs/README.md": "evidence/proofs.md",
    "proofs/native/README.md": "evidence/native-theorem.md",
    "proofs/native/table.md": "evidence/native-theorem-table.md",
    "proofs/table.md": "evidence/proofs-table.md",
    "tests/README.md": "project/tests.md",
    "website/README.md": "project/site.md",
}
"""Where a page of the repository stands in the site; pages of the folders in `KEPT` keep them."""

KEPT = ("conformance", "examples", "guide")
"""Folders of docs/ whose pages stand in a section of the same name."""

FURTHER = (
    ("docs/*.md", "project/index.md", "More"),
    ("SECURITY.md", "project/index.md", "More"),
    ("CODE_OF_CONDUCT.md", "project/index.md", "More"),
)
"""Pages that have no place of their own: they stand at the end of a section, in the order of their names."""

TOCTREES = {
    "docs/conformance.md": """
```{toctree}
:hidden:

your-loss
run
command
your-data
tests
every-input
functions
explore
reports
vectors
```
"""
}
"""What pages of the repository are followed by, where they stand at the head of a section."""

INSTEAD = {
    "README.md": "index.md",
    "conformance/README.md": "conformance/index.md",
    "docs/examples/README.md": "examples/index.md",
    "docs/interactive/index.html": "start/try-it.md",
}
"""Pages that the site has not, or not as they are, and where links to them lead."""

_LINK = re.compile(r"(?<=\]\()([^()\s]+)(?=\))")
_WITH_TEXT = re.compile(r"\[([^\[\]]*)\]\(([^()\s]+)\)")
_FENCE = re.compile(r"^\s*(`{3,}|~{3,})")


def places() -> dict[str, str]:
    """Return the place in the site of each page of the repository that is in it."""
    folders = {
        f"docs/{path.relative_to(ROOT / 'docs').as_posix()}": path.relative_to(ROOT / "docs").as_posix()
        for folder in KEPT
        for path in sorted((ROOT / "docs" / folder).glob("*.md"))
        if f"docs/{folder}/{path.name}" not in INSTEAD
    }
    placed = PLACES | folders
    return placed | {page: place for page, place, *_ in _further() if page not in placed}


def _further() -> list[tuple[str, str, str, str]]:
    """Return pages that have no place of their own: each with its place, the index of its section, and a caption."""
    return [
        (page, f"{PurePosixPath(index).parent}/{path.stem.lower()}.md", index, caption)
        for pattern, index, caption in FURTHER
        for path in sorted(ROOT.glob(pattern))
        if (page := path.relative_to(ROOT).as_posix()) not in PLACES
    ]


class UnknownPage(Exception):  # noqa: N818  # what it is about is a link
    """A page links to what the repository has not, or to a page that has no place in the site."""


def stage(out: Path) -> None:
    """Write the sources of the site, but for what is generated, into a folder."""
    if out.exists():
        shutil.rmtree(out)
    shutil.copytree(PAGES, out)
    placed = places()
    for page, place in placed.items():
        target = out / place
        target.parent.mkdir(parents=True, exist_ok=True)
        text = relinked((ROOT / page).read_text("utf-8"), page, place, placed, out)
        target.write_text(text + TOCTREES.get(page, ""), "utf-8")
    further: dict[tuple[str, str], list[str]] = {}
    for _, place, index, caption in _further():
        further.setdefault((index, caption), []).append(PurePosixPath(place).stem)
    for (index, caption), names in further.items():
        with (out / index).open("a", encoding="utf-8") as file:
            file.write("\n".join(["", "```{toctree}", f":caption: {caption}", "", *names, "```", ""]))


def relinked(text: str, page: str, place: str, placed: dict[str, str], out: Path) -> str:
    """Return a page's text with links that start at its place in the site; copy the files that it links to."""

    def new(link: str) -> str | None:
        target, hash_, anchor = link.partition("#")
        if not target or re.match(r"[a-z]+:", target):
            return link
        path = normpath(PurePosixPath(page).parent / target)
        if (ROOT / path).is_dir() and (ROOT / path / "README.md").exists():
            path = f"{path}/README.md"
        found = placed.get(path) or INSTEAD.get(path)
        if found is None:
            if not (ROOT / path).exists():
                msg = f"{page} links to {link}, which does not exist"
                raise UnknownPage(msg)
            if (ROOT / path).is_dir():
                return None
            # A page that the site has no place for is a file like others: not one that Sphinx would read.
            found = f"files/{path}" + (".txt" if path.endswith(".md") else "")
            (out / found).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, out / found)
        return relpath(found, PurePosixPath(place).parent) + hash_ + anchor

    return "".join(_outside_code(text, lambda line: _line(line, new)))


def _line(line: str, new: Callable[[str], str | None]) -> str:
    """Return a line with new links; what links to a folder is only its text, as a site has no listing of one."""
    line = _WITH_TEXT.sub(lambda match: match[0] if new(match[2]) is not None else match[1], line)
    return _LINK.sub(lambda match: new(match[1]) or match[1], line)


def _outside_code(text: str, change: Callable[[str], str]) -> Iterator[str]:
    """Yield the lines of a page, changed where they are not in a block of code; each block says its language."""
    fence = ""
    for line in text.splitlines(keepends=True):
        match = _FENCE.match(line)
        if fence:
            if match and match[1].startswith(fence) and not line.strip(" `~\n"):
                fence = ""
            yield line
        elif match:
            fence = match[1]
            # What is in no language must not be coloured as Python.
            yield f"{line.rstrip()}text\n" if line.strip() == fence else line
        else:
            yield change(line)
