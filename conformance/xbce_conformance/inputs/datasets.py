"""Logits of real models on held-out rows, and logits that are drawn to be like those of a large one."""

from functools import cache
from typing import Any

import numpy as np

from xbce_conformance.inputs.formats import Doubles

BREAST_CANCER, DIGITS, DETECTOR_LIKE = "breast cancer", "digits", "detector-like"


@cache
def real_logits() -> dict[str, tuple[Doubles, Doubles]]:
    """Return logits of fitted models on held-out rows, with their labels, flattened."""
    from sklearn.datasets import load_breast_cancer, load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler, label_binarize

    def fit(data: Any, targets: Any, *, multilabel: bool) -> tuple[Doubles, Doubles]:
        train, test, train_targets, test_targets = train_test_split(data, targets, test_size=0.3, random_state=0)
        model = LogisticRegression(max_iter=1000)
        pipeline = make_pipeline(StandardScaler(), OneVsRestClassifier(model) if multilabel else model)
        logits = pipeline.fit(train, train_targets).decision_function(test)
        return np.asarray(logits, np.float64).ravel(), np.asarray(test_targets, np.float64).ravel()

    cancer, digits = load_breast_cancer(), load_digits()
    return {
        BREAST_CANCER: fit(cancer.data, cancer.target, multilabel=False),
        DIGITS: fit(digits.data, label_binarize(digits.target, classes=range(10)), multilabel=True),
    }


@cache
def detector_like_logits() -> tuple[Doubles, Doubles]:
    """Return float32 logits of 4,096 anchors and 80 classes with hard labels; drawn, not those of a detector.

    Dense detectors start at a probability of 0.01 for each class of each anchor, a logit of -4.6 (RetinaNet's prior),
    and learn that nearly all are background: normal around -6, and around 1 for the 0.3 % that are positive.
    """
    rng = np.random.default_rng(0)
    labels = rng.random(80 * 4096) < 0.003
    logits = rng.normal(np.where(labels, 1.0, -6.0), 2.0)
    return np.asarray(np.float32(logits), np.float64), np.asarray(labels, np.float64)
