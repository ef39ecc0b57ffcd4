"""CuPy's kernels on the host: NumPy's bits in high precision, within the bounds natively; and what NVRTC contracts."""

import json
import runpy
import subprocess
import sys

import pytest

from tests.cuda_host.process import ROOT, environment, needs_tools, succeed
from xbce_conformance.contract import bound

RESULTS = ROOT / "conformance" / "results" / "cuda-host"
PAGE = runpy.run_path(str(RESULTS / "page.py"))
MODES = ["ieee", "as CuPy compiles"]


def measured(precision, folder, builds, mode="ieee", *arguments):
    """Return the figures of a process that plays the kernels, and the sources of these."""
    target = folder / "figures.json"
    command = [sys.executable, "-m", "tests.cuda_host", "tests.cuda_host.measure", precision, str(target), *arguments]
    chosen = {"CUDA_HOST": "" if mode == "ieee" else "contract,flush"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment(builds) | chosen, capture_output=True, text=True, timeout=3000, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    sources = json.loads(target.with_suffix(".sources.json").read_text("utf-8"))
    return json.loads(target.read_text("utf-8"))["rows"], sources


def check_high(rows):
    assert rows
    assert [row for row in rows if row["differ"] != row["flushed"]] == []


def check_native(rows):
    """Check errors against the contract, and those of the plain loss against the theorem with CUDA's functions."""
    elementwise = [row for row in rows if row["error"] is not None]
    assert elementwise
    assert [row for row in elementwise if not row["share"] <= 1] == []
    # Of sums and of derivatives of means the difference is compared with what both libraries' bounds allow.
    reductions = [row for row in rows if row["error"] is None]
    assert reductions
    for row in reductions:
        of_mean = {"of_weighted_mean": True} if row["quantity"] not in ("sum", "mean") else {}
        assert row["ulp"] <= 2 * bound(row["quantity"], row["dtype"], hard=False, **of_mean), row
    theorem = PAGE["theorem"]()
    for row in rows:
        key = row["dtype"], row["quantity"]
        if row["function"].split(".")[0] == "binary_cross_entropy_with_logits" and key in theorem:
            assert row["error"] <= theorem[key], row


@needs_tools
def test_high_precision_of_each_loss_has_numpys_bits(tmp_path, builds):
    rows, _ = measured("high", tmp_path, builds, "ieee", "--few")
    check_high(rows)
    assert {row["function"].split(".")[0].split("(")[0].split(",")[0] for row in rows} >= {
        "binary_cross_entropy_with_logits",
        "binary_cross_entropy",
        "sigmoid_focal_loss",
        "asymmetric_loss",
    }
    assert sum(row["flushed"] for row in rows) == 0


@needs_tools
def test_native_precision_of_each_loss_is_within_the_bounds(tmp_path, builds):
    rows, sources = measured("native", tmp_path, builds, "ieee", "--few")
    check_native(rows)
    assert {row["dtype"] for row in rows} == {"float16", "float32", "float64"}
    assert any("xbce_value" in source for source, _ in sources)


@needs_tools
@pytest.mark.long
@pytest.mark.timeout(6000)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("precision", ["high", "native"])
def test_every_function_option_and_dtype(precision, mode, tmp_path, builds):
    rows, _ = measured(precision, tmp_path, builds, mode)
    (check_high if precision == "high" else check_native)(rows)
    committed = PAGE["read"](precision if mode == "ieee" else f"{precision}-as-cupy")["rows"]
    keys = [[(row["function"], row["quantity"], row["dtype"]) for row in of_run] for of_run in (rows, committed)]
    assert keys[0] == keys[1]


@needs_tools
def test_a_fault_in_a_kernel_is_found(builds):
    printed = succeed(
        """
import xbce
kept = compiler.kernel
compiler.kernel = lambda source: kept(source.replace("out0 = in0 + in1", "out0 = in0 + in1 * (1 + 4e-16)"))
x = np.linspace(-30, 30, 101)
mine = xbce.binary_cross_entropy_with_logits.gradient(cp.asarray(x), cp.asarray(x * 0), precision="high")
print(int((cp.asnumpy(mine) != xbce.binary_cross_entropy_with_logits.gradient(x, x * 0, precision="high")).sum()))
""",
        builds,
    )
    assert int(printed) > 0


def test_the_page_says_what_the_figures_say():
    assert (RESULTS / "README.md").read_text("utf-8") == PAGE["page"]()


@pytest.mark.parametrize("mode", ["", "-as-cupy"])
def test_committed_figures_are_of_all_functions_and_keep_the_promise(mode):
    high, native = (PAGE["read"](f"{precision}{mode}")["rows"] for precision in ("high", "native"))
    check_high(high)
    check_native(native)
    assert len(high) == len(native)
    assert {row["dtype"] for row in high} == {"float16", "float32", "float64"}


def test_committed_ptx_of_high_precision_contracts_nothing():
    rows = {(row["precision"], row["architecture"]): row for row in PAGE["read"]("ptx")}
    assert {architecture for _, architecture in rows} == {"80", "90", "100"}
    assert all(row["contracted"] == 0 for (precision, _), row in rows.items() if precision == "high")
    assert all(row["contracted"] > 0 for (precision, _), row in rows.items() if precision != "high")


@needs_tools
def test_nvrtc_contracts_a_fused_kernel_and_no_single_operation():
    pytest.importorskip("cupy", exc_type=ImportError)
    from tests.cuda_host.ptx import ARCHITECTURES, contracted, flushing, ptx

    body = 'extern "C" __global__ void f(double* x, float* y) {{ {} }}'
    for architecture in ARCHITECTURES:
        fused = ptx(body.format("x[0] = x[1] * x[2] + x[3];"), (), architecture)
        single = ptx(body.format("x[0] = x[1] * x[2];"), (), architecture)
        assert len(contracted(fused)) == 1, architecture
        assert not contracted(single), architecture
        assert flushing(ptx(body.format("x[0] = y[0];"), (), architecture)), architecture
        assert not flushing(fused), architecture
