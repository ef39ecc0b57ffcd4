"""Texts that name a subject of one's own, `module:callable` or `folder/module.py:callable`, and what they name."""

import importlib
import keyword
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

_SHOWN = 8
"""So many callables of a module are named where none is asked for."""


class BadSubject(Exception):  # noqa: N818
    """A subject cannot be loaded or called; the message says why."""


class BadOption(BadSubject):
    """The subject is named, or is to be called, in a way that cannot be: another option is to be given."""


@dataclass(frozen=True)
class Named:
    """What a text names."""

    module: str
    attribute: str
    """Name of the object in the module, with dots where it is an attribute of another."""
    value: Any

    @property
    def spec(self) -> str:
        """The text that names it by its module, as processes of other folders import it."""
        return f"{self.module}:{self.attribute}"

    @property
    def path(self) -> str:
        """The expression of it, after the import of its module."""
        return f"{self.module}.{self.attribute}"


def is_spec(text: str) -> bool:
    """Tell whether a name of a subject is `module:callable`."""
    return ":" in text


def is_name(text: str) -> bool:
    """Tell whether a text can be a name in Python."""
    return text.isidentifier() and not keyword.iskeyword(text)


def closest(name: str, known: Iterable[str]) -> list[str]:
    """Return the known name that is closest, if one is close; dashes and case do not make names alike or unlike."""
    plain = {each.strip("-").lower(): each for each in known}
    return [plain[each] for each in get_close_matches(name.strip("-").lower(), plain, n=1)]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question to end a message with, if one of the known names is close; otherwise nothing."""
    close = closest(name, known)
    return f"; did you mean {close[0]!r}?" if close else ""


def resolve(spec: str) -> Named:
    """Import the module of a text, and find its object.

    The folder of a file is put on the path, and the file is imported by its stem, as any other module.

    Raises
    ------
    BadSubject
        If the text is malformed, the module cannot be imported, for whatever reason, or has no such object.
    """
    place, colon, attribute = spec.rpartition(":")
    if not colon:
        raise _bad(spec, "it is not MODULE:CALLABLE")
    if not place:
        raise _bad(spec, "it names no module; MODULE:CALLABLE is expected")
    if place.endswith(".py"):
        module, found = _import_file(spec, Path(place))
    else:
        if ":" in place:
            raise _bad(spec, "it has more than one colon; MODULE:CALLABLE is expected")
        if not all(map(is_name, place.split("."))):
            raise _bad(
                spec, f"{place} is neither a module, such as package.module, nor a file, such as folder/module.py"
            )
        _go_first(Path.cwd())  # as `python -m` has it: a console script has not
        module, found = place, _import(spec, place)
    if not attribute:
        own = [name for name, value in vars(found).items() if _is_own(name, value, found)]
        shown = f"; {module} has {', '.join(own[:_SHOWN])}" if own else ""
        raise _bad(spec, f"it names no callable{shown}")
    return Named(module, attribute, _attribute(spec, found, attribute))


def _bad(spec: str, reason: str) -> BadSubject:
    return BadSubject(f"{spec}: {reason}")


def _is_own(name: str, value: Any, module: ModuleType) -> bool:
    """Tell whether it is a public callable that the module itself defines."""
    return not name.startswith("_") and callable(value) and getattr(value, "__module__", None) == module.__name__


def _attribute(spec: str, module: ModuleType, attribute: str) -> Any:
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            name = getattr(found, "__name__", found)
            raise _bad(spec, f"{name} has no attribute {part!r}{did_you_mean(part, dir(found))}")
        found = getattr(found, part)
    return found


# --- importing ------------------------------------------------------------------------------------------------------


def _go_first(folder: Path) -> None:
    """Put a folder on the path, unless it is there."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _import_file(spec: str, file: Path) -> tuple[str, ModuleType]:
    if not file.is_file():
        others = [path.name for path in file.parent.glob("*.py")]
        raise _bad(spec, f"there is no file {file}{did_you_mean(file.name, others)}")
    if not is_name(file.stem):
        raise _bad(spec, f"{file.stem} cannot be the name of a module: rename the file")
    _go_first(file.resolve().parent)
    found = _import(spec, file.stem)
    where = getattr(found, "__file__", None)
    if where is None or Path(where).resolve() != file.resolve():
        raise _bad(spec, f"there is another module {file.stem} ({where or 'built in'}): rename the file")
    return file.stem, found


def _import(spec: str, module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever it raises, SystemExit too, is what is wrong with it
        raise _bad(spec, f"{module} cannot be imported: {_said(error, module)}") from error


def _said(error: BaseException, module: str) -> str:
    """Return in one line what an import raised, and where."""
    text = " ".join(str(error).split())
    if isinstance(error, ModuleNotFoundError) and error.name == module:
        return text + did_you_mean(module, (path.stem for path in Path.cwd().glob("*.py")))
    if isinstance(error, ImportError):
        return text
    place = ""
    if not isinstance(error, SyntaxError):  # it says itself where
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f" ({Path(last.filename).name}, line {last.lineno})"
    return f"{type(error).__name__}{': ' * bool(text)}{text}{place}"
