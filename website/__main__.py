"""Make the site: gather the pages, generate the rest, run Sphinx with warnings as errors, check every internal link."""

import argparse
import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import main as sphinx

from website import capability, commands, gallery, interactive, links, measured, reference, stage

OUT = stage.ROOT / "build" / "docs"
SOURCE = stage.ROOT / "build" / "docs-source"


def main() -> int:
    """Return the exit code: 0 if there was no warning and no broken link."""
    parser = argparse.ArgumentParser("python -m website", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the site (build/docs)")
    parser.add_argument("--source", type=Path, default=SOURCE, help="folder of its sources (build/docs-source)")
    arguments = parser.parse_args()
    if (arguments.out / ".buildinfo").exists():  # a site of before: what is no page any more must go
        shutil.rmtree(arguments.out)
    stage.stage(arguments.source)
    generate(arguments.source)
    code = sphinx(
        [
            *("-W", "--keep-going", "-n", "-q", "-E", "-j", "2", "-c", str(Path(__file__).parent)),
            *("-d", f"{arguments.out}-doctrees", str(arguments.source), str(arguments.out)),
        ]
    )
    interactive.copy(arguments.out)
    broken = links.broken(arguments.out)
    for line in broken:
        print(line, file=sys.stderr)  # noqa: T201
    if code == 0 and not broken:
        print(f"{arguments.out / 'index.html'}: no warning; {links.count(arguments.out)} links, none broken")  # noqa: T201
    return 1 if code or broken else 0


def generate(source: Path) -> None:
    """Write the pages that are made of code and data."""
    reference.write(source)
    commands.write(source)
    capability.write(source)
    gallery.write(source)
    measured.write_pictures(source)
    interactive.write(source)


if __name__ == "__main__":
    sys.exit(main())
