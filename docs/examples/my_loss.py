import numpy as np


def loss(logits, labels):
    agreeing = np.where(labels == 1, logits, -logits)
    return np.log1p(np.exp(-np.abs(agreeing))) + np.maximum(-agreeing, 0)
