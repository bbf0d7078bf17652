"""Points that a device removed to free space, as its own sealed events state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from qos_agent.archive.bundle.findings import Spans
from qos_agent.archive.bundle.register import moment
from qos_agent.model.line_protocol import decode

EVENT = b"event,kind=eviction,"


@dataclass(frozen=True, slots=True)
class Statement:
    """An event: the device removed this number of points in a span of numbers."""

    seq: int
    at_s: int
    points: int
    first: int
    last: int
    detail: str

    def __str__(self) -> str:
        """Return one line."""
        span = f"of points {self.first} to {self.last}"
        return f"{moment(self.at_s)}: {self.points} {span} ({self.detail})"


def statements(lines: Iterable[bytes]) -> Iterator[Statement]:
    """Yield the statements in lines; others are ignored."""
    for line in lines:
        try:
            record = decode(line)
            fields = record.fields
            yield Statement(
                int(fields["seq"]),
                record.time_ns // 10**9,
                int(fields["amount"]),
                int(fields["first_seq"]),
                int(fields["last_seq"]),
                str(fields.get("detail", "")),
            )
        except (ValueError, KeyError):
            continue


def split_missing(
    missing: Spans, stated: Iterable[Statement]
) -> tuple[int, Spans, list[Statement]]:
    """Return the number of removed points, the missing ones, and the statements used.

    A span of a statement has other points, too. If more points are missing in it than
    the device has removed, all of them count as missing.
    """
    removed, used = 0, []
    unexplained = Spans(limit=missing.limit)
    groups = _overlapping(sorted(stated, key=lambda one: one.first))
    rest = [(first, last) for first, last in missing.spans]
    for low, high, group in groups:
        inside = _clipped(rest, low, high)
        count = sum(last - first + 1 for first, last in inside)
        if 0 < count <= sum(one.points for one in group):
            removed += count
            used += group
            rest = _clipped(rest, 0, low - 1) + _clipped(rest, high + 1, 2**63)
    for first, last in sorted(rest):
        unexplained.add(first, last)
    unexplained.count += missing.count - missing.kept()
    return removed, unexplained, used


def _clipped(
    spans: Iterable[tuple[int, int]], low: int, high: int
) -> list[tuple[int, int]]:
    """Return the parts of spans that are from `low` to `high`."""
    cut = ((max(first, low), min(last, high)) for first, last in spans)
    return [(first, last) for first, last in cut if first <= last]


def _overlapping(
    found: Iterable[Statement],
) -> list[tuple[int, int, list[Statement]]]:
    """Return the statements in groups whose spans overlap or touch."""
    groups: list[tuple[int, int, list[Statement]]] = []
    for one in found:
        if groups and one.first <= groups[-1][1] + 1:
            low, high, group = groups[-1]
            groups[-1] = (low, max(high, one.last), [*group, one])
        else:
            groups.append((one.first, one.last, [one]))
    return groups
