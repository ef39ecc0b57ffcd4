"""Files of arrays: .npz, .npy, .safetensors, Parquet, and a named or numbered column of each."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from xbce_conformance.cases import PLAIN, Case
from xbce_conformance.data.arrays import BadData, Data
from xbce_conformance.inputs.formats import FORMATS

_SAFETENSORS = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}


def columns_of(file: Path) -> dict[str, Any]:
    """Return the arrays of a file by name, in its order; that of a .npy file is "0".

    Raises
    ------
    BadData
        If its kind is unknown, the library that reads it is absent, or it is damaged.
    OSError
        If it cannot be read.
    """
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        msg = f"{file} is no file of a known kind; one of {', '.join(_READERS)} is expected"
        raise BadData(msg)
    try:
        return reader(file)
    except OSError:
        raise
    except ImportError as error:
        msg = f"{file} needs {error.name}, which is not installed: pip install 'xbce-conformance[data]'"
        raise BadData(msg) from None
    except Exception as error:
        msg = f"{file} does not hold arrays as {file.suffix} does: {type(error).__name__}: {error}"
        raise BadData(msg) from error


def _npz(file: Path) -> dict[str, Any]:
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
        return dict(arrays)


def _npy(file: Path) -> dict[str, Any]:
    """Return the fields of a structured array, or the one array."""
    array = np.load(file, allow_pickle=False)
    return {name: array[name] for name in array.dtype.names} if array.dtype.names else {"0": array}


def _safetensors(file: Path) -> dict[str, Any]:
    import safetensors

    tensors = sorted(safetensors.deserialize(file.read_bytes()))  # type: ignore[no-untyped-call]
    return {name: _tensor(entry) for name, entry in tensors}


def _tensor(entry: Mapping[str, Any]) -> Any:
    name = entry["dtype"]
    if name in _SAFETENSORS:
        dtype = FORMATS[_SAFETENSORS[name]].dtype
    else:
        dtype = np.dtype(np.bool_) if name == "BOOL" else np.dtype(f"{name[0].lower()}{int(name[1:]) // 8}")
    return np.frombuffer(entry["data"], dtype).reshape(entry["shape"])


def _parquet(file: Path) -> dict[str, Any]:
    import pyarrow.parquet  # type: ignore[import-untyped]

    table = pyarrow.parquet.read_table(file)
    return {name: table[name].to_numpy() for name in table.column_names}


_READERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    ".npz": _npz,
    ".npy": _npy,
    ".safetensors": _safetensors,
    ".parquet": _parquet,
}
KINDS = tuple(_READERS)


def read_data(file: Path, names: Mapping[str, str | None], case: Case = PLAIN) -> Data:
    """Return the data set of a file; `names` are the columns of arguments, of weight and of where, if they have others.

    A column is a name, the position of one, or another file of one array. Without a name, an argument is the column of
    its own name, or else, in a .npy file, the one at its position: the one array of such a file is a table of columns,
    unless other arguments come from other files.
    """
    columns = columns_of(file)
    if not any(name and _is_file(name) for name in names.values()):
        columns = _columns_of_table(columns)
    wanted = (*case.arguments, "weight", "where")
    found = {name: _column(file, columns, name, names.get(name), case) for name in wanted}
    weight, where = (None if name in case.arguments else found.pop(name) for name in ("weight", "where"))
    return Data.of(found, name=file.name, weight=weight, where=where, case=case)


def _columns_of_table(columns: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of a table without names; other arrays as they are."""
    if [*columns] != ["0"] or columns["0"].ndim != 2:
        return columns
    return {str(i): column for i, column in enumerate(columns["0"].T)}


def _is_file(name: str) -> bool:
    return Path(name).suffix.lower() in _READERS and Path(name).exists()


def _column(file: Path, columns: Mapping[str, Any], argument: str, name: str | None, case: Case) -> Any:
    if name is not None:
        return _named(file, columns, argument, name)
    if argument in columns:
        return columns[argument]
    position = case.arguments.index(argument) if argument in case.arguments else None
    if position is None:
        return None  # neither weight nor mask
    numbered = all(known.isdecimal() for known in columns)
    if numbered and position < len(columns):
        return [*columns.values()][position]
    msg = f"{file} has no array {argument!r}; it has {', '.join(columns)}: name one with --{argument} NAME"
    raise BadData(msg)


def _named(file: Path, columns: Mapping[str, Any], argument: str, name: str) -> Any:
    if name in columns:
        return columns[name]
    if name.isdecimal() and int(name) < len(columns):
        return [*columns.values()][int(name)]
    if _is_file(name):
        others = columns_of(Path(name))
        if len(others) == 1 or argument in others:
            return others.get(argument, next(iter(others.values())))
        msg = f"--{argument}: {name} has {', '.join(others)}; one array, or one named {argument!r}, is expected"
        raise BadData(msg)
    msg = f"--{argument}: {file} has no array {name!r}; it has {', '.join(columns)}"
    raise BadData(msg)
