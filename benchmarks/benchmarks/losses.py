"""The benchmarks of each loss: for its values, a score, an optimiser, and a step of training."""

from .common import XPBenchmark


class Elementwise(XPBenchmark):
    function = "elementwise"


class Mean(XPBenchmark):
    function = "mean"


class ValueAndGradient(XPBenchmark):
    function = "value_and_gradient"


class TrainingStep(XPBenchmark):
    function = "training_step"


class FocalElementwise(XPBenchmark, loss="Focal"):
    function = "elementwise"


class FocalTrainingStep(XPBenchmark, loss="Focal"):
    function = "training_step"


class AsymmetricElementwise(XPBenchmark, loss="Asymmetric"):
    function = "elementwise"


class AsymmetricTrainingStep(XPBenchmark, loss="Asymmetric"):
    function = "training_step"
