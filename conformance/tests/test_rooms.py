"""The rooms of the suite: each imports only from rooms above it, and what is public is found in the package itself."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import xbce_conformance

PACKAGE = Path(xbce_conformance.__file__).parent
ROOMS = re.findall(r"^\| `([\w.]+?)/?` \|", (PACKAGE / "README.md").read_text("utf-8"), re.MULTILINE)


def room_of(file):
    return file.relative_to(PACKAGE).parts[0]


def imported_rooms(file):
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        module = node.module if isinstance(node, ast.ImportFrom) else None
        if module == "xbce_conformance":
            yield from (alias.name for alias in node.names)
        elif module is not None and module.startswith("xbce_conformance."):
            yield module.split(".")[1]


def places():
    """Return the place of each room in the order of the README."""
    return {name.removesuffix(".py"): i for i, name in enumerate(ROOMS)}


def test_every_room_is_in_the_readme():
    rooms = {path.name for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert {*ROOMS} == rooms - {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_rooms_above_it(room):
    place = places()
    for file in PACKAGE.rglob("*.py"):
        if room_of(file) == room:
            below = [name for name in imported_rooms(file) if place[name] > place[room.removesuffix(".py")]]
            assert below == [], f"{file.relative_to(PACKAGE)} imports from rooms below its own"


@pytest.mark.parametrize("name", xbce_conformance.__all__)
def test_public_names_are_found(name):
    assert getattr(xbce_conformance, name).__name__ == name


def test_an_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="module 'xbce_conformance' has no attribute 'nothing'"):
        _ = xbce_conformance.nothing


def test_the_package_alone_imports_nothing():
    """Every run of pytest beside which it is installed imports it, for its plugin."""
    program = "import sys, xbce_conformance.pytest_plugin; print('numpy' in sys.modules, 'xbce' in sys.modules)"
    shown = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["False", "False"]
