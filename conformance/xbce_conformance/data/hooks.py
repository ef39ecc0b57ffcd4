"""Records the losses that PyTorch and optax compute within a block, without a change to the step that calls them."""

import functools
import inspect
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from xbce_conformance.cases import PLAIN
from xbce_conformance.data.recording import Recording


@contextmanager
def record() -> Iterator[Recording]:
    """Record the losses that PyTorch and optax compute within the block.

    PyTorch's ``binary_cross_entropy_with_logits`` and ``binary_cross_entropy``, and so ``BCEWithLogitsLoss`` and
    ``BCELoss``, are seen in eager mode; optax's ``sigmoid_binary_cross_entropy`` where it is called by this name, in
    functions that are first compiled within the block, too. Other losses: ``recording.wrap(loss)``. The arrays are
    copied to the host at each call.

    Yields
    ------
    Recording
        The calls so far; ``save`` keeps them, and ``judge`` compares them with other systems and certified values.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce_conformance import record
    >>> def loss(x, z):
    ...     return np.mean(np.logaddexp(0, x) - x * z)
    >>> with record() as recording:
    ...     value = recording.wrap(loss)(np.float32([3.0, -20.0]), np.float32([1.0, 0.0]))
    >>> len(recording), recording.calls[0].reduction
    (1, 'mean')
    """
    recording = Recording()
    with ExitStack() as stack:
        if "torch" in sys.modules:
            stack.enter_context(_torch_mode(recording))
        if "optax" in sys.modules:
            stack.enter_context(_optax_patched(recording))
        try:
            yield recording
        finally:
            recording.close()


# --- PyTorch --------------------------------------------------------------------------------------------------------


def _torch_mode(recording: Recording) -> Any:
    import torch
    from torch.overrides import TorchFunctionMode

    functional = torch.nn.functional
    seen = {
        functional.binary_cross_entropy_with_logits: ("logits", PLAIN.name),
        functional.binary_cross_entropy: ("probabilities", "binary_cross_entropy(log_floor=-100)"),
    }

    class Mode(TorchFunctionMode):  # type: ignore[misc]  # PyTorch has no types here
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            if func in seen:
                first, case = seen[func]
                given = inspect.signature(func).bind(*args, **(kwargs or {})).arguments
                arrays = {first: given["input"], "labels": given["target"]}
                if given.get("pos_weight") is not None:
                    case = "binary_cross_entropy_with_logits(pos_weight)"
                    arrays["pos_weight"] = given["pos_weight"]
                if given.get("weight") is not None:
                    arrays["weight"] = given["weight"]
                reduction = given.get("reduction", "mean")
                old = given.get("size_average"), given.get("reduce")
                if old != (None, None):  # arguments of old, which PyTorch still takes
                    reduction = "none" if old[1] is False else "sum" if old[0] is False else "mean"
                name = f"torch.nn.functional.{func.__name__}"
                recording.keep("torch", name, case, reduction, arrays, result)
            return result

    return Mode()


# --- optax ----------------------------------------------------------------------------------------------------------


@contextmanager
def _optax_patched(recording: Recording) -> Iterator[None]:
    import optax

    name = "sigmoid_binary_cross_entropy"
    original = getattr(optax, name)

    @functools.wraps(original)
    def recorded(logits: Any, labels: Any) -> Any:
        result = original(logits, labels)
        arrays = {"logits": logits, "labels": labels}
        recording.keep("optax", f"optax.{name}", PLAIN.name, "none", arrays, result)
        return result

    modules = [module for module in (optax, optax.losses) if getattr(module, name, None) is original]
    for module in modules:
        setattr(module, name, recorded)
    try:
        yield
    finally:
        for module in modules:
            setattr(module, name, original)
