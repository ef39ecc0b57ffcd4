"""What the files of the repository say: one version, a section of the changelog, addresses, a clean tree."""

import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from release.outcome import Failed, NotSet, expect, run


def version(root: Path) -> str:
    """Return `__version__`, from which everything else has to follow."""
    text = (root / "xbce" / "__init__.py").read_text("utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if found is None:
        msg = "xbce/__init__.py has no __version__"
        raise Failed(msg)
    return found[1]


def _project(root: Path, folder: str) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((root / folder / "pyproject.toml").read_text("utf-8"))["project"]
    return project


def versions(root: Path) -> str:
    """Check that both distributions and the citation have one version, and that each requires the other at it."""
    wanted = version(root)
    expect(re.fullmatch(r"\d+\.\d+\.\d+", wanted), f"{wanted} is no version of a release: X.Y.Z is expected")
    main, suite = _project(root, "."), _project(root, "conformance")
    expect(f"xbce=={wanted}" in suite["dependencies"], f"conformance/pyproject.toml does not require xbce=={wanted}")
    extra = main["optional-dependencies"]["conformance"]
    expect(extra == [f"xbce-conformance=={wanted}"], f"pyproject.toml: the extra conformance is {extra}, not {wanted}")
    cited = citation(root)["version"]
    expect(cited == wanted, f"CITATION.cff has the version {cited}; {wanted} is expected")
    return f"{wanted} in both distributions and in CITATION.cff"


def tag(root: Path, given: str) -> str:
    """Check that a tag is v and the version."""
    expect(given == f"v{version(root)}", f"the tag is {given}; v{version(root)} is expected")
    return given


def citation(root: Path) -> dict[str, Any]:
    """Return what CITATION.cff holds."""
    data: dict[str, Any] = yaml.safe_load((root / "CITATION.cff").read_text("utf-8"))
    return data


def changelog(root: Path) -> str:
    """Check that CHANGELOG.md has a section of this version, with its date, and none that is unreleased."""
    wanted, text = version(root), (root / "CHANGELOG.md").read_text("utf-8")
    dated = re.search(rf"^## {re.escape(wanted)} - (\d{{4}}-\d\d-\d\d)$", text, re.MULTILINE)
    if dated is None:
        msg = f"CHANGELOG.md has no section '## {wanted} - YYYY-MM-DD': the release names it so, in place of Unreleased"
        raise NotSet(msg)
    date.fromisoformat(dated[1])
    unreleased = re.search(r"^## Unreleased\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    expect(unreleased is None or not unreleased[1].strip(), f"CHANGELOG.md: something is Unreleased beside {wanted}")
    released = str(citation(root).get("date-released"))
    expect(released == dated[1], f"CITATION.cff: date-released is {released}; CHANGELOG.md has {dated[1]}")
    return f"{wanted}, of {dated[1]}"


def addresses(root: Path) -> str:
    """Check that both distributions have the same addresses of the project."""
    main, suite = (_project(root, folder).get("urls", {}) for folder in (".", "conformance"))
    if not main and not suite:
        msg = (
            "[project.urls] of pyproject.toml and conformance/pyproject.toml, and repository-code of CITATION.cff: the "
            "addresses of the project are entered at the first publication"
        )
        raise NotSet(msg)
    expect(main == suite, "pyproject.toml and conformance/pyproject.toml have other [project.urls]")
    missing = [name for name in ("Documentation", "Source", "Issues", "Changelog") if name not in main]
    expect(not missing, f"[project.urls] lacks {', '.join(missing)}")
    plain = [name for name, address in main.items() if not address.startswith("https://")]
    expect(not plain, f"[project.urls]: {', '.join(plain)} is not https")
    expect("repository-code" in citation(root), "CITATION.cff has no repository-code")
    return ", ".join(main)


def clean_tree(root: Path) -> str:
    """Check that nothing is changed or added: what is built is what is committed."""
    found = run("git", "status", "--porcelain", cwd=str(root)).splitlines()
    expect(not found, f"the tree has {len(found)} changes: {', '.join(line[3:] for line in found[:4])}")
    return run("git", "rev-parse", "--short", "HEAD", cwd=str(root)).strip()
