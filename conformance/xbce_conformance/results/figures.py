"""How figures are written."""

import math


def ulp_text(error: float | None) -> str:
    """Write an error in ULP in at most seven characters."""
    if error is None:
        return "–"
    if not math.isfinite(error):
        return "inf"
    return f"{error:.2f}" if error < 10000 else f"{error:.1e}".replace("e+0", "e").replace("e+", "e")


def share_text(share: float) -> str:
    """Write a share in percent."""
    return f"{share:.1%}"
