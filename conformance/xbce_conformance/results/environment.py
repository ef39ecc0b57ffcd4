"""What a result depends on, besides the backends."""

import platform
from datetime import UTC, datetime
from pathlib import Path

import xbce


def environment() -> dict[str, str]:
    """Return date, versions, system and processor."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "xbce": xbce.__version__,
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
    }


def _processor() -> str:
    """Return the model of the processor: the accuracy of NumPy's exp and log1p depends on it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
