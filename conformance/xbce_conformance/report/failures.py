"""What is said of a row that fails: why, where it is worst, what came there, what is right, and how to see it again."""

from xbce_conformance.results.figures import ulp_text
from xbce_conformance.results.model import Row

SPECIAL_VALUES = 5
"""So many wrong special values are shown of a row; of the others the number."""


def details(row: Row) -> list[str]:
    """Return lines about a row: its violations, or its largest error where it has none, and the input that shows it."""
    failing = [v for v in row.verdict.violations if not v.waived] if row.verdict else []
    lines = [f"{v.text} [{v.name}]" if v.name else v.text for v in failing]  # an earlier version had no names
    lines = lines or [row.failure or f"{ulp_text(row.figures.max_ulp)} ULP"]
    if row.worst.place:
        lines.append(f"worst: {row.worst.place}")
    if row.worst.computed:
        lines += [f"came:  {row.worst.computed}", f"right: {row.worst.exact}"]
    lines += [f"remark: {text}" for text in row.remarks]
    if row.reproducer:
        lines.append(f"again: {row.reproducer}")
    wrong = row.special.mismatches
    for mismatch in wrong[:SPECIAL_VALUES]:
        inputs = ", ".join(f"{name} {number}" for name, number in mismatch.inputs.items())
        lines.append(f"special value: {inputs}: {mismatch.computed} came, right is {mismatch.expected}")
    if len(wrong) > SPECIAL_VALUES:
        lines.append(f"special value: {len(wrong) - SPECIAL_VALUES} more are wrong")
    return lines


def block(row: Row) -> str:
    """Return the name of a row that fails, and below it the details, indented."""
    return "\n    ".join([f"FAIL: {row.name}", *details(row)])
