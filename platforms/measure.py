"""Measures one platform: probe, suite and tests, each a process of its own under the variables of the platform."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from platforms.bochs import PROCESSOR, Bochs
from platforms.calls import LEVEL, all_jobs, answered, ask, undone
from platforms.condensed import Condensed, Tests, condense
from platforms.emulator import Emulator
from platforms.fetch import NoEmulator
from platforms.table import Platform
from xbce_conformance.judge.measure import results_of
from xbce_conformance.judge.runner import rows_of
from xbce_conformance.results.model import Results
from xbce_conformance.storage import digest

REPOSITORY = Path(__file__).parents[1]
TESTS = ("tests/special", "tests/api/test_loss.py", "tests/api/test_special_values.py", "tests/api/test_numbers.py")
"""Accuracy and special values of everything, for one library in minutes; `make test` has the rest."""
_INTERRUPTED = 130


class NotMeasured(Exception):  # noqa: N818
    """A platform cannot be measured here; the message says why."""


class Interrupted(Exception):  # noqa: N818
    """A run was stopped before its end, with nothing lost."""


class Bench:
    """Where platforms are measured: the folder of work, and what is measured."""

    def __init__(self, work: Path, *, dtypes: tuple[str, ...] = (), functions: tuple[str, ...] = ()) -> None:
        """Narrow the suite to dtypes and functions, for a trial."""
        self._work = work
        self._dtypes, self._functions = dtypes, functions
        self._narrowed = [f"--dtype={name}" for name in dtypes] + [f"--function={name}" for name in functions]
        self._emulator = Emulator(work / "aarch64", REPOSITORY / "constraints.txt")
        self._bochs = Bochs(work / "bochs", REPOSITORY / "constraints.txt")

    def facts(self, platform: Platform) -> tuple[dict[str, str], dict[str, str]]:
        """Return what a result depends on, and what the library lacks; raise NotMeasured where it cannot be."""
        try:
            if platform.played_by == "QEMU":
                self._emulator.install(platform.backend)
            if platform.played_by == "Bochs":
                self._bochs.install()
        except NoEmulator as reason:
            raise NotMeasured(str(reason)) from reason
        run = self._python(platform, ["-m", "platforms.probe", platform.backend])
        if run.returncode:
            if run.returncode == -signal.SIGILL:
                msg = f"the library ends at an instruction that this processor lacks: it is not at {platform.level}"
                raise NotMeasured(msg)
            raise NotMeasured(_last_line(run.stderr))
        facts = json.loads(run.stdout.splitlines()[-1])
        if platform.played_by == "Bochs":
            facts["processor"] = PROCESSOR
        symbols = sorted(set(re.findall(r"Symbols not found: \[(.*?)\]", run.stderr)))
        said = "".join(f"; symbols not found: {names.strip()}" for names in symbols)
        lacks = {name: reason + said for name, reason in facts.pop("lacks").items()}
        if facts["level"] != platform.level:
            msg = f"the library computes at {facts['level']}, not at {platform.level}"
            raise NotMeasured(msg)
        return facts, lacks

    def measure(self, platform: Platform, facts: dict[str, str], lacks: dict[str, str]) -> Condensed:
        """Return what the platform came to; an earlier run that was interrupted goes on."""
        folder = self._work / f"{platform.slug}-{digest(f'{key} {facts[key]}'.encode() for key in sorted(facts))}"
        suite = self._suite_in_bochs if platform.played_by == "Bochs" else self._suite
        results = suite(platform, folder, lacks)
        return Condensed(
            **_described(platform),
            facts=facts,
            absent="",
            lacks=lacks | ({"other functions": "emulated, they take hours"} if platform.functions else {}),
            tests=None if platform.played_by else self._tests(platform, folder),
            rows=condense(results),
        )

    def _suite(self, platform: Platform, folder: Path, lacks: dict[str, str]) -> Results:
        dtypes = [f"--dtype={name}" for name in ("float16", "bfloat16", "float32", "float64") if name not in lacks]
        narrowed = self._narrowed + (dtypes if lacks else []) + [f"--function={name}" for name in platform.functions]
        checkpoint = folder / f"checkpoint-{digest(text.encode() for text in narrowed)}"
        command = ["-m", "xbce_conformance", "run", "--subject=xbce", "--part=samples"]
        command += [f"--backend={platform.backend}", *narrowed]
        command += [f"--exact-values={self._work / 'exact-values'}", f"--checkpoint={checkpoint}"]
        report = folder / "report" / "results.json"
        report.unlink(missing_ok=True)
        run = self._python(platform, [*command, f"--out={report.parent}"], log=folder / "suite.log")
        if run.returncode == _INTERRUPTED:
            raise Interrupted
        if run.returncode not in (0, 1) or not report.exists():
            log = (folder / "suite.log").read_text("utf-8") if (folder / "suite.log").exists() else ""
            raise NotMeasured("; ".join([*map(": ".join, lacks.items())]) or _last_line(log))
        return Results.read(report)

    def _suite_in_bochs(self, platform: Platform, folder: Path, lacks: dict[str, str]) -> Results:
        """Have the computer make the calls of xbce, and judge here what comes of them."""
        todo = [job for job in all_jobs(platform.backend, self._dtypes, self._functions) if job.dtype not in lacks]
        names = "\n".join(f"{job}" for job in todo)
        asked, answers = (folder / f"{name}-{digest([names.encode()])}" for name in ("asked", "answers"))
        judge = partial(rows_of, level=LEVEL, exact_values=self._work / "exact-values")
        ask(todo, asked, judge)
        if left := undone(todo, answers):
            given = [f"--dtype={name}" for name in dict.fromkeys(job.dtype for job in todo)]
            given += [f"--function={name}" for name in self._functions]
            given += [f"--without={number}" for number in range(len(todo)) if number not in left]
            command = ["-m", "platforms.calls", platform.backend, "/work/asked", "/work/out/answers", *given]
            run = self._in_bochs(command, {"asked": asked}, answers)
            if run.returncode:
                raise NotMeasured(_last_line(run.stderr))
        rows = [row for job in answered(todo, asked, answers) for row in judge(job)]
        return results_of(todo, rows, LEVEL, {})

    def _in_bochs(
        self, arguments: list[str], given: dict[str, Path], answers: Path | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run Python in the computer; what it answers is put into a folder, also where it is interrupted."""
        out = self._work / "bochs" / "out"
        code = {name: REPOSITORY / name for name in ("xbce", "conformance/xbce_conformance", "platforms")}
        shutil.rmtree(out, ignore_errors=True)  # what is there is of another run
        try:
            number = self._bochs.python(arguments, code, given, out)
        except NoEmulator as reason:
            raise NotMeasured(str(reason)) from reason
        finally:
            if answers is not None:
                answers.mkdir(parents=True, exist_ok=True)
                for file in (out / "answers").glob("*.npz"):
                    shutil.copy(file, answers)
        printed, errors = ((out / name).read_text("utf-8") for name in ("stdout", "stderr"))
        return subprocess.CompletedProcess(arguments, number, printed, errors)

    def _tests(self, platform: Platform, folder: Path) -> Tests:
        report = folder / "tests.xml"
        if not report.exists():
            part = folder / "tests.part.xml"
            command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={part}", "-m", "not long",
                       "-k", platform.library, *TESTS]  # fmt: skip
            run = self._python(platform, command, log=folder / "tests.log")
            if run.returncode not in (0, 1):
                raise Interrupted
            part.replace(report)
        return read_tests(report)

    def _python(
        self, platform: Platform, arguments: list[str], log: Path | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run Python under the variables of the platform; what it prints goes to the log, or is returned."""
        if platform.played_by == "Bochs":
            return self._in_bochs(arguments, {})
        command, variables = [sys.executable], dict(os.environ)
        if platform.played_by == "QEMU":
            command, variables = self._emulator.python, self._emulator.environment(platform.backend)
        path = [str(REPOSITORY), str(REPOSITORY / "conformance"), variables.get("PYTHONPATH", "")]
        # PyTorch's compiler keeps what it made; other code of the same graph must not be taken for it.
        compiled = {"TORCHINDUCTOR_CACHE_DIR": str(self._work / "compiled" / platform.level)}
        variables |= compiled | platform.environment | {"PYTHONPATH": os.pathsep.join(filter(None, path))}
        run = partial(subprocess.run, command + arguments, env=variables, cwd=REPOSITORY, text=True, check=False)
        if log is None:
            return run(capture_output=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as stream:
            return run(stdout=stream, stderr=subprocess.STDOUT)


def nothing(platform: Platform, reason: str) -> Condensed:
    """Return what says that a platform could not be measured, and why."""
    return Condensed(**_described(platform), facts={}, absent=reason, lacks={}, tests=None, rows=[])


def read_tests(report: Path) -> Tests:
    """Return what a JUnit report of pytest says."""
    cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 - written by our own pytest
    skipped = [case for case in cases if case.find("skipped") is not None]
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    names = sorted(f"{case.get('classname')}::{case.get('name')}" for case in failed)
    return Tests(len(cases) - len(skipped) - len(failed), len(skipped), names)


def _described(platform: Platform) -> dict[str, Any]:
    return {
        "slug": platform.slug,
        "backend": platform.backend,
        "level": platform.level,
        "date": datetime.now(UTC).date().isoformat(),
        "environment": platform.environment,
    }


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if re.match(r"[\w.]*(Error|Exception|error)\b", line)]
    return lines[-1] if lines else f"it ended without an error: {text.strip()[-200:]}"
