"""What examples of the gallery share: where picture and figures go, what they say of the machine, how curves look.

Scripts write into the working folder, or into the one that they are called with; for the pages that is docs/images.
"""

import json
import os
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path


def writable(directory):
    """Return a folder as a path; end the script where nothing can be written into it, before the work is done."""
    try:
        with tempfile.TemporaryFile(dir=directory):
            return Path(directory)
    except OSError as error:
        msg = f"cannot write into {directory}: {error.strerror}"
        raise SystemExit(msg) from error


def save(script, found, figure, *, settings, threads, packages, directory):
    """Write NAME.json and NAME.png, named like the script, into the directory; print what was found."""
    name = Path(script).stem
    on = {"processor": processor(), "threads": threads, "Python": platform.python_version()}
    on |= {package: version(package) for package in ("xbce", *packages)}
    written = json.dumps({"found": found, "settings": settings, "on": on}, indent=1, ensure_ascii=False)
    (directory / f"{name}.json").write_text(written + "\n", "utf-8")
    figure.savefig(directory / f"{name}.png", dpi=110, metadata={"Software": None})
    for key, value in found.items():
        print(f"{key}: {value:.4g}" if isinstance(value, float) else f"{key}: {value}")  # noqa: T201
    print(run_on(on))  # noqa: T201


def apart(curve, other):
    """Return the relative differences of two curves, step by step."""
    return [abs(a / b - 1) for a, b in zip(curve, other, strict=True)]


def over_steps(axes, titles):
    """Give each chart its title, and a legend; what lies along its axis are steps."""
    for axis, title in zip(axes, titles, strict=True):
        axis.set_title(title, fontsize="medium")
        axis.set_xlabel("step")
        axis.legend(fontsize="small")


def run_on(on):
    """Return the line that a page ends with."""
    versions = [f"{name} {value}" for name, value in on.items() if name not in ("processor", "threads")]
    threads = f"{on['threads']} thread{'s' * (on['threads'] > 1)}"
    return f"*Run on {on['processor']}, {threads}; {', '.join(versions)}.*"


def processor():
    """Return the processor's name and how many are here, with the widest of the instructions that results depend on."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = facts.get("flags", "").split()
    widest = next((name for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags), "no AVX2")
    return f"{facts.get('model name', platform.machine())}, {os.cpu_count()} cores, {widest}"
