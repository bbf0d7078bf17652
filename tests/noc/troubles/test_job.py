"""The decisions of the centre on a real InfluxDB, minute by minute.

The points of the census and the roll-ups are written by the test, so that sums can be
late or missing, as with a backlog or a collector that lags.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from qos_agent.config.calendar_file import named
from qos_agent.config.settings import CollectorSection
from qos_agent.influx.query import Server
from qos_agent.influx.writer import Writer
from qos_agent.model import Record, Value
from qos_agent.model.line_protocol import encode
from qos_agent.noc.census.voting_window import VotingWindow
from qos_agent.noc.register.store import Note, Register
from qos_agent.noc.service.report import Report
from qos_agent.noc.service.trouble_job import TroubleJob
from qos_agent.noc.state import State
from tests.noc.nation import MINUTE_NS, START_NS, deliver
from tests.servers.database import Database

STATIONS = 20
REGENCIES = ("3171", "3172")


@dataclass
class Centre:
    """A centre with its database of roll-ups; `minute` is the next one."""

    database: Database
    job: TroubleJob
    minute: int = 0
    waiting: list[bytes] = field(default_factory=list)

    @property
    def at_ns(self) -> int:
        """Return the time of the next minute."""
        return START_NS + self.minute * MINUTE_NS

    def passes(self, minutes: int, late: bool = False, **figures: Any) -> None:
        """Let minutes pass. With `late`, their roll-ups wait for `arrive`."""
        for _ in range(minutes):
            deliver(self.database, list(_census(self.at_ns, figures)))
            sums = list(_sums(self.at_ns, figures))
            if late:
                self.waiting += sums
            else:
                deliver(self.database, sums)
            self.job.run(Report(self.at_ns))
            self.minute += 1

    def arrive(self) -> None:
        """Write the roll-ups that waited."""
        deliver(self.database, self.waiting)
        self.waiting.clear()

    def troubles(self) -> list[dict[str, Any]]:
        """Return all points of troubles, oldest first."""
        return self.database.rows("trouble")

    def causes(self) -> set[str]:
        """Return the causes that were ever written."""
        return {row["cause"] for row in self.troubles()}


@pytest.fixture
def centre(influxdb: Database, tmp_path: Path) -> Iterator[Centre]:
    """Return a centre on a day of voting."""
    section = CollectorSection.model_validate(influxdb.section)
    server, writer = Server(section), Writer(section)
    register = Register(tmp_path / "register.sqlite3")
    state = State(tmp_path / "census.sqlite3")
    voting = VotingWindow(named("2024-02-14"))
    yield Centre(influxdb, TroubleJob(server, writer, register, state, voting))
    for part in (server, writer, register, state):
        part.close()


def _encoded(
    measurement: str, regency: str, operator: str, fields: dict[str, Value], at_ns: int
) -> bytes:
    tags = {"province": regency[:2], "regency": regency}
    tags |= {"operator": operator} if measurement != "agent" else {}
    tags |= {"layer": "anchor"} if measurement == "latency" else {}
    return encode(Record(measurement, tags, fields, at_ns))


def _census(at_ns: int, figures: dict[str, Any]) -> Iterator[bytes]:
    for regency in REGENCIES:
        silent = figures.get("silent", 0) if regency == REGENCIES[0] else 0
        counts: dict[str, Value] = {
            "expected": STATIONS,
            "silent": silent,
            "never": 0,
            "reporting": STATIONS - silent,
            "age_s": 20.0,
        }
        links: dict[str, Value] = {
            "links_good": STATIONS - silent,
            "links_degraded": 0,
            "links_bad": 0,
        }
        yield _encoded("census", regency, "all", counts, at_ns)
        for operator in ("telkomsel", "xl"):
            yield _encoded("census", regency, operator, counts | links, at_ns)


def _sums(at_ns: int, figures: dict[str, Any]) -> Iterator[bytes]:
    for regency in REGENCIES:
        is_hit = regency == REGENCIES[0]
        lost = figures.get("lost", 0) if is_hit else 0
        old = figures.get("old", 0) if is_hit else 0
        for operator in ("telkomsel", "xl"):
            packets: dict[str, Value] = {
                "sent": 60 * STATIONS,
                "lost": lost,
                "received": 60 * STATIONS - lost,
                "rtt_sum_us": 40_000 * (60 * STATIONS - lost),
            }
            yield _encoded("latency", regency, operator, packets, at_ns)
        heartbeats: dict[str, Value] = {
            "beats": STATIONS,
            "backlog_points": 0,
            "unsent_old": 0,
            "clock_poor": 0,
            "allowance_low": 0,
            "acked_le_2m": 100 * STATIONS - old,
            "acked_le_1h": old,
            "acked_le_1d": 0,
            "acked_older": 0,
        }
        yield _encoded("agent", regency, "all", heartbeats, at_ns)


def test_bad_sums_in_time_are_reported(centre: Centre) -> None:
    """The sums of this file do cause a trouble, so its other tests prove something."""
    centre.passes(14, lost=600)
    assert centre.causes() == {"loss"}


def test_sums_that_come_an_hour_late_report_no_past_trouble(centre: Centre) -> None:
    """A backlog with an old loss arrives when the loss has long been over."""
    centre.passes(1)
    centre.passes(14, late=True, lost=600)
    centre.minute += 60
    centre.passes(1)
    centre.arrive()
    centre.passes(12)
    assert centre.causes() == set()


def test_sums_that_come_late_end_no_trouble(centre: Centre) -> None:
    """A collector that lags leaves windows empty; what was reported stays open."""
    centre.passes(18, lost=600)
    assert [row["known"] for row in centre.troubles()][-1] == 1
    centre.passes(18, late=True, lost=600)
    assert [row["known"] for row in centre.troubles()][-1] == 0
    centre.arrive()
    centre.passes(3, lost=600)
    assert {row["open"] for row in centre.troubles()} == {1}
    assert [row["known"] for row in centre.troubles()][-1] == 1


def test_what_is_measured_no_more_is_dropped_without_an_end(centre: Centre) -> None:
    """After six hours nobody knows, so the points stop and no end is written."""
    centre.passes(18, lost=600)
    centre.passes(12, late=True, lost=600)
    centre.minute += 6 * 60
    before = len(centre.troubles())
    centre.passes(3, late=True, lost=600)
    assert len(centre.troubles()) == before
    assert {row["open"] for row in centre.troubles()} == {1}


def test_late_delivery_is_reported_while_it_lasts(centre: Centre) -> None:
    """Heartbeats that confirm old points make the trouble `late`, which then ends."""
    centre.passes(46, old=1800)
    assert centre.causes() == {"late"}
    centre.minute += 10
    centre.passes(20)
    *_, last = centre.troubles()
    assert last["open"] == 0


def test_an_acknowledgement_of_the_register_reaches_the_board(centre: Centre) -> None:
    """It counts from the next minute on, with its name and the operator's ticket."""
    centre.passes(5, silent=STATIONS)
    before = centre.troubles()[-1]
    assert (before["notify"], before["acknowledged"]) == (1, 0)
    start_s = centre.at_ns // 10**9 + 20
    note = Note("acknowledged", "3171", start_s, start_s + 7200, "", "Budi", "PLN-7")
    centre.job.register.note(note)
    centre.passes(1, silent=STATIONS)
    after = centre.troubles()[-1]
    assert (after["open"], after["notify"], after["acknowledged"]) == (1, -1, 1)
    assert (after["acknowledged_by"], after["ticket"]) == ("Budi", "PLN-7")
    assert after["acknowledged_at"] == after["ticket_at"] == "11:05 WIB"
