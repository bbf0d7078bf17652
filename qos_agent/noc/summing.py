"""Sums a stretch of a province, and never puts a sum over fewer points in a whole one's
place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from qos_agent.line_protocol import decode, encode
from qos_agent.model import Record
from qos_agent.noc import passes
from qos_agent.noc.influxql import Server
from qos_agent.noc.passes import Stretch
from qos_agent.noc.retention import Retention
from qos_agent.noc.rollup import ALL_SUMS, MINUTE_NS, Sums, lines
from qos_agent.noc.writing import WriteError, Writer

_Key = tuple[int, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Summer:
    """Reads raw points of each province's server, writes their sums."""

    servers: Mapping[str, Server]
    rollups: Server
    writer: Writer
    retention: Retention

    def sum(self, stretch: Stretch, now_ns: int) -> int:
        """Sum a stretch; how many points. Raises QueryError, WriteError.

        What raw points no longer cover is left. Where it is not known how long they
        are kept, a stored sum stands if it counts more than the new one.
        """
        server = self.servers[stretch.province]
        kept = self.retention.of(server)
        from_ns = max(
            stretch.from_ns, passes.whole(kept.from_ns(now_ns) + MINUTE_NS - 1)
        )
        if from_ns >= stretch.to_ns:
            return 0
        span, count = (from_ns, stretch.to_ns), 0
        refused: WriteError | None = None
        for sums in ALL_SUMS:
            found = list(lines(server, sums, stretch.province, *span))
            if not kept.sure:
                stored = lines(self.rollups, sums, stretch.province, *span)
                found = not_fewer(sums, found, stored)
            try:
                self.writer.write(found)
            except WriteError as error:
                if not error.refused:
                    raise
                refused = refused or error
            count += len(found)
        if refused is not None:
            raise refused
        return count


def not_fewer(
    sums: Sums, found: Iterable[bytes], stored: Iterable[bytes]
) -> list[bytes]:
    """The lines found, less those that count less than what is stored already."""
    before = {_key(r): _counted(sums, r) for r in map(decode, stored)}
    return [
        encode(record)
        for record in map(decode, found)
        if _counted(sums, record) >= before.get(_key(record), 0)
    ]


def _key(record: Record) -> _Key:
    return record.time_ns, tuple(sorted(record.tags.items()))


def _counted(sums: Sums, record: Record) -> int:
    """All that is counted: one raw point more never makes it less."""
    names = (field.name for field in sums.fields if field.type == "int")
    return sum(int(record.fields.get(name, 0)) for name in names)
