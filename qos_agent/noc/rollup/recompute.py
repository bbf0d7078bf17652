"""Sums a stretch of a province, and never puts a sum over fewer points in a whole one's
place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from qos_agent.influx.query import Server, Table
from qos_agent.influx.writer import Writer, write_each
from qos_agent.model import Record
from qos_agent.model.line_protocol import decode, encode
from qos_agent.noc.rollup import cursors
from qos_agent.noc.rollup.corrections import Rewriting, differences
from qos_agent.noc.rollup.cursors import Stretch
from qos_agent.noc.rollup.retention import Kept, Retention
from qos_agent.noc.rollup.sums import (
    ALL_SUMS,
    MINUTE_NS,
    Sums,
    added,
    key,
    lines,
    spans,
)

_Answer = tuple[Sums, tuple[int, int], list[Table]]


@dataclass(frozen=True, slots=True)
class Summer:
    """Reads raw points of each province's server, writes their sums.

    `_fresh` has the lines of each province's youngest minutes, which are made again
    each minute: those that have not changed are not written again.
    """

    servers: Mapping[str, Server]
    rollups: Server
    writer: Writer
    retention: Retention
    rewriting: Rewriting
    _fresh: dict[str, set[bytes]] = field(default_factory=dict)

    def sum(self, stretch: Stretch, now_ns: int) -> int:
        """Sum a stretch; how many points it wrote. Raises QueryError, WriteError.

        What raw points no longer cover is left. Where it is not known how long they
        are kept, a stored sum stands if it counts more than the new one.
        """
        kept = self.retention.of(self.servers[stretch.province])
        from_ns = max(
            stretch.from_ns, cursors.whole(kept.from_ns(now_ns) + MINUTE_NS - 1)
        )
        if from_ns >= stretch.to_ns:
            return 0
        found = self._found(stretch.province, (from_ns, stretch.to_ns), kept)
        if stretch.cursor != f"fresh/{stretch.province}":
            return write_each(self.writer.write, found)
        before, made = self._fresh.pop(stretch.province, set()), set[bytes]()
        count = write_each(self.writer.write, _changed(found, before, made))
        self._fresh[stretch.province] = made
        return count

    def _found(
        self, province: str, span: tuple[int, int], kept: Kept
    ) -> Iterator[list[bytes]]:
        """The lines of each question, while the server answers the next."""
        for sums, part, tables in _ahead(self._answers(province, span)):
            found = list(added(sums, tables))
            overwrites = self.rewriting.overwrites()
            stored: list[bytes] = []
            if not (kept.sure and overwrites):
                stored += lines(self.rollups, sums, province, *part)
            if not kept.sure:
                found = not_fewer(sums, found, stored)
            yield found if overwrites else list(differences(found, stored))

    def _answers(self, province: str, span: tuple[int, int]) -> Iterator[_Answer]:
        server = self.servers[province]
        for sums in ALL_SUMS:
            for part in spans(server, sums, province, *span):
                yield sums, part, list(server.tables(sums.query(province, *part)))


def _changed(
    parts: Iterable[list[bytes]], before: set[bytes], made: set[bytes]
) -> Iterator[list[bytes]]:
    """What each part has that was not there before; `made` takes all of it."""
    for part in parts:
        made.update(part)
        yield [line for line in part if line not in before]


def _ahead(answers: Iterator[_Answer]) -> Iterator[_Answer]:
    """Each answer, the next question under way, and no more than that one."""
    with ThreadPoolExecutor(1) as hand:
        under_way = hand.submit(next, answers, None)
        while (answer := under_way.result()) is not None:
            under_way = hand.submit(next, answers, None)
            yield answer


def not_fewer(
    sums: Sums, found: Iterable[bytes], stored: Iterable[bytes]
) -> list[bytes]:
    """The lines found, less those that count less than what is stored already."""
    before = {key(r): _counted(sums, r) for r in map(decode, stored)}
    return [
        encode(record)
        for record in map(decode, found)
        if _counted(sums, record) >= before.get(key(record), 0)
    ]


def _counted(sums: Sums, record: Record) -> int:
    """All that is counted: one raw point more never makes it less."""
    names = (field.name for field in sums.fields if field.type == "int")
    return sum(int(record.fields.get(name, 0)) for name in names)
