"""What each convention refuses of each of its options and arguments, with the text that says so."""

import math

import numpy as np
import pytest

from xbce.conventions import caffe, keras, numpy_reference, optax, pytorch, sklearn, tensorflow
from xbce.conventions._common import first_outside

X = np.float32([[0.25, 0.5]])
Z = np.float32([[0, 1]])
INTEGERS = np.int32([[0, 1]])
THREE = np.ones(3, np.float32)
NAN = math.nan

NO_ARRAY = r"must be an array of a library that follows the array API standard \(.*\), got"
NO_NUMBER = r"must be a (Python (or NumPy )?number|number or an array), got"
V1_REDUCTIONS = (
    "reduction must be one of 'none', 'weighted_sum', 'weighted_mean', 'weighted_sum_over_batch_size', "
    "'weighted_sum_by_nonzero_weights', got"
)
V1_WEIGHTS = (
    "weights must be a number, or have as many dimensions as the losses, each of length 1 or that of the losses, got "
    r"weights {} and losses \(1, 2\)"
)
KERAS_REDUCTIONS = (
    "reduction must be one of 'sum_over_batch_size', 'sum', None, 'none', 'mean', 'mean_with_sample_weight', got"
)
FIT = r"must broadcast to the shape of input without enlarging it, got {0} {1} and input \(1, 2\)"

# Each function, arguments that it takes, and what is put in their place, with the error's type and text.
TABLE = [
    (
        tensorflow.sigmoid_cross_entropy_with_logits,
        {"labels": Z, "logits": X},
        [
            ({"labels": None}, ValueError, "labels and logits must both be given, got no labels"),
            ({"logits": None}, ValueError, "labels and logits must both be given, got no logits"),
            (
                {"labels": Z[0]},
                ValueError,
                r"labels must have the shape of logits, got labels \(2,\) and logits \(1, 2\)",
            ),
            ({"labels": 1.0}, ValueError, r"labels must have the shape of logits, got labels \(\) and logits \(1, 2\)"),
            ({"labels": np.float64(Z)}, TypeError, r"labels must have the dtype of logits \(float32\), got float64"),
            ({"logits": INTEGERS}, TypeError, "logits must be of a floating dtype, got int32"),
        ],
    ),
    (
        tensorflow.weighted_cross_entropy_with_logits,
        {"labels": Z, "logits": X, "pos_weight": 2.0},
        [
            ({"labels": None}, ValueError, "labels and logits must be arrays, got None for labels"),
            ({"logits": None}, ValueError, "labels and logits must be arrays, got None for logits"),
            ({"pos_weight": None}, TypeError, f"pos_weight {NO_ARRAY} NoneType"),
            ({"pos_weight": "2"}, TypeError, f"pos_weight {NO_ARRAY} str"),
            (
                {"pos_weight": THREE},
                ValueError,
                r"pos_weight and logits must broadcast against each other, got pos_weight \(3,\) and logits \(1, 2\)",
            ),
            ({"labels": np.float64(Z)}, TypeError, r"labels must have the dtype of logits \(float32\), got float64"),
            ({"logits": INTEGERS}, TypeError, "logits must be of a floating dtype, got int32"),
        ],
    ),
    (
        tensorflow.sigmoid_cross_entropy,
        {"multi_class_labels": Z, "logits": X},
        [
            ({"multi_class_labels": None}, ValueError, "multi_class_labels must be given, got None"),
            ({"logits": None}, ValueError, "logits must be given, got None"),
            ({"weights": None}, ValueError, "weights must be given, got None"),
            ({"weights": THREE[:2]}, ValueError, V1_WEIGHTS.format(r"\(2,\)")),
            ({"weights": THREE[None]}, ValueError, V1_WEIGHTS.format(r"\(1, 3\)")),
            ({"reduction": "mean"}, ValueError, f"{V1_REDUCTIONS} 'mean'"),
            ({"reduction": None}, ValueError, f"{V1_REDUCTIONS} None"),
            ({"label_smoothing": 1.5}, ValueError, "label_smoothing must be at least 0 and at most 1, got 1.5"),
            ({"logits": INTEGERS}, TypeError, "logits must be of a floating dtype, got int32"),
            (
                {"multi_class_labels": Z[0]},
                ValueError,
                r"multi_class_labels must have the shape of logits, got multi_class_labels \(2,\) and logits \(1, 2\)",
            ),
        ],
    ),
    (
        tensorflow.log_loss,
        {"labels": Z, "predictions": X},
        [
            ({"labels": None}, ValueError, "labels must be given, got None"),
            ({"predictions": None}, ValueError, "predictions must be given, got None"),
            ({"weights": None}, ValueError, "weights must be given, got None"),
            ({"weights": THREE[:2]}, ValueError, V1_WEIGHTS.format(r"\(2,\)")),
            ({"reduction": "mean"}, ValueError, f"{V1_REDUCTIONS} 'mean'"),
            ({"epsilon": -1.0}, ValueError, "epsilon must be at least 0, got -1.0"),
            ({"epsilon": NAN}, ValueError, "epsilon must be at least 0, got nan"),
            ({"epsilon": "1"}, TypeError, f"epsilon {NO_NUMBER} str"),
            (
                {"labels": Z[0]},
                ValueError,
                r"labels must have the shape of predictions, got labels \(2,\) and predictions \(1, 2\)",
            ),
        ],
    ),
    (
        keras.binary_crossentropy,
        {"y_true": Z, "y_pred": X},
        [
            ({"y_true": None}, ValueError, "y_true must be an array, got None"),
            (
                {"y_true": Z[0]},
                ValueError,
                r"y_true must have the shape of y_pred, got y_true \(2,\) and y_pred \(1, 2\)",
            ),
            ({"y_pred": INTEGERS}, TypeError, "y_pred must be of a floating dtype, got int32"),
            ({"label_smoothing": 1.5}, ValueError, "label_smoothing must be at least 0 and at most 1, got 1.5"),
            ({"axis": 2}, ValueError, "axis 2 is out of bounds for probabilities with 2 dimensions"),
            ({"axis": 2, "from_logits": True}, ValueError, "axis 2 is out of bounds for logits with 2 dimensions"),
        ],
    ),
    *(
        (
            keras.binary_focal_crossentropy,
            {"y_true": Z, "y_pred": X, "apply_class_balancing": True, "from_logits": from_logits},
            [
                ({"gamma": -1}, ValueError, "gamma must be at least 0, got -1"),
                ({"gamma": NAN}, ValueError, "gamma must be at least 0, got nan"),
                ({"gamma": "2"}, TypeError, f"gamma {NO_NUMBER} str"),
                ({"alpha": 1.5}, ValueError, "alpha must be at least 0 and at most 1, got 1.5"),
                ({"alpha": -0.5}, ValueError, "alpha must be at least 0 and at most 1, got -0.5"),
                ({"alpha": "1"}, TypeError, f"alpha {NO_NUMBER} str"),
                ({"label_smoothing": -0.5}, ValueError, "label_smoothing must be at least 0 and at most 1, got -0.5"),
                ({"y_true": None}, ValueError, "y_true must be an array, got None"),
                ({"y_pred": INTEGERS}, TypeError, "y_pred must be of a floating dtype, got int32"),
            ],
        )
        for from_logits in (True, False)
    ),
    *(
        (
            loss,
            {},
            [
                ({"reduction": "average"}, ValueError, f"{KERAS_REDUCTIONS} 'average'"),
                (
                    {"dtype": "int32"},
                    ValueError,
                    "dtype must be None or one of 'float16', 'bfloat16', 'float32', 'float64', got 'int32'",
                ),
            ],
        )
        for loss in (keras.BinaryCrossentropy, keras.BinaryFocalCrossentropy)
    ),
    (
        keras.BinaryCrossentropy(),
        {"y_true": np.float32([[0, 1], [1, 0]]), "y_pred": np.float32([[0.25, 0.5], [0.75, 0.5]])},
        [
            ({"y_true": None}, ValueError, "y_true must be an array, got None"),
            (
                {"sample_weight": THREE},
                ValueError,
                r"sample_weight and mask must broadcast against the losses of samples, got \(3,\) and \(2,\)",
            ),
            (
                {"mask": THREE},
                ValueError,
                r"sample_weight and mask must broadcast against the losses of samples, got \(3,\) and \(2,\)",
            ),
        ],
    ),
    *(
        (
            function,
            {"logits": X, "labels": Z},
            [
                ({"logits": INTEGERS}, TypeError, "logits must be of a floating dtype, got int32"),
                ({"logits": 1.0}, TypeError, f"logits {NO_ARRAY} float"),
                ({"labels": None}, TypeError, f"labels {NO_ARRAY} NoneType"),
                ({"labels": [0, 1]}, TypeError, f"labels {NO_ARRAY} list"),
                (
                    {"labels": THREE},
                    TypeError,
                    r"labels and logits must broadcast against each other, got labels \(3,\) and logits \(1, 2\)",
                ),
            ],
        )
        for function in (optax.sigmoid_binary_cross_entropy, optax.sigmoid_focal_loss)
    ),
    (
        optax.sigmoid_focal_loss,
        {"logits": X, "labels": Z},
        [
            ({"gamma": -1.0}, ValueError, "gamma must be at least 0, got -1.0"),
            ({"gamma": NAN}, ValueError, "gamma must be at least 0, got nan"),
            ({"gamma": "2"}, TypeError, f"gamma {NO_ARRAY} str"),
            ({"gamma": None}, TypeError, f"gamma {NO_NUMBER} NoneType"),
            *(
                (
                    {name: THREE},
                    TypeError,
                    rf"{name} and logits must broadcast against each other, got {name} \(3,\) and logits \(1, 2\)",
                )
                for name in ("alpha", "gamma")
            ),
            (
                {"alpha": np.ones((2, 1), "f4"), "gamma": np.ones((3, 1), "f4")},
                TypeError,
                r"gamma and logits must broadcast against each other, got gamma \(3, 1\) and logits \(2, 2\)",
            ),
            ({"alpha": "1"}, TypeError, f"alpha {NO_ARRAY} str"),
            ({"alpha": [0.25, 0.5]}, TypeError, f"alpha {NO_ARRAY} list"),
        ],
    ),
    *(
        (
            function,
            {"input": X, "target": Z},
            [
                ({"input": 1.0}, TypeError, f"input {NO_ARRAY} float"),
                ({"target": 1.0}, TypeError, f"target {NO_ARRAY} float"),
                ({"weight": 2.0}, TypeError, f"weight {NO_ARRAY} float"),
                ({"input": INTEGERS}, NotImplementedError, "input must be of a floating dtype, got int32"),
                (
                    {"target": Z[0]},
                    ValueError,
                    r"target must have the shape of input, got target \(2,\) and input \(1, 2\)",
                ),
                ({"weight": THREE}, RuntimeError, "weight " + FIT.format("weight", r"\(3,\)")),
                ({"weight": THREE[:2, None, None]}, RuntimeError, "weight " + FIT.format("weight", r"\(2, 1, 1\)")),
            ],
        )
        for function in (pytorch.binary_cross_entropy, pytorch.binary_cross_entropy_with_logits)
    ),
    (
        pytorch.binary_cross_entropy_with_logits,
        {"input": X, "target": Z},
        [
            ({"target": INTEGERS}, RuntimeError, "target must be of a floating dtype, got int32"),
            ({"pos_weight": 2.0}, TypeError, f"pos_weight {NO_ARRAY} float"),
            ({"pos_weight": THREE}, RuntimeError, "pos_weight " + FIT.format("pos_weight", r"\(3,\)")),
        ],
    ),
    (
        pytorch.binary_cross_entropy,
        {"input": X, "target": Z},
        [
            ({"target": INTEGERS}, RuntimeError, r"target must have the dtype of input \(float32\), got int32"),
            ({"target": np.float64(Z)}, RuntimeError, r"target must have the dtype of input \(float32\), got float64"),
            ({"input": X + 1}, RuntimeError, r"input must be in \[0, 1\], got 1.25 at index \(0, 0\)"),
            ({"input": X * NAN}, RuntimeError, r"input must be in \[0, 1\], got nan at index \(0, 0\)"),
            ({"target": X - 1}, RuntimeError, r"target must be in \[0, 1\], got -0.75 at index \(0, 0\)"),
        ],
    ),
    (
        pytorch.sigmoid_focal_loss,
        {"inputs": X, "targets": Z},
        [
            ({"alpha": 1.5}, ValueError, r"alpha must be -1 \(none\) or in \[0, 1\], got 1.5"),
            ({"alpha": -0.5}, ValueError, r"alpha must be -1 \(none\) or in \[0, 1\], got -0.5"),
            ({"alpha": NAN}, ValueError, r".*alpha must be .*, got nan"),
            ({"alpha": "1"}, TypeError, f"alpha {NO_NUMBER} str"),
            ({"gamma": -1.0}, ValueError, "gamma must be at least 0, got -1.0"),
            ({"gamma": "1"}, TypeError, f"gamma {NO_NUMBER} str"),
            ({"gamma": THREE}, ValueError, r"gamma must .*, got gamma \(3,\) and logits \(1, 2\)"),
            ({"inputs": 1.0}, TypeError, f"inputs {NO_ARRAY} float"),
            ({"targets": 1.0}, TypeError, f"targets {NO_ARRAY} float"),
            ({"inputs": INTEGERS}, NotImplementedError, "inputs must be of a floating dtype, got int32"),
            ({"targets": INTEGERS}, RuntimeError, "targets must be of a floating dtype, got int32"),
            (
                {"targets": Z[0]},
                ValueError,
                r"targets must have the shape of inputs, got targets \(2,\) and inputs \(1, 2\)",
            ),
        ],
    ),
    *(
        (
            function,
            arguments,
            [
                ({"reduction": "average"}, ValueError, "reduction must be 'none', 'mean' or 'sum', got 'average'"),
                ({"reduction": None}, ValueError, "reduction must be 'none', 'mean' or 'sum', got None"),
            ],
        )
        for function, arguments in (
            (pytorch.binary_cross_entropy, {"input": X, "target": Z}),
            (pytorch.binary_cross_entropy_with_logits, {"input": X, "target": Z}),
            (pytorch.sigmoid_focal_loss, {"inputs": X, "targets": Z}),
        )
    ),
    (
        caffe.SigmoidCrossEntropyLoss,
        {},
        [
            (
                {"normalization": "valid"},
                ValueError,
                "normalization must be one of 'FULL', 'VALID', 'BATCH_SIZE', 'NONE', got 'valid'",
            ),
            ({"ignore_label": 1.5}, TypeError, "ignore_label must be an int or None, got 1.5"),
            ({"ignore_label": True}, TypeError, "ignore_label must be an int or None, got True"),
            ({"loss_weight": "2"}, TypeError, "loss_weight must be a number, got '2'"),
            ({"loss_weight": True}, TypeError, "loss_weight must be a number, got True"),
        ],
    ),
    (
        caffe.SigmoidCrossEntropyLoss().backward,
        {"logits": X, "targets": Z},
        [({"top_diff": "1"}, TypeError, f"top_diff {NO_NUMBER} str")],
    ),
    (
        sklearn.log_loss,
        {"y_true": [0, 1], "y_proba": [0.25, 0.5]},
        [
            ({"y_true": 1}, ValueError, "y_true must be array-like, got int"),
            ({"y_proba": 0.5}, ValueError, "y_proba must be array-like, got float"),
            ({"sample_weight": 2.0}, ValueError, "sample_weight must be array-like, got float"),
            ({"labels": "ab"}, ValueError, "labels must be array-like, got str"),
            ({"normalize": 1}, ValueError, "normalize must be a bool, got 1"),
            ({"normalize": None}, ValueError, "normalize must be a bool, got None"),
            (
                {"y_pred": [0.25, 0.5]},
                ValueError,
                "Cannot use both `y_pred` and `y_proba`. `y_pred` is deprecated, use `y_proba` instead.",
            ),
            ({"sample_weight": [1, NAN]}, ValueError, "sample_weight must be finite, but contains NaN"),
            ({"sample_weight": [1, math.inf]}, ValueError, "sample_weight must be finite, but contains infinity"),
            ({"sample_weight": [1j, 1]}, ValueError, "sample_weight must be real, got complex128"),
            ({"sample_weight": [[1], [1]]}, ValueError, "sample_weight must be of one dimension, got 2"),
            ({"sample_weight": [0, 0]}, ValueError, "sample_weight must hold a number that is not zero"),
            (
                {"sample_weight": [1, -1]},
                ZeroDivisionError,
                "sample_weight adds up to zero, which a mean cannot be divided by",
            ),
            (
                {"sample_weight": [1]},
                ValueError,
                r"Found input variables with inconsistent numbers of samples: \[2, 2, 1\]",
            ),
            ({"labels": []}, ValueError, r"labels must be of one dimension and not empty, got shape \(0,\)"),
            ({"labels": [0, 0, 1]}, ValueError, r"labels must not name a class twice, got \[0, 0, 1\]"),
            (
                {"labels": [0.5, 1]},
                ValueError,
                "labels must hold discrete labels, got floating numbers that are not whole",
            ),
            (
                {"labels": [0, 2]},
                ValueError,
                r"y_true contains values \{1\} not belonging to the passed labels \[0, 2\].",
            ),
            ({"y_proba": [0.5, 1.5]}, ValueError, "y_prob contains values greater than 1: 1.5"),
            ({"y_proba": [0.5, -0.5]}, ValueError, "y_prob contains values lower than 0: -0.5"),
            ({"y_proba": [0.5, NAN]}, ValueError, "y_proba must be finite, but contains NaN"),
            ({"y_true": [0, "a"]}, ValueError, "y_true must not mix strings and other labels"),
            (
                {"y_true": [0.5, 1]},
                ValueError,
                "y_true must hold discrete labels, got floating numbers that are not whole",
            ),
        ],
    ),
    (
        numpy_reference.binary_cross_entropy,
        {"X": X[0], "y": Z[0]},
        [
            ({"X": Z}, ValueError, r"X must be of shape \(N, 1\) or \(N,\), got \(1, 2\)"),
            ({"y": Z}, ValueError, r"y must be of shape \(N, 1\) or \(N,\), got \(1, 2\)"),
            ({"y": THREE}, ValueError, r"X and y must be of the same length, got X \(2,\) and y \(3,\)"),
            ({"X": [0.5]}, TypeError, f"X {NO_ARRAY} list"),
            ({"y": [1]}, TypeError, f"y {NO_ARRAY} list"),
        ],
    ),
]


def name_of(function):
    return getattr(function, "__qualname__", type(function).__name__)


REFUSED = [
    pytest.param(function, taken, changed, error, text, id=f"{name_of(function)}-{text[:50]}")
    for function, taken, refusals in TABLE
    for changed, error, text in refusals
]


@pytest.mark.parametrize(("function", "taken", "changed", "error", "text"), REFUSED)
def test_refusals(function, taken, changed, error, text):
    with pytest.raises(error, match=f"^{text}$"):
        function(**taken | changed)


@pytest.mark.parametrize(("function", "taken"), [(function, taken) for function, taken, _ in TABLE])
def test_what_they_differ_from_is_taken(function, taken):
    """So each refusal is of what was changed."""
    function(**taken)


@pytest.mark.parametrize("value", [-0.75, 1.25, NAN])
def test_first_outside_describes_the_first(value):
    x = np.array([[0.5, value], [2.5, 1.0]])
    assert first_outside("p", x) == f"p must be in [0, 1], got {value} at index (0, 1)"


@pytest.mark.parametrize("x", [np.zeros(2), np.ones((1, 3)), np.array([0.0, 0.5, 1.0]), np.zeros(0), np.array([True])])
def test_first_outside_without_one(x):
    """None and nothing else: what is not None is a text."""
    assert first_outside("p", x) is None


def test_first_outside_where_values_cannot_be_looked_at():
    jax = pytest.importorskip("jax")
    torch = pytest.importorskip("torch")
    dask_array = pytest.importorskip("dask.array")
    assert first_outside("p", dask_array.from_array(np.array([2.0]))) is None
    seen = []
    jax.jit(lambda x: seen.append(first_outside("p", x)))(jax.numpy.array([2.0]))
    torch.func.vmap(lambda x: seen.append(first_outside("p", x)) or x)(torch.tensor([2.0]))
    assert seen == [None, None]
