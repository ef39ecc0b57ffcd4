"""The losses of other systems: reported, never judged.

A row is one expression, as its users write it, with the names of the case's arguments in braces. The same text is what
is measured and what a reproducer shows.
"""

import importlib.metadata
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from xbce_conformance.cases import BY_NAME, PLAIN, Case, Quantity
from xbce_conformance.subjects.backends import Backend
from xbce_conformance.subjects.expressions import evaluate, reverse_mode_code
from xbce_conformance.subjects.model import Function, Subject

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


@dataclass(frozen=True)
class Peer:
    """One system: where it runs, and what it has."""

    distribution: str
    """Distribution whose version is reported."""
    backends: Callable[[], tuple[str, ...]]
    """Names of the backends whose arrays it takes."""
    calls: tuple[Call, ...]
    colour: str
    """That of its lines in plots."""
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
                    "apply_class_balancing=True, alpha=0.25, gamma=2.0)"
                ),
                case=_FOCAL,
                name="keras.losses.binary_focal_crossentropy(from_logits=True)",
            ),
        ),
        colour="#b39ddb",
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
                "optax.sigmoid_focal_loss({logits}, {labels}, alpha=0.25, gamma=2.0)",
                case=_FOCAL,
                autodiff=True,
                name="optax.sigmoid_focal_loss",
            ),
            Call("jax.nn.sigmoid({x})", case="special.expit"),
            Call("jax.nn.log_sigmoid({x})", case="special.log_expit"),
            Call("jax.nn.softplus({x})", case="special.softplus"),
        ),
        colour="#3d5a98",
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
        colour="#e08e1b",
        imports="import sklearn._loss, sklearn.metrics",
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
        colour="#7a5c3e",
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
        colour="#00429d",
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


def find_peer(name: str, backends: dict[str, Backend]) -> Iterator[Subject]:
    """Yield the peer on each backend that it can take here; nothing if it is not installed."""
    peer = PEERS[name]
    try:
        version = importlib.metadata.version(peer.distribution)
    except importlib.metadata.PackageNotFoundError:
        return
    for backend_name in peer.backends():
        if backend_name in backends:
            backend = backends[backend_name]
            functions = tuple(function for call in peer.calls for function in _functions(call, peer, backend))
            yield Subject(name, version, backend, peer.dtypes or backend.dtypes, functions)


def peer_needs(name: str) -> str:
    """Say what a peer that cannot be measured lacks."""
    peer = PEERS[name]
    arrays = " or ".join(peer.backends())
    if peer.distribution in (peer.backends()[0].partition(":")[0], "numpy"):
        return f"needs the backend {arrays}"
    return f"needs {peer.distribution} and the backend {arrays}"


def _functions(call: Call, peer: Peer, backend: Backend) -> Iterator[Function]:
    case = BY_NAME[call.case]
    name = call.name or call.code.partition("(")[0]
    yield _function(name, call.quantity, call.code, call, case, peer, backend)
    if call.autodiff:
        gradient = reverse_mode_code(backend, call.code, case.arguments[0])
        if gradient is not None:
            yield _function(f"{name}, reverse mode", "gradient", gradient, call, case, peer, backend)


def _function(
    name: str, quantity: Quantity, code: str, call: Call, case: Case, peer: Peer, backend: Backend
) -> Function:
    return Function(
        name,
        (quantity,),
        evaluate(code, case.arguments, backend, peer.imports),
        hard_labels_only=call.hard_labels_only,
        case=case,
        code=code,
        imports=peer.imports,
    )
