"""`make release-check`: each check finds what it is for. The whole of it is run by `make release-rehearsal`."""

import io
import re
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

import xbce

pytest.importorskip("yaml", reason="PyYAML reads CITATION.cff: it comes with the extra dev")

from release import distributions, environments, facts
from release.__main__ import _run_all, report
from release.outcome import Failed, NotSet, run

ROOT = Path(__file__).parents[2]
FILES = ["pyproject.toml", "conformance/pyproject.toml", "CITATION.cff", "CHANGELOG.md", "xbce/__init__.py"]
NAMES = ["Documentation", "Source", "Issues", "Changelog"]
URLS = "[project.urls]\n" + "".join(f'{name} = "https://example.org/{name}"\n' for name in NAMES)


@pytest.fixture
def copy(tmp_path):
    """A folder with the files that are read."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def edit(file, old, new):
    text = file.read_text("utf-8")
    assert text.count(old) == 1, (file, old)
    file.write_text(text.replace(old, new), "utf-8")


def test_versions():
    assert facts.versions(ROOT) == f"{xbce.__version__} in both distributions and in CITATION.cff"


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        (
            "xbce/__init__.py",
            f'"{xbce.__version__}"',
            '"7.0.0"',
            "conformance/pyproject.toml does not require xbce==7.0.0",
        ),
        ("xbce/__init__.py", f'"{xbce.__version__}"', '"7.0.0rc1"', "7.0.0rc1 is no version of a release"),
        ("CITATION.cff", f"version: {xbce.__version__}", "version: 7.0.0", "CITATION.cff has the version 7.0.0"),
        ("pyproject.toml", f"conformance=={xbce.__version__}", "conformance==7.0.0", "the extra conformance is"),
    ],
)
def test_another_version_is_found(copy, name, old, new, says):
    edit(copy / name, old, new)
    with pytest.raises(Failed, match=says):
        facts.versions(copy)


def test_tag():
    assert facts.tag(ROOT, f"v{xbce.__version__}") == f"v{xbce.__version__}"
    with pytest.raises(Failed, match="the tag is v7"):
        facts.tag(ROOT, "v7")


def test_changelog(copy):
    version, changelog, citation = xbce.__version__, copy / "CHANGELOG.md", copy / "CITATION.cff"
    changelog.write_text("# Changelog\n\n## Unreleased\n\n- something\n", "utf-8")
    with pytest.raises(NotSet, match=f"no section '## {version} - YYYY-MM-DD'"):
        facts.changelog(copy)
    changelog.write_text(f"## Unreleased\n\n- more\n\n## {version} - 2027-01-31\n\n- something\n", "utf-8")
    with pytest.raises(Failed, match="something is Unreleased beside"):
        facts.changelog(copy)
    changelog.write_text(f"## Unreleased\n\n## {version} - 2027-01-31\n\n- something\n", "utf-8")
    with pytest.raises(Failed, match="date-released is None"):
        facts.changelog(copy)
    citation.write_text(citation.read_text("utf-8") + "date-released: 2027-01-31\n", "utf-8")
    assert facts.changelog(copy) == f"{version}, of 2027-01-31"


def test_addresses(copy):
    if "[project.urls]" not in (ROOT / "pyproject.toml").read_text("utf-8"):
        with pytest.raises(NotSet, match="are entered at the first publication"):
            facts.addresses(copy)
        before = "[tool.hatch.version]"
        edit(copy / "pyproject.toml", before, f"{URLS}\n{before}")
        with pytest.raises(Failed, match="have other"):
            facts.addresses(copy)
        edit(copy / "conformance" / "pyproject.toml", before, f"{URLS}\n{before}")
        with pytest.raises(Failed, match="no repository-code"):
            facts.addresses(copy)
        citation = copy / "CITATION.cff"
        citation.write_text(citation.read_text("utf-8") + "repository-code: https://example.org\n", "utf-8")
    assert facts.addresses(copy) == "Documentation, Source, Issues, Changelog"


def test_a_tree_with_changes_is_found(tmp_path):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q", tmp_path], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], cwd=tmp_path, check=True)
    assert facts.clean_tree(tmp_path)
    (tmp_path / "new").write_text("", "utf-8")
    with pytest.raises(Failed, match="the tree has 1 changes: new"):
        facts.clean_tree(tmp_path)


# --- contents -------------------------------------------------------------------------------------------------------


def committed(name):
    package, folder = distributions.PACKAGES[name]
    listed = run("git", "ls-files", package, cwd=str(ROOT / folder))
    return dict.fromkeys(listed.splitlines(), b"")


def write_distributions(out, name, *, wheel=(), source=(), without=()):
    """Write empty files with the names that a right distribution has, and others; `without` some."""
    package, version = distributions.PACKAGES[name][0], xbce.__version__
    info = f"{package}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nLicense-Expression: BSD-3-Clause\n"
    files = committed(name) | {f"{info}/METADATA": metadata.encode(), f"{info}/licenses/LICENSE": b""}
    with zipfile.ZipFile(out / f"{package}-{version}-py3-none-any.whl", "w") as archive:
        for path, content in (files | dict.fromkeys(wheel, b"")).items():
            if path not in without:
                archive.writestr(path, content)
    beside = ["LICENSE", "PKG-INFO", "README.md", "pyproject.toml", *source]
    beside += ["CHANGELOG.md", "CITATION.cff", "docs/policy.md"] if name == "xbce" else []
    with tarfile.open(out / f"{package}-{version}.tar.gz", "w:gz") as archive:
        for path in [*committed(name), *beside]:
            if path not in without:
                archive.addfile(tarfile.TarInfo(f"{package}-{version}/{path}"), io.BytesIO())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, None),
        ({"wheel": ["tests/test_loss.py"]}, "whl has what is not committed: tests/test_loss.py"),
        ({"wheel": ["xbce/notes.txt"]}, "whl has what is not committed: xbce/notes.txt"),
        ({"source": ["conformance/pyproject.toml"]}, "tar.gz has conformance, too"),
        ({"source": ["xbce/notes.txt"]}, "tar.gz has what is not committed: xbce/notes.txt"),
        ({"without": ["xbce/py.typed"]}, "whl lacks xbce/py.typed"),
        ({"without": ["LICENSE"]}, "tar.gz lacks LICENSE"),
        ({"without": [f"xbce-{xbce.__version__}.dist-info/licenses/LICENSE"]}, "whl lacks xbce-.*LICENSE"),
    ],
    ids=str,
)
def test_contents(tmp_path, changes, says):
    write_distributions(tmp_path, "xbce", **changes)
    write_distributions(tmp_path, "xbce-conformance")
    if says is None:
        assert "xbce-conformance: " in distributions.contents(ROOT, tmp_path, xbce.__version__)
    else:
        with pytest.raises(Failed, match=says):
            distributions.contents(ROOT, tmp_path, xbce.__version__)


def test_a_command_that_fails_says_so(tmp_path):
    with pytest.raises(Failed, match=r"ended with 128: fatal: not a git repository"):
        run("git", "ls-files", cwd=str(tmp_path))


# --- what it comes to -----------------------------------------------------------------------------------------------


def test_first_snippet():
    assert (
        environments.first_snippet("```\ntext\n```\n```python\n>>> 1\n1\n```\n```python\n>>> 2\n2\n```\n")
        == ">>> 1\n1\n"
    )
    assert ">>> " in environments.first_snippet((ROOT / "README.md").read_text("utf-8"))
    with pytest.raises(Failed, match="has no session"):
        environments.first_snippet("```\n>>> 1\n1\n```\n")


def raising(error):
    def check():
        raise error

    return check


def test_outcomes_and_exit_codes(capsys):
    checks = {"a": lambda: "fine", "b": raising(NotSet("later")), "build": raising(Failed("broken")), "c": lambda: ""}
    outcomes = _run_all(checks)
    assert outcomes == {"a": "ok", "b": "not set", "build": "FAILED"}
    printed = capsys.readouterr().out
    for line in ("ok       a: fine", "not set  b: later", "FAILED   build: broken"):
        assert line in printed
    assert report(outcomes, rehearse=True) == 1
    assert report({"a": "ok"}, rehearse=False) == 0
    assert report({"a": "ok", "b": "not set"}, rehearse=True) == 0
    assert report({"a": "ok", "b": "not set"}, rehearse=False) == 1
    assert capsys.readouterr().out.endswith("not set: b\nNot ready.\n")


def test_the_checklist_names_every_check():
    page = (ROOT / "docs" / "releasing.md").read_text("utf-8")
    names = re.findall(r'"([\w ]+)": lambda', (ROOT / "release" / "__main__.py").read_text("utf-8"))
    assert len(names) == 9
    for name in names:
        assert f"| {name} | " in page
    assert all(name in page.partition("| extra ")[2].partition(" |")[0] for name in environments.EXTRAS)
