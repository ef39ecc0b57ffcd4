"""What a check comes to; the commands that checks run."""

import subprocess
from pathlib import Path


class Failed(Exception):  # noqa: N818
    """Something is wrong; the message says what."""


class NotSet(Exception):  # noqa: N818
    """Something is not known before the release, or before the first one; the message says what, and where it goes."""


def expect(condition: object, message: str) -> None:
    """Fail with the message, unless the condition holds."""
    if not condition:
        raise Failed(message)


def run(*command: str | Path, **options: str) -> str:
    """Run a command, and return what it prints; fail with what it says."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, cwd=options.get("cwd")
    )
    if done.returncode != 0:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        msg = f"{' '.join(map(str, command))[:120]} ended with {done.returncode}: {' | '.join(said[-5:])}"
        raise Failed(msg)
    return done.stdout
