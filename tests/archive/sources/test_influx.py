"""Readings of a real InfluxDB: pages, equal times, and rows that are not readings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qos_agent.archive.columns import READINGS
from qos_agent.archive.sources.influx import InfluxMeasurement, Period
from qos_agent.config.settings import CollectorSection
from qos_agent.influx.query import QueryError, Server
from qos_agent.influx.results import Table
from qos_agent.model import Record
from qos_agent.model.line_protocol import encode
from tests.archive.support import VOTING_NS, line, lines
from tests.servers.database import Database
from tests.support.readings import records


def _source(
    database: Database, measurement: str = "latency", page_rows: int = 7
) -> InfluxMeasurement:
    section = CollectorSection.model_validate(database.section)
    return InfluxMeasurement(Server(section), measurement, page_rows=page_rows)


def _lines(source: InfluxMeasurement, after: int | None = None) -> list[bytes]:
    return [item.line or item.fault.encode() for item in source.items(after)]


@pytest.mark.parametrize("page_rows", [1, 2, 7, 20, 100])
def test_every_page_size_gives_all_readings_once(
    influxdb: Database, page_rows: int
) -> None:
    """Pages end between points, also where several points have the same time."""
    stations = [f"31710100010{n:02}" for n in range(12)]
    same_time = [
        line(n, "j2", link="2", station=station, time_ns=VOTING_NS + 5 * 10**9)
        for n, station in enumerate(stations, start=1)
    ]
    stored = [*lines(20), *same_time]
    influxdb.write(b"\n".join(stored))
    assert sorted(_lines(_source(influxdb, page_rows=page_rows))) == sorted(stored)


def test_reading_continues_at_a_position(influxdb: Database) -> None:
    """Points with the time of the position are read again, so none is lost."""
    stored = lines(20)
    influxdb.write(b"\n".join(stored))
    source = _source(influxdb)
    items = list(source.items())
    for count in (1, 10, 20):
        assert _lines(source, items[count - 1].position) == stored[count - 1 :]


def test_only_the_period_is_read(influxdb: Database) -> None:
    """The end of a period does not belong to it."""
    stored = lines(20)
    influxdb.write(b"\n".join(stored))
    section = CollectorSection.model_validate(influxdb.section)
    period = Period(VOTING_NS + 5 * 10**9, VOTING_NS + 9 * 10**9)
    source = InfluxMeasurement(Server(section), "latency", period)
    assert _lines(source) == stored[4:8]


@settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)
@given(st.lists(records(), min_size=1, max_size=8, unique_by=lambda r: r.time_ns))
def test_the_sealed_bytes_come_back(influxdb: Database, sent: list[Record]) -> None:
    """Every reading that the schema allows has the bytes that the device sealed."""
    sent = [r for r in sent if r.measurement in READINGS]
    fresh = influxdb.fresh()
    stored = sorted(encode(record) for record in sent)
    fresh.write(b"\n".join(stored))
    found: list[bytes] = []
    for name in {record.measurement for record in sent}:
        found += _lines(_source(fresh, name, page_rows=3))
    assert sorted(found) == stored
    fresh.drop()


def test_a_row_with_a_foreign_field_is_a_fault(influxdb: Database) -> None:
    """A point that another program has written is named and not taken."""
    influxdb.write(b"latency,station=x own_field=1 1000\n" + line(1))
    found = _lines(_source(influxdb))
    assert found[1] == line(1)
    assert found[0].startswith(b"time 1000: ")


def test_the_server_has_time_for_others(influxdb: Database) -> None:
    """Between pages the source waits, so that the rate stays under its limit."""
    influxdb.write(b"\n".join(lines(20)))
    pauses_s: list[float] = []
    section = CollectorSection.model_validate(influxdb.section)
    source = InfluxMeasurement(
        Server(section), "latency", rows_per_s=1.0, page_rows=10, sleep=pauses_s.append
    )
    assert len(_lines(source)) == 20
    assert len(pauses_s) == 3
    assert 8.0 < pauses_s[0] <= 10.0


class _FalseServer(Server):
    """A server that returns the same rows to every query."""

    def __init__(self, rows: list[list[object]]) -> None:
        section = {"url": "http://127.0.0.1:1", "bucket": "qos"}
        super().__init__(CollectorSection.model_validate(section))
        self._rows = rows

    def tables(self, query: str) -> Iterator[Table]:
        yield Table({}, ["time", "sent"], self._rows)


@pytest.mark.parametrize(
    "rows",
    [[[5, 1], [5, 1]], [["5", 1], ["6", 1]], [[-1, 1]], [[None, 1]], [[5, 1], [6, 1]]],
)
def test_a_server_that_answers_wrongly_does_not_hang_the_reader(
    rows: list[list[object]],
) -> None:
    """Rows without a time, or that come twice, end with an error."""
    source = InfluxMeasurement(_FalseServer(rows), "latency", page_rows=2)
    with pytest.raises(QueryError):
        list(source.items())
