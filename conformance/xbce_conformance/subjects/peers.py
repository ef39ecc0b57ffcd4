"""The losses of other systems, and the libraries that only they run on: reported, never judged.

A row is one expression, as its users write it, with the names of the case's arguments in braces. The same text is what
is measured and what a reproducer shows. One with the options of its case in braces is measured with any numbers.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from xbce_conformance.cases import BY_NAME, PLAIN, Case, Quantity
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.subjects.backend import Backend, dtype_in, import_library

_POS_WEIGHT = "binary_cross_entropy_with_logits(pos_weight)"
_CLIPPED = "binary_cross_entropy(clip=1e-07)"
_FLOORED = "binary_cross_entropy(log_floor=-100)"
_FOCAL = "sigmoid_focal_loss(gamma=2, alpha=0.25)"


@dataclass(frozen=True)
class Call:
    """One expression of a peer."""

    code: str
    quantity: Quantity = "value"
    case: str = PLAIN.name
    autodiff: bool = False
    """Whether its gradient by the library's automatic differentiation is measured, too."""
    hard_labels_only: bool = False
    name: str = ""
    """What it is called in tables; the expression itself, where it is short."""

    def case_of(self, asked: Case | None) -> Case | None:
        """Return what it should compute, where a case is asked for: that one, or None if it computes something else."""
        listed = BY_NAME[self.case]
        if asked is None or asked is listed:
            return listed
        takes_any = all(f"{{{name}}}" in self.code for name, _ in listed.options)
        same = (asked.function, {*asked.keywords}) == (listed.function, {*listed.keywords})
        return asked if takes_any and same and asked.arguments == listed.arguments else None

    def with_numbers(self, case: Case) -> str:
        """Return the expression with the options of a case; arguments stay in braces."""
        code = self.code
        for name, number in case.options:
            code = code.replace(f"{{{name}}}", repr(number))
        return code


@dataclass(frozen=True)
class Peer:
    """One system: where it runs, and what it has."""

    distribution: str
    """Distribution whose version is reported."""
    backends: Callable[[], tuple[str, ...]]
    """Names of the backends whose arrays it takes."""
    calls: tuple[Call, ...]
    colour: str
    """That of its lines in plots: with a contrast of at least 3 to white and to a dark page."""
    imports: str = ""
    dtypes: tuple[str, ...] = ()
    """Those that it takes, if not all of the backend."""


def _on(*names: str) -> Callable[[], tuple[str, ...]]:
    return lambda: names


def _elementwise_of_rows(call: str) -> str:
    """Return a call of a function that averages over the last axis, on rows of one element."""
    return call.replace("{logits}", "{logits}[:, None]").replace("{labels}", "{labels}[:, None]")


_TORCH = "torch.nn.functional.binary_cross_entropy_with_logits"
_TF, _TF_WEIGHTED = "tf.nn.sigmoid_cross_entropy_with_logits", "tf.nn.weighted_cross_entropy_with_logits"
_PADDLE = "paddle.nn.functional.binary_cross_entropy_with_logits"
_SKLEARN = "sklearn._loss.HalfBinomialLoss()"
_OF_ARRAYS = "sklearn._loss.loss.HalfBinomialLossArrayAPI"
_SKLEARN_ARRAY_API = f"{_OF_ARRAYS}(xp=array_api_compat.torch)"
_SIGMOID = "(1 / (1 + np.exp(-{logits})))"

PEERS: dict[str, Peer] = {
    "torch": Peer(
        "torch",
        _on("torch:cpu", "torch:cuda"),
        (
            Call(f"{_TORCH}({{logits}}, {{labels}}, reduction='none')", autodiff=True, name=_TORCH),
            Call(
                f"torch.func.jvp(lambda x: {_TORCH}(x, {{labels}}, reduction='none'), ({{logits}},), "
                "(torch.ones_like({logits}),))[1]",
                "gradient",
                name=f"{_TORCH}, forward mode",
            ),
            Call(f"{_TORCH}({{logits}}, {{labels}})", "mean", name=f"{_TORCH}, mean"),
            Call(
                f"{_TORCH}({{logits}}, {{labels}}, pos_weight={{pos_weight}}, reduction='none')",
                case=_POS_WEIGHT,
                autodiff=True,
                name=f"{_TORCH}(pos_weight)",
            ),
            Call(
                "torch.nn.functional.binary_cross_entropy({probabilities}, {labels}, reduction='none')",
                case=_FLOORED,
                name="torch.nn.functional.binary_cross_entropy",
            ),
            Call("torch.sigmoid({x})", case="special.expit"),
            Call("torch.nn.functional.logsigmoid({x})", case="special.log_expit"),
            Call("torch.nn.functional.softplus({x})", case="special.softplus"),
        ),
        colour="#d1495b",
    ),
    "tensorflow": Peer(
        "tensorflow-cpu",
        _on("tensorflow"),
        (
            Call(f"{_TF}(labels={{labels}}, logits={{logits}})", autodiff=True, name=_TF),
            Call(
                f"{_TF_WEIGHTED}(labels={{labels}}, logits={{logits}}, pos_weight={{pos_weight}})",
                case=_POS_WEIGHT,
                autodiff=True,
                name=_TF_WEIGHTED,
            ),
            Call(f"{_TF_WEIGHTED}({{labels}}, {{logits}}, 1.0)", autodiff=True, name=f"{_TF_WEIGHTED}(pos_weight=1)"),
            Call("tf.math.sigmoid({x})", case="special.expit"),
            Call("tf.math.log_sigmoid({x})", case="special.log_expit"),
            Call("tf.math.softplus({x})", case="special.softplus"),
        ),
        colour="#c26a00",
    ),
    "keras": Peer(
        "keras",
        lambda: ({"torch": "torch:cpu"}.get(_keras_backend(), _keras_backend()),),
        (
            Call(
                _elementwise_of_rows("keras.losses.binary_crossentropy({labels}, {logits}, from_logits=True)"),
                autodiff=True,
                name="keras.losses.binary_crossentropy(from_logits=True)",
            ),
            Call(
                "keras.losses.binary_crossentropy({labels}[:, None], {probabilities}[:, None])",
                case=_CLIPPED,
                name="keras.losses.binary_crossentropy",
            ),
            Call(
                _elementwise_of_rows(
                    "keras.losses.binary_focal_crossentropy({labels}, {logits}, from_logits=True, "
                    "apply_class_balancing=True, alpha={alpha}, gamma={gamma})"
                ),
                case=_FOCAL,
                name="keras.losses.binary_focal_crossentropy(from_logits=True)",
            ),
        ),
        colour="#9578cf",
        imports="import keras",
    ),
    "optax": Peer(
        "optax",
        _on("jax", "jax:cuda"),
        (
            Call(
                "optax.sigmoid_binary_cross_entropy({logits}, {labels})",
                autodiff=True,
                name="optax.sigmoid_binary_cross_entropy",
            ),
            Call(
                "optax.sigmoid_binary_cross_entropy({logits}, {labels}).mean()",
                "mean",
                name="optax.sigmoid_binary_cross_entropy, mean",
            ),
            Call(
                "optax.sigmoid_focal_loss({logits}, {labels}, alpha={alpha}, gamma={gamma})",
                case=_FOCAL,
                autodiff=True,
                name="optax.sigmoid_focal_loss",
            ),
            Call("jax.nn.sigmoid({x})", case="special.expit"),
            Call("jax.nn.log_sigmoid({x})", case="special.log_expit"),
            Call("jax.nn.softplus({x})", case="special.softplus"),
        ),
        colour="#4a6cc0",
        imports="import optax",
    ),
    "sklearn": Peer(
        "scikit-learn",
        _on("numpy"),
        (
            Call(f"{_SKLEARN}.loss(y_true={{labels}}, raw_prediction={{logits}})", name=f"{_SKLEARN}.loss"),
            Call(
                f"{_SKLEARN}.gradient(y_true={{labels}}, raw_prediction={{logits}})",
                "gradient",
                name=f"{_SKLEARN}.gradient",
            ),
            Call(
                f"{_SKLEARN}.gradient_hessian(y_true={{labels}}, raw_prediction={{logits}})[1]",
                "hessian",
                name=f"{_SKLEARN}.gradient_hessian [hessian]",
            ),
            Call(
                f"np.asarray(sklearn.metrics.log_loss({{labels}}, {_SIGMOID}, labels=[0, 1]), {{logits}}.dtype)",
                "mean",
                hard_labels_only=True,
                name="sklearn.metrics.log_loss of sigmoid(x)",
            ),
        ),
        colour="#a38100",
        imports="import sklearn._loss, sklearn.metrics",
        dtypes=("float32", "float64"),
    ),
    # What LogisticRegression minimises with array_api_dispatch=True; private.
    "sklearn-array-api": Peer(
        "scikit-learn",
        _on("torch:cpu", "torch:cuda"),
        (
            Call(f"{_SKLEARN_ARRAY_API}.loss({{labels}}, {{logits}})", name=f"{_OF_ARRAYS}.loss"),
            Call(f"{_SKLEARN_ARRAY_API}.gradient({{labels}}, {{logits}})", "gradient", name=f"{_OF_ARRAYS}.gradient"),
        ),
        colour="#b5651d",
        imports="import array_api_compat.torch, sklearn._loss.loss",
        dtypes=("float32", "float64"),
    ),
    "paddle": Peer(
        "paddlepaddle",
        _on("paddle"),
        (
            Call(f"{_PADDLE}({{logits}}, {{labels}}, reduction='none')", autodiff=True, name=_PADDLE),
            Call(
                f"{_PADDLE}({{logits}}, {{labels}}, pos_weight={{pos_weight}}, reduction='none')",
                case=_POS_WEIGHT,
                autodiff=True,
                name=f"{_PADDLE}(pos_weight)",
            ),
            Call("paddle.nn.functional.sigmoid({x})", case="special.expit"),
            Call("paddle.nn.functional.log_sigmoid({x})", case="special.log_expit"),
            Call("paddle.nn.functional.softplus({x})", case="special.softplus"),
        ),
        colour="#85683f",
    ),
    "mlx": Peer(
        "mlx",
        _on("mlx"),
        (
            Call(
                "mlx.nn.losses.binary_cross_entropy({logits}, {labels}, reduction='none')",
                autodiff=True,
                name="mlx.nn.losses.binary_cross_entropy",
            ),
            Call("mx.sigmoid({x})", case="special.expit"),
            Call("mlx.nn.log_sigmoid({x})", case="special.log_expit"),
            Call("mlx.nn.softplus({x})", case="special.softplus"),
        ),
        colour="#2f7de1",
        dtypes=("float16", "bfloat16", "float32"),
    ),
    "scipy": Peer(
        "scipy",
        _on("numpy"),
        (
            Call(
                "-{labels} * scipy.special.log_expit({logits}) - (1 - {labels}) * scipy.special.log_expit(-{logits})",
                name="-z log_expit(x) - (1 - z) log_expit(-x), scipy.special",
            ),
            Call("scipy.special.expit({logits}) - {labels}", "gradient", name="expit(x) - z, scipy.special"),
            *(
                Call(f"scipy.special.{name}({arguments})", case=f"special.{name}")
                for name, arguments in {
                    "expit": "{x}",
                    "log_expit": "{x}",
                    "softplus": "{x}",
                    "logit": "{p}",
                    "xlogy": "{x}, {y}",
                    "xlog1py": "{x}, {y}",
                }.items()
            ),
        ),
        colour="#1b9aaa",
        imports="import scipy.special",
        dtypes=("float32", "float64"),
    ),
    "tf-formula": Peer(
        "numpy",
        _on("numpy"),
        (
            Call(
                "np.maximum({logits}, {logits}.dtype.type(0)) - {logits} * {labels} "
                "+ np.log1p(np.exp(-np.abs({logits})))",
                name="max(x, 0) - x z + log1p(exp(-|x|))",
            ),
        ),
        colour="#8f4fa8",
    ),
    "textbook": Peer(
        "numpy",
        _on("numpy"),
        (
            Call(
                f"-{{labels}} * np.log({_SIGMOID}) - (1 - {{labels}}) * np.log(1 - {_SIGMOID})",
                name="-z log(sigmoid(x)) - (1 - z) log(1 - sigmoid(x))",
            ),
            Call(f"{_SIGMOID} - {{labels}}", "gradient", name="sigmoid(x) - z"),
        ),
        colour="#888888",
    ),
}


def _keras_backend() -> str:
    """Return the backend that Keras is told to use; it has one for the life of a process."""
    return os.environ.get("KERAS_BACKEND", "tensorflow")


# --- libraries that only peers run on --------------------------------------------------------------------------------


def _tensorflow() -> Backend:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    tf = import_library("tensorflow")
    return Backend(
        name="tensorflow",
        version=tf.__version__,
        device="cpu",
        dtypes=tuple(FORMATS),
        from_numpy=tf.constant,
        to_numpy=np.asarray,
        dtype_of=dtype_in(tf),
        imports="import tensorflow as tf",
        literal="tf.fill([64], tf.cast(tf.constant(float.fromhex('{value}'), 'float64'), '{dtype}'))",
        reverse_mode="(lambda {first}, t: (t.__enter__(), t.watch({first}), t.gradient({call}, {first}))[-1])"
        "({argument}, tf.GradientTape())",
    )


def _paddle() -> Backend:
    paddle = import_library("paddle")
    return Backend(
        name="paddle",
        version=paddle.__version__,
        device="cpu",
        dtypes=("float32", "float64"),
        from_numpy=lambda x: paddle.to_tensor(x, place=paddle.CPUPlace()),
        to_numpy=lambda x: np.asarray(x.numpy()),
        dtype_of=dtype_in(paddle),
        imports="import paddle",
        literal="paddle.full([64], float.fromhex('{value}'), '{dtype}')",
        reverse_mode="(lambda {first}: (setattr({first}, 'stop_gradient', False), "
        "paddle.grad(({call}).sum(), {first})[0])[-1])({argument}.clone())",
    )


PEER_LOADERS: dict[str, Callable[[], Backend]] = {
    "tensorflow": _tensorflow,
    "paddle": _paddle,
}
"""By the name of the backend."""
