"""The directory of stations: complete, small in series, and current after an import."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.writer import Writer
from qos_agent.noc.service.directory_job import DAY_NS, DirectoryJob
from qos_agent.noc.service.report import Report
from tests.noc import nation
from tests.noc.census.test_areas import SINGLE, STATIONS
from tests.noc.nation import START_NS
from tests.servers.database import Database


@pytest.fixture
def job(influxdb: Database, tmp_path: Path) -> DirectoryJob:
    """Return the job of a register with ten stations of one regency."""
    register = nation.register_stations(tmp_path, dict.fromkeys(STATIONS, SINGLE))
    writer = Writer(CollectorSection.model_validate(influxdb.section))
    return DirectoryJob(register, writer, ("31", "51"))


def _run(job: DirectoryJob, at_ns: int) -> int:
    """Do all steps that are due, and return their number."""
    steps, report = 0, Report(at_ns)
    while (step := job.due(report)) is not None:
        step.run()
        steps += 1
    assert report.pending_failed == {}
    return steps


def _listed(database: Database, at_ns: int) -> list[str]:
    """Return the stations that a board finds at a moment, in the day before it."""
    query = f'SELECT "station" FROM "directory" WHERE time > {at_ns - DAY_NS}'
    return [row["station"] for row in database.query(f"{query} AND time <= {at_ns}")]


def test_every_station_is_listed_once_at_any_hour(
    job: DirectoryJob, influxdb: Database
) -> None:
    """Today's and tomorrow's are written, so midnight leaves no gap and no double."""
    assert _run(job, START_NS) == 4
    for hours in (0, 1, 9, 12, 13, 20, 30):
        at_ns = START_NS + hours * 3600 * 10**9
        assert sorted(_listed(influxdb, at_ns)) == STATIONS, hours
    assert _run(job, START_NS) == 0
    series = influxdb.query('SHOW SERIES FROM "directory"')
    assert len(series) == 1


def test_a_change_of_the_register_is_listed(
    job: DirectoryJob, influxdb: Database
) -> None:
    """A new station is found at once; a note changes nothing."""
    _run(job, START_NS)
    new = "3171010001999"
    job.register.stage([nation._station(new, SINGLE)])
    job.register.apply(START_NS // 10**9 - 60, close_missing=False)
    assert _run(job, START_NS) == 4
    assert sorted(_listed(influxdb, START_NS)) == [*STATIONS, new]
    job.register.end_note(1, 0)
    assert _run(job, START_NS) == 0
