"""Duration, reason, ticket address, position and voting share of an area."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qos_agent.config.calendar_file import load, named
from qos_agent.config.places import regencies
from qos_agent.noc.census.voting_window import VotingWindow
from qos_agent.noc.service.service import Service
from tests.noc import nation
from tests.noc.nation import MINUTE_NS, START_NS
from tests.servers.database import Database

STATIONS = [f"317101000100{n}" for n in range(10)]
SINGLE = [("main", "telkomsel", "noc@telkomsel.example.id")]
OTHER = [("main", "xl", "a@xl.example.id")]


def service_of(
    influxdb: Database, folder: Path, **changes: Any
) -> tuple[Service, Database]:
    """Return a census service over the test's database, and its target database."""
    rollup = influxdb.fresh()
    return Service(nation.settings(influxdb, rollup, folder, **changes)), rollup


def beats(at_ns: int) -> list[bytes]:
    """Return a heartbeat of every station, half a minute before a moment."""
    return [nation.beat(s, at_ns - MINUTE_NS // 2) for s in STATIONS]


def row(rollup: Database, at_ns: int, operator: str) -> dict[str, Any]:
    """Return the census of the regency at a moment."""
    query = f"SELECT * FROM census WHERE time = {at_ns} AND \"operator\" = '{operator}'"
    (fields,) = rollup.query(query)
    return {name: value for name, value in fields.items() if value is not None}


def stations() -> dict[str, list[tuple[str, str, str]]]:
    """Return six stations of one operator, and four of another with two addresses."""
    register = dict.fromkeys(STATIONS[:6], SINGLE) | dict.fromkeys(STATIONS[6:], OTHER)
    return register | {STATIONS[9]: [("main", "xl", "b@xl.example.id")]}


@pytest.mark.parametrize("exceptions", [20, 2])
def test_an_area_has_reason_ticket_and_worst_stations(
    influxdb: Database, tmp_path: Path, exceptions: int
) -> None:
    """Bad stations are listed before degraded ones, and the longest degraded first."""
    nation.register_stations(tmp_path, stations())
    service, rollup = service_of(
        influxdb, tmp_path, census={"worst_stations": exceptions}
    )
    at_ns = START_NS + MINUTE_NS
    then_ns = at_ns - MINUTE_NS
    delay = {"kpi": "delay", "side": "destination"}
    loss = {"kpi": "loss", "side": "access"}
    degraded = [
        nation.verdict(s, "telkomsel", "degraded", then_ns, since_s=60.0 * n, **delay)
        for n, s in enumerate(STATIONS[:3])
    ]
    others = [
        nation.verdict(STATIONS[3], "telkomsel", "bad", then_ns, since_s=9.0, **loss),
        # A reason of an older verdict does not count.
        nation.verdict(
            STATIONS[4], "telkomsel", "bad", then_ns - 1, since_s=9.0, **loss
        ),
        nation.verdict(STATIONS[4], "telkomsel", "good", then_ns, since_s=0.0),
        *(nation.verdict(s, "xl", "good", then_ns, since_s=0.0) for s in STATIONS[6:]),
    ]
    nation.deliver(influxdb, [*beats(at_ns), *degraded, *others])
    assert service.minute(at_ns).failed == {}
    whole = row(rollup, at_ns, "all")
    place = regencies()["3171"]
    assert (whole["kpi"], whole["side"]) == ("delay", "destination")
    assert whole["class_level"] == 2
    assert whole["unlisted"] == max(0, 4 - exceptions)
    assert whole["latitude"] == place.latitude
    assert whole["longitude"] == place.longitude
    assert whole["voting_share"] == pytest.approx((4 * 60 + 1) / 360)
    assert "ticket" not in whole
    telkomsel, xl = row(rollup, at_ns, "telkomsel"), row(rollup, at_ns, "xl")
    assert (telkomsel["kpi"], telkomsel["ticket"]) == (
        "delay",
        "noc@telkomsel.example.id",
    )
    assert xl["ticket"] == "a@xl.example.id"
    assert "kpi" not in xl
    assert "side" not in xl
    assert (telkomsel["class_level"], xl["class_level"]) == (2, 0)
    listed = rollup.query("SELECT * FROM station")
    expected = [STATIONS[3], STATIONS[2], STATIONS[1], STATIONS[0]][:exceptions]
    assert {r["station"] for r in listed} == set(expected)
    levels = {r["station"]: r["class_level"] for r in listed}
    assert levels == {s: 2 if s == STATIONS[3] else 1 for s in expected}


def test_duration_continues_after_a_restart(influxdb: Database, tmp_path: Path) -> None:
    """A regency's class keeps its age if another process counts it."""
    nation.register_stations(tmp_path, stations())
    service, rollup = service_of(influxdb, tmp_path)
    began_ns = START_NS + MINUTE_NS
    for minute, name in enumerate(["good", "bad", "bad", "bad"]):
        at_ns = began_ns + minute * MINUTE_NS
        verdicts = [
            nation.verdict(s, "telkomsel", name, at_ns - 1, since_s=0.0, kpi="loss")
            for s in STATIONS[:6]
        ]
        verdicts += [
            nation.verdict(s, "xl", "unknown", at_ns - 1) for s in STATIONS[6:]
        ]
        nation.deliver(influxdb, [*beats(at_ns), *verdicts])
        if minute == 2:
            service.close()
            service = Service(service.settings)
        service.minute(at_ns)
        failing = row(rollup, at_ns, "telkomsel")
        assert failing["class_level"] == (2 if minute else 0)
        assert failing["since_s"] == 60.0 * max(0, minute - 1)
    assert row(rollup, at_ns, "all")["operators_down"] == 1
    assert (failing["down"], failing["down_alone"]) == (1, 1)
    other = row(rollup, at_ns, "xl")
    assert (other["down"], other["down_alone"]) == (0, 0)
    assert other["links_unknown"] == 4
    assert "class_level" not in other  # all of its links are unknown


@pytest.mark.parametrize(
    ("hours", "share", "voting"),
    [(-5, None, 0), (-4, 0.0, 1), (-1, 0.5, 1), (2, 1.0, 0), (24 * 60, 1.0, 0)],
)
def test_share_of_the_voting_window(
    hours: int, share: float | None, voting: int
) -> None:
    """The share is absent before 07:00, then rises, and is 1 from 13:00 on."""
    at_ns = START_NS + hours * 60 * MINUTE_NS
    fields = VotingWindow(named("2024-02-14")).fields("3171", at_ns)
    assert fields.get("voting_share") == share
    assert fields["voting"] == voting


def test_the_share_is_absent_in_the_weeks_before_the_next_election(
    tmp_path: Path,
) -> None:
    """The `pre` phase of the next vote ends the share of the last one."""
    path = tmp_path / "two.toml"
    path.write_text("""
        [[election]]
        name = "two"
        [[election.period]]
        kind = "voting"
        start = 2024-02-14T07:00:00
        end = 2024-02-14T13:00:00
        [[election.period]]
        kind = "pre"
        start = 2024-03-01T00:00:00
        end = 2024-03-20T00:00:00
    """)
    voting = VotingWindow(load(path))
    shares = [
        voting.fields("3171", START_NS + days * 1440 * MINUTE_NS).get("voting_share")
        for days in (1, 20)
    ]
    assert shares == [1.0, None]
