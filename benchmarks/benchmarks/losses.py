"""The benchmarks of the loss: for its values, a score, an optimiser, and a step of training."""

from .common import XPBenchmark


class Elementwise(XPBenchmark):
    function = "elementwise"


class Mean(XPBenchmark):
    function = "mean"


class ValueAndGradient(XPBenchmark):
    function = "value_and_gradient"


class TrainingStep(XPBenchmark):
    function = "training_step"
