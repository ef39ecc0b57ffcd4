"""What is measured, in which order, and how long each part may take: the most valuable first.

A part is a command. It writes what it finds at once; it stops at SIGTERM with nothing lost; and the same command goes
on from there. It ends with 0, or with 1 if something is not as it should be; 130 says that it was stopped.
"""

from dataclasses import dataclass
from pathlib import Path

STAND_INS = {"cupy": "numpy", "torch:cuda": "torch:cpu", "jax:cuda": "jax"}
"""By device, what a rehearsal runs in its place."""


@dataclass(frozen=True)
class Part:
    """One command."""

    name: str
    what: str
    stage: int
    """Parts of one stage run side by side, as far as there are processors; one of another stage never beside them."""
    seconds: int
    """How long it is expected to take, and all that it gets."""
    arguments: tuple[str, ...]
    """Of Python."""
    result: Path
    """The file without which it has failed."""


def parts(work: Path, *, rehearsal: bool) -> tuple[Part, ...]:
    """Return all parts, in order. A rehearsal goes the whole way, with little of everything."""
    backends = tuple(STAND_INS.values() if rehearsal else STAND_INS)
    few = {
        "conformance": ["--dtype=float32", "--function=binary_cross_entropy"],
        "functions": ["--stride=65536"],
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
    swept = {backend: f"{checkpoint}-sweep" for backend, checkpoint in kept.items()}
    pytest = ("-m", "pytest", "-p", "gpu.record", "-p", "no:cacheprovider", "-q", "-m", "device", "tests/device")
    return (
        part("environment", "", "driver and libraries", 0, 15, "environment.json",
             "-m", "gpu.environment"),
        part("tests", "", "tests marked for a device, CUDA graphs among them", 1, 110, "tests.jsonl", *pytest),
        *(
            part("conformance", backend, "the suite: eager, jitted, compiled", 1, 120, "results.json",
                 *conformance, "run", "--subject=xbce", exact, kept[backend])
            for backend in backends
        ),
        part("functions", "", "exp, log1p, tanh and sigmoid of each library", 2, 40, "functions.json",
             *conformance, "functions"),
        *(
            part("sweep", backend, "every float32 logit", 3 + i, 15, "results.json",
                 *conformance, "sweep", "--subject=xbce", "--workers=1", swept[backend])
            for i, backend in enumerate(backends)
        ),
        part("benchmarks", "", "times, and shares of a copy's bandwidth", 9, 75, "benchmarks.json",
             "benchmarks/device.py"),
    )  # fmt: skip
