"""The logits and labels of the page, and the losses.

Each number is one that all four formats hold, bfloat16 with its 8 bits too: so the exact result does not depend on the
format, and what changes with the format is what a system makes of it.
"""

import numpy as np

from xbce_conformance.cases import BY_NAME, PLAIN, Case

EXPLORED: tuple[Case, ...] = (PLAIN, BY_NAME["sigmoid_focal_loss(gamma=2, alpha=0.25)"])
"""The losses: those of logits and labels alone that peers have."""

_NEAR_0 = (2.0**-20, 2.0**-14, 2.0**-10, 2.0**-8, 2.0**-6, 2.0**-5)
_PARTS = (
    (0.0625, 0.125, 0.0625),
    (0.125, 2, 0.125),
    (2, 6, 0.25),
    # exp(x) is infinite in float16 from 11.1 on; sigmoid(x) is 1 from 8.4 (float16), 6.3 (bfloat16) and 17.4 (float32).
    (6, 24, 0.5),
    (24, 40, 1),  # there sigmoid(x) is 1 in float64
    (40, 86, 2),
    (86, 106, 1),  # exp(-x) is subnormal in float32, then 0
    (106, 121, 4),
    (150, 251, 50),
    (500, 701, 100),
    (708, 712, 4),  # exp(-x) is subnormal in float64 from 708.4 on, and 0 from 745.2
    (740, 752, 4),
    (1000, 1001, 1),
)
"""First, end and distance of positive logits."""


def _logits() -> tuple[float, ...]:
    positive = [*_NEAR_0, *np.concatenate([np.arange(*part) for part in _PARTS]).tolist()]
    return (*(-x for x in reversed(positive)), 0.0, *positive)


LOGITS = _logits()
LABELS = (0.0, 0.00390625, 0.10009765625, 0.5, 0.8984375, 0.99609375, 1.0)
"""0.1 and 0.9 as bfloat16 rounds them, and its last number before 1."""
