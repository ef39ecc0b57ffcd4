"""Test vectors for other languages: inputs with their correctly rounded results, in hexadecimal JSON.

Exact values come from ball arithmetic (`SeriesReference`), special ones from the table of the contract. The schema is
docs/vectors.schema.json; a line of a file is one vector, so that a reader needs no JSON library.
"""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from xbce_conformance import contract
from xbce_conformance.cases import CASES, METHODS, Case
from xbce_conformance.exact_values.by_series import SeriesReference
from xbce_conformance.exact_values.exact import Exact
from xbce_conformance.inputs.formats import FORMATS, Floats, Format
from xbce_conformance.inputs.hard_cases import FUNCTIONS, worst_cases
from xbce_conformance.inputs.input_set import drawn_set
from xbce_conformance.inputs.regimes import DRAWN
from xbce_conformance.invariance.report import expected
from xbce_conformance.measurement.measured import slug

VERSION = 1
"""Raised whenever a vector of the same id changes."""
PER_REGIME = 12
QUANTITIES = ("value", "gradient", "hessian", "label_gradient")


def exported() -> tuple[Case, ...]:
    """Return the cases that have vectors: all elementwise functions, with numbers as options."""
    return tuple(case for case in CASES if case.methods and DRAWN.keys().isdisjoint(case.arguments))


def export(folder: Path, progress: Callable[[str], None] = lambda _: None) -> list[Path]:
    """Write a file per case and format, worst cases, hashes.json and index.json; return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    index: list[dict[str, Any]] = []
    paths = []
    for case in exported():
        for fmt in FORMATS.values():
            vectors = list(_vectors(case, fmt))
            path = folder / f"{slug(case.name)}-{fmt.name}.json"
            path.write_text(_file(case, fmt, vectors), "utf-8")
            paths.append(path)
            index.append({"file": path.name, **_head(case, fmt), "vectors": len(vectors)})
            progress(path.name)
    text = json.dumps({"schema_version": VERSION, "files": index}, indent=1)
    (folder / "index.json").write_text(text + "\n", "utf-8")
    (folder / "hashes.json").write_text(json.dumps(expected(), indent=1) + "\n", "utf-8")
    for quantity in FUNCTIONS:
        function, lines = worst_cases(quantity)
        paths.append(folder / f"{function}-float32.wc")
        paths[-1].write_text(lines, "utf-8")
    return [folder / "index.json", folder / "hashes.json", *paths]


def _head(case: Case, fmt: Format) -> dict[str, Any]:
    return {
        "function": case.function,
        "options": dict(case.options),
        "arguments": list(case.arguments),
        "dtype": fmt.name,
    }


def _file(case: Case, fmt: Format, vectors: list[dict[str, Any]]) -> str:
    """Write JSON with one vector per line."""
    head = json.dumps({"schema_version": VERSION, **_head(case, fmt)})
    lines = ",\n".join(json.dumps(vector) for vector in vectors)
    return f'{head[:-1]}, "vectors": [\n{lines}\n]}}\n'


def _vectors(case: Case, fmt: Format) -> Iterator[dict[str, Any]]:
    inputs = drawn_set(fmt, PER_REGIME, case.regimes, case.arguments)
    arrays = tuple(inputs.arrays.values())
    reference = SeriesReference(case.definition, case.arguments)
    exact: dict[str, Exact] = {}
    for quantity in dict.fromkeys(q for method in case.methods for q in METHODS[method]):
        if quantity not in exact:
            exact |= reference.exact(quantity, arrays)
    exact = {name: e for name, e in exact.items() if _promised(case, name)}
    rounded = {name: fmt.round_pair(e.high, e.low) for name, e in exact.items()}
    for regime, part in inputs.regimes.items():
        for i in range(part.start, part.stop):
            yield {
                "id": f"{slug(case.name)}/{fmt.name}/{regime.replace(' ', '-')}/{i - part.start}",
                **{name: _argument(name, array[i]) for name, array in inputs.arrays.items()},
                **{name: _hex(results[i]) for name, results in rounded.items()},
                "regime": regime,
                "flags": _flags(inputs.arrays, exact, rounded, i, fmt),
            }
    for i, row in enumerate(contract.special_values(case.name)):
        numbers = {name: fmt.round(contract.number(row.arguments[name], fmt)) for name in case.arguments}
        promised = {name: text for name in QUANTITIES if (text := getattr(row, name)) is not None}
        yield {
            "id": f"{slug(case.name)}/{fmt.name}/special/{i}",
            **{name: _argument(name, number) for name, number in numbers.items()},
            **{name: _hex(fmt.round(contract.number(text, fmt))) for name, text in promised.items()},
            "regime": "special",
            "flags": ["special"],
        }


def _promised(case: Case, quantity: str) -> bool:
    return any(quantity in METHODS[method] for method in case.methods)


def _hex(x: Any) -> str:
    return float(x).hex() if math.isfinite(x) else str(float(x))


def _argument(name: str, x: Any) -> str | bool:
    return bool(x) if name == "where" else _hex(x)


def _flags(
    arrays: dict[str, Floats],
    exact: dict[str, Exact],
    rounded: dict[str, Floats],
    i: int,
    fmt: Format,
) -> list[str]:
    """Say what a reader may want to leave out, or to judge by another scale."""
    flags = []
    if "labels" in arrays:
        flags.append("hard" if arrays["labels"][i] in (0, 1) else "soft")
    if any(0 < abs(float(array[i])) < fmt.tiny for name, array in arrays.items() if name != "where"):
        flags.append("subnormal argument")
    for name, results in rounded.items():
        result, scale = abs(float(results[i])), abs(float(exact[name].scale[i]))
        if 0 < result < fmt.tiny:
            flags.append(f"{name} subnormal")
        if result == 0:
            flags.append(f"{name} zero")
        if math.isinf(result) and math.isfinite(exact[name].high[i]):
            flags.append(f"{name} overflows")
        if scale > 2 * abs(float(exact[name].high[i])):
            flags.append(f"{name} cancels")
    return flags
