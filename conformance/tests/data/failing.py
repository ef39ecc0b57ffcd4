"""Losses that fail outright, each in one way."""

import sys
import time
from contextlib import suppress

import numpy as np

import xbce


def right(x, z):
    return xbce.binary_cross_entropy_with_logits(x, z)


def always(_x, _z):
    raise RuntimeError("it does not work")


def beyond_1e30(x, z):
    if np.any(np.abs(x[np.isfinite(x)]) > 1e30):
        raise OverflowError("a logit is too large")
    return right(x, z)


def hangs(_x, _z):
    while True:
        time.sleep(0.01)


def hangs_beyond_1e30(x, z):
    while np.any(np.abs(x[np.isfinite(x)]) > 1e30):
        time.sleep(0.01)
    return right(x, z)


def swallows(_x, _z):
    while True:
        with suppress(Exception):
            time.sleep(0.01)


def leaves(_x, _z):
    sys.exit(0)


def nothing(x, z):
    right(x, z)


def column(x, z):
    return right(x, z).reshape(-1, 1)


def all_with_all(x, z):
    return right(x, z) + 0 * right(x, z).reshape(-1, 1)


def mean(x, z):
    return right(x, z).mean()


def wide(x, z):
    return right(x, z).astype(np.float64)


def a_list(x, z):
    return right(x, z).tolist()


def integers(x, _z):
    return np.zeros(x.shape, np.int32)
