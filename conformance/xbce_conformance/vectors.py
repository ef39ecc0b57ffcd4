"""Test vectors for other languages: inputs with their correctly rounded results, as text and as bits, in JSON.

Exact values come from ball arithmetic (`SeriesReference`), special ones from the table of the contract. The schema is
docs/vectors.schema.json of the repository; a line of a file is one vector, so that a reader needs no JSON library.
"""

import json
import math
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from xbce_conformance import contract
from xbce_conformance.cases import CASES, METHODS, Case
from xbce_conformance.exact_values.by_series import SeriesReference
from xbce_conformance.exact_values.exact import Exact, Reference
from xbce_conformance.exact_values.kept import KeptReference
from xbce_conformance.inputs.formats import FORMATS, Doubles, Floats, Format
from xbce_conformance.inputs.hard_cases import FUNCTIONS, worst_cases
from xbce_conformance.inputs.input_set import InputSet, drawn_set
from xbce_conformance.inputs.regimes import DRAWN
from xbce_conformance.invariance.report import expected
from xbce_conformance.measurement.measured import slug

VERSION = "2.0.0"
"""Of the vectors; docs/vectors.md of the repository says what raises which part, and has the changelog."""
SCHEMA_VERSION = 2
PER_REGIME = 200
"""Vectors per regime of a release."""
QUANTITIES = ("value", "gradient", "hessian", "label_gradient")


def exported() -> tuple[Case, ...]:
    """Return the cases that have vectors: all elementwise functions, with numbers as options."""
    return tuple(case for case in CASES if case.methods and DRAWN.keys().isdisjoint(case.arguments))


def export(
    folder: Path,
    per_regime: int = PER_REGIME,
    kept: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Write a file per case and format, worst cases, hashes.json, index.json and SHA256SUMS; return the paths.

    `kept` is a folder that exact values are kept in.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Of other numbers per regime the same ids are other vectors: that stands in the version, too.
    version = VERSION if per_regime == PER_REGIME else f"{VERSION}+{per_regime}-per-regime"
    versions = {"schema_version": SCHEMA_VERSION, "vectors_version": version}
    sums: dict[str, str] = {}

    def write(name: str, text: str) -> dict[str, str]:
        data = text.encode()
        (folder / name).write_bytes(data)
        sums[name] = sha256(data).hexdigest()
        return {"file": name, "sha256": sums[name]}

    files: list[dict[str, Any]] = []
    for case in exported():
        for fmt in FORMATS.values():
            head = {
                "function": case.function,
                "options": dict(case.options),
                "arguments": list(case.arguments),
                "dtype": fmt.name,
            }
            vectors = list(_vectors(case, fmt, per_regime, kept))
            written = write(f"{slug(case.name)}-{fmt.name}.json", _file({**versions, **head}, vectors))
            files.append({**written, **head, "vectors": len(vectors)})
            progress(written["file"])
    others = [write("hashes.json", json.dumps(expected(), indent=1) + "\n")]
    others += [write(f"{name}-float32.wc", lines) for name, lines in map(worst_cases, FUNCTIONS)]
    write("index.json", json.dumps({**versions, "files": files, "others": others}, indent=1) + "\n")
    (folder / "SHA256SUMS").write_bytes("".join(f"{digest}  {name}\n" for name, digest in sums.items()).encode())
    return [folder / name for name in (*sums, "SHA256SUMS")]


def _file(head: dict[str, Any], vectors: list[dict[str, Any]]) -> str:
    """Write JSON with one vector per line."""
    lines = ",\n".join(json.dumps(vector) for vector in vectors)
    return f'{json.dumps(head)[:-1]}, "vectors": [\n{lines}\n]}}\n'


# --- the vectors of one file ----------------------------------------------------------------------------------------


def _vectors(case: Case, fmt: Format, per_regime: int, kept: Path | None) -> Iterator[dict[str, Any]]:
    inputs = drawn_set(fmt, per_regime, case.regimes, case.arguments)
    exact = _exact(case, inputs, kept)
    results = {name: fmt.round_pair(e.high, e.low) for name, e in exact.items()}
    numbers = _written(inputs.arrays | _with_scales(results, {name: e.scale for name, e in exact.items()}, fmt), fmt)
    start = f"{slug(case.name)}/{fmt.name}"
    for regime, part in inputs.regimes.items():
        for i in range(part.start, part.stop):
            yield {
                "id": f"{start}/{regime.replace(' ', '-')}/{i - part.start}",
                **numbers[i],
                "regime": regime,
                "flags": _flags(inputs.arrays, exact, results, i, fmt),
            }
    for i, row in enumerate(contract.special_values(case.name)):
        arguments = {name: _of_table(row.arguments[name], fmt) for name in case.arguments}
        promised = {name: _of_table(text, fmt) for name in QUANTITIES if (text := getattr(row, name)) is not None}
        scales = {name: np.asarray(result, np.float64) for name, result in promised.items()}
        (written,) = _written(arguments | _with_scales(promised, scales, fmt), fmt)
        yield {"id": f"{start}/special/{i}", **written, "regime": "special", "flags": ["special"]}


def _exact(case: Case, inputs: InputSet, kept: Path | None) -> dict[str, Exact]:
    """Return the exact values of what the methods of a case return."""
    reference: Reference = SeriesReference(case.definition, case.arguments)
    if kept is not None:
        reference = KeptReference(reference, case.key, kept)
    exact: dict[str, Exact] = {}
    promised = {quantity for method in case.methods for quantity in METHODS[method]}
    quantities = [quantity for quantity in QUANTITIES if quantity in promised]
    for quantity in quantities:
        if quantity not in exact:
            exact |= reference.exact(quantity, tuple(inputs.arrays.values()))
    return {quantity: exact[quantity] for quantity in quantities}


def _of_table(text: str, fmt: Format) -> Floats:
    return fmt.round([contract.number(text, fmt)])


def _with_scales(results: dict[str, Floats], scales: dict[str, Doubles], fmt: Format) -> dict[str, Floats]:
    """Return results by name, each followed by its scale."""
    named: dict[str, Floats] = {}
    for name, result in results.items():
        named |= {name: result, f"{name}_scale": _towards_0(np.abs(scales[name]), fmt)}
    return named


def _towards_0(magnitudes: Doubles, fmt: Format) -> Floats:
    """Return magnitudes in a format, none larger than it was: its ULP is the same. Overflow is the largest number."""
    most = np.where(np.isinf(magnitudes), magnitudes, np.minimum(magnitudes, fmt.max))
    nearest = fmt.round(most)
    return fmt.from_bits(nearest.view(fmt.bits) - (np.float64(nearest) > most).astype(fmt.bits))


# --- as text --------------------------------------------------------------------------------------------------------


def _written(arrays: dict[str, Floats], fmt: Format) -> list[dict[str, str | bool]]:
    """Return the numbers of each element by name, in hexadecimal, and their bits."""
    digits = 2 + 2 * fmt.dtype.itemsize
    columns: dict[str, list[Any]] = {}
    for name, numbers in arrays.items():
        if name == "where":
            columns[name] = (numbers != 0).tolist()
        else:
            columns[name] = [_hex(x) for x in np.asarray(numbers, np.float64).tolist()]
            columns[f"{name}_bits"] = [f"{bits:#0{digits}x}" for bits in numbers.view(fmt.bits).tolist()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _hex(x: float) -> str:
    """Write a number as C's %a does, without zeros at the end."""
    if not math.isfinite(x):
        return str(x)
    mantissa, exponent = x.hex().split("p")
    whole, digits = mantissa.split(".")
    digits = digits.rstrip("0")
    return f"{whole}.{digits}p{exponent}" if digits else f"{whole}p{exponent}"


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
