"""The readers of test vectors in C, Rust and JavaScript: what they pass, what they find, and that they never pass over.

Each is compiled and run where its toolchain is.
"""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from xbce_conformance.vectors import export

DOCS = Path(__file__).parents[2] / "docs"


@dataclass(frozen=True)
class Reader:
    """A reader of the documentation."""

    name: str
    lines: int
    """As the documentation says."""
    tool: str
    package: str
    """What Debian calls it."""
    compiler: tuple[str, ...]
    """Arguments between source and program; none where nothing is compiled."""
    faults: tuple[tuple[str, str], ...]
    """Pieces of its loss and gradient, and what makes them wrong."""
    libraries: tuple[str, ...] = ()

    @property
    def source(self):
        return (DOCS / self.name).read_text("utf-8")

    def __str__(self):
        return self.name


READERS = (
    Reader(
        "check_vectors.c",
        59,
        "cc",
        "gcc",
        ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-o"),
        (
            ("log1p(exp(-fabs(x)))", "log(1 + exp(-fabs(x)))"),
            ("w == 0 ? 0 : x * w) + log1p(", "x * w) + log1p("),
            ("log1pf(expf(-fabsf(x)))", "log1pf(expf(-fabsf(x))) * 1.000001f"),
            ("x >= 0 ? 1 - z - small", "x >= 0 ? 1 / (1 + e) - z"),
        ),
        ("-lm",),
    ),
    Reader(
        "check_vectors.rs",
        58,
        "rustc",
        "rustc",
        ("-O", "-D", "warnings", "-o"),
        (
            ("x * w }) + (-x.abs()).exp().ln_1p()", "x * w }) + (1.0 + (-x.abs()).exp()).ln()"),
            ("if w == 0.0 { 0.0 } else { x * w }", "x * w"),
            ("if x >= 0.0 { 1.0 - z - small }", "if x >= 0.0 { 1.0 / (1.0 + e) - z }"),
        ),
    ),
    Reader(
        "check_vectors.mjs",
        59,
        "node",
        "nodejs",
        (),
        (
            ("Math.log1p(Math.exp(-Math.abs(x)))", "Math.log(1 + Math.exp(-Math.abs(x)))"),
            ("w === 0 ? 0 : x * w", "x * w"),
            ("x >= 0 ? 1 - z - small", "x >= 0 ? 1 / (1 + e) - z"),
        ),
    ),
)
readers = pytest.mark.parametrize("reader", READERS, ids=str)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("vectors")
    export(path, per_regime=20)
    return path


def files_of(folder):
    return [folder / f"binary_cross_entropy_with_logits-{name}.json" for name in ("float32", "float64")]


def check(reader, folder, files, source=None):
    """Run a reader, or one with other text, on files."""
    tool = shutil.which(reader.tool)
    if tool is None:
        pytest.skip(f"{reader.tool} is not here: apt install {reader.package}")
    text = source or reader.source
    program = folder / sha256(text.encode()).hexdigest() / reader.name
    compiled = program.with_suffix("")
    if not program.parent.exists():
        program.parent.mkdir()
        program.write_text(text, "utf-8")
        if reader.compiler:
            subprocess.run([tool, program, *reader.compiler, compiled, *reader.libraries], check=True)
    command = [compiled] if reader.compiler else [tool, program]
    return subprocess.run([*command, *files], capture_output=True, text=True, check=False)


@readers
def test_lengths_are_those_of_the_documentation(reader):
    text = (DOCS / "vectors.md").read_text("utf-8")
    assert len(reader.source.splitlines()) == reader.lines < 60
    assert f"[{reader.name}]({reader.name}) | {reader.lines} |" in text
    assert reader.source.splitlines()[0].endswith(("FILE.json...", "FILE.json... */"))


@readers
def test_right_results_pass_and_are_counted(reader, folder):
    result = check(reader, folder, files_of(folder))
    assert result.returncode == 0, result.stdout
    assert result.stderr == ""
    for path, line in zip(files_of(folder), result.stdout.splitlines(), strict=True):
        count = len(json.loads(path.read_text("utf-8"))["vectors"])
        assert line.startswith(f"{path}: {count} vectors, largest error ")
        assert float(line.split()[-2]) < 4


@readers
def test_a_wrong_loss_or_gradient_is_found(reader, folder):
    for right, wrong in reader.faults:
        assert right in reader.source
        result = check(reader, folder, files_of(folder), reader.source.replace(right, wrong))
        assert result.returncode == 1, (right, result.stdout)
        assert "ULP" in result.stdout.splitlines()[0]


@readers
@pytest.mark.parametrize("quantity", ["value", "gradient"])
@pytest.mark.parametrize("name", ["float32", "float64"])
def test_a_wrong_vector_is_found(reader, folder, quantity, name, tmp_path):
    """One of all, by 8 ULP, as text and as bits."""
    lines = (folder / f"binary_cross_entropy_with_logits-{name}.json").read_text("utf-8").splitlines()
    place = next(i for i, line in enumerate(lines) if "/moderate/" in line)
    bits, text = (re.search(f'"{quantity}{part}": "([^"]*)"', lines[place])[1] for part in ("_bits", ""))
    step = 2.0 ** (-20 if name == "float32" else -49)
    number = float.fromhex(text) * (1 + step)
    lines[place] = lines[place].replace(f'"{bits}"', f'"{int(bits, 16) + 8:#0{len(bits)}x}"')
    lines[place] = lines[place].replace(f'"{quantity}": "{text}"', f'"{quantity}": "{number.hex()}"')
    planted = tmp_path / "planted.json"
    planted.write_text("\n".join(lines), "utf-8")
    result = check(reader, folder, [*files_of(folder), planted])
    assert result.returncode == 1
    (wrong,) = [line for line in result.stdout.splitlines() if "/moderate/" in line]
    assert "ULP" in wrong


@readers
def test_no_vectors_do_not_pass(reader, folder, tmp_path):
    """Whatever was not checked does not pass: no file, one without vectors, one of another function, a missing one."""
    empty = tmp_path / "empty.json"
    empty.write_text('{"dtype": "float64", "vectors": [\n]}', "utf-8")
    other = folder / "special.expit-float32.json"
    assert other.exists()
    for files, says in (
        ([], "usage: "),
        ([empty], "empty.json: no vectors of a loss"),
        ([*files_of(folder), other], "special.expit-float32.json: no vectors of a loss"),
        ([tmp_path / "nowhere.json"], "nowhere.json: "),
    ):
        result = check(reader, folder, files)
        assert result.returncode == 2
        assert says in result.stderr
