"""What Python has of it: certified values, a verdict on arrays, two functions compared, and an assertion."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from xbce_conformance.cases import PLAIN, Case, case_named
from xbce_conformance.data.arrays import BadData, Data, numpy_of
from xbce_conformance.data.difference import Comparison, compare_on
from xbce_conformance.data.measure import OnData, Outcome, on_data
from xbce_conformance.data.show import element_text
from xbce_conformance.inputs.formats import FORMATS, Floats
from xbce_conformance.judge.measure import measure
from xbce_conformance.report.failures import block
from xbce_conformance.results.figures import ulp_text
from xbce_conformance.subjects.backends import find_backends
from xbce_conformance.subjects.model import Subject
from xbce_conformance.subjects.selection import Choice, split_backend
from xbce_conformance.subjects.spec import BadSubject
from xbce_conformance.subjects.user import Adapter, build, of_object

Named: TypeAlias = str | Callable[..., Any] | Adapter
"""A name that `xbce-conformance list` shows, with @backend where there are several; module:callable; or code."""


def reference(
    logits: Any,
    labels: Any = None,
    *,
    case: str = PLAIN.name,
    quantity: Literal["value", "gradient", "hessian", "label_gradient"] = "value",
    dtype: str = "float64",
    **arrays: Any,
) -> Floats:
    """Return certified results for the numbers given: the exact ones, rounded once.

    Parameters
    ----------
    logits : array_like
        Finite logits, or the first argument of the case, of float16, bfloat16, float32 or float64; of any library.
    labels : array_like, optional
        In [0, 1], of a shape that fits; their numbers are taken as they are, whatever their dtype.
    case : str, default "binary_cross_entropy_with_logits"
        A function of xbce with its options: "sigmoid_focal_loss(gamma=1.7, alpha=0.3)".
    quantity : {"value", "gradient", "hessian", "label_gradient"}, default "value"
        Which result; gradient and hessian are those in the first argument.
    dtype : str, default "float64"
        What they are rounded to.
    **arrays : array_like
        The other arguments of the case, such as ``pos_weight``.

    Returns
    -------
    ndarray
        In the shape of the first argument. Enclosed by ball arithmetic, at a precision that leaves one nearest double
        (and one nearest number of a narrower dtype); 10 to 1,000 microseconds for each element.

    Raises
    ------
    ValueError
        If an argument is missing, is not finite, or has a shape or numbers that the case is not defined for; the
        message says which.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce_conformance import reference
    >>> print(f"{reference(np.float32([-20.0]), np.float32([0.0]))[0]:.9e}")
    2.061153620e-09
    """
    wanted = case_named(case)
    if dtype not in FORMATS:
        msg = f"dtype is {dtype!r}; one of {', '.join(FORMATS)} is expected"
        raise BadData(msg)
    if quantity not in wanted.quantities:
        msg = f"quantity is {quantity!r}; one of {', '.join(wanted.quantities)} is expected"
        raise BadData(msg)
    data = _data(wanted, logits, labels, arrays)
    if data.notes:
        raise BadData(data.notes[0])
    numbers = tuple(np.asarray(array, np.float64) for array in data.arrays.values())
    exact = wanted.reference(FORMATS["float64"]).exact(quantity, numbers)[quantity]
    return FORMATS[dtype].round_pair(exact.high, exact.low).reshape(numpy_of(logits).shape)


def assess(
    logits: Any,
    labels: Any,
    *,
    subjects: Sequence[Named] = ("xbce", "torch", "optax", "sklearn", "tensorflow"),
    dtypes: Sequence[str] = (),
    weight: Any = None,
    where: Any = None,
    case: str = PLAIN.name,
    **arrays: Any,
) -> OnData:
    """Say what systems make of logits and labels, and whether it matters.

    Parameters
    ----------
    logits, labels : array_like
        Of any library.
    subjects : sequence of str, callable or Adapter
        Names that ``xbce-conformance list`` shows, or code of your own; names that are not here are left out.
    dtypes : sequence of str, default that of the logits, and those that mixed precision takes
        What the arrays are rounded to before each system is called.
    weight, where : array_like, optional
        Weights of the elements in means and norms; a mask of those that count.
    case : str, default "binary_cross_entropy_with_logits"
        What is computed.
    **arrays : array_like
        The other arguments of the case.

    Returns
    -------
    OnData
        ``outcomes`` has the figures of each system, dtype and quantity. It prints itself with rich, shows itself in
        notebooks, and `xbce_conformance.verdicts` of its outcomes are sentences.

    Raises
    ------
    ValueError
        If the arrays are not what the case is defined for, or no subject is here.
    """
    data = _data(case_named(case), logits, labels, arrays, weight=weight, where=where)
    found: list[Subject] = []
    for subject in subjects:
        found += _subjects(subject, case)
    if not found:
        msg = f"none of the subjects is here: {', '.join(map(str, subjects))}"
        raise BadData(msg)
    result = on_data(found, data, _checked(dtypes))
    if not result.outcomes:
        msg = f"none of the subjects has a function of {data.case.name} in {', '.join(dtypes or data.dtypes)}"
        raise BadData(msg)
    return result


def compare(
    first: Named,
    second: Named,
    logits: Any,
    labels: Any,
    *,
    dtypes: Sequence[str] = (),
    weight: Any = None,
    where: Any = None,
    case: str = PLAIN.name,
    **arrays: Any,
) -> Comparison:
    """Say where two losses differ on the same arrays, which one is right, and why.

    Parameters
    ----------
    first, second : str, callable or Adapter
        A name that ``xbce-conformance list`` shows, "torch" or "xbce@jax"; or code of your own, as for `measure`.
    logits, labels : array_like
        Of any library.
    dtypes : sequence of str, default that of the logits, and those that mixed precision takes
        What the arrays are rounded to before both are called.
    weight, where : array_like, optional
        Weights of the elements in means; a mask of those that count.
    case : str, default "binary_cross_entropy_with_logits"
        What both compute.
    **arrays : array_like
        The other arguments of the case.

    Returns
    -------
    Comparison
        ``differences`` has an entry for each dtype and quantity. It prints itself with rich, and shows itself in
        notebooks.

    Raises
    ------
    ValueError
        If the arrays are not what the case is defined for, a system is not here, or both have nothing in common.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce_conformance import compare
    >>> def clamped(x, z):
    ...     p = np.clip(1 / (1 + np.exp(-x)), 1e-3, 1 - 1e-3)
    ...     return -z * np.log(p) - (1 - z) * np.log1p(-p)
    >>> x, z = np.float64([0.5, -9.0, 12.0]), np.float64([1.0, 0.0, 0.0])
    >>> value = compare(clamped, "xbce@numpy", x, z, dtypes=["float64"]).differences[0]
    >>> list(value.sides[0].causes)[0]
    'clip: as if probabilities were kept in [c, 1 - c], c = 0.001 (|x| < 6.9)'
    """
    data = _data(case_named(case), logits, labels, arrays, weight=weight, where=where)
    pair = [next(iter(_subjects(subject, case)), None) for subject in (first, second)]
    for given, found in zip((first, second), pair, strict=True):
        if found is None:
            msg = f"{given} is not here; `xbce-conformance list` says what it needs"
            raise BadData(msg)
    return compare_on(pair[0], pair[1], data, _checked(dtypes))  # type: ignore[arg-type]  # none is None


def assert_conforms(
    subject: Callable[..., Any] | Adapter,
    logits: Any = None,
    labels: Any = None,
    *,
    dtypes: Sequence[str] = (),
    bound: float | None = None,
    level: Literal["quick", "full"] = "quick",
    waive: Mapping[str, str] | None = None,
) -> None:
    """Raise an AssertionError unless a loss keeps the bounds that xbce is judged by.

    Parameters
    ----------
    subject : callable or Adapter
        The loss, as for `measure`.
    logits, labels : array_like, optional
        Where it is tried; by default where `measure` tries it.
    dtypes : sequence of str, default all that it accepts, or that of the logits
        Of "float16", "bfloat16", "float32", "float64".
    bound : float, optional
        Another bound, in ULP.
    level : {"quick", "full"}, default "quick"
        How much is tried without logits and labels.
    waive : mapping of str to str, optional
        Violations that are known and allowed, with the reason; without logits and labels.

    Raises
    ------
    AssertionError
        If it breaks a bound, or cannot be called; the message shows the worst input, what came and what is right.
    ValueError
        If the arguments are wrong.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce_conformance import assert_conforms
    >>> def loss(x, z):
    ...     return np.maximum(x, 0) - x * z + np.log1p(np.exp(-np.abs(x)))
    >>> assert_conforms(loss, np.float64([0.5, -20.0]), np.float64([1.0, 0.0]))
    """
    if (logits is None) != (labels is None):
        msg = "logits and labels are given together, or neither"
        raise BadData(msg)
    if logits is None:
        results = measure(subject, dtypes=dtypes, level=level, bound=bound, waive=waive)
        failed = [*(block(row) for row in results.failed), *results.waivers]
    else:
        case = subject.case if isinstance(subject, Adapter) else PLAIN.name
        data = _data(case_named(case), logits, labels, {})
        if data.notes:
            raise BadData(data.notes[0])
        outcomes = on_data([_own(subject, bound)], data, _checked(dtypes) or (data.dtype,)).outcomes
        if not outcomes:
            msg = f"the loss has nothing to measure in {', '.join(dtypes or (data.dtype,))} with these labels"
            raise BadData(msg)
        failed = [_failure(outcome) for outcome in outcomes if outcome.failed]
    if failed:
        raise AssertionError("\n".join(failed))


def _data(
    case: Case, first: Any, labels: Any, others: Mapping[str, Any], *, weight: Any = None, where: Any = None
) -> Data:
    """Return the arguments of a case as a data set; refuse others than it has."""
    given = {case.arguments[0]: first, "labels": labels, **others}
    given = {name: array for name, array in given.items() if array is not None}
    if {*given} != {*case.arguments}:
        msg = f"{case.name} takes {', '.join(case.arguments)}; got {', '.join(given)}"
        raise BadData(msg)
    return Data.of(given, weight=weight, where=where, case=case)


def _checked(dtypes: Sequence[str]) -> tuple[str, ...]:
    unknown = [dtype for dtype in dtypes if dtype not in FORMATS]
    if unknown:
        msg = f"dtypes has {', '.join(map(repr, unknown))}; of {', '.join(FORMATS)} are expected"
        raise BadData(msg)
    return tuple(dtypes)


def _failure(outcome: Outcome) -> str:
    where = f"{outcome.function}: {outcome.quantity} in {outcome.dtype}"
    figures = outcome.figures
    if figures is None:
        return f"{where}: {outcome.failure}"
    worst = f"{ulp_text(figures.percentiles['max'])} ULP at worst; {element_text(figures.worst[0])}"
    return f"{where}: {figures.beyond_bound:,} of {figures.count:,} results are beyond the bound, {worst}"


def _subjects(given: Named, case: str) -> list[Subject]:
    """Return the subjects of a name on all backends that are here, or the one of code."""
    try:
        if not isinstance(given, str):
            return [_own(given, None, case)]
        name, backends = split_backend(given)
        return Choice((name,), backends, case=None if case == PLAIN.name else case).find()[0]
    except BadSubject as error:
        raise BadData(str(error)) from error


def _own(subject: Callable[..., Any] | Adapter, bound: float | None, case: str = PLAIN.name) -> Subject:
    adapter = subject if isinstance(subject, Adapter) or case == PLAIN.name else Adapter(subject, case=case)
    loaded = of_object(adapter, getattr(subject, "__name__", "subject"))
    backends, missing = find_backends((loaded.adapter.backend,))
    if not backends:
        raise BadData("; ".join(missing.values()))
    return build(loaded, next(iter(backends.values())), judged=True, bound=bound)[0]
