"""`python -m release`: everything about a release that a machine can check, before it is one.

Exit code 0: ready. 1: something is wrong, or not set yet; with --rehearse what is not set is named and lets it pass.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from release import distributions, environments, facts
from release.outcome import Failed, NotSet

ROOT = Path(__file__).parents[1]


def main() -> int:
    """Run all checks; each says what it found, and none stops the others but a build that fails."""
    parser = argparse.ArgumentParser(prog="make release-check", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rehearse", action="store_true", help="pass with what only a release sets")
    parser.add_argument("--extra", action="append", choices=environments.EXTRAS, help="install this extra only")
    parser.add_argument("--no-extras", action="store_true", help="install no extra: they take gigabytes")
    parser.add_argument("--tag", help="the tag that is to be released: v and the version")
    parser.add_argument("--dist", type=Path, help="keep what is built in this folder, which must be empty")
    arguments = parser.parse_args()
    extras = () if arguments.no_extras else tuple(arguments.extra or environments.EXTRAS)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        out = arguments.dist or work / "dist"
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            parser.error(f"{out} is not empty")
        version = facts.version(ROOT)
        checks: dict[str, Callable[[], str]] = {
            "clean tree": lambda: facts.clean_tree(ROOT),
            "versions": lambda: facts.versions(ROOT),
            **({"tag": lambda: facts.tag(ROOT, arguments.tag)} if arguments.tag else {}),
            "changelog": lambda: facts.changelog(ROOT),
            "addresses": lambda: facts.addresses(ROOT),
            "build": lambda: distributions.build(ROOT, out),
            "twine": lambda: distributions.twine_check(out),
            "contents": lambda: distributions.contents(ROOT, out, version),
            "NumPy alone": lambda: environments.alone(ROOT, out, work),
            **{f"extra {name}": lambda name=name: environments.with_extra(name, out, work) for name in extras},  # type: ignore[misc]
        }
        outcomes = _run_all(checks)
    return report(outcomes, rehearse=arguments.rehearse)


def _run_all(checks: dict[str, Callable[[], str]]) -> dict[str, str]:
    """Return of each check "ok", "not set" or "FAILED"; print what it found at once."""
    outcomes = {}
    for name, check in checks.items():
        start = time.monotonic()
        try:
            outcome, text = "ok", check()
        except NotSet as reason:
            outcome, text = "not set", str(reason)
        except Failed as error:
            outcome, text = "FAILED", str(error)
        outcomes[name] = outcome
        _say(f"{outcome:<8} {name}: {text} ({time.monotonic() - start:.0f} s)")
        if name == "build" and outcome == "FAILED":
            break
    return outcomes


def report(outcomes: dict[str, str], *, rehearse: bool) -> int:
    """Print what it comes to, and return the exit code."""
    for outcome in ("FAILED", "not set"):
        names = [name for name, found in outcomes.items() if found == outcome]
        if names:
            _say(f"{outcome}: {', '.join(names)}")
    failed = "FAILED" in outcomes.values()
    ready = not failed and (rehearse or "not set" not in outcomes.values())
    _say("What a machine cannot check is in docs/releasing.md." if ready else "Not ready.")
    return 0 if ready else 1


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
