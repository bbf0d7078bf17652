"""A table on standard output, and the statistics that stand in it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median


def spread(values: Sequence[float], unit: str, digits: int = 1) -> str:
    """Median with least and greatest, such as "131.0 ms (128.2 to 140.9, n 7)"."""
    least, most = min(values), max(values)
    return (
        f"{median(values):.{digits}f} {unit} "
        f"({least:.{digits}f} to {most:.{digits}f}, n {len(values)})"
    )


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table with aligned columns."""
    widths = [max(len(str(row[i])) for row in (head, *rows)) for i in range(len(head))]
    print(f"\n{title}")
    for row in (head, ["-" * width for width in widths], *rows):
        print("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)))
