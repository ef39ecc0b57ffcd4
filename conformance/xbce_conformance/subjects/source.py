"""Which code a subject is: the digest of its files, and how a process that lives long gets the code of now."""

import ast
import importlib
import sys
import time
from collections.abc import Iterator
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from importlib.resources import files
from pathlib import Path

from xbce_conformance.storage import digest
from xbce_conformance.subjects.spec import is_spec
from xbce_conformance.subjects.user import entry_points

_STARTED = time.time()
"""What was imported from files that are older than this was imported as they are."""
_imported: dict[tuple[str, ...], str] = {}
"""Digest of modules as this process has imported them, or is to."""


@cache
def digest_of_packages(*names: str) -> str:
    """Return the digest of all code of packages of this project: a version stands for many states of it.

    It is computed once in a process, which imports them once.
    """
    folders = [Path(str(files(name))) for name in names]
    found = sorted(file for folder in folders for kind in ("*.py", "*.json") for file in folder.rglob(kind))
    return digest(file.read_bytes() for file in found)


def own_modules(subject: str, gradient: str | None = None) -> tuple[str, ...]:
    """Return the top modules of code of one's own; none for xbce and peers."""
    spec = entry_points().get(subject, subject)
    specs = [spec, *filter(None, [gradient])] if is_spec(spec) else []
    return tuple(dict.fromkeys(name.partition(":")[0].partition(".")[0] for name in specs))


def digest_of_modules(modules: tuple[str, ...]) -> str:
    """Return the digest of modules as they are on the disk, and of those beside them that they import.

    Of a package all files with code count; what modules import from elsewhere has a version.
    """
    found = [(name, file) for name, own in _files(modules).items() for file in own]
    return digest(part for name, file in found for part in (f"{name}/{file.name}".encode(), file.read_bytes()))


def import_anew(modules: tuple[str, ...], now: str) -> bool:
    """Forget modules that this process has imported in another state than `now`, their digest; tell whether so."""
    before = _imported.get(modules)
    _imported[modules] = now
    found = _files(modules)
    untouched = (file.stat().st_mtime < _STARTED for own in found.values() for file in own)
    if before == now or (before is None and all(untouched)):
        return False
    stale = [name for name in sys.modules if name.partition(".")[0] in found]
    for name in stale:
        del sys.modules[name]
    return bool(stale)


def _files(modules: tuple[str, ...]) -> dict[str, list[Path]]:
    """Return the files with code of top modules, and of those in the same folders that these import."""
    found: dict[str, list[Path]] = {}
    todo = list(modules)
    while todo:
        name = todo.pop()
        if name in found or (spec := _spec(name)) is None:
            continue
        folder = _folder(spec)
        found[name] = sorted(_code(spec))
        if folder is not None and not {"site-packages", "dist-packages"} & {*folder.parts}:
            beside = (other for file in found[name] for other in _imports(file))
            todo += [other for other in beside if (at := _spec(other)) is not None and _folder(at) == folder]
    return dict(sorted(found.items()))


def _spec(name: str) -> ModuleSpec | None:
    """Find a top module on the path, also where this process has imported another of its name."""
    importlib.invalidate_caches()
    return next((spec for finder in sys.meta_path if (spec := finder.find_spec(name, None)) is not None), None)


def _folder(spec: ModuleSpec) -> Path | None:
    """Return the folder that a top module lies in; None for one that has no file."""
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).parent
    return Path(spec.origin).parent if spec.has_location and spec.origin else None


def _code(spec: ModuleSpec) -> Iterator[Path]:
    """Yield the files of a top module."""
    if spec.submodule_search_locations is None:
        yield from [Path(spec.origin)] if spec.has_location and spec.origin else []
    for folder in spec.submodule_search_locations or ():
        yield from (file for file in Path(folder).rglob("*") if file.name.endswith((".py", *EXTENSION_SUFFIXES)))


def _imports(file: Path) -> set[str]:
    """Return the top modules that a file of Python names in imports."""
    try:
        nodes = list(ast.walk(ast.parse(file.read_bytes()))) if file.suffix == ".py" else []
    except SyntaxError:  # importing it says so
        return set()
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return {name.partition(".")[0] for name in names}
