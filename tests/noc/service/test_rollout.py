"""The roll-out: stations with a code, a device and an acceptance, by province."""

from __future__ import annotations

from pathlib import Path

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.query import Server
from qos_agent.influx.writer import Writer
from qos_agent.model import Record
from qos_agent.model.line_protocol import encode
from qos_agent.noc.provision.ledger import State
from qos_agent.noc.service.report import Report
from qos_agent.noc.service.rollout_job import RolloutJob
from tests.noc.nation import START_NS
from tests.noc.provision.ledgers import NOW_S, issued, opened
from tests.servers.database import Database

_STATIONS = ("3171010001001", "3171010001002", "3273010001001")
_MINUTE_NS = 60 * 10**9
_EACH = 'SELECT * FROM "rollout" GROUP BY "province"'


def _job(database: Database, folder: Path) -> RolloutJob:
    section = CollectorSection.model_validate(database.section)
    server = Server(section, 60.0)
    return RolloutJob({"31": server, "32": server}, Writer(section), folder)


def _run(job: RolloutJob, at_ns: int) -> int:
    steps, report = 0, Report(at_ns)
    while (step := job.due(report)) is not None:
        step.run()
        steps += 1
    assert report.pending_failed == {}
    return steps


def _accepted(station: str, at_ns: int) -> bytes:
    tags = {"station": station, "province": station[:2], "regency": station[:4]}
    return encode(Record("event", tags | {"kind": "acceptance"}, {"count": 1}, at_ns))


def test_each_step_of_the_roll_out_is_counted(
    influxdb: Database, tmp_path: Path
) -> None:
    """A device that was replaced counts once, and one set up twice too."""
    ledger = opened(tmp_path)
    issued(ledger, *_STATIONS)
    ledger.end(_STATIONS[2], State.REPLACED, NOW_S, "tester")
    issued(ledger, _STATIONS[2])
    first = ledger.issues(_STATIONS[0])[0]
    ledger.database.execute("UPDATE issue SET state = 'used' WHERE id = ?", (first.id,))
    ledger.close()
    day_ns = 86400 * 10**9
    for back in (1, 3):
        influxdb.write(_accepted(_STATIONS[0], START_NS - back * day_ns))
    job = _job(influxdb, tmp_path)
    assert _run(job, START_NS) == 2
    rows = {row["province"]: row for row in influxdb.query(_EACH)}
    names = ("provisioned", "enrolled", "accepted")
    assert [rows["31"][name] for name in names] == [2, 1, 1]
    assert [rows["32"][name] for name in names] == [1, 0, 0]
    assert _run(job, START_NS + _MINUTE_NS) == 0


def test_a_centre_without_provisioning_has_no_codes(
    influxdb: Database, tmp_path: Path
) -> None:
    """Nothing is shown as zero that is unknown, and no ledger is created."""
    assert _run(_job(influxdb, tmp_path), START_NS) == 2
    rows = influxdb.query(_EACH)
    assert {row["accepted"] for row in rows} == {0}
    assert not [name for row in rows for name in row if name == "provisioned"]
    assert list(tmp_path.glob("provision*")) == []
