"""Heartbeats of the devices: which version each has, and how well it works.

Each query has one kind of selector, as the census does it, and concerns one province.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from qos_agent.influx.query import Row, Server, between, word

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Device:
    """The version that a station's device has accepted, and the one in force."""

    station: str
    heard_ns: int
    seen: int | None = None
    version: int | None = None
    since_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Slots:
    """Slots of a station within a span."""

    due: int
    failed: int

    @property
    def failed_share(self) -> float:
        """The share of the due slots that failed."""
        return self.failed / self.due if self.due else 0.0


def heard(server: Server, province: str, span: Span) -> dict[str, int]:
    """Return the time of the last heartbeat by station."""
    rows = _rows(server, 'LAST("beats")', province, span)
    return {row.tags["station"]: row.time_ns(span) for row in rows}


def devices(server: Server, province: str, span: Span) -> list[Device]:
    """Return all stations of a province that sent a heartbeat."""
    last_ns = heard(server, province, span)
    seen = _last(server, "remote_seen", province, span)
    versions = _last(server, "remote_version", province, span)
    since_ns = _since(server, province, span, set(versions.values()))
    found = []
    for station, at_ns in sorted(last_ns.items()):
        version = versions.get(station)
        since = since_ns.get((station, version)) if version is not None else None
        found.append(Device(station, at_ns, seen.get(station), version, since))
    return found


def slots(server: Server, province: str, span: Span) -> dict[str, Slots]:
    """Return due and failed slots by station."""
    what = 'SUM("due") AS "due", SUM("failed") AS "failed"'
    return {
        row.tags["station"]: Slots(row.count("due"), row.count("failed"))
        for row in _rows(server, what, province, span)
        if "due" in row.values and "failed" in row.values
    }


def with_version(server: Server, province: str, span: Span, version: int) -> set[str]:
    """Return the stations whose last heartbeat has a version."""
    found = _last(server, "remote_version", province, span)
    return {station for station, last in found.items() if last == version}


def refusals(server: Server, province: str, span: Span) -> dict[str, int]:
    """Return the number of refused configurations by station."""
    rows = _rows(server, 'SUM("remote_refused") AS "n"', province, span)
    return {row.tags["station"]: row.count("n") for row in rows if "n" in row.values}


def _last(server: Server, field: str, province: str, span: Span) -> dict[str, int]:
    rows = _rows(server, f'LAST("{field}") AS "n"', province, span)
    return {row.tags["station"]: row.count("n") for row in rows if "n" in row.values}


def _since(
    server: Server, province: str, span: Span, versions: Iterable[int]
) -> dict[tuple[str, int | None], int]:
    """Return the time of the first heartbeat with each version, by station."""
    found: dict[tuple[str, int | None], int] = {}
    for version in sorted(versions):
        where = f' AND "remote_version" = {version}'
        for row in _rows(server, 'FIRST("remote_version")', province, span, where):
            found[row.tags["station"], version] = row.time_ns(span)
    return found


def _rows(
    server: Server, what: str, province: str, span: Span, where: str = ""
) -> list[Row]:
    query = (
        f'SELECT {what} FROM "agent" WHERE "province" = {word(province)} AND '
        f'{between(*span)}{where} GROUP BY "station"'
    )
    return [row for row in server.select(query) if row.has("station")]
