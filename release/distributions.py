"""Source distributions and wheels of both: built as for an index, and what is in them."""

import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

from release.outcome import expect, run

PACKAGES = {"xbce": ("xbce", "."), "xbce-conformance": ("xbce_conformance", "conformance")}
"""The package and the folder of each distribution."""
_BESIDE_PACKAGE = {"xbce": {"CHANGELOG.md", "CITATION.cff", "docs"}, "xbce-conformance": set()}
"""What a source distribution has besides the package and what every one has."""
_ALWAYS = {"LICENSE", "PKG-INFO", "README.md", "pyproject.toml", ".gitignore"}


def build(root: Path, out: Path) -> str:
    """Build the source distribution of each, and its wheel from that, in environments of their own."""
    for _, folder in PACKAGES.values():
        run(sys.executable, "-m", "build", "--outdir", out, root / folder)
    built = sorted(path.name for path in out.iterdir())
    expect(len(built) == 4, f"built: {', '.join(built)}")
    return ", ".join(f"{name} ({(out / name).stat().st_size / 1e6:.1f} MB)" for name in built)


def twine_check(out: Path) -> str:
    """Have twine check the metadata and that the description can be shown."""
    run(sys.executable, "-m", "twine", "check", "--strict", *sorted(out.iterdir()))
    return "passed"


def wheel_of(out: Path, name: str) -> Path:
    """Return the wheel of a distribution."""
    (found,) = out.glob(f"{PACKAGES[name][0]}-*.whl")
    return found


def contents(root: Path, out: Path, version: str) -> str:
    """Check what is in wheels and source distributions: the package as committed, its license, and nothing else."""
    counts = []
    for name in PACKAGES:
        counts.append(f"{name}: {_check_wheel(root, wheel_of(out, name), name, version)} files in the wheel")
        counts.append(f"{_check_source(root, out, name, version)} in the source distribution")
    return ", ".join(counts)


def _committed(root: Path, name: str) -> set[str]:
    """Return the files of a package that git has, below the folder of its distribution."""
    package, folder = PACKAGES[name]
    listed = run("git", "ls-files", "-z", package, cwd=str(root / folder)).split("\0")
    return {path for path in listed if path}


def _check_wheel(root: Path, wheel: Path, name: str, version: str) -> int:
    package, _ = PACKAGES[name]
    with zipfile.ZipFile(wheel) as archive:
        names = {entry for entry in archive.namelist() if not entry.endswith("/")}
        info = f"{package}-{version}.dist-info"
        metadata = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
    inside = {entry for entry in names if not entry.startswith(f"{info}/")}
    _compare(wheel.name, inside, _committed(root, name))
    for required in (f"{package}/py.typed", f"{info}/licenses/LICENSE"):
        expect(required in names, f"{wheel.name} lacks {required}")
    expect(metadata["Version"] == version, f"{wheel.name} says that its version is {metadata['Version']}")
    expect(metadata["License-Expression"] == "BSD-3-Clause", f"{wheel.name} has no License-Expression")
    return len(names)


def _check_source(root: Path, out: Path, name: str, version: str) -> int:
    package, _ = PACKAGES[name]
    archive_name = f"{package}-{version}"
    with tarfile.open(out / f"{archive_name}.tar.gz") as archive:
        names = {entry.name.removeprefix(f"{archive_name}/") for entry in archive.getmembers() if entry.isfile()}
    inside = {entry for entry in names if entry.startswith(f"{package}/")}
    _compare(f"{archive_name}.tar.gz", inside, _committed(root, name))
    others = {entry.partition("/")[0] for entry in names} - {package}
    expected = _ALWAYS | _BESIDE_PACKAGE[name]
    expect(others <= expected, f"{archive_name}.tar.gz has {', '.join(sorted(others - expected))}, too")
    missing = expected - others - {".gitignore"}
    expect(not missing, f"{archive_name}.tar.gz lacks {', '.join(sorted(missing))}")
    return len(names)


def _compare(archive: str, found: set[str], committed: set[str]) -> None:
    for what, names in (("lacks", committed - found), ("has what is not committed:", found - committed)):
        expect(not names, f"{archive} {what} {', '.join(sorted(names)[:5])}")
