"""Durations and sizes as people write them: "90s", "5m", "6h"; "8MB", "1GB"."""

from __future__ import annotations

import re

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
# Nanoseconds and bytes must fit into 64 bits.
_MAX_S = 36_500 * 86_400
_MAX_BYTES = 9 * 10**18
_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}


def seconds(text: object) -> float:
    """Parse a duration: "2m30s" is 150.0.

    Raises ValueError on anything but numbers with units.
    """
    if not isinstance(text, str) or not re.fullmatch(
        r"(\d+(\.\d+)?(ms|[smhd]))+", text
    ):
        raise ValueError("must be a duration such as 500ms, 90s, 5m, 1h30m or 2d")
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhd])", text)
    value_s = float(sum(float(number) * _SECONDS[unit] for number, unit in parts))
    if value_s > _MAX_S:
        raise ValueError("must be at most 36500d")
    return value_s


def size_bytes(text: object) -> int:
    """Parse a size: "8MB" is 8000000.

    Raises ValueError on anything but one number with a unit.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(B|kB|MB|GB)", str(text))
    if match is None:
        raise ValueError("must be a size such as 500kB, 8MB or 1GB")
    value_bytes = float(match[1]) * _BYTES[match[2]]
    if value_bytes > _MAX_BYTES:
        raise ValueError("must be at most 9000000000GB")
    return round(value_bytes)


def duration_text(value_s: float) -> str:
    """Format seconds with at most two units: 5400 is "1h30m"."""
    whole = round(value_s)
    if whole < 1:
        return f"{value_s * 1000:.0f}ms"
    parts = []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, whole = divmod(whole, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2])


def size_text(value_bytes: float) -> str:
    """Format bytes with one decimal: 8000000 is "8.0 MB"."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if abs(value_bytes) >= size:
            return f"{value_bytes / size:.1f} {unit}"
    return f"{value_bytes:.0f} B"
