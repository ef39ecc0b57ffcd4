"""Ports for people who come from one system: its names, argument order, defaults, errors and results.

They work on the arrays of any library, with xbce's accuracy. None of these modules imports the system it is named
after, but for the two classes of `pytorch` that are PyTorch modules, which do when they are asked for.
"""

from . import boosting, caffe, keras, numpy_reference, optax, pytorch, sklearn, tensorflow

__all__ = ["boosting", "caffe", "keras", "numpy_reference", "optax", "pytorch", "sklearn", "tensorflow"]
