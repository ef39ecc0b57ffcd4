"""Logits of real models on held-out rows."""

from functools import cache
from typing import Any

import numpy as np

from xbce_conformance.inputs.formats import Doubles

BREAST_CANCER, DIGITS = "breast cancer", "digits"


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
