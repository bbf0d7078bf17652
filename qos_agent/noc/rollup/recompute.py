"""Recalculates a span of a province, and keeps a stored sum that counts more points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from qos_agent.influx.query import Server, Table
from qos_agent.influx.writer import Writer, write_each
from qos_agent.model import Record
from qos_agent.model.line_protocol import decode, encode
from qos_agent.noc.rollup import cursors
from qos_agent.noc.rollup.corrections import OverwriteSupport, differences
from qos_agent.noc.rollup.cursors import RollupSpan
from qos_agent.noc.rollup.retention import KnownRetention, Retention
from qos_agent.noc.rollup.sums import (
    MINUTE_NS,
    ROLLUPS,
    Rollup,
    key,
    lines_of,
    query_spans,
    read_lines,
    read_tables,
)

_QueryResult = tuple[Rollup, tuple[int, int], list[Table]]


@dataclass(frozen=True, slots=True)
class RollupCalculator:
    """Reads raw points from each province's server and writes their sums.

    `_fresh` has the lines of each province's youngest minutes, which are recalculated
    every minute. Lines that have not changed are not written again.
    """

    servers: Mapping[str, Server]
    rollups: Server
    writer: Writer
    retention: Retention
    support: OverwriteSupport
    _fresh: dict[str, set[bytes]] = field(default_factory=dict)

    def update(self, span: RollupSpan, now_ns: int) -> int:
        """Recalculate a span and return the number of points written.

        Minutes with deleted raw points are left as they are. If the retention is
        uncertain, a stored sum stays if it counts more than the new one. Raises
        QueryError, WriteError.
        """
        retention = self.retention.of(self.servers[span.province])
        kept_from_ns = retention.from_ns(now_ns) + MINUTE_NS - 1
        from_ns = max(span.from_ns, cursors.whole_minute(kept_from_ns))
        if from_ns >= span.to_ns:
            return 0
        parts = self._lines(span.province, (from_ns, span.to_ns), retention)
        if span.cursor != f"fresh/{span.province}":
            return write_each(self.writer.write, parts)
        before, after = self._fresh.pop(span.province, set()), set[bytes]()
        count = write_each(self.writer.write, _changed(parts, before, after))
        self._fresh[span.province] = after
        return count

    def _lines(
        self, province: str, span: tuple[int, int], retention: KnownRetention
    ) -> Iterator[list[bytes]]:
        """Yield the lines of each query while the server answers the next one."""
        for rollup, part, tables in _prefetched(self._results(province, span)):
            new = list(lines_of(self.servers[province], rollup, tables))
            overwrites = self.support.overwrites()
            stored: list[bytes] = []
            if not (retention.certain and overwrites):
                stored += read_lines(self.rollups, rollup, province, *part)
            if not retention.certain:
                new = not_fewer(rollup, new, stored)
            yield new if overwrites else list(differences(new, stored))

    def _results(self, province: str, span: tuple[int, int]) -> Iterator[_QueryResult]:
        server = self.servers[province]
        for rollup in ROLLUPS:
            for part in query_spans(server, rollup, province, *span):
                yield rollup, part, read_tables(server, rollup, province, part)


def _changed(
    parts: Iterable[list[bytes]], before: set[bytes], after: set[bytes]
) -> Iterator[list[bytes]]:
    """Yield each part without the lines in `before`; collect all lines in `after`."""
    for part in parts:
        after.update(part)
        yield [line for line in part if line not in before]


def _prefetched(results: Iterator[_QueryResult]) -> Iterator[_QueryResult]:
    """Yield each result while exactly one more query is running."""
    with ThreadPoolExecutor(1) as executor:
        running = executor.submit(next, results, None)
        while (result := running.result()) is not None:
            running = executor.submit(next, results, None)
            yield result


def not_fewer(
    rollup: Rollup, lines: Iterable[bytes], stored: Iterable[bytes]
) -> list[bytes]:
    """Return the lines without those that count fewer points than the stored ones."""
    before = {key(record): _counted(rollup, record) for record in map(decode, stored)}
    return [
        encode(record)
        for record in map(decode, lines)
        if _counted(rollup, record) >= before.get(key(record), 0)
    ]


def _counted(rollup: Rollup, record: Record) -> int:
    """Add up all integer fields.

    Each additional raw point makes the total larger or leaves it equal.
    """
    names = (field.name for field in rollup.fields if field.type == "int")
    return sum(int(record.fields.get(name, 0)) for name in names)
