"""The days of a measurement in an InfluxDB, each a source of its own.

Late readings have old times, so a position in time does not show what is new. The
number of readings of a day and the sum of their numbers do. A build therefore reads
only the days again of which one of the two differs from the last build.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from qos_agent.archive.sources.influx import InfluxMeasurement, Period
from qos_agent.archive.sources.types import Item
from qos_agent.influx.query import between

_DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class InfluxDay:
    """The readings of one day in UTC; `mark` has their number and sum.

    The position is the time of the last row, and the end of the period behind it.
    """

    measurement: InfluxMeasurement
    mark: str
    only_grows: bool = True

    @property
    def name(self) -> str:
        """The name of the measurement, and the day."""
        start = datetime.fromtimestamp(self.measurement.period.from_ns // 10**9, UTC)
        return f"{self.measurement.name}/{start:%Y-%m-%d}"

    def fingerprint(self) -> str:
        """Return the period and the mark."""
        return f"{self.measurement.fingerprint()}: {self.mark}"

    def items(self, after: int | None = None) -> Iterator[Item]:
        """Yield the readings from the time of a position on; none at the end.

        Raises QueryError if the server does not answer.
        """
        end_ns = self.measurement.period.to_ns
        if after is not None and after >= end_ns:
            return
        held: Item | None = None
        for item in self.measurement.items(after):
            if held is not None:
                yield held
            held = item
        if held is not None:
            yield replace(held, position=end_ns)


def days_of(measurement: InfluxMeasurement) -> Iterator[InfluxDay]:
    """Yield the days with readings. Raises QueryError."""
    period = measurement.period
    ends = [_time_of(measurement, name) for name in ("first", "last")]
    first_ns, last_ns = ends
    if first_ns is None or last_ns is None:
        return
    # Without limits, the empty days since 1970 would be part of the response.
    day_ns = first_ns // _DAY_NS * _DAY_NS
    span = between(day_ns, last_ns + 1)
    where = f"{span} AND {between(period.from_ns, period.to_ns)}"
    query = (
        f'SELECT count("seq"), sum("seq") FROM "{measurement.measurement}"'
        f" WHERE {where} GROUP BY time(1d)"
    )
    for row in measurement.server.select(query):
        if not row.values.get("count"):
            continue
        start_ns = row.time_ns((0, last_ns))
        day = Period(
            max(start_ns, period.from_ns), min(start_ns + _DAY_NS, period.to_ns)
        )
        mark = f"{row.count('count')} readings, sum {row.values.get('sum')}"
        yield InfluxDay(replace(measurement, period=day), mark)


def _time_of(measurement: InfluxMeasurement, selector: str) -> int | None:
    """Return the time of the first or the last reading, or None."""
    period = measurement.period
    query = (
        f'SELECT {selector}("seq") FROM "{measurement.measurement}"'
        f" WHERE {between(period.from_ns, period.to_ns)}"
    )
    for row in measurement.server.select(query):
        return row.time_ns((period.from_ns, period.to_ns))
    return None
