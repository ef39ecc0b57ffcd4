"""An aarch64 processor that QEMU plays, with Python and wheels for it, in a folder: nothing of this machine is changed.

apt fetches Python for arm64, and QEMU, with lists and a status of its own; pip fetches wheels for aarch64.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

DEBIAN = ("python3.11", "libstdc++6", "libgomp1")
"""Debian's packages for arm64, besides what they need."""
PACKAGES = {
    "numpy": ("numpy", "ml_dtypes"),
    "torch:cpu": ("torch", "sympy", "networkx", "filelock", "fsspec", "mpmath", "typing_extensions"),
    "jax": ("jax", "jaxlib", "opt_einsum"),
}
"""What a backend needs; NumPy's are needed by all."""
SUITE = ("array-api-compat", "click", "distributed", "jinja2", "matplotlib", "python-flint", "rich", "scikit-learn")
OTHER_VERSIONS = {"torch": "2.9.1"}
"""Where the version of constraints.txt has no wheel for aarch64 that does without CUDA."""
_MANYLINUX = ("manylinux2014_aarch64", *(f"manylinux_2_{n}_aarch64" for n in range(17, 37)))


class NoEmulator(Exception):  # noqa: N818
    """The processor cannot be played; the message says why."""


class Emulator:
    """The folder."""

    def __init__(self, folder: Path, constraints: Path) -> None:
        self._folder, self._constraints = folder, constraints

    @property
    def python(self) -> list[str]:
        """The command that is Python there."""
        root = self._folder / "root"
        return [str(self._folder / "qemu" / "usr" / "bin" / "qemu-aarch64-static"), "-L", str(root),
                str(root / "usr" / "bin" / "python3.11")]  # fmt: skip

    def environment(self, backend: str) -> dict[str, str]:
        """Return variables for Python there, with the path of its packages; without settings for this processor."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith("OPENBLAS_")}
        path = [str(self._folder / f"site-{part.partition(':')[0]}") for part in ("suite", "numpy", backend)]
        return kept | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(path)), "OPENBLAS_NUM_THREADS": "1"}

    def install(self, backend: str) -> None:
        """Fetch what is not there yet."""
        self._once("root", self._unpack_root)
        self._once("qemu", self._unpack_qemu)
        self._once("site-suite", partial(self._wheels, "site-suite", SUITE, alone=False))
        for name in dict.fromkeys(("numpy", backend)):
            folder = f"site-{name.partition(':')[0]}"
            self._once(folder, partial(self._wheels, folder, PACKAGES[name], alone=True))

    def _once(self, name: str, make: Callable[[], None]) -> None:
        done = self._folder / f"{name}.done"
        if not done.exists():
            (self._folder / name).mkdir(parents=True, exist_ok=True)
            make()
            done.touch()

    def _unpack_root(self) -> None:
        apt = self._folder / "apt"
        for folder in ("lists/partial", "cache/archives/partial", "state"):
            (apt / folder).mkdir(parents=True, exist_ok=True)
        (apt / "state" / "status").touch()
        options = {
            "APT::Architecture": "arm64",
            "APT::Architectures::": "arm64",
            "Dir::State": apt / "state",
            "Dir::State::Lists": apt / "lists",
            "Dir::State::status": apt / "state" / "status",
            "Dir::Cache": apt / "cache",
        }
        own = [text for name, value in options.items() for text in ("-o", f"{name}={value}")]
        _run(["apt-get", *own, "update"])
        _run(["apt-get", *own, "install", "--yes", "--no-install-recommends", "--download-only", *DEBIAN])
        for package in sorted((apt / "cache" / "archives").glob("*.deb")):
            _run(["dpkg", "--extract", str(package), str(self._folder / "root")])

    def _unpack_qemu(self) -> None:
        folder = self._folder / "qemu"
        _run(["apt-get", "download", "qemu-user-static"], cwd=folder)
        for package in folder.glob("*.deb"):
            _run(["dpkg", "--extract", str(package), str(folder)])
            package.unlink()

    def _wheels(self, folder: str, packages: tuple[str, ...], *, alone: bool) -> None:
        """Install packages; `alone` without what they need, which pip chooses for the processor that it runs on."""
        lines = self._constraints.read_text("utf-8").splitlines()
        lines = [line for line in lines if line.partition("==")[0] not in OTHER_VERSIONS]
        lines += [f"{name}=={version}" for name, version in OTHER_VERSIONS.items()]
        constraints = self._folder / "constraints.txt"
        constraints.write_text("\n".join(lines) + "\n", "utf-8")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary=:all:", "--implementation=cp"]
        command += ["--python-version=3.11", *(f"--platform={tag}" for tag in _MANYLINUX), *["--no-deps"] * alone]
        _run([*command, f"--constraint={constraints}", f"--target={self._folder / folder}", *packages])


def _run(command: list[str], cwd: Path | None = None) -> None:
    try:
        subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)  # noqa: S603 - our own commands
    except FileNotFoundError as error:
        msg = f"{command[0]} is not installed"
        raise NoEmulator(msg) from error
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout).strip().splitlines()
        msg = f"{' '.join(command[:3])} ...: {lines[-1] if lines else f'exit code {error.returncode}'}"
        raise NoEmulator(msg) from error
