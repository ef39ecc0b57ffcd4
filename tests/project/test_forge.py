"""Files for people and for the forge: workflows that call make and nothing else, forms, citation, policy."""

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml", reason="PyYAML reads these files: it comes with the extra dev")

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
EACH = pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
SUPPORT = {
    "Python": "requires-python",
    "array-api-compat": "array-api-compat",
    "NumPy": "numpy",
    "PyTorch": "torch",
    "JAX": "jax",
    "Dask": "dask[array]",
    "CuPy": "cupy-cuda13x",
    "MLX": "mlx[cpu]",
    "ndonnx": "ndonnx",
    "array-api-strict": "array-api-strict",
}


def project(folder="."):
    return tomllib.loads((ROOT / folder / "pyproject.toml").read_text("utf-8"))["project"]


def load(file):
    return yaml.safe_load(file.read_text("utf-8"))


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def targets():
    return {*re.findall(r"^([a-z][a-z-]*):(?!=)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)}


@EACH
def test_actions_are_pinned_by_hash_with_their_version(file):
    used = re.findall(r"uses: (.*)$", file.read_text("utf-8"), re.MULTILINE)
    assert used
    for text in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", text), text


def test_an_action_has_one_hash():
    used = {text for file in WORKFLOWS for text in re.findall(r"uses: (.*)$", file.read_text("utf-8"), re.MULTILINE)}
    assert len(used) == len({text.partition("@")[0] for text in used})


@EACH
def test_a_workflow_runs_make_and_nothing_else(file):
    workflow = load(file)
    commands = [step["run"] for step in steps(workflow) if "run" in step]
    assert commands
    for command in commands:
        made = re.fullmatch(r'make ("\$TARGET"|[a-z-]+)( ARGS="[^"]*")?', command)
        assert made, command
        assert made[1] in {'"$TARGET"', *targets()}
    for job in workflow["jobs"].values():
        matrix = job.get("strategy", {}).get("matrix", {})
        named = {*matrix.get("target", []), *(entry["target"] for entry in matrix.get("include", []))}
        assert named <= targets()


@EACH
def test_a_workflow_may_do_little(file):
    workflow = load(file)
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        wanted = {"id-token": "write"} if name == "publish" else {"contents": "read"}
        assert job["permissions"] == wanted
        assert job["timeout-minutes"] <= 350
    assert "secrets." not in file.read_text("utf-8")


def test_every_supported_python_is_tested_on_both_processors():
    matrix = load(ROOT / ".github" / "workflows" / "test.yml")["jobs"]["make"]["strategy"]["matrix"]
    classifiers = [text.rpartition(" ")[2] for text in project()["classifiers"]]
    versions = [text for text in classifiers if re.fullmatch(r"3\.\d+", text)]
    assert matrix["python"] == versions
    assert {machine.endswith("-arm") for machine in matrix["machine"]} == {True, False}
    assert {*matrix["target"]} | {entry["target"] for entry in matrix["include"]} == {
        "test",
        "conformance",
        "oldest",
        "release-rehearsal",
    }
    long = load(ROOT / ".github" / "workflows" / "long.yml")["jobs"]["make"]["strategy"]["matrix"]
    assert long["target"] == ["check-long", "peers"]


@pytest.mark.parametrize(
    "file", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda file: file.name
)
def test_forms(file):
    form = load(file)
    if file.name == "config.yml":
        assert form["blank_issues_enabled"] is True
        return
    assert form["name"]
    assert form["description"]
    ids = [entry["id"] for entry in form["body"]]
    assert len(ids) == len({*ids})
    for entry in form["body"]:
        assert entry["type"] in {"input", "textarea"}
        assert entry["attributes"]["label"]


def test_citation():
    cited = load(ROOT / "CITATION.cff")
    assert cited["cff-version"] == "1.2.0"
    assert cited["license"] == project()["license"]
    assert cited["authors"] == project()["authors"]
    assert {"message", "title", "version"} <= cited.keys()


# --- the policy -----------------------------------------------------------------------------------------------------


def supported():
    page = (ROOT / "docs" / "policy.md").read_text("utf-8")
    table = page.partition("| | oldest | newest tested |\n|---|---|---|\n")[2].partition("\n\n")[0]
    return {cells[0]: cells[1:] for cells in (row.strip("| ").split(" | ") for row in table.splitlines())}


def oldest(requirement):
    """Return the lower bound of a distribution in either pyproject.toml."""
    if requirement == "requires-python":
        return project()["requires-python"].removeprefix(">=")
    extras = chain.from_iterable(project()["optional-dependencies"].values())
    for text in chain(project()["dependencies"], project("conformance")["dependencies"], extras):
        name, bound, version = re.split(r"(>=|==)", text.partition(";")[0])
        if name == requirement and bound == ">=":
            return version.strip()
    return None


def test_supported_versions_are_those_of_the_projects():
    table = supported()
    assert [*table] == [*SUPPORT]
    pins = dict(
        re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text("utf-8").replace("_", "-"), re.MULTILINE)
    )
    for name, requirement in SUPPORT.items():
        pin = pins.get(requirement.partition("[")[0], "3.13")
        assert table[name] == [oldest(requirement), pin], name


def test_pages_that_docstrings_cite_are_there():
    """What a page of the repository is cited as, in the documentation of what is installed, exists."""
    for folder in (ROOT / "xbce", ROOT / "conformance" / "xbce_conformance"):
        for file in folder.rglob("*.py"):
            text = " ".join(file.read_text("utf-8").split())
            for page, where in re.findall(r"\b(docs/[\w./-]+\.(?:md|json))( of the [\w ]+)?", text):
                assert (ROOT / page).is_file(), f"{file}: {page}"
                assert where.startswith((" of the repository", " of the source distribution")), f"{file}: {page}"
