"""The loss, as it is called for its values, for a score, and in a step of training."""

from .common import XPBenchmark


class Elementwise(XPBenchmark):
    function = "elementwise"


class Mean(XPBenchmark):
    function = "mean"


class MeanAndGradient(XPBenchmark):
    function = "mean_and_gradient"
