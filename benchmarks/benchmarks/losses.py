"""The loss, as it is called for its values, for a score, for an optimiser, and in a step of training."""

from .common import XPBenchmark


class Elementwise(XPBenchmark):
    function = "elementwise"


class Mean(XPBenchmark):
    function = "mean"


class ValueAndGradient(XPBenchmark):
    function = "value_and_gradient"


class TrainingStep(XPBenchmark):
    function = "training_step"
