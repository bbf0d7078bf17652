"""An InfluxDB as a source: its readings, one measurement after the other.

Pages are limited in rows and ordered by time, so that memory is bounded. Many points
may have the same time. A page therefore ends before its last time, and a time with more
points than a page is read with offsets. Late readings have old times, so an earlier
position is only used to continue an interrupted run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qos_agent.archive.sources.types import Item
from qos_agent.influx.query import QueryError, Server, between
from qos_agent.model.line_protocol import encode, from_row

# A page of the longest points is about 4 MB of JSON.
PAGE_ROWS = 2000
_FIRST_NS, _END_NS = 0, 2**63 - 1


@dataclass(frozen=True, slots=True)
class Period:
    """The times to read: from_ns <= time < to_ns."""

    from_ns: int = _FIRST_NS
    to_ns: int = _END_NS


@dataclass(frozen=True, slots=True)
class InfluxMeasurement:
    """The readings of one measurement in a database.

    At most `rows_per_s` are requested on average, so that the server has time for
    others. The position is the time of the last row.
    """

    server: Server
    measurement: str
    period: Period = Period()
    rows_per_s: float = 20_000.0
    page_rows: int = PAGE_ROWS
    sleep: Callable[[float], None] = field(default=time.sleep, compare=False)
    only_grows: bool = False

    @property
    def name(self) -> str:
        """The address of the database and the measurement."""
        return f"{self.server.name}/{self.measurement}"

    def fingerprint(self) -> str:
        """Return the period, which positions depend on."""
        return f"{self.period.from_ns} to {self.period.to_ns}"

    def items(self, after: int | None = None) -> Iterator[Item]:
        """Yield the readings by time, from the time of the position on.

        Raises QueryError if the server does not answer.
        """
        # Other points may have the time of the position.
        from_ns = max(self.period.from_ns, _FIRST_NS if after is None else after)
        while rows := list(self._page(between(from_ns, self.period.to_ns))):
            last_ns = _time_ns(rows[-1])
            if any(_time_ns(row) < from_ns for row in rows):
                raise QueryError(self.server.name, "rows before the requested time")
            is_full = len(rows) == self.page_rows
            if is_full and _time_ns(rows[0]) == last_ns:
                yield from self._one_time(last_ns)
                from_ns = last_ns + 1
                continue
            for row in rows:
                if not is_full or _time_ns(row) < last_ns:
                    yield self._item(row)
            if not is_full:
                return
            from_ns = last_ns

    def _one_time(self, time_ns: int) -> Iterator[Item]:
        """Yield all points with the same time."""
        offset = 0
        before: list[Mapping[str, Any]] = []
        while rows := list(self._page(f"time = {time_ns}", offset)):
            if rows == before:
                raise QueryError(self.server.name, "the same rows came twice")
            yield from map(self._item, rows)
            offset, before = offset + len(rows), rows

    def _page(self, where: str, offset: int = 0) -> Iterator[Mapping[str, Any]]:
        query = (
            f'SELECT * FROM "{self.measurement}" WHERE {where}'
            f" ORDER BY time LIMIT {self.page_rows} OFFSET {offset}"
        )
        began_s = time.monotonic()
        rows = 0
        for table in self.server.tables(query):
            for row in table.rows:
                rows += 1
                yield self._named(table.columns, row)
        needed_s = rows / self.rows_per_s - (time.monotonic() - began_s)
        if needed_s > 0:
            self.sleep(needed_s)

    def _named(self, names: Sequence[str], row: Sequence[Any]) -> Mapping[str, Any]:
        """Return a row by name. Raises QueryError without a time."""
        named = dict(zip(names, row, strict=True))
        if not isinstance(named.get("time"), int):
            raise QueryError(self.server.name, "a row has no time in nanoseconds")
        return named

    def _item(self, row: Mapping[str, Any]) -> Item:
        """Return the canonical line of a row, or the fault of a row without one."""
        time_ns = _time_ns(row)
        try:
            return Item(time_ns, encode(from_row(self.measurement, row)))
        except (ValueError, TypeError, KeyError) as error:
            return Item(time_ns, None, f"time {time_ns}: {error}")


def _time_ns(row: Mapping[str, Any]) -> int:
    return int(row["time"])
