"""Write what the findings of docs/findings.md come to on data: README.md beside this file, and lines of that page.

`page.py measure` measures first what is installed here, of the systems that are named or of all, and leaves the figures
of all else in figures.json as they are.
"""

import io
import json
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from xbce_conformance.cases import PLAIN, case_named
from xbce_conformance.data.arrays import Data
from xbce_conformance.data.measure import Outcome, chosen, figures_of
from xbce_conformance.data.verdict import GRADES, HARMLESS, percent, verdicts
from xbce_conformance.inputs.datasets import BREAST_CANCER, DETECTOR_LIKE, DIGITS, detector_like_logits, real_logits
from xbce_conformance.inputs.formats import FORMATS, Floats, Mask
from xbce_conformance.measurement.elementwise import errors_of
from xbce_conformance.measurement.errors import Errors
from xbce_conformance.measurement.trial import Trial
from xbce_conformance.report.markdown import table
from xbce_conformance.subjects.backends import find_backends
from xbce_conformance.subjects.jobs import Job
from xbce_conformance.subjects.model import Subject
from xbce_conformance.subjects.selection import Choice
from xbce_conformance.subjects.user import Adapter, build, of_object

FOLDER = Path(__file__).parent
DOCS = FOLDER.parents[2] / "docs" / "findings.md"
DATA = (DIGITS, BREAST_CANCER, DETECTOR_LIKE)
SATURATED = 16.118
"""The logit whose sigmoid is 1 - 1e-7."""

INTRODUCTION = """\
# Findings on data

What [each finding](../../../docs/findings.md) comes to on logits as models have them. [probes.json](probes.json) says
which call is measured for which finding, and which results count; [page.py](page.py) measures, and writes this page and
the last two lines of each finding from [figures.json](figures.json).
"""

KINDS = """\
digits and breast cancer are logits of real models: logistic regressions of scikit-learn, fitted to its data sets of
these names, on rows that were held out. The detector-like ones are drawn, as float32 numbers: no detector was run. All
labels are 0 or 1, no logit is 0 or infinite."""

AGAIN = """\
“hit”: the results that the finding is about. “mean”: the error of the mean of all results, as a share of it.
“gradient”: the sum of the absolute errors of all gradients, as a share of the sum of the absolute exact ones. –: not
measured, or not finite. The verdict is the one that `xbce-conformance run --data` gives.

## Again

```
python conformance/results/findings/page.py measure
for backend in torch numpy jax; do
  KERAS_BACKEND=$backend python conformance/results/findings/page.py measure Keras
done
```

PaddlePaddle is in the environment of `make peers`.
"""


@dataclass(frozen=True)
class Results:
    """What one call returned on one data set."""

    trial: Trial
    got: Floats
    exact: Floats
    errors: Errors

    @property
    def logits(self) -> Floats:
        """The first argument."""
        return np.asarray(self.trial.arrays[0], np.float64)


HITS: dict[str, tuple[str, Callable[[Results], Mask]]] = {
    "zero": ("that are 0", lambda r: (r.got == 0) & (np.float64(r.trial.fmt.round(r.exact)) != 0)),
    "not finite": ("that are not finite", lambda r: np.isinf(r.errors.ulp)),
    "beyond 4 ULP": ("more than 4 ULP off", lambda r: r.errors.ulp > 4),
    "wrong sign": ("of the wrong sign", lambda r: np.sign(np.float64(r.got)) * np.sign(r.exact) < 0),
    "at 0": ("more than 4 ULP off at the logit 0", lambda r: (r.logits == 0) & (r.errors.ulp > 4)),
    "soft label": ("of soft labels more than 4 ULP off", lambda r: ~r.trial.inputs.hard & (r.errors.ulp > 4)),
    "clipped": ("more than 4 ULP off beyond 16.1", lambda r: (np.abs(r.logits) > SATURATED) & (r.errors.ulp > 4)),
}
"""Which results a finding is about, in words and as a mask."""


@dataclass(frozen=True)
class Probe:
    """What a finding is measured by."""

    system: str
    """The first word of its section's heading that no other has."""
    title: str
    subject: str
    backend: str
    hit: str
    """One of `HITS`."""
    of: str = "value"
    """Whether the results that count are losses or gradients."""
    dtype: str = "float32"
    case: str = PLAIN.name
    pos_weight: float = 1.0
    functions: str = ""
    """An expression that the names of its functions match, where a subject has several of a case."""

    @property
    def key(self) -> tuple[str, str]:
        """Which finding it is."""
        return self.system, self.title

    @property
    def counted(self) -> str:
        """What is counted, in words."""
        values = "losses" if self.is_loss else "results"
        return f"{'gradients' if self.of == 'gradient' else values} {HITS[self.hit][0]}"

    @property
    def is_loss(self) -> bool:
        """Whether training minimises it; what else there is are functions that losses are made of."""
        return not self.case.startswith("special.")

    @property
    def cancels(self) -> bool:
        """Whether digits are lost before all of them are."""
        return self.hit == "zero" and self.is_loss


PROBES = [Probe(**probe) for probe in json.loads((FOLDER / "probes.json").read_text("utf-8"))]


# --- what is measured ------------------------------------------------------------------------------------------------


def _flaggems(x: Floats, z: Floats) -> Floats:
    """Compute the formula of FlagGems' Triton kernel, in float32 as there."""
    one = np.float32(1)
    with np.errstate(over="ignore"):
        return np.where(x >= 0, x - x * z + np.log(one + np.exp(-x)), np.log(one + np.exp(x)) - x * z)


@cache
def _session() -> Any:
    import onnxruntime
    import torch

    file, example = io.BytesIO(), (torch.zeros(2), torch.zeros(2))
    size = ({0: torch.export.Dim("size")},) * 2
    torch.onnx.export(torch.nn.BCEWithLogitsLoss(reduction="none"), example, file, dynamo=True, dynamic_shapes=size)
    return onnxruntime.InferenceSession(file.getvalue())


def _exported(x: Floats, z: Floats) -> Any:
    names = [argument.name for argument in _session().get_inputs()]
    return _session().run(None, dict(zip(names, (x, z), strict=True)))[0]


OWN = {"flaggems-formula": _flaggems, "onnx-dynamo": _exported}


def subject_of(probe: Probe) -> Subject | None:
    """Return the subject, with the functions that count; None where it is not here."""
    if probe.subject in OWN:
        backend = find_backends((probe.backend,))[0][probe.backend]
        adapter = Adapter(OWN[probe.subject], backend=probe.backend, dtypes=(probe.dtype,))
        try:
            return build(of_object(adapter, probe.subject), backend)[0]
        except ModuleNotFoundError:
            return None
    found = Choice((probe.subject,), (probe.backend,)).find()[0]
    if not found:
        return None
    functions = [function for function in found[0].functions if re.search(probe.functions, function.name)]
    return replace(found[0], functions=functions)


@cache
def logits(name: str) -> tuple[Floats, Floats]:
    """Return the logits and labels of a data set."""
    return detector_like_logits() if name == DETECTOR_LIKE else real_logits()[name]


@cache
def trial_of(name: str, case_name: str, dtype: str, pos_weight: float) -> tuple[Data, Trial]:
    """Return a data set as the arguments of a case in a dtype, with its exact results."""
    case, (x, z) = case_named(case_name), logits(name)
    arrays = {"labels": z, "pos_weight": np.full(x.shape, pos_weight), "probabilities": 1 / (1 + np.exp(-x))}
    data = Data.of({argument: arrays.get(argument, x) for argument in case.arguments}, name=name, case=case)
    there = data.rounded(FORMATS[dtype])
    return there, there.trial(FORMATS[dtype])


def measure(probe: Probe, subject: Subject, name: str) -> dict[str, Any]:
    """Return what a finding comes to on a data set."""
    data, trial = trial_of(name, probe.case, probe.dtype, probe.pos_weight)
    outcomes, found = [], {}
    for job in chosen([subject], data, [probe.dtype]):
        quantity = job.function.quantities[0]
        if quantity != "mean":
            (computed,) = job.call(trial.called_with)
            outcomes.append(_outcome(job, data, trial, computed))
            exact = trial.exact(quantity)
            errors = errors_of(job, trial, quantity, computed, exact)
            found[quantity] = Results(trial, computed, exact.high, errors)
    value, gradient = (next((o.figures for o in outcomes if o.quantity == q), None) for q in ("value", "gradient"))
    counted = value if probe.of == "value" else gradient
    (verdict,) = verdicts(outcomes)
    return {
        "count": counted.count,
        "hits": int(HITS[probe.hit][1](found[probe.of]).sum()),
        "beyond_4_ulp": counted.beyond_4_ulp,
        "mean": None if value.broken else value.mean_off,
        "gradient": None if gradient is None or gradient.broken else gradient.l1,
        "broken": {o.quantity: o.figures.broken for o in outcomes if o.figures.broken},
        "grade": verdict.grade,
        "verdict": verdict.text,
    }


def _outcome(job: Job, data: Data, trial: Trial, computed: Floats) -> Outcome:
    subject, (quantity,) = job.subject, job.function.quantities
    who = (subject.name, subject.version, subject.backend.name, job.dtype, job.function.name, quantity, False)
    return Outcome(*who, figures=figures_of(job, data, trial, quantity, computed))


def measured(old: dict[str, Any], systems: list[str]) -> dict[str, Any]:
    """Measure what is here, of some systems or of all; keep the rest."""
    kept = {(entry["system"], entry["title"]): entry for entry in old.get("findings", [])}
    for probe in PROBES:
        wanted = not systems or probe.system in systems
        if wanted and (subject := subject_of(probe)):
            print(*probe.key, sep=": ", flush=True)  # noqa: T201  # some minutes
            on = {name: measure(probe, subject, name) for name in DATA}
            versions = {"version": subject.version, "backend": subject.backend.version}
            kept[probe.key] = {"system": probe.system, "title": probe.title, **versions, "on": on}
    described = {name: describe(*logits(name)) for name in DATA}
    if old.get("data", described) != described:
        msg = "the data are not those that figures.json has figures of: measure everything again, without it"
        raise ValueError(msg)
    return {"data": described, "findings": [kept[probe.key] for probe in PROBES if probe.key in kept]}


def describe(x: Floats, z: Floats) -> dict[str, float]:
    """Return what tells a data set from another one."""
    figures = {"mean": x.mean(), "standard_deviation": x.std(), "least": x.min(), "largest": x.max()}
    rounded = {name: round(float(figure), 6) for name, figure in figures.items()}
    return {"size": x.size, "positives": int(z.sum()), **rounded}


# --- what is shown ---------------------------------------------------------------------------------------------------


def share(part: int, whole: int) -> str:
    """Return how many, and which share that is."""
    return f"{part:,} of {whole:,} ({percent(part / whole)})" if part else f"0 of {whole:,}"


def lines(probe: Probe, entry: dict[str, Any]) -> list[str]:
    """Return the lines of a finding in docs/findings.md."""
    on = entry["on"]
    counts = {probe.counted: "hits", **({"more than 4 ULP off": "beyond_4_ulp"} if probe.cancels else {})}
    said = []
    for counted, key in counts.items():
        shares = [f"{name} {share(row[key], row['count'])}" for name, row in on.items()]
        said.append(f"{counted}: {', '.join(shares)}" if any(row[key] for row in on.values()) else f"{counted}: none")
    met = any(row[key] for row in on.values() for key in counts.values())
    return [f"- on data: {'; '.join(said)}", f"- seen by training: {seen(probe, on) if met else 'nothing'}"]


def seen(probe: Probe, on: dict[str, Any]) -> str:
    """Say where the mean or the gradient shows the errors of the system, and what that means."""
    noise = max(HARMLESS, 2.0 ** (1 - FORMATS[probe.dtype].p))
    shown = []
    for quantity, of in {"value": "mean", "gradient": "gradient"}.items():
        broken = [name for name, row in on.items() if quantity in row["broken"]]
        offs = {name: abs(row[of]) for name, row in on.items() if row[of] is not None}
        if broken:
            shown.append(f"the {of} is not finite ({', '.join(broken)})")
        elif offs:
            worst = max(offs, key=lambda name: offs[name])
            there = f", {worst}" if offs[worst] > noise else ""
            shown.append(f"the {of} is at most {percent(offs[worst])} off{there}")
    grade = max((row["grade"] for row in on.values()), key=GRADES.index)
    return f"{'; '.join(shown)}: {grade}" if probe.is_loss else "; ".join(shown)


def rows(results: dict[str, Any]) -> Iterator[list[str]]:
    """Yield the lines of the table."""
    entries = {(entry["system"], entry["title"]): entry for entry in results["findings"]}
    for probe in PROBES:
        for name, row in entries[probe.key]["on"].items():
            offs = ["–" if row[of] is None else f"{row[of]:.2g}" for of in ("mean", "gradient")]
            counts = [share(row["hits"], row["count"]), f"{row['beyond_4_ulp']:,}"]
            finding = f"{probe.system}: {probe.title}"
            yield [finding, probe.counted, probe.dtype, name, *counts, *offs, row["verdict"] if probe.is_loss else "–"]


def page(results: dict[str, Any]) -> str:
    """Return the page beside this file."""
    facts = ("size", "positives", "mean", "standard_deviation", "least", "largest")
    data = [[name, *(f"{results['data'][name][fact]:,.6g}" for fact in facts)] for name in DATA]
    head = ["finding", "hit", "dtype", "data", "hits", "more than 4 ULP off", "mean", "gradient", "verdict"]
    parts = [
        INTRODUCTION,
        "\n".join(["## The data", "", KINDS, "", *table(["", *(fact.replace("_", " ") for fact in facts)], data)]),
        "\n".join(["## Each finding", "", *table(head, list(rows(results)))]),
        AGAIN,
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def documented(text: str, results: dict[str, Any]) -> str:
    """Return docs/findings.md with the lines of these results."""
    entries = {(entry["system"], entry["title"]): entry for entry in results["findings"]}
    for probe in PROBES:
        section = rf"(?s:\n## [^\n]*{re.escape(probe.system)}(?:(?!\n## ).)*?\n### {re.escape(probe.title)}\n.*?)"
        pattern = rf"({section}\n- upstream: [^\n]+)(?:\n- on data: [^\n]+\n- seen by training: [^\n]+)?\n"
        new = "\n".join(lines(probe, entries[probe.key]))
        text, found = re.subn(pattern, lambda match, new=new: f"{match[1]}\n{new}\n", text, count=1)
        if not found:
            msg = f"{DOCS} has no finding {probe.title!r} of {probe.system}"
            raise ValueError(msg)
    return text


def main(arguments: list[str]) -> None:
    """Measure, if that is asked for, and write both pages."""
    file = FOLDER / "figures.json"
    results = json.loads(file.read_text("utf-8")) if file.exists() else {}
    if arguments[:1] == ["measure"]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = measured(results, arguments[1:])
        file.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    if len(results["findings"]) == len(PROBES):
        (FOLDER / "README.md").write_text(page(results), "utf-8")
        DOCS.write_text(documented(DOCS.read_text("utf-8"), results), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
