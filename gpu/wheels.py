"""Installs missing packages from a folder of wheels, since a machine with a GPU may have no network."""

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

_LINES = Path(__file__).with_suffix(".txt").read_text("utf-8").splitlines()
_MODULES = {
    name: "flint" if name == "python-flint" else name.replace("-", "_") for name in _LINES if not name.startswith("#")
}
"""Maps a distribution to its module."""
_GIVEN = ("click", "jinja2", "matplotlib", "ml_dtypes", "numpy", "pytest", "rich", "sklearn")
"""Modules that must be installed: machines with a GPU have them, and their wheels are large."""


class NoWheel(Exception):  # noqa: N818
    """A package is missing, and there is no wheel of it."""


def missing() -> list[str]:
    """Return the distributions that cannot be imported here."""
    return [name for name, module in _MODULES.items() if importlib.util.find_spec(module) is None]


def install(folder: Path, site: Path) -> None:
    """Install missing packages from the wheels in `folder` into `site`; download nothing."""
    sys.path.append(str(site))
    importlib.invalidate_caches()
    absent = [module for module in _GIVEN if importlib.util.find_spec(module) is None]
    if absent:
        msg = f"{sys.executable} has no {', '.join(absent)}; `make test` makes an environment that has all"
        raise NoWheel(msg)
    names = missing()
    if not names:
        return
    wheels = [_wheel(folder, name) for name in names]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
    command += ["--root-user-action", "ignore"]
    subprocess.run([*command, "--target", str(site), *map(str, wheels)], check=True)  # noqa: S603
    importlib.invalidate_caches()


def _wheel(folder: Path, name: str) -> Path:
    found = sorted(folder.glob(f"{name.replace('-', '_')}-*.whl"))
    if not found:
        msg = f"{name} is not installed, and {folder} has no wheel of it; `make gpu-wheels` fetches it beforehand"
        raise NoWheel(msg)
    return found[-1]
