"""An aarch64 processor that QEMU plays, with Python and wheels for it, in a folder: nothing of this machine is changed.

apt fetches Python for arm64, and QEMU, with lists and a status of its own; pip fetches wheels for aarch64.
"""

import os
from functools import partial

from platforms.fetch import PYTHON, Fetched, run

PACKAGES = {
    "numpy": ("numpy", "ml_dtypes"),
    "torch:cpu": ("torch", "sympy", "networkx", "filelock", "fsspec", "mpmath", "typing_extensions"),
    "jax": ("jax", "jaxlib", "opt_einsum"),
}
"""What a backend needs; NumPy's are needed by all."""
SUITE = ("array-api-compat", "click", "distributed", "jinja2", "matplotlib", "python-flint", "rich", "scikit-learn")
OTHER_VERSIONS = {"torch": "2.9.1"}
"""Where the version of constraints.txt has no wheel for aarch64 that does without CUDA."""


class Emulator(Fetched):
    """The folder."""

    @property
    def python(self) -> list[str]:
        """The command that is Python there."""
        root = self.folder / "root"
        return [str(self.folder / "qemu" / "usr" / "bin" / "qemu-aarch64-static"), "-L", str(root),
                str(root / "usr" / "bin" / "python3.11")]  # fmt: skip

    def environment(self, backend: str) -> dict[str, str]:
        """Return variables for Python there, with the path of its packages; without settings for this processor."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith("OPENBLAS_")}
        path = [str(self.folder / f"site-{part.partition(':')[0]}") for part in ("suite", "numpy", backend)]
        return kept | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(path)), "OPENBLAS_NUM_THREADS": "1"}

    def install(self, backend: str) -> None:
        """Fetch what is not there yet."""
        self.once("root", partial(self.debian, "root", "arm64", PYTHON))
        self.once("qemu", self._unpack_qemu)
        wheels = partial(self.wheels, machine="aarch64", other_versions=OTHER_VERSIONS)
        self.once("site-suite", partial(wheels, "site-suite", SUITE, alone=False))
        for name in dict.fromkeys(("numpy", backend)):
            folder = f"site-{name.partition(':')[0]}"
            self.once(folder, partial(wheels, folder, PACKAGES[name], alone=True))

    def _unpack_qemu(self) -> None:
        folder = self.folder / "qemu"
        run(["apt-get", "download", "qemu-user-static"], cwd=folder)
        for package in folder.glob("*.deb"):
            run(["dpkg", "--extract", str(package), str(folder)])
            package.unlink()
