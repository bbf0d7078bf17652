"""What is said of an area beside its counts: since when, why, whom to call, how far."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qos_agent.config.places import regencies
from qos_agent.noc.service.service import Service
from tests.noc import nation
from tests.noc.nation import MINUTE_NS, START_NS
from tests.servers.database import Database

STATIONS = [f"317101000100{n}" for n in range(10)]
SINGLE = [("main", "telkomsel", "noc@telkomsel.example.id")]
OTHER = [("main", "xl", "a@xl.example.id")]


def service_of(
    influxdb: Database, folder: Path, **more: Any
) -> tuple[Service, Database]:
    """A census service over the test's database, and where its figures go."""
    rollup = influxdb.fresh()
    return Service(nation.settings(influxdb, rollup, folder, **more)), rollup


def beats(at_ns: int) -> list[bytes]:
    """Everybody's heartbeat, half a minute before a moment."""
    return [nation.beat(s, at_ns - MINUTE_NS // 2) for s in STATIONS]


def row(rollup: Database, at_ns: int, operator: str) -> dict[str, Any]:
    """The census of the regency at a moment."""
    query = f"SELECT * FROM census WHERE time = {at_ns} AND \"operator\" = '{operator}'"
    (found,) = rollup.query(query)
    return {name: value for name, value in found.items() if value is not None}


def stations() -> dict[str, list[tuple[str, str, str]]]:
    """Six of one operator, four of another with two ticket addresses."""
    register = dict.fromkeys(STATIONS[:6], SINGLE) | dict.fromkeys(STATIONS[6:], OTHER)
    return register | {STATIONS[9]: [("main", "xl", "b@xl.example.id")]}


@pytest.mark.parametrize("exceptions", [20, 2])
def test_why_and_whom_to_call(
    influxdb: Database, tmp_path: Path, exceptions: int
) -> None:
    """Commonest kpi and side, ticket, marker; degraded are named after bad, longest."""
    nation.settled(tmp_path, stations())
    service, rollup = service_of(influxdb, tmp_path, census={"exceptions": exceptions})
    at_ns = START_NS + MINUTE_NS
    then_ns = at_ns - MINUTE_NS
    delay = {"kpi": "delay", "side": "destination"}
    nation.deliver(influxdb, [
        *beats(at_ns),
        *(nation.judged(s, "telkomsel", "degraded", then_ns, since_s=60.0 * n, **delay)
          for n, s in enumerate(STATIONS[:3])),
        nation.judged(STATIONS[3], "telkomsel", "bad", then_ns, since_s=9.0,
                      kpi="loss", side="access"),
        # What decided once does not decide any more.
        nation.judged(STATIONS[4], "telkomsel", "bad", then_ns - 1, since_s=9.0,
                      kpi="loss", side="access"),
        nation.judged(STATIONS[4], "telkomsel", "good", then_ns, since_s=0.0),
        *(nation.judged(s, "xl", "good", then_ns, since_s=0.0) for s in STATIONS[6:]),
    ])  # fmt: skip
    assert service.minute(at_ns).failed == {}
    everyone = row(rollup, at_ns, "all")
    place = regencies()["3171"]
    assert (everyone["kpi"], everyone["side"]) == ("delay", "destination")
    assert everyone["class_level"] == 2
    assert everyone["unlisted"] == max(0, 4 - exceptions)
    assert everyone["latitude"] == place.latitude
    assert everyone["longitude"] == place.longitude
    assert everyone["voting_share"] == pytest.approx((4 * 60 + 1) / 360)
    assert "ticket" not in everyone
    one, other = row(rollup, at_ns, "telkomsel"), row(rollup, at_ns, "xl")
    assert (one["kpi"], one["ticket"]) == ("delay", "noc@telkomsel.example.id")
    assert other["ticket"] == "a@xl.example.id"
    assert "kpi" not in other
    assert "side" not in other
    assert (one["class_level"], other["class_level"]) == (2, 0)
    named = rollup.query("SELECT * FROM station")
    wanted = [STATIONS[3], STATIONS[2], STATIONS[1], STATIONS[0]][:exceptions]
    assert {r["station"] for r in named} == set(wanted)
    levels = {r["station"]: r["class_level"] for r in named}
    assert levels == {s: 2 if s == STATIONS[3] else 1 for s in wanted}


def test_since_when_over_a_restart(influxdb: Database, tmp_path: Path) -> None:
    """A regency's class is as old as it is, whatever process counts it."""
    nation.settled(tmp_path, stations())
    service, rollup = service_of(influxdb, tmp_path)
    began_ns = START_NS + MINUTE_NS
    for minute, judged in enumerate(["good", "bad", "bad", "bad"]):
        at_ns = began_ns + minute * MINUTE_NS
        verdicts = [
            nation.judged(s, "telkomsel", judged, at_ns - 1, since_s=0.0, kpi="loss")
            for s in STATIONS[:6]
        ]
        verdicts += [nation.judged(s, "xl", "unknown", at_ns - 1) for s in STATIONS[6:]]
        nation.deliver(influxdb, [*beats(at_ns), *verdicts])
        if minute == 2:
            service.close()
            service = Service(service.settings)
        service.minute(at_ns)
        found = row(rollup, at_ns, "telkomsel")
        assert found["class_level"] == (2 if minute else 0)
        assert found["since_s"] == 60.0 * max(0, minute - 1)
    assert row(rollup, at_ns, "all")["operators_down"] == 1
    assert (found["down"], found["down_alone"]) == (1, 1)
    other = row(rollup, at_ns, "xl")
    assert (other["down"], other["down_alone"]) == (0, 0)
    assert other["links_unknown"] == 4
    assert "class_level" not in other  # nobody could judge its links


@pytest.mark.parametrize(
    ("hours", "share", "voting"),
    [(-5, None, 0), (-4, 0.0, 1), (-1, 0.5, 1), (2, 1.0, 0), (24 * 60, 1.0, 0)],
)
def test_share_of_the_voting_window(
    hours: int, share: float | None, voting: int
) -> None:
    """Absent before it opens at 07:00, then rising, and 1 from its close at 13:00."""
    from qos_agent.config.calendar_file import named
    from qos_agent.noc.census.voting_window import VotingWindow

    at_ns = START_NS + hours * 60 * MINUTE_NS
    found = VotingWindow(named("2024-02-14")).fields("3171", at_ns)
    assert found.get("voting_share") == share
    assert found["voting"] == voting


def test_before_another_election_no_share_is_left_of_the_last(tmp_path: Path) -> None:
    """In the weeks before the next vote the old window is over and gone."""
    from qos_agent.config.calendar_file import load
    from qos_agent.noc.census.voting_window import VotingWindow

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
    polls = VotingWindow(load(path))
    share = [
        polls.fields("3171", START_NS + days * 1440 * MINUTE_NS).get("voting_share")
        for days in (1, 20)
    ]
    assert share == [1.0, None]
