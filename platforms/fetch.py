"""A folder of what a processor that is played needs, each part fetched once: nothing of this machine is changed.

apt fetches Debian's packages with lists and a status of its own; pip fetches wheels.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from xbce_conformance.storage import write_whole

PYTHON = ("python3.11", "libstdc++6", "libgomp1")
"""Debian's packages that Python and wheels for it need, besides what these need."""


class NoEmulator(Exception):  # noqa: N818
    """The processor cannot be played; the message says why."""


class Fetched:
    """The folder."""

    def __init__(self, folder: Path, constraints: Path) -> None:
        self.folder, self._constraints = folder, constraints

    def once(self, name: str, make: Callable[[], None], recipe: str = "") -> None:
        """Make a part of the folder, if that has not been done, by this recipe.

        What an attempt that did not end has left is removed: pip takes half a package for a whole one. The downloads
        of apt are in folders of their own, and stay.
        """
        done = self.folder / f"{name}.done"
        if not done.exists() or done.read_text("utf-8") != recipe:
            done.unlink(missing_ok=True)
            if (self.folder / name).exists():
                shutil.rmtree(self.folder / name)
            (self.folder / name).mkdir(parents=True)
            make()
            write_whole(done, recipe.encode())

    def debian(self, name: str, architecture: str, packages: Iterable[str]) -> None:
        """Unpack packages, and what they need, into the part `name`."""
        options = self.apt(f"apt-{name}", architecture)
        run(["apt-get", *options, "update"])
        run(["apt-get", *options, "install", "--yes", "--no-install-recommends", "--download-only", *packages])
        for package in sorted((self.folder / f"apt-{name}" / "cache" / "archives").glob("*.deb")):
            run(["dpkg", "--extract", str(package), str(self.folder / name)])

    def apt(self, name: str, architecture: str) -> list[str]:
        """Return options by which apt-get works in a folder, for a machine on which nothing is installed."""
        apt = self.folder / name
        for folder in ("lists/partial", "cache/archives/partial", "state"):
            (apt / folder).mkdir(parents=True, exist_ok=True)
        (apt / "state" / "status").touch()
        options = {
            "APT::Architecture": architecture,
            "APT::Architectures::": architecture,
            "APT::Update::Error-Mode": "any",  # else it takes lists that cannot be fetched for a success
            "Dir::State": apt / "state",
            "Dir::State::Lists": apt / "lists",
            "Dir::State::status": apt / "state" / "status",
            "Dir::Cache": apt / "cache",
        }
        return [text for option, value in options.items() for text in ("-o", f"{option}={value}")]

    def wheels(
        self,
        name: str,
        packages: Iterable[str],
        machine: str,
        *,
        alone: bool,
        other_versions: dict[str, str] | None = None,
    ) -> None:
        """Install packages into the part `name`, of the versions of constraints.txt or others.

        `alone` leaves out what they need, which pip chooses for the processor that it runs on.
        """
        others = other_versions or {}
        lines = self._constraints.read_text("utf-8").splitlines()
        lines = [line for line in lines if line.partition("==")[0] not in others]
        lines += [f"{package}=={version}" for package, version in others.items()]
        constraints = self.folder / "constraints.txt"
        constraints.write_text("\n".join(lines) + "\n", "utf-8")
        tags = [f"manylinux2014_{machine}", *(f"manylinux_2_{n}_{machine}" for n in range(17, 37))]
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary=:all:", "--implementation=cp"]
        command += ["--python-version=3.11", *(f"--platform={tag}" for tag in tags), *["--no-deps"] * alone]
        run([*command, f"--constraint={constraints}", f"--target={self.folder / name}", *packages])


def run(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command, and return what it prints."""
    try:
        done = subprocess.run(command, cwd=cwd, env=env, check=True, capture_output=True, text=True)  # noqa: S603
    except FileNotFoundError as error:
        msg = f"{command[0]} is not installed"
        raise NoEmulator(msg) from error
    except subprocess.CalledProcessError as error:
        msg = f"{' '.join(command[:3])} ...: {_reason(error.stderr, error.stdout) or f'exit code {error.returncode}'}"
        raise NoEmulator(msg) from error
    return done.stdout


def need(programs: Iterable[str], of_what: str) -> None:
    """Name all programs that are not installed."""
    if absent := [name for name in programs if shutil.which(name) is None]:
        msg = f"not installed, and needed {of_what}: {', '.join(absent)}"
        raise NoEmulator(msg)


def _reason(*streams: str) -> str:
    """Return the first and the last line that name an error, or else the last line; of streams, the first has a say.

    apt and make say first what is wrong and last that something is; others, the other way round.
    """
    every = [lines for text in streams if (lines := [line.strip() for line in text.splitlines() if line.strip()])]
    for lines in every:
        if errors := [line for line in lines if re.search(r"(?i:error)|\bE:", line)]:
            return "; ".join(dict.fromkeys((errors[0], errors[-1])))
    return every[0][-1] if every else ""
