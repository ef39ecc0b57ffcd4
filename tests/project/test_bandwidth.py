"""The bytes that benchmarks/bandwidth.py counts, and the table of docs/benchmarks.md, which is made of them."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
for library in ("jax", "optax", "sklearn._loss.loss"):
    pytest.importorskip(library)
bandwidth = pytest.importorskip("bandwidth", exc_type=ImportError)

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
COMPILED = [way for way in bandwidth.WAYS if way.count is bandwidth.compiled_torch]
OTHERS = [way for way in bandwidth.WAYS if way not in COMPILED]


def committed(function):
    """Return the cells of the page's table of a function, without those that are measured."""
    _, _, rest = PAGE.read_text("utf-8").partition(f"### On paper: {bandwidth.TITLES[function]}\n")
    lines = [line for line in rest.partition("\n#")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")][:-1] for line in lines if "---" not in line]


def test_the_page_has_what_is_counted_now():
    counted = bandwidth.rows(OTHERS)
    names = {way.name for way in OTHERS}
    for function in bandwidth.TITLES:
        head, *body = [row[:-1] for row in bandwidth.table(counted, function, [])]
        expected = [row for row in committed(function) if row[0] in names]
        assert committed(function)[0] == head
        assert body == expected, function
        assert len(body) >= 2 * 6  # of no way nothing is counted


def test_the_page_has_what_inductor_says_now():
    (way,) = [way for way in COMPILED if way.counted == "xbce"]
    # Each takes seconds; the two that are most unlike.
    for function in ("elementwise", "training_step"):
        count = way.count("xbce", function, "float32") / bandwidth.SIZE
        (row,) = [row for row in committed(function) if row[:2] == [way.name, "float32"]]
        assert row[2] == f"{count:.0f}", function


N = 1000
TORCH = {
    "x + z": 12,
    "x.add_(z)": 12,
    "x + 1": 8,
    "x > 0": 5,
    "x.double()": 12,
    "x.sum()": 4,
    "x.reshape(10, -1)": 0,
    "torch.ones_like(x)": 4,
    "torch.empty_like(x)": 0,
    "x * x[:1].expand(len(x))": 8,
    "logsigmoid(x)": 8,
    "torch.where(x > 0, x, z)": 5 + 13,
}


@pytest.mark.parametrize("expression", TORCH)
def test_bytes_of_operations_of_pytorch(expression):
    x, z = torch.zeros(N), torch.zeros(N)
    with bandwidth.TorchTraffic() as traffic:
        eval(expression, {"torch": torch, "logsigmoid": torch.nn.functional.logsigmoid, "x": x, "z": z})  # noqa: S307
    assert round(traffic.bytes / N) == TORCH[expression]  # scalars are lost in the rounding


@pytest.mark.parametrize(
    ("function", "count"),
    [
        (lambda x, z: x + z, 12),
        (lambda x, z: -x * z, 8 + 12),
        (lambda x, _: x > 0, 5),
        (lambda x, _: np.mean(x), 4),
        (lambda x, z: x.__iadd__(z), 12),
    ],
)
def test_bytes_of_functions_of_numpy(function, count):
    traffic = bandwidth.NumpyTraffic()
    function(*traffic.arrays(N, "float32"))
    assert round(traffic.bytes / N) == count


@pytest.mark.parametrize(
    ("function", "dtype", "count"),
    [
        ("elementwise", "float32", 3 * 4),
        ("mean", "float32", 2 * 4),
        ("value_and_gradient", "float16", 4 * 2),
        # The losses are written in float32, and read again to be summed.
        ("training_step", "float32", 3 * 4 + 4 + 4),
        ("training_step", "float16", 3 * 2 + 4 + 4),
    ],
)
def test_bytes_of_fused_kernels(function, dtype, count):
    assert round(bandwidth.fused_cupy("xbce", function, dtype) / bandwidth.SIZE, 2) == count


@pytest.mark.parametrize(("reduction", "last"), [("none", []), ("mean", ["aten::mean"])])
def test_the_native_loss_calls_what_is_counted(reduction, last):
    x, z = torch.zeros(N), torch.zeros(N)
    with torch.profiler.profile() as profiler:
        torch.nn.functional.binary_cross_entropy_with_logits(x, z, reduction=reduction)
    (loss,) = [e for e in profiler.events() if e.name == "aten::binary_cross_entropy_with_logits"]
    called = sorted(child.name for child in loss.cpu_children)
    with torch.profiler.profile() as profiler:
        bandwidth.native_loss(x, z, reduction=0 if reduction == "none" else 1)
    ours = [e for e in profiler.events() if e.cpu_parent is None and e.name.startswith("aten")]
    # at::ones_like is an operation of its own from Python.
    names = [c.name for e in ours for c in (e.cpu_children if e.name == "aten::ones_like" else [e])]
    assert called == sorted(names)
    assert called == sorted(
        ["aten::empty_like", "aten::fill_", "aten::log_sigmoid", "aten::mul_", "aten::sub_", "aten::sub_", *last]
    )


def measured(kind):
    row = {"backend": "cupy", "dtype": "float32", "function": "mean", "subject": "xbce"}
    rows = [
        {**row, "size": 10, "share": 0.1},
        {**row, "size": 1000, "share": 0.874},
        {**row, "size": 100, "share": 0.2},
    ]
    return {"environments": {"cupy": {"kind": kind}}, "rows": rows}


def test_the_measured_column_is_that_of_the_largest_size_on_a_gpu():
    (way,) = [way for way in bandwidth.WAYS if (way.backend, way.subject) == ("cupy", "xbce")]
    counted = [bandwidth.Row(function, way, "float32", 8 * bandwidth.SIZE, 8) for function in ("mean", "elementwise")]
    cells = {}
    for kind in ("GPU", "CPU"):
        shares = bandwidth.on_devices(measured(kind))
        cells[kind] = [bandwidth.table(counted, function, shares)[1][-1] for function in ("mean", "elementwise")]
    assert cells == {"GPU": ["87%", "-"], "CPU": ["-", "-"]}


def test_other_commands_keep_the_section(tmp_path):
    report = pytest.importorskip("report")
    page = tmp_path / "benchmarks.md"
    speed = "## Targets of speed, by processor\n\nof targets.py\n"
    page.write_text(
        f"# Old\n\n{speed}\n## numpy: all losses\n\n## Bandwidth on paper\n\nkept\n\n### On paper: x\n", "utf-8"
    )
    machine = {"cpu": "some", "cores": 2, "python": "3", "versions": {}}
    for _ in range(2):
        report.publish({"machine": machine, "rows": []}, tmp_path / "results", tmp_path)
        text = page.read_text("utf-8")
        assert text.startswith("# Benchmarks\n")
        assert text.endswith(f"\n\n{speed}\n## Bandwidth on paper\n\nkept\n\n### On paper: x\n")
        assert "numpy: all losses" not in text
        assert text.count("kept") == 1


def test_a_section_is_written_where_it_was():
    from page import section, with_section

    page = "# Page\n\n## A\n\n1\n\n## B\n\n2\n"
    assert section(page, "## A") == "## A\n\n1\n\n"
    assert section(page, "## C") == ""
    for end in ("\n", "\n\n"):
        assert with_section(page, "## A", f"## A\n\n3{end}") == page.replace("1", "3")
    assert with_section(page, "## C", "## C\n") == page + "\n## C\n"
