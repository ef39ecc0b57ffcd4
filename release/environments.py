"""New environments with the wheels as people install them: with NumPy alone, and with each extra."""

import doctest
import json
import re
import shutil
import sys
from pathlib import Path

from release.distributions import wheel_of
from release.outcome import Failed, expect, run

_LOSS = 2.061153620314381e-09
"""The loss of logit 20 and label 1, log(1 + exp(-20)); PyTorch's own in float32 is 0."""
_PROGRAM = """
import {module}
import xbce

logits, labels = {logits}, {labels}
found = float(xbce.binary_cross_entropy_with_logits(logits, labels, reduction="mean"))
assert abs(found - {right!r}) <= 1e-6 * {right!r}, found
"""
_LIBRARIES = {
    "torch": ("torch", "torch.tensor([20.0, -20.0])", "torch.tensor([1.0, 0.0])"),
    "jax": ("jax.numpy", "jax.numpy.asarray([20.0, -20.0])", "jax.numpy.asarray([1.0, 0.0])"),
    "dask": ("dask.array", "dask.array.from_array([20.0, -20.0])", "dask.array.from_array([1.0, 0.0])"),
    "mlx": ("mlx.core", "mlx.core.array([20.0, -20.0])", "mlx.core.array([1.0, 0.0])"),
    "onnx": ("ndonnx", "ndonnx.asarray([20.0, -20.0])", "ndonnx.asarray([1.0, 0.0])"),
    "cupy": ("cupy", "cupy.asarray([20.0, -20.0])", "cupy.asarray([1.0, 0.0])"),
}
EXTRAS = ("jax", "dask", "mlx", "onnx", "conformance", "torch", "cupy")


class Environment:
    """A new virtual environment in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        run(sys.executable, "-m", "venv", folder)
        self.python = folder / "bin" / "python"

    def install(self, *requirements: str | Path) -> None:
        """Install by pip, as it is configured."""
        run(self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements)

    def installed(self) -> set[str]:
        """Return the names of what is installed."""
        listed = run(self.python, "-m", "pip", "list", "--format", "json", "--disable-pip-version-check")
        names = {entry["name"].lower().replace("_", "-") for entry in json.loads(listed)}
        return names - {"pip", "setuptools"}

    def run(self, program: str) -> str:
        """Run a program away from the repository, so that what is imported is what is installed."""
        return run(self.python, "-I", "-W", "error", "-c", program, cwd=str(self._folder))

    def script(self, name: str, *arguments: str | Path) -> str:
        """Run a command that was installed."""
        return run(self._folder / "bin" / name, *arguments, cwd=str(self._folder))


def first_snippet(page: str) -> str:
    """Return the first block of Python of a page that is a session."""
    for block in re.findall(r"^```(?:python|pycon)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        if ">>> " in block:
            return str(block)
    msg = "README.md has no session of Python"
    raise Failed(msg)


def alone(root: Path, out: Path, work: Path) -> str:
    """Install xbce; import it; add NumPy, run the first snippet of README.md, and check a user's program by mypy."""
    made = Environment(work / "alone")
    made.install(wheel_of(out, "xbce"))
    expect(made.installed() == {"xbce", "array-api-compat"}, f"xbce brings {', '.join(sorted(made.installed()))}")
    made.run("import xbce")
    made.install("numpy")
    snippet = first_snippet((root / "README.md").read_text("utf-8"))
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    made.run(
        "import doctest\n"
        f"test = doctest.DocTestParser().get_doctest({snippet!r}, {{}}, 'README.md', 'README.md', 0)\n"
        f"said = []\nfound = doctest.DocTestRunner(optionflags={flags}).run(test, out=said.append)\n"
        "assert found.attempted and not found.failed, ''.join(said)\n"
    )
    program = Path(shutil.copy(root / "tests" / "typing" / "accepted.py", work))
    run(sys.executable, "-m", "mypy", "--strict", "--python-executable", made.python, program.name, cwd=str(work))
    return "import, README.md's first snippet with NumPy, a user's program under mypy --strict"


def with_extra(name: str, out: Path, work: Path) -> str:
    """Install xbce with an extra into a new environment, and compute a loss there."""
    wheel = f"{wheel_of(out, 'xbce')}[{name}]"
    if name == "cupy" and not shutil.which("nvidia-smi"):
        Environment(work / name).install("--dry-run", wheel)
        return "can be installed; not run, for there is no GPU here"
    made = Environment(work / name)
    if name == "conformance":
        made.install(wheel, wheel_of(out, "xbce-conformance"))
        options = ("--backend", "numpy", "--function", "special.expit", "--dtype", "float16", "--subject", "xbce")
        printed = made.script("xbce-conformance", "run", *options)
        expect("rows of xbce pass" in printed, f"xbce-conformance run says {printed[-200:]}")
        return printed.strip().splitlines()[-1]
    made.install(wheel, *(["numpy"] if name == "torch" else []))
    module, logits, labels = _LIBRARIES[name]
    made.run(_PROGRAM.format(module=module, logits=logits, labels=labels, right=_LOSS))
    return f"{len(made.installed())} distributions, a loss of {module}"
