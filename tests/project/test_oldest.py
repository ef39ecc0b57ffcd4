"""`make oldest` installs the oldest version of every dependency: constraints-oldest.txt has the lower bounds."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEFT_OUT = {
    "cupy": "the same library as in cuda-source",
    "mlx": "no older version was tried than that of constraints.txt",
    "onnx": "as mlx",
    "peers": "no older versions were compared than those of constraints.txt, which are its bounds",
    "peers-apart": "as peers",
    "conformance": "the suite is installed from its folder",
    "benchmarks": "not part of the tests",
    "docs": "as dev",
    "dev": "tools of development, whose versions are those of constraints.txt",
}


def project(folder):
    return tomllib.loads((ROOT / folder / "pyproject.toml").read_text("utf-8"))["project"]


def installed_extras():
    recipe = (ROOT / "Makefile").read_text("utf-8").partition("$(OLDEST)/installed: ")[2]
    return re.search(r'--editable "\.\[([\w,-]+)\]" --editable \./conformance', recipe)[1].split(",")


def name(text):
    return text.lower().replace("_", "-")


def lower_bounds():
    """Return the lower bound of each dependency that `make oldest` installs, from both distributions."""
    main, suite = project("."), project("conformance")
    extras = [main["optional-dependencies"][extra] for extra in installed_extras()]
    return bounds_of(sum(extras, main["dependencies"] + suite["dependencies"]))


def bounds_of(required):
    """Return the lower bound of each dependency in a list."""
    found = {}
    for text in required:
        requirement = re.fullmatch(r"([\w-]+)(?:\[\w+\])?(>=|==)([\d.]+)(?:;.*)?", text)
        assert requirement, f"{text} has no lower bound"
        if requirement[1] != "xbce":
            assert found.setdefault(name(requirement[1]), requirement[3]) == requirement[3], f"two bounds: {text}"
    return found


def pins():
    """Return what constraints-oldest.txt fixes for a bound, and what else."""
    named, _, others = (ROOT / "constraints-oldest.txt").read_text("utf-8").partition("# Not named there")
    return [
        {name(line.partition("==")[0]): line.partition("==")[2] for line in part.splitlines() if "==" in line}
        for part in (named, others)
    ]


def release(version):
    return tuple(int(part) for part in version.removesuffix(".0").removesuffix(".0").split("."))


def test_the_oldest_versions_are_the_lower_bounds():
    named, _ = pins()
    assert {package: release(version) for package, version in named.items()} == {
        package: release(version) for package, version in lower_bounds().items()
    }


def test_what_else_is_fixed_has_no_bound():
    _, others = pins()
    assert others
    assert not {*others} & {*lower_bounds()}


def test_every_extra_is_installed_or_left_out_for_a_reason():
    extras = project(".")["optional-dependencies"]
    assert {*installed_extras()} | {*LEFT_OUT} == {*extras}
    assert not {*installed_extras()} & {*LEFT_OUT}


@pytest.mark.parametrize("extra", ["peers", "peers-apart"])
def test_peers_are_no_older_than_those_that_were_compared(extra):
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    compared = {name(package): version for package, _, version in (line.partition("==") for line in lines)}
    for package, version in bounds_of(project(".")["optional-dependencies"][extra]).items():
        bound = release(version)
        assert release(compared[package])[: len(bound)] == bound, package


@pytest.mark.parametrize(("one", "other"), [("2.0.0", "2"), ("13", "13.0.0"), ("2.10", "2.1"), ("0.5.1", "0.5")])
def test_versions_are_compared_as_numbers(one, other):
    assert (release(one) == release(other)) == (one in ("2.0.0", "13"))
