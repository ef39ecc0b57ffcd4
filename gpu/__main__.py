"""`python -m gpu`: make all measurements on this machine's GPU, in minutes.

Exit code 0: everything ran and is correct; 1: something is wrong, or did not run to its end; 2: the command is wrong;
3: there is no GPU; 130: interrupted, and the same command goes on from there.
"""

import argparse
import hashlib
import os
import sys
from pathlib import Path

from gpu.device import NoDevice, find_device, slug
from gpu.parts import parts
from gpu.wheels import NoWheel, install

REPOSITORY = Path(__file__).parents[1]
WORK = REPOSITORY / ".gpu"
"""Checkpoints, logs and wheels: never committed."""
NO_DEVICE = 3
REHEARSAL = "rehearsal-on-the-cpu"
_SECONDS = 300
_SOURCES = ("xbce", "conformance/xbce_conformance", "gpu", "benchmarks", "tests/device")


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="make gpu", description="Measure on this machine's GPU.")
    names = [part.name for part in parts(WORK, rehearsal=False)]
    parser.add_argument("--plan", action="store_true", help="print the parts and their seconds, and run nothing")
    parser.add_argument("--only", action="append", metavar="PART", help="run this part; may be repeated")
    parser.add_argument("--rehearse", action="store_true", help="run a little of every part, on the CPU instead")
    parser.add_argument(
        "--precision",
        action="append",
        choices=["native", "high"],
        help="call xbce in this precision in the suite and the sweeps, instead of native; may be repeated",
    )
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="scale the limits of all parts to this total")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 1) // 4), help="parts side by side")
    parser.add_argument("--out", type=Path, default=None, help="folder for the device's folder of results")
    parser.add_argument("--wheels", type=Path, default=WORK / "wheels", help="folder of wheels of missing packages")
    arguments = parser.parse_args()
    if arguments.rehearse:
        os.environ |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
        names = [part.name for part in parts(WORK, rehearsal=True)]
    unknown = sorted({*(arguments.only or [])} - {*names})
    if unknown:
        parser.error(f"--only: {', '.join(unknown)} is none of {', '.join(names)}")
    if not arguments.plan and not arguments.rehearse:
        try:
            device = find_device()
        except NoDevice as reason:
            sys.stderr.write(f"no GPU: {reason}. `make gpu ARGS=--rehearse` goes the whole way on the CPU.\n")
            return NO_DEVICE
    else:
        device = REHEARSAL
    try:
        install(arguments.wheels, WORK / "site")
    except NoWheel as reason:
        sys.stderr.write(f"{reason}\n")
        return 2
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "conformance")]
    # Imported here, since `install` may just have installed rich and other packages that these modules need.
    from gpu.screen import plan, run

    precisions = tuple(arguments.precision or ["native"])
    work = WORK / "-".join([slug(device), _source(), *(arguments.precision or [])])
    every = parts(work, rehearsal=arguments.rehearse, precisions=precisions)
    chosen = tuple(part for part in every if arguments.only is None or part.name in arguments.only)
    if arguments.plan:
        plan(chosen, arguments.jobs)
        return 0
    os.chdir(REPOSITORY)
    return run(
        every,
        chosen,
        work=work,
        out=(arguments.out or _usual_out(rehearsal=arguments.rehearse)).resolve() / slug(device),
        environment=_environment(),
        share=arguments.seconds / _SECONDS,
        jobs=arguments.jobs,
        rehearsal=arguments.rehearse,
    )


def _usual_out(*, rehearsal: bool) -> Path:
    """Return the folder of all results; that of rehearsals is never committed."""
    return WORK / "results" if rehearsal else REPOSITORY / "conformance" / "results"


def _environment() -> dict[str, str]:
    """Return the environment of the parts."""
    path = [str(REPOSITORY), str(REPOSITORY / "conformance"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join([*path, str(WORK / "site")]),
        "PYTHONUNBUFFERED": "1",
    }


def _source() -> str:
    """Return a digest of the sources, so that results of two versions are never mixed."""
    digest = hashlib.sha256()
    for folder in _SOURCES:
        for file in sorted((REPOSITORY / folder).rglob("*.py")):
            digest.update(str(file.relative_to(REPOSITORY)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


if __name__ == "__main__":
    sys.exit(main())
