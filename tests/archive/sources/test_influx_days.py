"""Days of a real InfluxDB as sources of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from qos_agent.archive.build import Built, build
from qos_agent.archive.sources.influx import InfluxMeasurement, Period
from qos_agent.archive.sources.influx_days import InfluxDay, days_of
from qos_agent.config.settings import CollectorSection
from qos_agent.influx.query import QueryError, Server
from qos_agent.influx.results import Table
from tests.archive.support import DAY_NS, VOTING_NS, line
from tests.servers.database import Database


class _Watched(Server):
    """A server that keeps its queries, and fails after a number of pages."""

    def __init__(self, database: Database) -> None:
        super().__init__(CollectorSection.model_validate(database.section))
        self.queries: list[str] = []
        self.pages: int | None = None

    def tables(self, query: str) -> Iterator[Table]:
        """Yield the tables of the real server."""
        self.queries.append(query)
        if "LIMIT" in query and self.pages is not None:
            if not self.pages:
                raise QueryError(self.name, "no response")
            self.pages -= 1
        yield from super().tables(query)

    def read(self) -> list[str]:
        """Return the queries for rows since the last call."""
        found = [query for query in self.queries if "LIMIT" in query]
        self.queries.clear()
        return found


def _lines(day: int, numbers: Sequence[int]) -> list[bytes]:
    """Return readings of a day, a second apart."""
    return [line(n, time_ns=VOTING_NS + day * DAY_NS + n * 10**9) for n in numbers]


def _days(server: Server, period: Period = Period()) -> list[InfluxDay]:  # noqa: B008
    measurement = InfluxMeasurement(server, "latency", period, page_rows=10)
    return list(days_of(measurement))


def _readings(built: Built) -> int:
    return sum(built.manifest.readings.values())


@pytest.fixture
def server(influxdb: Database) -> _Watched:
    """Return a server with readings of three days, the second of which has none."""
    influxdb.write(b"\n".join([*_lines(0, range(1, 31)), *_lines(2, range(31, 51))]))
    return _Watched(influxdb)


def test_only_days_with_readings_are_sources(server: _Watched) -> None:
    """Each has the day in its name; a period cuts the first and the last one."""
    days = _days(server)
    assert [day.name[-10:] for day in days] == ["2024-02-14", "2024-02-16"]
    assert [len(list(day.items())) for day in days] == [30, 20]
    period = Period(VOTING_NS + 11 * 10**9, VOTING_NS + 2 * DAY_NS + 41 * 10**9)
    assert [len(list(day.items())) for day in _days(server, period)] == [20, 10]
    assert _days(server, Period(0, VOTING_NS)) == []


def test_a_build_reads_only_what_changed(
    tmp_path: Path, influxdb: Database, server: _Watched
) -> None:
    """A late reading of an old day is found, and the other day is not read again."""
    archive = tmp_path / "archive"
    assert _readings(build(_days(server), archive)) == 50
    assert server.read()
    manifest = (archive / "archive.json").read_bytes()
    build(_days(server), archive)
    assert server.read() == []
    assert (archive / "archive.json").read_bytes() == manifest
    influxdb.write(_lines(0, [60])[0])
    assert _readings(build(_days(server), archive)) == 51
    queries = server.read()
    assert queries
    assert all(str(VOTING_NS + DAY_NS) in query for query in queries)


def test_an_interrupted_build_continues(tmp_path: Path, server: _Watched) -> None:
    """After an error of the server the same command reads the rest."""
    archive = tmp_path / "archive"
    server.pages = 2
    with pytest.raises(QueryError):
        build(_days(server), archive, batch_rows=5)
    server.pages = None
    server.read()
    assert _readings(build(_days(server), archive)) == 50
    first = f"time >= {VOTING_NS} "
    assert not any(first in query for query in server.read())
