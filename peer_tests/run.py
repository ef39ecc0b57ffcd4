"""Run the peers' own tests, as they are and with xbce in the peer's place; write docs/peer-tests.md.

The tests are those that the peers ship: in the wheels of Keras, scikit-learn and optax, and in checkouts of kornia and
torchvision. A test that fails with xbce only must have a row in expected.toml, which says why; a row whose test passes
is an error.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
PAGE = HERE.parent / "docs" / "peer-tests.md"


@dataclass(frozen=True)
class Suite:
    """Tests of one peer, and what of xbce stands in for what they test."""

    name: str
    peer: str
    """The distribution whose version is shown."""
    stand_in: str
    """Its name in `peer_tests.stand_ins`."""
    select: tuple[str, ...]
    """Arguments of pytest: everything of the named modules and classes, and what -k finds elsewhere."""
    environment: dict[str, str] = field(default_factory=dict)


_KERAS = (
    "--pyargs",
    "keras.src.losses.losses_test::BinaryCrossentropyTest",
    "keras.src.losses.losses_test::BinaryFocalCrossentropyTest",
    "keras.src.losses.loss_test",
    "keras.src.metrics.probabilistic_metrics_test::BinaryCrossentropyTest",
    *(
        f"keras.src.ops.nn_test::NNOps{name}"
        for name in (
            "CorrectnessTest::test_binary_crossentropy",
            "StaticShapeTest::test_binary_crossentropy",
            "BehaviorTest::test_logit_recovery_binary_crossentropy",
        )
    ),
)
_SKLEARN = {"SCIPY_ARRAY_API": "1", "SKLEARN_RUN_FLOAT32_TESTS": "1"}
_OPTAX = tuple(f"optax.losses._classification_test::Sigmoid{name}Test" for name in ("CrossEntropy", "FocalLoss"))
SUITES = (
    *(Suite(f"Keras on {b}", "keras", "keras", _KERAS, {"KERAS_BACKEND": b}) for b in ("numpy", "jax", "torch")),
    Suite(
        "scikit-learn, `HalfBinomialLoss`",
        "scikit-learn",
        "sklearn_loss",
        ("--pyargs", "sklearn._loss.tests.test_loss", "-k", "binomial or log1pexp"),
        _SKLEARN,
    ),
    Suite(
        "scikit-learn, `log_loss`",
        "scikit-learn",
        "sklearn_metric",
        (
            "--pyargs",
            "sklearn.metrics.tests.test_classification",
            "sklearn.metrics.tests.test_common",
            "-k",
            "log_loss",
        ),
        _SKLEARN,
    ),
    Suite("optax", "optax", "optax", ("--pyargs", *_OPTAX)),
    Suite(
        "kornia",
        "kornia",
        "kornia",
        ("tests/losses/test_focal_loss.py::TestBinaryFocalLossWithLogits",),
        {"KORNIA_TEST_DTYPE": "all", "KORNIA_TEST_OPTIMIZER": "inductor"},
    ),
    Suite("torchvision", "torchvision", "torchvision", ("test/test_ops.py::TestFocalLoss",)),
)


def run(suite: Suite, python: str, source: Path | None, *, stand_in: str) -> dict[str, Any]:
    """Run a suite in a process of its own and return the peer's version and what came of each test."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pytest.ini").write_text("[pytest]\n")
        outcomes = Path(folder) / "outcomes.json"
        command = [python, "-m", "pytest", "-c", "pytest.ini", "-q", "--tb=line", "-p", "peer_tests.plugin"]
        command += [f"-pno:{name}" for name in ("cacheprovider", "xdist", "xbce_conformance")]
        command += [str(source / a) for a in suite.select] if source else suite.select
        environment = {
            **os.environ,
            **suite.environment,
            "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")]),
            "XBCE_STAND_IN": stand_in,
            "XBCE_PEER": suite.peer,
            "XBCE_OUTCOMES": str(outcomes),
        }
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):  # 1: some tests failed
            sys.exit(f"{suite.name}: pytest ended with {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
        return json.loads(outcomes.read_text())


def judge(
    suite: str, ours: dict[str, Any], theirs: dict[str, Any], expected: list[dict[str, Any]]
) -> tuple[dict[str, Any], list[str]]:
    """Count a suite's tests, with xbce (`ours`) and without; return the counts, and what expected.toml does not say.

    A row of expected.toml is met by every test that its pattern matches: each fails, with the row's text in its error.
    One that says `varies` may pass, too: what it depends on is the processor.
    """
    rows = [row for row in expected if fnmatchcase(suite, row["suite"])]
    problems = [f"{suite}: {test} ran in one of the two runs only" for test in sorted(ours.keys() ^ theirs.keys())]
    failing: Counter[str] = Counter()
    anyway = 0
    for test, result in ours.items():
        row = next((row for row in rows if fnmatchcase(test, _pattern(row))), None)
        if result["outcome"] == "failed" and theirs.get(test, result)["outcome"] == "failed":
            anyway += 1
        elif result["outcome"] == "failed":
            failing[row["test"] if row else test] += 1
            if row is None:
                problems.append(f"{suite}: {test} fails, and expected.toml does not say why: {result['error']}")
            elif row["error"] not in result["error"]:
                problems.append(f"{suite}: {test} fails otherwise than expected.toml says: {result['error']}")
        elif row is not None and result["outcome"] == "passed" and not row.get("varies"):
            problems.append(f"{suite}: {test} passes, but expected.toml says that it fails")
    problems += [
        f"{suite}: there is no test {row['test']}, of which expected.toml says that it fails"
        for row in rows
        if not any(fnmatchcase(test, _pattern(row)) for test in ours)
    ]
    reach = sum(result["calls"] > 0 for result in ours.values())
    if not reach:
        problems.append(f"{suite}: no test calls xbce")
    counts = {
        "tests": len(ours),
        "reach": reach,
        **{key: _count(ours, key) for key in ("passed", "failed", "skipped")},
        "without": {key: _count(theirs, key) for key in ("passed", "failed", "skipped")},
        "anyway": anyway,
        "failing": dict(sorted(failing.items())),
    }
    return counts, problems


def _pattern(row: dict[str, Any]) -> str:
    return row["test"].replace("[", "[[]")  # a test's parameters, no set of characters


def _count(tests: dict[str, Any], outcome: str) -> int:
    return sum(result["outcome"] == outcome for result in tests.values())


def page(results: dict[str, Any], expected: list[dict[str, Any]]) -> str:
    """Return the page of the documentation."""
    lines = [(HERE / "page.md").read_text()]
    lines.append(
        "| suite | version | tests | call xbce | pass | fail with xbce only | fail with and without | skipped "
        "| without xbce: pass, fail, skipped |\n|---|---|---|---|---|---|---|---|---|\n"
    )
    for suite in (s.name for s in SUITES if s.name in results):
        r = results[suite]
        numbers = (r["tests"], r["reach"], r["passed"], r["failed"] - r["anyway"], r["anyway"], r["skipped"])
        without = ", ".join(str(n) for n in r["without"].values())
        lines.append(f"| {suite} | {r['version']} | {' | '.join(map(str, numbers))} | {without} |\n")
    lines.append("\n## What fails, and why\n\n| suite | test | fails | is | because |\n|---|---|---|---|---|\n")
    for row in expected:
        failing = {s: r["failing"][row["test"]] for s, r in results.items() if row["test"] in r["failing"]}
        failing = {suite: n for suite, n in failing.items() if fnmatchcase(suite, row["suite"])}
        if failing:
            suites = ", ".join(s.name for s in SUITES if s.name in failing)
            numbers = "/".join(str(n) for n in sorted(set(failing.values())))
            lines.append(f"| {suites} | `{row['test']}` | {numbers} | {row['is']} | {row['because']} |\n")
    return "".join(lines)


def main() -> int:
    """Run what is there, write the results and the page, and name what was not expected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kornia", type=Path, metavar="PATH", help="checkout of its sources")
    parser.add_argument("--torchvision", type=Path, metavar="PATH", help="checkout of its sources")
    parser.add_argument("--torchvision-python", metavar="PYTHON", help="interpreter that has torchvision")
    parser.add_argument("--suite", action="append", metavar="PATTERN", help="only these, as 'Keras*'")
    arguments = parser.parse_args()
    expected = tomllib.loads((HERE / "expected.toml").read_text())["expected"]
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    problems = []
    for suite in SUITES:
        if arguments.suite and not any(fnmatchcase(suite.name, pattern) for pattern in arguments.suite):
            continue
        python = arguments.torchvision_python if suite.peer == "torchvision" else sys.executable
        source = getattr(arguments, suite.peer, None)
        if suite.peer in ("kornia", "torchvision") and None in (source, python):
            sys.stdout.write(
                f"{suite.name}: skipped. Its wheel has no tests: give {suite.peer.upper()}_SOURCE, a checkout of its "
                "sources at the tag of its version. The page keeps the figures of the last run.\n"
            )
            continue
        source = source and source.resolve()
        theirs = run(suite, python, source, stand_in="")
        ours = run(suite, python, source, stand_in=suite.stand_in)
        counts, found = judge(suite.name, ours["tests"], theirs["tests"], expected)
        results[suite.name] = {"version": ours["version"], **counts}
        problems += found
        sys.stdout.write(f"{suite.name} {ours['version']}: {counts['passed']} passed, {counts['failed']} failed, ")
        sys.stdout.write(f"{counts['skipped']} skipped; {counts['reach']} call xbce\n")
    sys.stdout.writelines(f"not expected: {problem}\n" for problem in problems)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    PAGE.write_text(page(results, expected))
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
