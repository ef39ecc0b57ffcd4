"""The walks of CONTRIBUTING and of the suite: each diff applies, and what it adds is found and right.

A diff that no longer applies is renewed in a copy: merged there, mended by hand, and written anew.

    git worktree add --detach .walk && cd .walk
    git apply --3way docs/walks/loss.diff
    git diff HEAD > ../docs/walks/loss.diff
    cd .. && git worktree remove --force .walk
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import some_long

ROOT = Path(__file__).parents[2]
WALKS = ROOT / "docs" / "walks"
NAMES = ("loss", "backend", "convention", "peer", "regime", "bound")
# What is run in the copy: files, the tests of theirs that are about the new thing, and how many these are at least.
FOUND_BY = {
    "loss": (
        """tests/api/test_signatures.py tests/api/test_docs.py tests/api/test_errors.py tests/api/test_family.py
        tests/compiler/test_operations.py tests/fuzz/test_fuzz.py conformance/tests/test_cases.py
        conformance/tests/test_promise.py xbce/losses.py""",
        "(poly1 or is_drawn or is_measured) and not jax and not dask and not strict",
        45,
    ),
    "backend": (
        "tests/api/test_family.py tests/api/test_loss.py tests/api/test_special_values.py",
        "thinarray",
        130,
    ),
    "convention": (
        """tests/conventions/test_chainer.py tests/conventions/test_package.py tests/conventions/test_docs.py
        tests/conventions/test_one_library.py tests/project/test_vendoring.py xbce/conventions/chainer.py""",
        "chainer or every_array or listed or every_convention or test_conventions",
        20,
    ),
    "peer": ("conformance/tests/test_peers.py", "tinygrad", 2),
    "regime": ("conformance/tests/test_inputs.py", "whole or test_regimes", 5),
    "bound": ("conformance/tests/test_contract.py conformance/tests/test_promise.py", "contract or xlogy", 7),
}


def added_and_changed(name):
    """Return the new files of a diff, and those that it changes."""
    text = (WALKS / f"{name}.diff").read_text("utf-8")
    pairs = re.findall(r"^--- (\S+)\n\+\+\+ b/(\S+)$", text, re.MULTILINE)
    assert len(pairs) == text.count("diff --git ")
    return {new for old, new in pairs if old == "/dev/null"}, {new for old, new in pairs if old != "/dev/null"}


def test_a_loss_touches_eight_files():
    added, changed = added_and_changed("loss")
    assert len(added | changed) <= 8


def test_a_backend_is_one_file_and_one_row():
    added, changed = added_and_changed("backend")
    assert added == {"xbce/_backends/thinarray.py"}
    assert changed == {"xbce/_backends/__init__.py", "conformance/xbce_conformance/subjects/backends.py"}


def test_a_convention_is_its_module_its_test_and_one_row():
    added, changed = added_and_changed("convention")
    assert added == {"xbce/conventions/chainer.py", "tests/conventions/test_chainer.py"}
    assert changed == {"xbce/conventions/__init__.py", "docs/conventions.md"}  # the page is written by a command


def test_a_peer_on_a_new_library_touches_three_files():
    added, changed = added_and_changed("peer")
    assert added == set()
    assert changed == {"conformance/xbce_conformance/subjects/peers.py", "pyproject.toml", "constraints.txt"}


def test_a_regime_and_a_bound_touch_one_file_each():
    assert added_and_changed("regime") == (set(), {"conformance/xbce_conformance/inputs/regimes.py"})
    assert added_and_changed("bound") == (set(), {"conformance/xbce_conformance/contract/data/contract.json"})


def test_pages_walk_through_them():
    rooms = (ROOT / "conformance" / "xbce_conformance" / "README.md").read_text("utf-8")
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8") + rooms.replace("../../docs", "docs").replace(
        "\n## ", "\n### "
    )
    for name in NAMES:
        section = page.partition(f"](docs/walks/{name}.diff)")[2].partition("\n### ")[0]
        added, changed = added_and_changed(name)
        paths = {path.removeprefix("conformance/xbce_conformance/") for path in added | changed}
        assert [path for path in paths if path not in section] == [], name


@pytest.fixture
def walked(tmp_path):
    """Return a function that applies diffs to a copy of what is under version control here."""

    def apply(*names):
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for path in filter(None, listed.split("\0")):
            if (ROOT / path).is_file():  # one that was removed and not yet committed is listed, too
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / path, tmp_path / path)
        for name in names:
            done = subprocess.run(
                ["git", "apply", WALKS / f"{name}.diff"],  # noqa: S607
                cwd=tmp_path,
                env=os.environ | {"GIT_CEILING_DIRECTORIES": str(tmp_path.parent)},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, (
                f"docs/walks/{name}.diff is behind the tree: {Path(__file__).name}\n{done.stderr}"
            )
        return tmp_path

    return apply


@pytest.mark.parametrize("name", NAMES)
def test_diffs_apply(walked, name):
    copy = walked(name)
    added, changed = added_and_changed(name)
    assert all((copy / path).is_file() for path in added)
    assert all((copy / path).read_text("utf-8") != (ROOT / path).read_text("utf-8") for path in changed)


# Walks that do not meet share a copy and a process, most of whose time goes into imports.
TOGETHER = {"loss": ["loss"], "convention": ["convention"], "the others": ["backend", "peer", "regime", "bound"]}


@pytest.mark.parametrize("names", some_long(TOGETHER, {*TOGETHER} - {"convention"}))
def test_what_is_added_is_found_and_right(walked, names):
    copy = walked(*names)
    files = [file for name in names for file in FOUND_BY[name][0].split()]
    chosen = " or ".join(f"({FOUND_BY[name][1]})" for name in names)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "XBCE_"))}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, (copy, copy / "conformance", WALKS)))
    command = [sys.executable, "-m", "pytest", "-q", "-rp", "-p", "no:cacheprovider", "-m", "not long", "-k", chosen]
    done = subprocess.run([*command, *files], cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    passed = re.findall(r"^PASSED (\S+?)::", done.stdout, re.MULTILINE)
    for name in names:
        files, _, least = FOUND_BY[name]
        assert sum(passed.count(file) for file in files.split()) >= least, name


def test_every_walk_is_run():
    assert sorted(name for names in TOGETHER.values() for name in names) == sorted(NAMES)
