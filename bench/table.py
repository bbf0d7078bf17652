"""Tables on standard output, and their statistics."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median


def spread(values: Sequence[float], unit: str, digits: int = 1) -> str:
    """Return median, minimum and maximum: "131.0 ms (128.2 to 140.9, n 7)"."""
    smallest, largest = min(values), max(values)
    return (
        f"{median(values):.{digits}f} {unit} "
        f"({smallest:.{digits}f} to {largest:.{digits}f}, n {len(values)})"
    )


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table with aligned columns."""
    widths = [max(len(str(row[i])) for row in (head, *rows)) for i in range(len(head))]
    print(f"\n{title}")
    for row in (head, ["-" * width for width in widths], *rows):
        print("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)))
