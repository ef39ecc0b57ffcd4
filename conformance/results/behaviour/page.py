"""Write README.md beside this file from results.json beside it.

Given files that `xbce-conformance run --part behaviour --part invariance` has written, join them there first.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from xbce_conformance.report.markdown import table
from xbce_conformance.report.matrices import Matrix, matrices
from xbce_conformance.results.model import Results

FOLDER = Path(__file__).parent

INTRODUCTION = """\
# Behaviour and invariance of every system

What the results of xbce and of its peers depend on besides the numbers: [how it is
measured](../../../docs/conformance/tests.md#behaviour-and-invariance). Float32, the plain loss, one processor; xbce is
judged by its forms, all else is reported. [page.py](page.py) writes this page from the file beside it.
"""

AGAIN = """\
## Again

```
xbce-conformance run --part behaviour --part invariance --out measured
python conformance/results/behaviour/page.py measured/results.json
```
"""


def remarks(matrix: Matrix) -> Iterable[str]:
    """Yield what is said of cells that a reader may not understand, each text once."""
    for row, _ in matrix.lines:
        told = [text for text in row.remarks if "has no such array" not in text and "has no way" not in text]
        told = [text for text in told if "compiles nothing" not in text and "other bits" not in text]
        if told:
            yield f"- {row.called}, {row.backend}: {'; '.join(text.splitlines()[0][:160] for text in told)}"


def page(results: Results) -> str:
    """Return the page."""
    parts = [INTRODUCTION]
    for matrix in matrices(results):
        lines = [[row.called, row.backend, *cells] for row, cells in matrix.lines]
        parts.append("\n".join([f"## {matrix.title}", "", matrix.text, "", *table(["", "", *matrix.columns], lines)]))
        said = list(remarks(matrix))
        if said:
            parts.append("\n".join(["Said of it:", "", *said]))
    where = [f"- {name}: {text}" for name, text in results.environment.items()]
    where += [f"- {name} {facts['version']}" for name, facts in results.backends.items()]
    parts += ["\n".join(["## Where it ran", "", *where]), AGAIN]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def main(files: list[str]) -> None:
    """Join the files, and write the page."""
    if files:
        Results.merged([Results.read(Path(file)) for file in files]).write(FOLDER / "results.json")
    (FOLDER / "README.md").write_text(page(Results.read(FOLDER / "results.json")), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
