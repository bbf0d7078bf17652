"""Counts of the server and the named exceptions add up to all stations and links."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from random import Random

import pytest

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.query import Server, Table
from qos_agent.model.line_protocol import decode
from qos_agent.noc.census import queries
from qos_agent.noc.census.counting import verdicts_of
from qos_agent.noc.census.heartbeats import read_heartbeats
from qos_agent.noc.census.presence import Presence, RollCall, call_roll
from qos_agent.noc.census.spans import Spans
from qos_agent.noc.census.verdict_counts import VerdictCounts, count_verdicts
from qos_agent.noc.register.store import Register
from qos_agent.noc.settings import CensusSection
from qos_agent.noc.state import State
from tests.noc import nation
from tests.noc.nation import MINUTE_NS, START_NS
from tests.servers.database import Database

REGENCIES = ("3171", "3172", "3173")
CLASSES = queries.CLASSES
WORST_FIRST = ("bad", "degraded", "good", "unknown")
SPAN = (START_NS, START_NS + 11 * MINUTE_NS)


@dataclass(frozen=True, slots=True)
class Province:
    """Province 31: its server, register, state and settings, and its roll calls."""

    server: Server
    register: Register
    state: State
    settings: CensusSection
    calls: dict[str, RollCall]

    def presence(self, at_ns: int, expected: dict[str, int]) -> dict[str, Presence]:
        """Return the presence at a moment by regency, as the census reads it."""
        spans = Spans.until(at_ns, self.settings)
        failed: dict[str, str] = {}
        servers = {"31": self.server}
        by_province = dict.fromkeys(servers, spans)
        heard = read_heartbeats(servers, by_province, expected, self.calls, failed)
        assert failed == {}
        named = call_roll(heard["31"].last_ns, spans, self.register, self.state)
        self.calls.update({code: regency.call for code, regency in named.items()})
        return {**heard["31"].counted, **named}


def province_of(
    influxdb: Database, folder: Path, stations: list[str], **limits: object
) -> Province:
    """Return province 31 with these stations, without roll calls."""
    links = [("main", "xl", "")]
    return Province(
        Server(CollectorSection.model_validate(influxdb.section)),
        nation.register_stations(folder, dict.fromkeys(stations, links)),
        State(folder / "census.sqlite3"),
        CensusSection.model_validate(limits),
        {},
    )


def verdicts() -> Iterator[tuple[str, str, str, list[tuple[int, str]]]]:
    """Yield (station, operator, link, verdicts) for each pair of links' last classes.

    Every link had other classes before, and has verdicts outside the span too.
    """
    rng = Random(7)
    pairs = list(product(("", *CLASSES), repeat=2))
    for regency, (index, classes) in product(REGENCIES, enumerate(pairs)):
        operators = ("xl", rng.choice(["xl", "smartfren"]))
        for link, operator, last in zip(
            ("main", "backup"), operators, classes, strict=True
        ):
            if last:
                moments = sorted(rng.sample(range(SPAN[0], SPAN[1]), 3))
                names = [*rng.choices(CLASSES, k=2), last]
                outside = [(SPAN[0] - 1, "bad"), (SPAN[1], "bad")]
                both = [*zip(moments, names, strict=True), *outside]
                yield f"{regency}010001{index:03}", operator, link, both


def test_good_links_are_all_links_less_the_others(
    influxdb: Database, tmp_path: Path
) -> None:
    """For every pair of last verdicts, each station and each link is counted once."""
    links = list(verdicts())
    nation.deliver(
        influxdb,
        [
            nation.verdict(station, operator, name, at_ns, link)
            for station, operator, link, moments in links
            for at_ns, name in moments
        ],
    )
    server = Server(CollectorSection.model_validate(influxdb.section))
    counts = count_verdicts(server, "31", SPAN)
    for regency in REGENCIES:
        # The two verdicts after the last one of the span are outside it.
        last = [(s, o, of[-3][1]) for s, o, _, of in links if s[:4] == regency]
        counted = verdicts_of(counts, regency)
        assert {o: +Counter(classes) for o, classes in counted.operators.items()} == {
            operator: Counter(name for _, o, name in last if o == operator)
            for operator in {o for _, o, _ in last}
        }
        worst: dict[str, str] = {}
        for station, _, name in last:
            both = (worst.get(station, "unknown"), name)
            worst[station] = min(both, key=WORST_FIRST.index)
        assert +Counter(counted.stations) == Counter(worst.values())
        assert Counter(link.verdict for link in counted.impaired) == Counter(
            name for _, _, name in last if name in ("bad", "degraded")
        )


def test_only_some_regencies_are_counted(influxdb: Database, tmp_path: Path) -> None:
    """Regencies that are read by name are left out of the counts."""
    stations = [f"{regency}010001001" for regency in REGENCIES]
    lines = [nation.verdict(s, "xl", "bad", START_NS) for s in stations]
    nation.deliver(influxdb, lines)
    server = Server(CollectorSection.model_validate(influxdb.section))
    counts = count_verdicts(server, "31", SPAN, REGENCIES[1:])
    assert verdicts_of(counts, REGENCIES[0]).operators == {}
    assert verdicts_of(counts, REGENCIES[2]).stations["bad"] == 1


def test_counts_of_good_are_never_negative() -> None:
    """A link may get its first verdict between the two queries."""
    link = queries.LinkVerdict("3171010001001", "xl", "bad")
    counts = VerdictCounts({}, {"3171": {"xl": 0}}, {"3171": [link]})
    counted = verdicts_of(counts, "3171")
    expected = {"good": 0, "degraded": 0, "bad": 1, "unknown": 0}
    assert counted.operators["xl"] == expected
    assert counted.stations["good"] == 0


@pytest.mark.parametrize("late_s", [60, 90, 120, 179])
def test_late_stations_are_counted_to_the_second(
    influxdb: Database, tmp_path: Path, late_s: int
) -> None:
    """After a roll call, counts alone give the late stations, whatever the limit."""
    ages_s = range(5, 241, 5)
    stations = [f"3171010001{age:03}" for age in ages_s]
    province = province_of(influxdb, tmp_path, stations, late=f"{late_s}s")
    at_ns = START_NS + MINUTE_NS
    beats = [
        nation.beat(station, at_ns - before * 10**9)
        for station, age in zip(stations, ages_s, strict=True)
        for before in (age, age + 50)
    ]
    nation.deliver(influxdb, beats)
    expected = {"3171": len(stations)}
    named = province.presence(at_ns, expected)["3171"]
    counted = province.presence(at_ns + MINUTE_NS, expected)["3171"]
    assert named.last is not None
    assert counted.last is None
    assert named.fresh == sum(age <= late_s for age in ages_s)
    assert counted.fresh == sum(age + 60 <= late_s for age in ages_s)
    assert counted.newest_ns == max(decode(line).time_ns for line in beats)


@pytest.mark.parametrize("silent_s", [150, 300, 900])
def test_a_station_is_silent_after_the_configured_time(
    influxdb: Database, tmp_path: Path, silent_s: int
) -> None:
    """It is exact to the second, by name and by counts a minute later."""
    ages_s = (silent_s - 60, silent_s - 59, silent_s - 1, silent_s, silent_s + 1)
    stations = [f"3171010001{number:03}" for number, _ in enumerate(ages_s)]
    province = province_of(influxdb, tmp_path, stations, silent=f"{silent_s}s")
    at_ns = START_NS + MINUTE_NS
    last = dict(zip(stations, ages_s, strict=True))
    nation.deliver(
        influxdb, [nation.beat(s, at_ns - age * 10**9) for s, age in last.items()]
    )
    expected = {"3171": len(stations)}
    for moment_ns, passed_s in ((at_ns, 0), (at_ns + MINUTE_NS, 60)):
        presence = province.presence(moment_ns, expected)
        silent = {s for s, age in last.items() if age + passed_s > silent_s}
        assert set(presence["3171"].call.absent) == silent


def test_a_roll_call_is_one_query_per_province(
    influxdb: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of regencies to read by name adds no query."""
    nation.deliver(
        influxdb, [nation.beat(f"{code}010001001", START_NS) for code in REGENCIES]
    )
    sent: list[str] = []
    real = Server.tables

    def tables(self: Server, query: str) -> Iterator[Table]:
        sent.append(query)
        return real(self, query)

    monkeypatch.setattr(Server, "tables", tables)
    expected = dict.fromkeys(REGENCIES, 1)
    province = province_of(influxdb, tmp_path, [])
    presence = province.presence(START_NS + MINUTE_NS, expected)
    assert {code: p.call.present for code, p in presence.items()} == expected
    assert len(sent) == 3  # a count, the newest heartbeat, the names


def test_unexpected_stations_are_found_in_regencies_without_stations(
    influxdb: Database, tmp_path: Path
) -> None:
    """Even if it is late already, because a registered station may have moved."""
    at_ns = START_NS + 4 * MINUTE_NS
    nation.deliver(influxdb, [nation.beat("3173010001001", START_NS)])
    presence = province_of(influxdb, tmp_path, []).presence(at_ns, {})
    assert presence["3173"].call.unexpected == {"3173010001001": START_NS}


def test_last_heartbeats_are_remembered_beyond_the_lookback(
    influxdb: Database, tmp_path: Path
) -> None:
    """A station that is silent for long does not become one that was never heard."""
    station, other = "3171010001001", "3171010001002"
    province = province_of(influxdb, tmp_path, [station, other], lookback="1h")
    nation.deliver(influxdb, [nation.beat(station, START_NS)])
    for minutes in (30, 90):
        at_ns = START_NS + minutes * MINUTE_NS
        province.calls.clear()
        presence = province.presence(at_ns, {"3171": 2})
        assert presence["3171"].call.absent == {station: START_NS, other: None}
