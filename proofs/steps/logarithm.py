"""log(m), where m = 1 + v is from 1 to 2: the reduction to u = m c - 1, the series of log(1 + u), and their sum.

In the row of 1 the series is that of log(1 + v), and the error is relative: v may be as small as 2^-256. In the other
rows the logarithm is at least 2^-11, and absolute errors do.
"""

from fractions import Fraction
from itertools import pairwise

from proofs.polynomial import name, polynomial
from proofs.recording import TRANSFORMATIONS, kept, recorded, results_of_step
from proofs.script import Claim, Script, at_most, within
from proofs.series import SERIES
from proofs.steps.of_series import of_series
from proofs.steps.pairs import ADD
from proofs.steps.step import Step, power
from proofs.translation import UNDERFLOW, Reading, Translation
from xbce._compiler.recording import Graph, Node
from xbce._precision import functions, tables

_SERIES, _NEAR_1 = SERIES["logarithm"], SERIES["logarithm_near_1"]
U = _SERIES.most
"""Bounds |m c - 1|."""
REDUCTION = power(-103)
"""Bounds |(u + u_low) - (m c - 1)|."""
SUM = power(-91, Fraction(9, 8))
"""Bounds the error of log(1 + u + u_low), without what the series leaves out."""
LAST_SUM = power(-105)
"""Bounds the error of its sum with -log(c)."""
TABLE_ERROR = power(-107)
"""Bounds |LOG + LOG_REST + log(c)|."""
NEAR_1 = power(-82, Fraction(11, 8))
"""Bounds the error of log(1 + v) in the row of 1, relative to v, without what the series leaves out."""
LOGARITHM = power(-81, Fraction(5, 4))
"""Bounds the relative error of log(1 + v)."""
TINY = power(-300)
"""Bounds the difference of the result and v where v is below 2^-256: a result that float32 rounds to 0."""
LEAST = power(-20, 1022)
"""Bounds log(m) from below, in the other rows."""
_U_LOW, _NEAR_LOW = (U + power(-30)) * power(-53), power(-62)
"""Bound the low parts of u and of log(1 + u)."""


def steps() -> list[Step]:
    """Return the steps."""
    return [
        _reduction(),
        _series(ordered=True),
        _series(ordered=False),
        _sum(),
        _other_rows(),
        _near_1(),
        _row_of_1(),
        _tiny(),
    ]


def _graph(*, whole: bool = False) -> Graph:
    with kept(TRANSFORMATIONS | ({} if whole else {"_log_one_plus": results_of_step("near")})):
        return recorded(lambda xp, m, m_low, v, v_low: functions.logarithm(xp, (m, m_low), (v, v_low)), 4, ["near"])


_INPUTS = ["m", "m_low", "v", "v_low"]
_IN_ROW_OF_1 = ("eq", float(tables.ROWS))


def _named(node: Node) -> str | None:
    if node.operation == "lookup":
        return str(node.value)
    return {"upper": "more", "lower": "less"}.get(node.operation)


def _reduction() -> Step:
    graph = _graph()
    of_series = next(node for node in graph.nodes() if node.operation == "near").operands
    reading = Reading(_named, ordered=False, holds={_IN_ROW_OF_1: False})
    read = Translation(Graph(of_series, single=False), _INPUTS, reading)
    exact = (name("more") + name("less") + name("m_low")) * name("inverse") - 1
    script = Script(["more", "less", "m_low", "inverse"], read.lines)
    u, u_low = read.result(0), read.result(1)
    script.lines += ["exact = (more + less + m_low) * inverse - 1;", f"error = {u} + {u_low} - exact;"]
    script.always = [
        within("more", 1, 2),
        "@FIX(more,-25)",
        at_most("less", power(-26)),
        "@FIX(less,-52)",
        at_most("m_low", power(-52)),
        within("inverse", Fraction(1, 2), 1),
        "@FIX(inverse,-13)",
        at_most("exact", U),
        *(at_most(x, UNDERFLOW) for x in read.lost),
    ]
    script.cases = [([], [])]
    script.hints = [
        f"error -> {read.error([0, 1], exact)};",
        f"{u} -> exact + {read.error([0], exact)};",
        f"{u_low} -> {read.error([1], polynomial(0))};",
        *read.hints,
    ]
    return Step(
        "log_reduction",
        "log: error of u + u_low; and |u|, |u_low|",
        "1 + 2^-10 <= m <= 2",
        script,
        (Claim("error", REDUCTION), Claim(u, U + power(-50), in_table=False), Claim(u_low, _U_LOW, in_table=False)),
    )


def _series(*, ordered: bool) -> Step:
    function, always = functions._log_one_plus, [at_most("u_low", _U_LOW)]  # noqa: SLF001
    script, near_low = of_series(function, ("u", "u_low"), _SERIES, U + power(-50), always=always, ordered=ordered)
    return Step(
        f"log_series{'' if ordered else '_near_0'}",
        "log: error of the series; and its low part",
        "2^-24 <= |u| <= 19 2^-14" if ordered else "|u| <= 2^-24",
        script,
        (Claim("error", SUM), Claim(near_low, _NEAR_LOW, in_table=False)),
    )


def _sum() -> Step:
    def named(node: Node) -> str | None:
        return node.operation if node.operation in ("near", "near_low") else _named(node)

    read = Translation(_graph(), _INPUTS, Reading(named, holds={_IN_ROW_OF_1: False}))
    read.require_pair()
    parts = ["log", "log_rest", "near", "near_low"]
    exact = name("log") + name("log_rest") + name("near") + name("near_low")
    script = Script(parts, [*read.lines, f"error = {read.result(0, 1)} - (log + log_rest + near + near_low);"])
    script.always = [
        within("log", LEAST, 1),
        at_most("log_rest", power(-54)),
        # |log(1 + u)| is at most |u| (1 + |u|).
        at_most("near", U * (1 + power(-9))),
        at_most("near_low", _NEAR_LOW),
        within("log + near", LEAST, 1),
    ]
    script.cases = [([], [within(f"({b}) / ({a})", -1, 1) for b, a in read.order])]
    script.hints = [f"error -> {read.error([0, 1], exact)};"]
    return Step(
        "log_sum", "log: error of the sum with -log(c)", "1 + 2^-10 <= m <= 2", script, (Claim("error", LAST_SUM),)
    )


def _other_rows() -> Step:
    script = Script()
    script.lines = [
        "# exact: log(1 + v); of_m: log(m_high + m_low); minus_log_c: that of the row; of_U: log(1 + U), U = m c - 1;",
        "# series: the polynomial in u + u_low; series_U: that in U; near, table: as computed and looked up.",
        "of_U = of_m - minus_log_c;",
        "error = (result - exact) / exact;",
    ]
    script.always = [
        within("exact", LEAST, 1),
        # The derivative of log is at most 1, and m at most 2.
        at_most("of_m - exact", 2 * ADD),
        at_most("table - minus_log_c", TABLE_ERROR),
        at_most("series_U - of_U", _SERIES.error),
        # That of the polynomial is at most 1 + 2^-9.
        at_most("series - series_U", REDUCTION * (1 + power(-9))),
        at_most("near - series", SUM),
        at_most("result - (table + near)", LAST_SUM),
    ]
    script.cases = [([], [])]
    script.hints = [
        (
            "result - exact -> (result - (table + near)) + (table - minus_log_c) + (near - series)"
            " + (series - series_U) + (series_U - of_U) + (of_m - exact);"
        )
    ]
    return Step(
        "log_other_rows", "log: relative error", "m = 1 + v, 2^-10 <= v <= 1", script, (Claim("error", LOGARITHM),)
    )


def _read_row_of_1(*, ordered: bool) -> Translation:
    def named(node: Node) -> float | None:
        row_of_1 = {tables.INVERSE: 1.0, tables.LOG: 0.0, tables.LOG_REST: 0.0}
        return row_of_1[node.value] if node.operation == "lookup" else None

    reading = Reading(named, ordered=ordered, holds={_IN_ROW_OF_1: True})
    return Translation(_graph(whole=True), _INPUTS, reading)


def _near_1() -> Step:
    read = _read_row_of_1(ordered=True)
    read.require_pair()
    script = Script(["v", "v_low"], [*read.lines, "V = v + v_low;", f"series = {_NEAR_1.text('V')};"])
    script.lines.append(f"error = ({read.result(0, 1)} - series) / V;")
    script.always = [at_most(x, UNDERFLOW) for x in read.lost]
    top = [power(-13, eighths) for eighths in (8, 7, 6, 5)]
    edges = [_NEAR_1.most, *top, *(power(i) for i in (-11, -12, -13, -15, -18, -23, -32, *range(-50, -256, -20), -256))]
    for high, low in pairwise(edges):
        goals = [within(f"({b}) / ({a})", -1, 1) for b, a in read.order]
        script.cases.append(([within("v", low, high), at_most("v_low", high * power(-53))], goals))
    series = _NEAR_1.of(name("v") + name("v_low"))
    script.hints = [f"{read.result(0, 1)} - series -> {read.error([0, 1], series)};"]
    return Step(
        "log_near_1",
        "log: error of the series in the row of 1, relative to v",
        "m = 1 + v, 2^-256 <= v <= 2^-10 + 2^-50",
        script,
        (Claim("error", NEAR_1),),
    )


def _row_of_1() -> Step:
    script = Script()
    script.lines = [
        "# exact: log(1 + v); series: the polynomial in v. v - v^2 / 2 <= exact.",
        "error = (result - exact) / exact;",
    ]
    script.always = [
        within("v / exact", 1, 1 + power(-10)),
        at_most("(result - series) / v", NEAR_1),
        at_most("(series - exact) / exact", _NEAR_1.error),
        within("v", power(-256), _NEAR_1.most),
        within("exact", power(-257), _NEAR_1.most),
    ]
    script.cases = [([], [])]
    script.hints = [
        "error -> (result - series) / v * (v / exact) + (series - exact) / exact {v <> 0, exact <> 0};",
    ]
    return Step(
        "log_row_of_1",
        "log: relative error",
        "m = 1 + v, 2^-256 <= v <= 2^-10 + 2^-50",
        script,
        (Claim("error", LOGARITHM),),
    )


def _tiny() -> Step:
    read = _read_row_of_1(ordered=False)
    script = Script(["v", "v_low"], [*read.lines, f"error = {read.result(0, 1)} - (v + v_low);"])
    script.always = [
        within("v", 0, power(-256)),
        at_most("v_low", power(-309)),
        *(at_most(x, UNDERFLOW) for x in read.lost),
    ]
    script.cases = [([], [])]
    script.hints = [f"error -> {read.error([0, 1], name('v') + name('v_low'))};", *read.hints]
    return Step(
        "log_tiny", "log: result - v, an absolute error", "m = 1 + v, v <= 2^-256", script, (Claim("error", TINY),)
    )
