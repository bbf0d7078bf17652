"""The limits of the census follow the delivery interval: no change of phase is silence.

Ten stations deliver every five minutes before voting, each minute while voting, and
every five minutes afterwards. The census of each minute sees what has been delivered.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qos_agent.config.calendar_file import named
from qos_agent.config.settings import CollectorSection
from qos_agent.influx.query import Server
from qos_agent.model.line_protocol import decode
from qos_agent.noc.census.census import Census
from qos_agent.noc.census.spans import Spans
from qos_agent.noc.census.voting_window import VotingWindow
from qos_agent.noc.settings import CensusSection
from qos_agent.noc.state import State
from tests.noc.census.test_areas import SINGLE, STATIONS
from tests.noc.nation import MINUTE_NS, START_NS, beat, deliver, register_stations
from tests.servers.database import Database

_VOTING, _AFTER, _PROMPT = 12, 26, 3
# The device of the first station fails while voting, that of the second afterwards.
_FAILS = {STATIONS[0]: 15, STATIONS[1]: 32}


@pytest.fixture
def census(influxdb: Database, tmp_path: Path) -> Iterator[Census]:
    """Return the census of one regency."""
    register = register_stations(tmp_path, dict.fromkeys(STATIONS, SINGLE))
    state = State(tmp_path / "census.sqlite3")
    server = Server(CollectorSection.model_validate(influxdb.section), 60.0)
    window = VotingWindow(named("2024-02-14"))
    yield Census({"31": server}, register, state, CensusSection(), window)
    server.close()
    register.close()
    state.close()


def _interval(minute: int) -> int:
    return 1 if _VOTING <= minute < _AFTER else 5


def _is_delivered(number: int, minute: int) -> bool:
    """Return True if a station delivers in a minute: at its turn, or after a change."""
    prompt = any(0 <= minute - change < _PROMPT for change in (_VOTING, _AFTER))
    return prompt or (minute + number) % _interval(minute) == 0


def _counts(census: Census, minute: int) -> tuple[int, int]:
    """Return late and silent stations of the census of a minute."""
    result = census.take(START_NS + minute * MINUTE_NS)
    assert result.failed == {}
    for record in map(decode, result.lines["31"]):
        if record.measurement == "census" and record.tags["operator"] == "all":
            return int(record.fields["late"]), int(record.fields["silent"])
    raise AssertionError(minute)


def test_a_change_of_phase_is_no_silence(census: Census, influxdb: Database) -> None:
    """Only the two devices that fail become silent, within the limit of their phase."""
    waiting: dict[str, list[bytes]] = {station: [] for station in STATIONS}
    silent: dict[int, int] = {}
    for minute in range(48):
        arrived: list[bytes] = []
        for number, station in enumerate(STATIONS):
            if minute >= _FAILS.get(station, 999):
                continue
            at_ns = START_NS + minute * MINUTE_NS - 10**9
            interval_s = 60.0 * _interval(minute)
            waiting[station].append(beat(station, at_ns, delivery_s=interval_s))
            if _is_delivered(number, minute):
                arrived += waiting[station]
                waiting[station] = []
        deliver(influxdb, arrived)
        if minute >= 6:
            late, silent[minute] = _counts(census, minute)
            assert late <= 2, minute
    first = _FAILS[STATIONS[0]]
    assert {n for m, n in silent.items() if m < first + 4} == {0}
    # While voting five minutes are the limit.
    assert silent[first + 6] == 1
    # Afterwards two missing deliveries of five minutes, and two minutes.
    second = _FAILS[STATIONS[1]]
    assert {n for m, n in silent.items() if first + 6 <= m < second + 8} == {1}
    assert silent[second + 13] == 2


def test_the_limits_are_those_of_the_interval() -> None:
    """Late: one interval and two minutes. Silent: two intervals and two minutes."""
    at_ns = START_NS
    for interval_s, late_s, silent_s in (
        (0, 120, 300),
        (60, 180, 300),
        (300, 420, 720),
        (3600, 3720, 7320),
    ):
        spans = Spans.until(at_ns, CensusSection(), interval_s)
        assert (at_ns - spans.late[0]) / 1e9 == late_s
        assert (at_ns - spans.silent[0]) / 1e9 == silent_s
        assert spans.verdict[0] <= spans.silent[0]
