"""Ports for people who come from one system: its names, argument order, defaults, errors and results.

They work on the arrays of any library, with xbce's accuracy. None of these modules imports the system that it is named
after, except that the classes that are PyTorch modules, of `pytorch` and `kornia`, import PyTorch at their first use.
Each module is imported at its first use, so that `import xbce` does not take longer.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import boosting, caffe, keras, kornia, numpy_reference, optax, pytorch, sklearn, tensorflow
else:  # hidden from type checkers, which would take any name for an attribute

    def __getattr__(name):
        if name in __all__:
            from importlib import import_module

            return import_module(f"{__name__}.{name}")
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)


__all__ = ["boosting", "caffe", "keras", "kornia", "numpy_reference", "optax", "pytorch", "sklearn", "tensorflow"]


def __dir__() -> list[str]:
    return sorted(__all__)
