"""What the fuzzer found, or was made to find: each a call that once went wrong, and its right value.

A new finding comes here, with a right value that owes nothing to this package's oracle: worked out with mpmath or
python-flint, or by hand. `None` means that the call must be refused.
"""

import math
from dataclasses import dataclass

from tests.fuzz.calls import Array, Call, Scalar

inf, nan = math.inf, math.nan


@dataclass(frozen=True)
class Pinned:
    """A call that once went wrong."""

    name: str
    kind: int
    call: Call
    right: tuple[float, ...] | None
    open: str = ""
    """Why it still goes wrong."""


def _call(
    function: str, arguments: dict[str, Array | Scalar], where: tuple[str, str] = ("numpy", "eager"), **rest: object
) -> Call:
    method = str(rest.pop("method", ""))
    extra = {name: rest.pop(name) for name in ("words", "vector", "lengths", "rows") if name in rest}
    options = tuple((name, a if isinstance(a, Scalar) else Scalar(a)) for name, a in rest.items())
    return Call(function, tuple(arguments.items()), method, *where, options, **extra)


_BCE, _OF_P, _FOCAL = "binary_cross_entropy_with_logits", "binary_cross_entropy", "sigmoid_focal_loss"
_JIT, _EAGER_JAX, _EAGER_TORCH, _LAZY = ("jax", "jit"), ("jax", "eager"), ("torch", "eager"), ("dask", "lazy")
_MEAN = (("reduction", "mean"),)


def _of_p(u: float, z: float, dtype: str = "float32", **holder: str) -> dict[str, Array | Scalar]:
    return {"probabilities": Array((u,), dtype, **holder), "labels": Array((z,), dtype)}


def _of_x(x: float, z: float, dtype: str = "float32") -> dict[str, Array | Scalar]:
    return {"logits": Array((x,), dtype), "labels": Array((z,), dtype)}


def _chunked(values: tuple[float, ...], holder: str = "plain", filtered: int = 0) -> Array:
    return Array(values, "float64", None, holder, ((len(values),),), filtered)


_MASKED = {
    "logits": Array((1.0, 2.0, 3.0, 4.0), "float64", (2, 2)),
    "labels": Array((1.0, 0.0, 1.0, 0.0), "float64", (2, 2)),
    "where": Array((True, True, False, False), "bool", (2, 2)),
}
_SLOPES = (-0.13447071068499755, 0.4403985389889412, 0.0, 0.0)
_PAIR = {"logits": Array((1.0, 2.0)), "labels": Array((1.0, 0.0))}
_LOSSES = (0.31326168751822286, 2.1269280110429727)

PINNED = (
    # 1: XLA folds (1 - u) + eps to (1 + eps) - u.
    Pinned("offset at 1, jitted", 1, _call(_OF_P, _of_p(1.0, 0.0), _JIT, method="gradient", log_offset=1e-7), (1e7,)),
    Pinned(
        "offset at 1, jitted hessian",
        1,
        _call(_OF_P, _of_p(1.0, 0.0), _JIT, method="hessian", log_offset=1e-7),
        (1e14,),
    ),
    Pinned(
        "offset at 1, jitted float64",
        1,
        _call(_OF_P, _of_p(1.0, 0.0, "float64"), _JIT, method="gradient", log_offset=1e-15),
        (1e15,),
    ),
    # 2: an option is an exact number.
    Pinned(
        "exponent that float32 rounds",
        2,
        _call(_FOCAL, _of_x(-36.49114227294922, 0.0), gamma=1.3),
        (3.5467128365910698e-37,),
    ),
    Pinned(
        "exponent that float32 rounds, PyTorch",
        2,
        # Short arrays take another way in PyTorch.
        _call(
            _FOCAL, {"logits": Array((-35.56218338012695,) * 64), "labels": Array((0.0,) * 64)}, _EAGER_TORCH, gamma=1.3
        ),
        (3.004290920219723e-36,) * 64,
    ),
    Pinned(
        "pos_weight beyond float32",
        2,
        _call(_BCE, {**_of_x(1.0, 0.0), "pos_weight": Scalar(1e39)}),
        (1.3132616875182228,),
    ),
    Pinned(
        "weight beyond float32", 2, _call(_BCE, {**_of_x(-20.0, 0.0), "weight": Scalar(1e39)}), (2.0611536203143806e30,)
    ),
    Pinned("clip below float32", 2, _call(_OF_P, _of_p(0.0, 1.0), clip=1e-50), (115.12925464970229,)),
    Pinned("offset below float32", 2, _call(_OF_P, _of_p(0.0, 1.0), log_offset=1e-50), (115.12925464970229,)),
    # 3: a length that is a symbol.
    Pinned(
        "mean of a jagged tensor",
        3,
        _call(
            _BCE,
            {"logits": Array((1.0, 2.0, 3.0, -1.0, 0.0)), "labels": Scalar(1.0)},
            _EAGER_TORCH,
            words=_MEAN,
            lengths="jagged",
            rows=(3, 2),
        ),
        (0.4990371836426211,),
    ),
    Pinned(
        "exported mean over a mask",
        3,
        _call(_BCE, _PAIR, ("torch", "export"), words=_MEAN, lengths="data"),
        (1.2200948492805977,),
    ),
    Pinned(
        "exported pos_weight of a tensor",
        3,
        _call(_BCE, {**_PAIR, "pos_weight": Scalar(2.0, "item")}, ("torch", "export")),
        (0.6265233750364457, 2.1269280110429727),
    ),
    # 4: what validation refuses is refused within containers, too.
    Pinned(
        "masked chunks",
        4,
        _call(_BCE, {"logits": _chunked((1.0, 2.0), "masked chunks"), "labels": _chunked((1.0, 0.0))}, _LAZY),
        None,
    ),
    Pinned(
        "chunks with a unit",
        4,
        _call(_BCE, {"logits": _chunked((1.0, 2.0), "chunks with a unit"), "labels": _chunked((1.0, 0.0))}, _LAZY),
        None,
    ),
    Pinned(
        "array with a unit", 4, _call(_BCE, {**_PAIR, "logits": Array((1.0, 2.0), holder="array with a unit")}), None
    ),
    *(
        Pinned(
            f"PyTorch: {holder}",
            4,
            _call(
                _BCE,
                {
                    "logits": Array((1.0, 2.0), "float32", (1, 2), holder),
                    "labels": Array((1.0, 0.0), "float32", (1, 2)),
                },
                _EAGER_TORCH,
            ),
            None,
        )
        for holder in ("sparse", "CSR", "mkldnn", "masked tensor", "nested")
    ),
    # 5: two filters that keep different numbers.
    Pinned(
        "four logits and one label, lengths unknown",
        5,
        _call(
            _BCE,
            {
                "logits": _chunked((1.0, 2.0, 3.0, -4.0), "unknown lengths"),
                "labels": _chunked((1.0,), "unknown lengths"),
            },
            _LAZY,
            words=_MEAN,
        ),
        None,
    ),
    # 6: what is dropped is dropped from derivatives.
    Pinned(
        "NaN from the mean of nothing, backwards",
        6,
        _call(_BCE, _MASKED, ("jax", "vjp"), method="gradient", words=(*_MEAN, ("axis", -1)), vector=(1.0, nan)),
        _SLOPES,
    ),
    Pinned(
        "NaN tangent of a dropped element",
        6,
        _call(_BCE, _MASKED, ("jax", "jvp"), method="gradient", words=_MEAN, vector=(1.0, 0.0, nan, inf)),
        (-0.13447071068499755,),
    ),
    Pinned(
        "infinite logits under debug_nans",
        6,
        _call(
            _BCE,
            {"logits": Array((inf, -inf)), "labels": Array((1.0, 0.0))},
            ("jax", "debug_nans"),
        ),
        (0.0, 0.0),
    ),
    Pinned(
        "gradient of an exported focal loss at infinity",
        6,
        _call(_FOCAL, _of_x(inf, 1.0), ("torch", "export, backward"), method="gradient", gamma=0.5),
        (0.0,),
    ),
    # 7: a scalar never widens, and is taken wherever a number is.
    Pinned(
        "Python weight as an argument of a jitted function",
        7,
        _call(_BCE, {"logits": Array((0.0,), "bfloat16"), "labels": Scalar(1.0), "weight": Scalar(2.0)}, _JIT),
        (1.3862943611198906,),
    ),
    *(
        Pinned(
            f"weight of {kind} on {library}",
            7,
            _call(_BCE, {**_PAIR, "weight": Scalar(2.0, kind)}, (library, mode)),
            tuple(2 * x for x in _LOSSES),
        )
        for library, mode in (("numpy", "eager"), _EAGER_TORCH, _LAZY, ("array-api-strict", "eager"))
        for kind in ("numpy.float32", "numpy.float64", "numpy.int64")
    ),
    Pinned(
        "label without dimensions",
        7,
        _call(_BCE, {**_PAIR, "labels": Scalar(1.0, "0-d float32")}),
        (0.31326168751822286, 0.1269280110429725),
    ),
    Pinned(
        "weight without dimensions, wider",
        7,
        _call(_BCE, {**_PAIR, "weight": Scalar(2.0, "0-d float64")}, _EAGER_TORCH),
        tuple(2 * x for x in _LOSSES),
    ),
    Pinned(
        "exponent of NumPy",
        7,
        _call(_FOCAL, _of_x(0.0, 1.0), gamma=Scalar(2.0, "numpy.float32")),
        (0.17328679513998632,),
    ),
    Pinned(
        "NumPy labels beside JAX",
        7,
        _call(_BCE, {**_PAIR, "labels": Array((1.0, 0.0), holder="numpy")}, _EAGER_JAX),
        _LOSSES,
    ),
    Pinned(
        "Python label beside a sharded array",
        7,
        _call(_BCE, {"logits": Array((1.0, 2.0), holder="sharded"), "labels": Scalar(1.0)}, _EAGER_JAX),
        (0.31326168751822286, 0.1269280110429725),
    ),
    Pinned(
        "NumPy weight beside sharded arrays",
        7,
        _call(
            _BCE,
            {
                "logits": Array((1.0, 2.0), holder="sharded"),
                "labels": Array((1.0, 0.0), holder="sharded"),
                "weight": Scalar(2.0, "numpy.float32"),
            },
            _EAGER_JAX,
        ),
        tuple(2 * x for x in _LOSSES),
    ),
    # 8: an option is finite.
    *(
        Pinned(f"{name}={value}", 8, _call(function, arguments, **{name: value}), None)
        for function, arguments, name, value in (
            (_FOCAL, _PAIR, "gamma", inf),
            ("asymmetric_loss", _PAIR, "gamma_pos", inf),
            ("asymmetric_loss", _PAIR, "gamma_neg", inf),
            (_OF_P, _of_p(0.5, 1.0), "log_offset", inf),
            (_OF_P, _of_p(0.5, 1.0), "log_floor", -inf),
        )
    ),
    Pinned("pos_weight=inf", 8, _call(_BCE, {**_PAIR, "pos_weight": Scalar(inf)}), None),
    # Found by the fuzzer beside these.
    Pinned(
        "half precision in a negated view",
        0,
        _call(
            _BCE,
            {
                "logits": Array((1.0, 2.0), "float16", None, "negated view"),
                "labels": Array((1.0, 0.0), "float16"),
            },
            _EAGER_TORCH,
        ),
        _LOSSES,
    ),
    Pinned(
        "half precision of another byte order",
        0,
        _call(
            _BCE, {"logits": Array((1.0, 2.0), "float16", None, "big-endian"), "labels": Array((1.0, 0.0), "float16")}
        ),
        _LOSSES,
    ),
    Pinned(
        "boolean weights that count where they are not zero",
        0,
        _call(
            _BCE,
            {**_PAIR, "weight": Array((True, True), "bool")},
            ("array-api-strict", "eager"),
            words=(*_MEAN, ("normalize_by", "nonzero")),
        ),
        (1.2200948492805977,),
    ),
    Pinned(
        "offset near 1",
        0,
        _call(_OF_P, _of_p(0.9999999403953552, 0.0), label_smoothing=0.1, log_offset=1.0),
        (-0.034657414162291976,),
    ),
    Pinned(
        "whole exponent of an array without dimensions",
        0,
        _call(_FOCAL, {"logits": Array((0.0,), "float64", ()), "labels": Scalar(1.0)}),
        (0.17328679513998632,),
    ),
    Pinned(
        "clip near 1/2",
        0,
        _call(_OF_P, _of_p(0.0, 0.0, "float64"), method="label_gradient", clip=0.49),
        (0.0400053346136992,),
    ),
    Pinned("offset of 0", 0, _call(_OF_P, _of_p(0.0, 0.0), log_offset=0.0), (0.0,)),
    Pinned(
        "clip near 1/2, above it",
        0,
        _call(_OF_P, _of_p(1.0, 0.0), method="label_gradient", clip=0.4999),
        (-0.00040000000533328948,),
    ),
    Pinned("clip to [0, 1]", 0, _call(_OF_P, _of_p(-0.5, 0.0), clip=0.0), (0.0,)),
    Pinned(
        "little smoothing, jitted",
        1,
        _call(_FOCAL, _of_x(0.0, 1.0), _JIT, method="gradient", label_smoothing=1e-9, gamma=0.3, alpha=0.0),
        (-2.452888832265738e-10,),
    ),
    Pinned(
        "probability below 0, jitted",
        1,
        _call(_OF_P, {**_of_p(-0.5, 0.0), "labels": Array((0.0,), "bool")}, _JIT),
        (nan,),
    ),
    Pinned(
        "gradient of an exported loss of probabilities at 0",
        6,
        _call(_OF_P, _of_p(0.0, 0.0), ("torch", "export, backward"), method="gradient"),
        (1.0,),
    ),
    *(
        Pinned(
            f"gradient of an exported {function} at an infinite loss",
            6,
            _call(function, _of_x(inf, 0.0), ("torch", "export, backward"), method="gradient"),
            (1.0,),
        )
        for function in (_FOCAL, "asymmetric_loss")
    ),
    Pinned(
        "gradient of an exported loss at an infinite logit whose label is NaN",
        6,
        _call(_BCE, _of_x(-inf, nan), ("torch", "export, backward"), method="gradient"),
        (nan,),
    ),
    Pinned(
        "probability below 0 that is clipped, under debug_nans",
        6,
        _call(_OF_P, _of_p(-0.5, 0.0), ("jax", "debug_nans"), clip=0.25),
        (0.2876820724517809,),
    ),
    Pinned(
        "label gradient of a probability below 0 that is clipped, under debug_nans",
        6,
        _call(_OF_P, _of_p(-0.5, 0.0), ("jax", "debug_nans"), method="label_gradient", clip=1e-7),
        (16.118095550958320,),
    ),
    Pinned(
        "dropped NaN in labels of a narrower dtype, under debug_nans",
        6,
        _call(
            _BCE,
            {
                "logits": Array((1.0,)),
                "labels": Array((nan,), "float16"),
                "where": Array((False,), "bool"),
            },
            ("jax", "debug_nans"),
        ),
        (0.0,),
    ),
    Pinned(
        "NaN with a weight of False, jitted",
        1,
        _call(_BCE, {**_of_x(nan, 1.0), "weight": Array((False,), "bool")}, _JIT),
        (nan,),
    ),
    Pinned(
        "traced weight of a tensor",
        3,
        _call(_BCE, {**_PAIR, "weight": Scalar(2.0, "item")}, ("torch", "trace")),
        tuple(2 * x for x in _LOSSES),
    ),
    *(
        Pinned(
            f"shift of {shift:g} where exp(-|x|) underflows",
            2,
            _call("asymmetric_loss", _of_x(x, 0.0), method="gradient", shift=shift),
            (right,),
        )
        for shift, x, right in ((1e-30, 104.0, 6.813556821545293e-16), (0.001, 92.0, 1.1350591984335819e-37))
    ),
    Pinned(
        "subnormal label of a probability of 0, jitted",
        6,
        _call(_OF_P, _of_p(0.0, float.fromhex("0x1.2p-129"), "bfloat16"), _JIT),
        (inf,),
    ),
    Pinned(
        "power beyond underflow that is subnormal, times a large logit",
        0,
        _call(_FOCAL, _of_x(float.fromhex("0x1.3845dap+8"), 1.0), method="label_gradient", gamma=0.3, alpha=0.3),
        (float.fromhex("-0x1.51079dffcc96fp-129"),),
    ),
    Pinned(
        "half gradient that overflows before the cotangent",
        0,
        _call(
            _OF_P,
            {
                **_of_p(0.0999755859375, 0.0, "float16"),
                "pos_weight": Array((45920.0,), "float16"),
                "weight": Scalar(3.7),
            },
            ("jax", "vjp"),
            method="gradient",
            vector=(0.5,),
            label_smoothing=0.1,
            log_offset=1e-7,
        ),
        (-42484.37742827756,),
    ),
    Pinned(
        "pos_weight beside a jagged tensor",
        3,
        _call(
            _OF_P,
            {"probabilities": Array((0.5, 0.25, 0.0)), "labels": Scalar(0.0), "pos_weight": Scalar(2.0)},
            _EAGER_TORCH,
            method="gradient",
            lengths="jagged",
            rows=(2, 1),
        ),
        (2.0, 1.3333333333333333, 1.0),
    ),
    Pinned(
        "clipped infinite probability under debug_nans",
        6,
        _call(_OF_P, _of_p(-inf, 0.0), ("jax", "debug_nans, grad"), method="gradient", clip=1e-7),
        (0.0,),
    ),
    Pinned(
        "exponents 0 and 1/2 where exp(-|x|) underflows",
        0,
        _call("asymmetric_loss", _of_x(-103.9000015258789, 0.0), method="label_gradient", gamma_neg=0.5),
        (2.8648496769154324e-21,),
    ),
    *(
        Pinned(
            f"label gradient that overflows before the share of a smoothing of {smoothing:g}",
            0,
            _call(
                _BCE,
                {**_of_x(-3.4028234663852886e38, 0.0), "pos_weight": Scalar(2.0)},
                method="label_gradient",
                label_smoothing=smoothing,
            ),
            (right,),
        )
        for smoothing, right in ((0.75, 1.7014117331926443e38), (1.0, 0.0))
    ),
    *(
        Pinned(
            f"power of {gamma:g} where the fourth root of exp(-|x|) underflows, {dtype}",
            0,
            _call(_FOCAL, _of_x(x, 0.0, dtype), method="label_gradient", gamma=gamma),
            (right,),
        )
        for x, gamma, dtype, right in (
            (-500.0, 0.0625, "float32", 1.3406694966326379e-11),
            (-8208.0, 1e-50, "float32", 8208.0),
            (-5000.0, 0.0625, "float64", 9.592898254403234e-133),
        )
    ),
    # onnxruntime would take constants of one element for 1: they are looked at, whatever their shape.
    Pinned(
        "array of one element",
        0,
        _call("reduce", {"losses": Array((0.0,))}, ("ndonnx", "eager"), words=(("reduction", "none"),)),
        (0.0,),
    ),
    Pinned(
        "option in an array of one element",
        7,
        _call(_BCE, _of_x(0.0, 1.0, "float64"), ("ndonnx", "graph"), label_smoothing=Scalar(1e-9, "1-d float64")),
        (0.6931471805599453,),
    ),
)
