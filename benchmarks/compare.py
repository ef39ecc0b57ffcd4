"""Measure xbce of another revision and of the working tree, and say what became slower, larger or less accurate.

    python benchmarks/compare.py REVISION [options of asv run]

Both are measured by the benchmarks of the working tree, one after the other, so that only xbce differs. Options choose
benchmarks, for instance ``--bench 'Elementwise.*numpy'``. Errors are compared, too: a formula that is faster and worse
shows as such.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from run import HERE, machine_here, measure

FACTOR = "1.15"
"""A change by less is noise."""


def _commit(name: str) -> str | None:
    """Return the commit that a name stands for."""
    command = ["git", "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip() or None


def main(revision: str, options: list[str]) -> int:
    old, new = (_commit(name) for name in (revision, "HEAD"))
    if old is None or new is None:
        sys.stderr.write(f"{revision!r} is no revision of this repository\n")
        return 2
    if old == new:
        sys.stderr.write(f"{revision!r} is the commit that is checked out: commit the changes, or name another one\n")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        git = ["git", "-C", str(HERE.parent), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), old], check=True)  # noqa: S603
        try:
            # The package of that revision, and the benchmarks and the suite of this one.
            (Path(folder) / "package").mkdir()
            (Path(folder) / "package" / "xbce").symlink_to(tree / "xbce")
            status = measure(old, options, {"PYTHONPATH": str(Path(folder) / "package")})
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)  # noqa: S603
    status = status or measure(new, options, {})
    if status:
        return status
    command = [sys.executable, "-m", "asv", "compare", "--config", str(HERE / "asv.conf.json")]
    command += ["--machine", machine_here()["machine"], "--only-changed", "--factor", FACTOR, old, new]
    return subprocess.run(command, env={"COLUMNS": "200", **os.environ}, check=False).returncode  # noqa: S603


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
