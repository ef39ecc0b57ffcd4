"""Two distributions of one version: `xbce`, and `xbce-conformance` with the command and the pytest plugin."""

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

import xbce

ROOT = Path(__file__).parents[2]
OTHERS = ["click", "distributed", "jinja2", "matplotlib", "ml-dtypes", "numpy", "python-flint", "rich", "scikit-learn"]


def project(folder):
    return tomllib.loads((ROOT / folder / "pyproject.toml").read_text("utf-8"))["project"]


def run(*command, cwd=ROOT, **environment):
    # No configuration of pip's: it may name other places to find wheels.
    variables = os.environ | {"PIP_CONFIG_FILE": os.devnull} | environment
    done = subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(folder, target, out):
    pytest.importorskip("hatchling", reason="hatchling builds the distributions: it comes with the extra dev")
    before = {*out.iterdir()}
    run(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", out, cwd=folder)
    (built,) = {*out.iterdir()} - before
    return built


def pip_install(*arguments):
    return run(sys.executable, "-m", "pip", "--isolated", "install", "--quiet", "--no-index", *arguments)


def installed(folder):
    return {found.name: found for found in distributions(path=[str(folder)])}


def requirements(distribution: Distribution, extra=""):
    """Return what is required with an extra, and not without one; or what always is."""
    end = f"; extra == '{extra}'" if extra else ""
    found = distribution.requires or []
    return sorted(text.removesuffix(end) for text in found if (";" in text) == bool(extra) and text.endswith(end))


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """A folder with the wheels of both."""
    out = tmp_path_factory.mktemp("wheels")
    for folder in (ROOT, ROOT / "conformance"):
        build(folder, "wheel", out)
    return out


@pytest.fixture(scope="module")
def alone(wheels, tmp_path_factory):
    """A folder where xbce is installed, and nothing else."""
    target = tmp_path_factory.mktemp("alone")
    pip_install("--no-deps", "--find-links", wheels, "--target", target, "xbce")
    return target


def test_the_description_has_no_link_into_the_repository(alone):
    """A package index shows it, and has no other file."""
    description = installed(alone)["xbce"].metadata["Description"]
    assert description.startswith("# xbce\n")
    assert "quickstart" in description.lower()
    links = re.findall(r"\]\(([^)]*)\)", description)
    assert links
    assert all(link.startswith("https://") for link in links), links


@pytest.fixture(scope="module")
def both(wheels, tmp_path_factory):
    target = tmp_path_factory.mktemp("both")
    pip_install("--no-deps", "--find-links", wheels, "--target", target, "xbce-conformance", "xbce")
    return target


def test_each_requires_the_other_at_its_version():
    """The version is that of xbce/__init__.py. The requirements repeat it: installers read them from pyproject.toml."""
    assert project(".")["optional-dependencies"]["conformance"] == [f"xbce-conformance=={xbce.__version__}"]
    assert f"xbce=={xbce.__version__}" in project("conformance")["dependencies"]


def test_one_license():
    assert (ROOT / "conformance" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_xbce_has_nothing_but_the_package(alone):
    assert {*installed(alone)} == {"xbce"}
    found = installed(alone)["xbce"]
    assert found.version == xbce.__version__
    assert [*found.entry_points] == []
    assert requirements(found) == ["array-api-compat>=1.16"]
    assert requirements(found, "conformance") == [f"xbce-conformance=={xbce.__version__}"]
    assert {path.name for path in alone.iterdir()} == {"xbce", f"xbce-{xbce.__version__}.dist-info"}
    assert files(alone / "xbce") == files(ROOT / "xbce")


def test_conformance_has_command_plugin_and_data(both):
    found = installed(both)["xbce-conformance"]
    assert found.version == xbce.__version__
    assert {(point.group, point.name, point.value) for point in found.entry_points} == {
        ("console_scripts", "xbce-conformance", "xbce_conformance.cli:main"),
        ("pytest11", "xbce_conformance", "xbce_conformance.pytest_plugin"),
    }
    names = [text.partition(">")[0] for text in requirements(found)]
    assert names == [*OTHERS, f"xbce=={xbce.__version__}"]
    assert files(both / "xbce_conformance") == files(ROOT / "conformance" / "xbce_conformance")
    assert not (both / "tests").exists()
    data = {
        "py.typed",
        "contract/data/contract.json",
        "inputs/worst_cases.json",
        "report/parts.html.j2",
        "report/report.css",
        "report/report.html.j2",
        "report/report.js",
        "report/system.html.j2",
    }
    assert data <= files(both / "xbce_conformance")


def files(folder):
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if "__pycache__" not in path.parts}


def test_the_command_comes_with_conformance(alone, both):
    assert not (alone / "bin").exists()
    assert [path.name for path in (both / "bin").iterdir()] == ["xbce-conformance"]


def test_extra_brings_the_other(wheels, tmp_path):
    """`xbce[conformance]` takes both from a folder of wheels. Empty ones stand for the libraries that they require."""
    for name in (*OTHERS, "array-api-compat"):
        write_empty_wheel(tmp_path, name.replace("-", "_"))
    links = ("--find-links", wheels, "--find-links", tmp_path)
    report = pip_install("--dry-run", "--report", "-", "--ignore-installed", *links, "xbce[conformance]")
    found = {entry["metadata"]["name"]: entry["metadata"]["version"] for entry in json.loads(report)["install"]}
    assert found["xbce"] == found["xbce-conformance"] == xbce.__version__
    assert {*found} == {"xbce", "xbce-conformance", "array_api_compat", *(n.replace("-", "_") for n in OTHERS)}


def write_empty_wheel(folder, name):
    with zipfile.ZipFile(folder / f"{name}-9999-py3-none-any.whl", "w") as wheel:
        info = f"{name}-9999.dist-info"
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 9999\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.mark.parametrize(
    ("folder", "beside"),
    [(".", {"xbce", "docs", "CHANGELOG.md", "CITATION.cff"}), ("conformance", {"xbce_conformance"})],
    ids=["xbce", "xbce-conformance"],
)
def test_source_distribution_gives_the_same_wheel(wheels, tmp_path, folder, beside):
    """Beside that of the suite there is no xbce/__init__.py that has the version."""
    out = tmp_path / "out"
    out.mkdir()
    with tarfile.open(build(ROOT / folder, "sdist", out)) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = (path for path in tmp_path.iterdir() if path != out)
    always = {"LICENSE", "PKG-INFO", "README.md", "pyproject.toml", ".gitignore"}
    assert {path.name for path in source.iterdir()} == beside | always
    if folder == ".":
        assert {path.suffix for path in (source / "docs").iterdir()} == {".md"}
    rebuilt = build(source, "wheel", out)
    assert rebuilt.read_bytes() == (wheels / rebuilt.name).read_bytes()


@pytest.mark.long
def test_installed_command_runs(both, tmp_path):
    python = (sys.executable, "-c", "import xbce, xbce_conformance; print(xbce.__file__, xbce_conformance.__file__)")
    where = run(*python, cwd=tmp_path, PYTHONPATH=str(both))
    assert where.split() == [str(both / name / "__init__.py") for name in ("xbce", "xbce_conformance")]
    command = (sys.executable, both / "bin" / "xbce-conformance", "--version")
    assert xbce.__version__ in run(*command, cwd=tmp_path, PYTHONPATH=str(both))
    options = ("run", "--backend", "numpy", "--function", "special.expit", "--dtype", "float16", "--out", tmp_path)
    printed = run(sys.executable, "-m", "xbce_conformance", *options, cwd=tmp_path, PYTHONPATH=str(both))
    assert "rows of xbce pass." in printed
    assert (tmp_path / "report.html").exists()


@pytest.mark.long
def test_installed_plugin_runs(both, tmp_path):
    options = ("--xbce-backend", "numpy", "--xbce-function", "special.expit", "--xbce-dtype", "float16")
    command = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--pyargs", "xbce_conformance", *options)
    assert "1 passed" in run(*command, cwd=tmp_path, PYTHONPATH=str(both))
