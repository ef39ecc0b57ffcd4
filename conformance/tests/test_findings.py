"""Each finding of docs/findings.md still prints what the page says, where the system is installed."""

import json
import re
import subprocess
import sys
from doctest import ELLIPSIS, OutputChecker
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.helpers import some_long

PAGE = (Path(__file__).parents[2] / "docs" / "findings.md").read_text("utf-8")
_PATTERN = re.compile(
    r"^### (?P<title>.+)\n\n(?P<text>(?:.+\n)+)\n```sh\npython -c '(?P<code>.+)'\n```\n\n"
    r"- got: `(?P<got>.+)`\n- expected: `(?P<expected>.+)`\n- upstream: (?P<upstream>.+)$",
    re.MULTILINE,
)
FINDINGS = [match.groupdict() for match in _PATTERN.finditer(PAGE)]
_MODULES = ("torch", "tensorflow", "keras", "optax", "jax", "sklearn", "scipy", "paddle", "mlx")

_RUNNER = """
import contextlib, io, json, sys, warnings
warnings.simplefilter("ignore")
printed = []
for code in json.load(sys.stdin):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {})
    printed.append(out.getvalue().strip())
print(json.dumps(printed))
"""


def system_of(code):
    backend = re.search(r'"KERAS_BACKEND"\] = "(\w+)"', code)
    if backend:
        return f"keras on {backend[1]}"
    return next(name for name in _MODULES if re.search(rf"\b{name}\b", code))


def process_of(code):
    """Findings share a process, which takes seconds to import a system; but Keras has one backend per process.

    TensorFlow has one, too, and so has what is absent here as a rule.
    """
    system = system_of(code)
    return system if system.startswith("keras") or system in ("tensorflow", "paddle", "mlx") else "the others"


def matches(text, shown):
    """Whether `text` is what the page shows, which leaves out digits that depend on the processor."""
    return OutputChecker().check_output(shown, text, ELLIPSIS)


def test_the_page_is_read_whole():
    assert len(FINDINGS) == PAGE.count("\n### ") == PAGE.count("```sh") > 25
    assert not any(matches(finding["expected"], finding["got"]) for finding in FINDINGS)


PROCESSES = {process_of(finding["code"]): process_of(finding["code"]) for finding in FINDINGS}


@pytest.mark.parametrize("process", some_long(PROCESSES, {name for name in PROCESSES if not name.startswith("keras")}))
def test_findings(process):
    mine = [finding for finding in FINDINGS if process_of(finding["code"]) == process]
    for name in {name for finding in mine for name in system_of(finding["code"]).split(" on ")}:
        if name != "numpy" and find_spec(name) is None:
            pytest.skip(f"{name} is not installed here: `make peers` makes an environment with it")
    result = subprocess.run(
        [sys.executable, "-c", _RUNNER],
        input=json.dumps([finding["code"] for finding in mine]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    printed = json.loads(result.stdout.splitlines()[-1])
    for finding, text in zip(mine, printed, strict=True):
        assert matches(text, finding["got"]), finding["title"]
