"""`python -m proofs.native`: write the table. `--measure numpy`: first measure exp and log1p."""

import argparse
from pathlib import Path

from proofs.native import local, own
from proofs.native.given import BACKENDS
from proofs.native.table import table
from xbce_conformance.subjects.backends import find_backends
from xbce_conformance.subjects.levels import level_of


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m proofs.native", description=(__doc__ or "").replace("`", ""))
    parser.add_argument("--measure", choices=BACKENDS, help="a library, at the level that it uses here")
    name = parser.parse_args().measure
    if name:
        backend = find_backends((name,))[0][name]
        level = level_of(backend)
        own.measure(name, level)
        local.measure(name, level, normal_only=name == "jax")
    Path(__file__).with_name("table.md").write_text(table(), "utf-8")


if __name__ == "__main__":
    main()
