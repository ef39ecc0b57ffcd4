"""ndonnx: each method of each loss as a file of ONNX, of unknown length, which onnxruntime runs within the bounds.

On arrays with values an operation takes milliseconds: the fixture `backend` leaves them out.
"""

import functools
import json
from pathlib import Path

import numpy as np
import pytest

import xbce
from tests.helpers import some_long, step
from xbce_conformance import contract
from xbce_conformance.cases import METHODS, WITH_NUMBERS
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.inputs.input_set import drawn_set
from xbce_conformance.measurement.errors import measure
from xbce_conformance.measurement.trial import Trial

ndx = pytest.importorskip("ndonnx")
onnxruntime = pytest.importorskip("onnxruntime")
bce = xbce.binary_cross_entropy_with_logits
RANDOM = np.random.default_rng(11)
LOGITS = np.concatenate([RANDOM.normal(0, 8, 18), [0.0, -0.0, 104.0, -104.0, -20.0, 20.0]]).reshape(8, 3)
LABELS = np.concatenate([RANDOM.integers(0, 2, 12), RANDOM.random(12)]).reshape(8, 3)


def saved(path, function, *arrays):
    """Write the file of a function of arrays of an unknown first length."""
    places = {
        f"x{i}": ndx.argument(shape=("N", *x.shape[1:]), dtype=getattr(ndx, x.dtype.name)) for i, x in enumerate(arrays)
    }
    results = function(*places.values())
    results = results if isinstance(results, tuple) else (results,)
    model = ndx.build(places, {f"y{i}": y for i, y in enumerate(results)})
    path.write_bytes(model.SerializeToString())


def run(path, *arrays):
    """Return what onnxruntime computes by a file."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {f"x{i}": x for i, x in enumerate(arrays)})


def computed(path, function, *arrays):
    saved(path, function, *arrays)
    return run(path, *arrays)


@functools.cache
def trial(case, dtype):
    """Return inputs of a case, with exact values that all methods share."""
    inputs = drawn_set(FORMATS[dtype], 12, case.regimes, case.arguments)
    return Trial(case, FORMATS[dtype], "quick", inputs=inputs)


@pytest.mark.parametrize("method", METHODS, ids=lambda name: name or "value")
@pytest.mark.parametrize("case", WITH_NUMBERS, ids=lambda case: case.name)
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.long)])
def test_a_file_of_each_loss_and_method(tmp_path, case, method, dtype):
    tried = trial(case, dtype)
    loss, options = getattr(xbce, case.function), dict(case.options)
    function = functools.partial(getattr(loss, method) if method else loss, **options)
    path = tmp_path / f"{case.function}-{method}.onnx"
    found = computed(path, function, *tried.arrays)
    for quantity, result in zip(METHODS[method], found, strict=True):
        assert result.dtype == dtype
        errors = measure(result, tried.exact(quantity), FORMATS[dtype])
        for hard in (True, False):
            bound = contract.bound(quantity, dtype, hard=hard, case=case, backend="ndonnx", compiled=True)
            worst = errors.ulp[tried.inputs.hard == hard].max()
            assert worst <= bound, f"{quantity} of {case.name}, hard labels: {hard}"
    for size in (0, 1):
        for result in run(path, *(x[:size] for x in tried.arrays)):
            assert result.shape == (size,)


REDUCTIONS = {
    "sum": {"reduction": "sum"},
    "mean": {"reduction": "mean"},
    "mean of rows": {"reduction": "mean", "axis": 1},
    "mean of columns": {"reduction": "mean", "axis": 0, "keepdims": True},
    "mean in float64": {"reduction": "mean", "dtype": "float64"},
    "mean by size": {"reduction": "mean", "normalize_by": "size"},
    "mean by weight": {"reduction": "mean", "normalize_by": "weight", "weight": 2.0},
}


@pytest.mark.parametrize("options", REDUCTIONS.values(), ids=REDUCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_reductions_of_an_unknown_length(tmp_path, options, dtype):
    arrays = LOGITS.astype(dtype), LABELS.astype(dtype)
    of_library = {name: ndx.float64 if name == "dtype" else value for name, value in options.items()}
    for method in ("value_and_gradient", "hessian"):
        with step("ndonnx", bce, method):
            got = computed(tmp_path / "model", functools.partial(getattr(bce, method), **of_library), *arrays)
            wanted = getattr(bce, method)(*arrays, **options)
            for a, b in zip(got, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
                assert (a.dtype, a.shape) == (b.dtype, b.shape)
                np.testing.assert_array_max_ulp(a.astype(dtype), b.astype(dtype), 8)  # terms have the digits of `dtype`
    assert run(tmp_path / "model", *(x[:5] for x in arrays))[0].shape == (5, 3)


def test_weights_and_masks(tmp_path):
    weight, keep = RANDOM.random((8, 3)).astype("float32"), np.arange(24).reshape(8, 3) % 3 > 0
    arrays = LOGITS.astype("float32"), LABELS.astype("float32"), weight, keep
    for by in ("count", "size", "weight", "nonzero"):
        with step("ndonnx", bce, by):

            def mean(x, z, w, where):
                return bce.value_and_gradient(x, z, weight=w, where=where, reduction="mean", normalize_by=by)  # noqa: B023

            for a, b in zip(computed(tmp_path / "model", mean, *arrays), mean(*arrays), strict=True):
                np.testing.assert_array_max_ulp(a, b, 8)


MISTAKEN = {
    "label_smoothing": (bce, {"label_smoothing": 1e-9}),
    "label_smoothing next to 1": (bce, {"label_smoothing": 1 - 1e-9}),
    "weight": (bce, {"weight": 1 + 1e-9}),
    "weight of a mean": (bce, {"weight": 1 + 1e-9, "reduction": "mean", "normalize_by": "size"}),
    "mean by weight": (bce, {"weight": 1 - 1e-9, "reduction": "mean", "normalize_by": "weight"}),
    "exponents": (xbce.asymmetric_loss, {"gamma_pos": 1e-9, "gamma_neg": 1 + 1e-9}),
    "pos_weight - 1": (bce.label_gradient, {"pos_weight": 2 + 1e-9}),
    "gamma - 1": (xbce.sigmoid_focal_loss.hessian, {"gamma": 2 + 1e-9}),
    "twice gamma": (xbce.sigmoid_focal_loss.label_gradient, {"gamma": 0.5 + 1e-9}),
    'precision="high"': (bce, {"weight": 1 + 1e-9, "precision": "high"}),
}


@pytest.mark.parametrize("mistaken", some_long(MISTAKEN, ("label_smoothing", "weight")))
def test_what_onnxruntime_would_leave_out(tmp_path, mistaken):
    """Products with a float64 constant that float32 takes for 1: xbce has none."""
    loss, options = mistaken
    arrays = LOGITS, LABELS
    got, wanted = computed(tmp_path / "model", functools.partial(loss, **options), *arrays)[0], loss(*arrays, **options)
    rounded = {name: number if isinstance(number, str) else round(number, 6) for name, number in options.items()}
    lost, scale = loss(*arrays, **rounded), np.where(wanted == 0, 1, abs(wanted))
    assert np.max(abs(got - wanted) / scale) <= 8 * 2**-52
    assert "normalize_by" in options or np.max(abs(lost - wanted) / scale) > 1e-11


def test_what_onnxruntime_leaves_out(tmp_path):
    """Of a graph of its users': the reason for the selections of xbce's."""
    saved(tmp_path / "model", lambda x: -(-x * (1 + 1e-9)), LOGITS)
    for disabled, factor in ((["NoopElimination"], 1 + 1e-9), ([], 1)):
        session = onnxruntime.InferenceSession(tmp_path / "model", disabled_optimizers=disabled)
        np.testing.assert_array_equal(session.run(None, {"x0": LOGITS})[0], LOGITS * factor)


def test_other_constants_stay_constants():
    """Numbers that are not taken for another cost no operation."""
    places = [ndx.argument(shape=("N",), dtype=ndx.float64) for _ in range(2)]

    def nodes(**options):
        model = ndx.build({"x": places[0], "z": places[1]}, {"y": bce(*places, **options)})
        return [node.op_type for node in model.graph.node]

    assert nodes(weight=1.5) == nodes(weight=2.0)
    assert len(nodes(weight=1 + 1e-9)) == len(nodes(weight=1.5)) + 2


def test_a_small_offset_is_not_left_out(tmp_path):
    arrays = np.float32([0, 1, 0.3]), np.float32([1, 0, 1])
    function = functools.partial(xbce.binary_cross_entropy, log_offset=1e-50)
    np.testing.assert_array_max_ulp(computed(tmp_path / "model", function, *arrays)[0], function(*arrays), 1)


def test_the_length_of_a_batch_has_to_be_known():
    x = ndx.argument(shape=("N", 3), dtype=ndx.float32)
    text = "^normalize_by='batch' divides by the length of axis 0, but that of logits is not known yet$"
    with pytest.raises(ValueError, match=text):
        bce(x, 0, reduction="mean", normalize_by="batch")


def test_values_of_a_graph_are_not_looked_at():
    z = ndx.argument(shape=("N",), dtype=ndx.float32)
    with pytest.raises(TypeError, match=r"^labels must have values that can be looked at, got a lazy or traced array$"):
        xbce.check_labels(z)


HIGH = {
    "gradient": bce.gradient,
    "value": bce,
    "mean": functools.partial(bce, reduction="mean"),
    "sum of rows": functools.partial(bce, reduction="sum", axis=1),
    "focal loss": functools.partial(xbce.sigmoid_focal_loss.value_and_gradient, gamma=1.3),
}


@pytest.mark.parametrize("name", ["gradient", *(pytest.param(name, marks=pytest.mark.long) for name in [*HIGH][1:])])
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.long)])
def test_high_precision_has_the_bits_of_numpy(tmp_path, name, dtype):
    """Whatever onnxruntime fuses: it runs the graph at its highest level of optimization."""
    arrays = LOGITS.astype(dtype), LABELS.astype(dtype)
    function = functools.partial(HIGH[name], precision="high")
    got, wanted = computed(tmp_path / "model", function, *arrays), function(*arrays)
    for a, b in zip(got, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        np.testing.assert_array_equal(a, b)
    if name == "value":
        assert run(tmp_path / "model", *(x[:0] for x in arrays))[0].shape == (0, 3)


def test_the_sign_of_a_zero_is_not_kept(tmp_path):
    """onnxruntime's Where drops it: docs/accuracy.md says so."""
    zeros = np.array([-0.0, -0.0])
    (got,) = computed(tmp_path / "model", lambda x: ndx.where(x == x, x, ndx.asarray(1.0)), zeros)
    assert not np.signbit(got).any()
    high = functools.partial(xbce.special.log_expit, precision="high")
    x = np.float32([1e30, 3e38])
    (got,), wanted = computed(tmp_path / "model", high, x), high(x)
    np.testing.assert_array_equal(got, wanted)
    assert np.signbit(wanted).all()
    assert not np.signbit(got).any()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_values(dtype):
    """Arrays with values are computed at once, with the bits of the graph."""
    arrays = LOGITS.astype(dtype), LABELS.astype(dtype)
    got = bce(*map(ndx.asarray, arrays), reduction="mean")
    assert got.dtype == getattr(ndx, dtype)
    wanted = bce(*arrays, reduction="mean")
    np.testing.assert_array_max_ulp(got.unwrap_numpy(), wanted, 2)


def test_special_functions(tmp_path):
    for name in ("expit", "log_expit", "softplus"):
        with step("ndonnx", getattr(xbce.special, name)):
            (got,) = computed(tmp_path / "model", getattr(xbce.special, name), LOGITS)
            np.testing.assert_allclose(got, getattr(xbce.special, name)(LOGITS), rtol=4e-15, atol=0)


SHOWN = {
    "values": test_values,
    "compiled": test_a_file_of_each_loss_and_method,
    'precision="high"': test_high_precision_has_the_bits_of_numpy,
    "unknown lengths": test_reductions_of_an_unknown_length,
}


def test_what_is_claimed_is_shown():
    claims = json.loads((Path(__file__).parents[2] / "docs" / "capabilities.json").read_text("utf-8"))["ndonnx"]
    assert {name for name, how in claims.items() if how} == {*SHOWN}
