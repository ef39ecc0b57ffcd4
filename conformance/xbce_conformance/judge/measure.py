"""`measure`: a loss of one's own, judged from Python; and the results of any run."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.inputs.input_set import descriptions
from xbce_conformance.inputs.restriction import LABELS, Labels, Restriction
from xbce_conformance.judge.restrict import with_inputs
from xbce_conformance.judge.runner import run
from xbce_conformance.judge.waivers import Waiver, apply, waiver
from xbce_conformance.measurement.profile import label_edges, profile_edges
from xbce_conformance.results.environment import environment
from xbce_conformance.results.model import Results, Row
from xbce_conformance.subjects.backends import backend_facts, find_backends
from xbce_conformance.subjects.failure import CALL_LIMIT
from xbce_conformance.subjects.jobs import PARTS, Job, Part, jobs
from xbce_conformance.subjects.spec import BadSubject
from xbce_conformance.subjects.user import Adapter, build, of_object


def measure(
    subject: Callable[..., Any] | Adapter,
    *,
    dtypes: Sequence[str] = (),
    case: str | None = None,
    level: Literal["quick", "full"] = "quick",
    bound: float | None = None,
    parts: Collection[Part] = PARTS,
    call_limit: float = CALL_LIMIT,
    labels: Labels = "all",
    regimes: Sequence[str] = (),
    waive: Mapping[str, str] | None = None,
) -> Results:
    """Measure a loss of one's own, and judge it by the bounds that xbce is judged by.

    Parameters
    ----------
    subject : callable or Adapter
        The loss: logits and labels in, NumPy arrays of one dtype; the elementwise losses out, in that dtype. An
        `Adapter` says what is otherwise: another order of arguments, other arrays, another function. Attributes
        ``gradient`` and ``hessian`` of a callable are measured, too.
    dtypes : sequence of str, default all that it accepts
        Of "float16", "bfloat16", "float32", "float64".
    case : str, default that of the adapter
        What it should compute, such as "sigmoid_focal_loss(gamma=1.7, alpha=0.3)": see `Adapter`.
    level : {"quick", "full"}, default "quick"
        4,096 or 65,536 pairs of logit and label per regime.
    bound : float, optional
        Another bound, in ULP.
    parts : collection of {"samples", "behaviour", "invariance"}, default all
        What is tried: errors at samples of the inputs; arrays of other forms, labels of other dtypes and what a call
        must not do; calls of the same numbers in other company, whose rows are reported and not judged.
    call_limit : float, default 30
        Seconds that one call may take; one that takes longer fails. It is called in this process: what ends the process
        ends the caller, and a loop in C that holds the interpreter's lock is waited for. The command
        ``xbce-conformance run`` has another process for that.
    labels : {"all", "hard", "soft"}, default "all"
        Which labels are tried, in all parts and at special values: "hard" are 0 and 1, "soft" those between.
    regimes : sequence of str, default all
        Which regimes of the inputs are tried. Then there are no special values, and there is no search.
    waive : mapping of str to str, optional
        Violations that are known and allowed, by name, with the reason: ``{"special-values:infinite-logits": "they
        cannot occur"}``. ``results.waivers`` names those that are not needed.

    Returns
    -------
    Results
        A row per quantity, dtype and part. ``results.failed`` are the rows that fail, and ``row.violations`` says why;
        ``row.worst`` is the input with the largest error, ``row.figures.max_ulp``. What raises, takes too long, or
        returns another dtype or shape is a row that fails.

    Raises
    ------
    ValueError
        If an argument, or the adapter, names an unknown case, argument, backend, dtype or regime, or nothing can be
        measured; the message says why.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce_conformance import measure
    >>> def clamped(x, z):
    ...     return np.logaddexp(0, np.minimum(x, 30)) - x * z
    >>> for row in measure(clamped, dtypes=["float32"], parts=["samples"]).failed:
    ...     print(row.quantity, row.worst.regime)
    value found by search
    """
    try:
        loaded = of_object(subject, getattr(subject, "__name__", "subject"), case)
        backends, missing = find_backends((loaded.adapter.backend,))
        subjects = []
        for backend in backends.values():
            built, refused = build(loaded, backend, judged=True, bound=bound, dtypes=tuple(dtypes))
            subjects.append(built)
            missing |= refused
    except BadSubject as error:
        raise ValueError(str(error)) from error
    unknown = [dtype for dtype in dtypes if dtype not in FORMATS]
    if unknown:
        msg = f"dtypes has {', '.join(map(repr, unknown))}; of {', '.join(FORMATS)} are expected"
        raise ValueError(msg)
    if labels not in LABELS:
        msg = f"labels must be one of {', '.join(map(repr, LABELS))}, got {labels!r}"
        raise ValueError(msg)
    only = Restriction(labels, tuple(regimes))
    todo = jobs(subjects, tuple(dtypes) or tuple(FORMATS), level=level, parts=parts, limit=call_limit, only=only)
    try:
        todo, without = with_inputs(todo, level, only)
    except BadSubject as error:
        raise ValueError(str(error)) from error
    missing |= without
    if not todo:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
        msg = f"nothing to measure ({reasons or 'the subject has none of the dtypes'})"
        raise ValueError(msg)
    waivers = [waiver(name, reason) for name, reason in (waive or {}).items()]
    return results_of(todo, [row for rows in run(todo, level) for row in rows], level, missing, waivers)


def results_of(
    todo: list[Job], rows: list[Row], level: str, missing: dict[str, str], waivers: Sequence[Waiver] = ()
) -> Results:
    """Return the rows of jobs, after waivers, with all that they depend on."""
    after, wrong = apply(rows, waivers)
    dtypes = dict.fromkeys(job.dtype for job in todo)
    return Results(
        environment=environment(),
        level=todo[0].only.level(level),
        backends=backend_facts({job.subject.backend.name: job.subject.backend for job in todo}),
        missing=missing,
        regimes=descriptions(regime for job in todo for regime in job.function.case.regimes),
        profile_edges={name: profile_edges(FORMATS[name]).tolist() for name in dtypes},
        label_edges={name: label_edges(FORMATS[name]).tolist() for name in dtypes},
        rows=after,
        waivers=wrong,
    )
