"""The steps of the algorithm, each with its script."""

from proofs.steps import estimates, exponential, logarithm, loss, own_functions, pairs, sums
from proofs.steps.step import Step

__all__ = ["Step", "every_step"]


def every_step() -> list[Step]:
    """Return all steps: what a step takes as given is proved by those before it."""
    return [
        step for room in (pairs, exponential, logarithm, loss, sums, estimates, own_functions) for step in room.steps()
    ]
