"""The parts of a run, in order and with time limits: the most valuable first.

A part is a command. It writes each result at once, stops at SIGTERM without losing one, and goes on from there when it
is called a second time. Its exit code is 0, 1 if it found something wrong, or 130 if it was stopped.
"""

from dataclasses import dataclass
from pathlib import Path

STAND_INS = {"cupy": "numpy", "torch:cuda": "torch:cpu", "jax:cuda": "jax"}
"""Maps a backend on a GPU to the backend that replaces it in a rehearsal."""


@dataclass(frozen=True)
class Part:
    """One command."""

    name: str
    what: str
    """Description for tables."""
    stage: int
    """Parts of one stage run in parallel, as far as there are processors; stages run one after the other."""
    seconds: int
    """The expected time, which is the limit, too."""
    arguments: tuple[str, ...]
    """Arguments of the Python interpreter."""
    result: Path
    """The file that the part must write."""


def parts(work: Path, *, rehearsal: bool, precisions: tuple[str, ...] = ("native",)) -> tuple[Part, ...]:
    """Return all parts, in order. A rehearsal runs all of them, with little work in each.

    The suite and the sweeps call xbce in each of the `precisions`.
    """
    backends = tuple(STAND_INS.values() if rehearsal else STAND_INS)
    few = {
        "conformance": ["--dtype=float32", "--function=binary_cross_entropy"],
        "sweep": ["--bits=3f800000:3f804000"],
        "benchmarks": ["--size=1000", "--size=100000"],
    }

    def part(kind: str, backend: str, what: str, stage: int, seconds: int, result: str, *arguments: str) -> Part:
        name = f"{kind}-{backend.replace(':', '-')}" if backend else kind
        chosen = [f"--backend={b}" for b in ([backend] if backend else backends)] if kind != "tests" else []
        size = few.get(kind, []) if rehearsal else []
        command = (*arguments, *chosen, *size, f"--out={work / name}")
        return Part(name, what, stage, seconds, command, work / name / result)

    conformance = ("-m", "xbce_conformance")
    kept = {backend: f"--checkpoint={work / 'checkpoints' / backend.replace(':', '-')}" for backend in backends}
    exact = f"--exact-values={work.parent / 'exact-values'}"
    precision = [f"--precision={name}" for name in precisions]
    swept = {backend: f"{checkpoint}-sweep" for backend, checkpoint in kept.items()}
    pytest = (
        "-m",
        "pytest",
        "-p",
        "gpu.record",
        "-p",
        "no:cacheprovider",
        "-q",
        "-m",
        "device and not long" if rehearsal else "device",
        "tests/device",
    )
    return (
        part("environment", "", "driver and libraries", 0, 15, "environment.json",
             "-m", "gpu.environment"),
        part("tests", "", "tests marked for a device, CUDA graphs among them", 1, 110, "tests.jsonl", *pytest),
        *(
            part("conformance", backend, "the suite: eager, jitted, compiled", 1, 120, "results.json",
                 *conformance, "run", "--subject=xbce", "--part=samples", *precision, exact, kept[backend])
            for backend in backends
        ),
        part("functions", "", "exp, log1p, tanh and sigmoid of each library", 2, 40, "functions.json",
             *conformance, "functions", *(f"--function={name}" for name in ("exp", "log1p", "tanh", "sigmoid")),
             *(f"--dtype={name}" for name in (("float16",) if rehearsal else ("float32", "float16", "bfloat16")))),
        *(
            part("sweep", backend, "every float32 logit", 3 + i, 15, "results.json",
                 *conformance, "sweep", "--subject=xbce", "--labels=hard", *precision, "--workers=1", swept[backend])
            for i, backend in enumerate(backends)
        ),
        part("benchmarks", "", "times, and shares of a copy's bandwidth", 9, 75, "benchmarks.json",
             "benchmarks/device.py"),
    )  # fmt: skip
