"""Counts of the server and the exceptions by name add up to what there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from random import Random

import pytest

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.query import Server, Table
from qos_agent.model.line_protocol import decode
from qos_agent.noc.census import queries
from qos_agent.noc.census.presence import Desk, Rolls, attend
from qos_agent.noc.census.verdict_counts import Counted
from qos_agent.noc.settings import CensusSection
from qos_agent.noc.state import State
from tests.noc import nation
from tests.noc.nation import MINUTE_NS, START_NS
from tests.servers.database import Database

REGENCIES = ("3171", "3172", "3173")
CLASSES = queries.CLASSES
WORST_FIRST = ("bad", "degraded", "good", "unknown")
SPAN = (START_NS, START_NS + 11 * MINUTE_NS)


def desk(
    influxdb: Database, folder: Path, stations: list[str], **limits: object
) -> Desk:
    """What a census is taken with, over the test's database."""
    register = nation.settled(folder, {s: [("main", "xl", "")] for s in stations})
    return Desk(
        Server(CollectorSection.model_validate(influxdb.section)),
        register,
        State(folder / "census.sqlite3"),
        CensusSection.model_validate(limits),
    )


def verdicts() -> Iterator[tuple[str, str, str, list[tuple[int, str]]]]:
    """(station, operator, link, verdicts): each pair of classes, and some at random.

    Every link was something else before, and outside the span too.
    """
    rng = Random(7)
    pairs = list(product(("", *CLASSES), repeat=2))
    for regency, (index, classes) in product(REGENCIES, enumerate(pairs)):
        for link, operator, last in zip(
            ("main", "backup"), ("xl", rng.choice(["xl", "smartfren"])), classes,
            strict=True,
        ):  # fmt: skip
            if last:
                moments = sorted(rng.sample(range(SPAN[0], SPAN[1]), 3))
                said = [*rng.choices(CLASSES, k=2), last]
                outside = [(SPAN[0] - 1, "bad"), (SPAN[1], "bad")]
                both = [*zip(moments, said, strict=True), *outside]
                yield f"{regency}010001{index:03}", operator, link, both


def test_the_links_that_are_good_are_the_rest(
    influxdb: Database, tmp_path: Path
) -> None:
    """Every pair of two links' last verdicts: each station and link counted once."""
    made = list(verdicts())
    nation.deliver(influxdb, [
        nation.judged(station, operator, judged, at_ns, link)
        for station, operator, link, of in made
        for at_ns, judged in of
    ])  # fmt: skip
    counted = Counted.ask(desk(influxdb, tmp_path, []), "31", SPAN)
    for regency in REGENCIES:
        mine = [(s, o, of[-3][1]) for s, o, _, of in made if s[:4] == regency]
        found = counted.of(regency, None)
        assert {o: +Counter(counts) for o, counts in found.operators.items()} == {
            operator: Counter(judged for _, o, judged in mine if o == operator)
            for operator in {o for _, o, _ in mine}
        }
        worst: dict[str, str] = {}
        for station, _, judged in mine:
            both = (worst.get(station, "unknown"), judged)
            worst[station] = min(both, key=WORST_FIRST.index)
        assert +Counter(found.stations) == Counter(worst.values())
        assert Counter(link.judged for link in found.not_good) == Counter(
            judged for _, _, judged in mine if judged in ("bad", "degraded")
        )


def test_only_some_regencies_are_counted(influxdb: Database, tmp_path: Path) -> None:
    """What is read by name is not counted as well."""
    nation.deliver(influxdb, [
        nation.judged(f"{regency}010001001", "xl", "bad", START_NS)
        for regency in REGENCIES
    ])  # fmt: skip
    counted = Counted.ask(desk(influxdb, tmp_path, []), "31", SPAN, REGENCIES[1:])
    assert counted.of(REGENCIES[0], None).operators == {}
    assert counted.of(REGENCIES[2], None).stations["bad"] == 1


def test_good_is_never_less_than_none(tmp_path: Path) -> None:
    """A link that is first judged between the two questions takes nothing away."""
    link = queries.Judged("3171010001001", "xl", "bad")
    counted = Counted({}, {"3171": {"xl": 0}}, {"3171": [link]})
    found = counted.of("3171", None)
    assert found.operators["xl"] == {"good": 0, "degraded": 0, "bad": 1, "unknown": 0}
    assert found.stations["good"] == 0


@pytest.mark.parametrize("late_s", [60, 90, 120, 179])
def test_who_reports_is_counted_to_the_second(
    influxdb: Database, tmp_path: Path, late_s: int
) -> None:
    """After a roll call, counts alone say who is late, whatever the limit."""
    ages_s = range(5, 241, 5)
    stations = [f"3171010001{age:03}" for age in ages_s]
    taken = desk(influxdb, tmp_path, stations, late=f"{late_s}s")
    at_ns = START_NS + MINUTE_NS
    beats = [
        nation.beat(station, at_ns - before * 10**9)
        for station, age in zip(stations, ages_s, strict=True)
        for before in (age, age + 50)
    ]
    nation.deliver(influxdb, beats)
    rolls = Rolls()
    expected = {"3171": len(stations)}
    named = attend(taken, rolls, "31", expected, at_ns)["3171"]
    counted = attend(taken, rolls, "31", expected, at_ns + MINUTE_NS)["3171"]
    assert named.last is not None
    assert counted.last is None
    assert named.fresh == sum(age <= late_s for age in ages_s)
    assert counted.fresh == sum(age + 60 <= late_s for age in ages_s)
    assert counted.newest_ns == max(decode(line).time_ns for line in beats)


@pytest.mark.parametrize("silent_s", [150, 300, 900])
def test_silence_begins_where_it_is_set(
    influxdb: Database, tmp_path: Path, silent_s: int
) -> None:
    """By measured time, to the second: by names, and by counts a minute later."""
    ages_s = (silent_s - 60, silent_s - 59, silent_s - 1, silent_s, silent_s + 1)
    stations = [f"3171010001{number:03}" for number, _ in enumerate(ages_s)]
    taken = desk(influxdb, tmp_path, stations, silent=f"{silent_s}s")
    at_ns, rolls = START_NS + MINUTE_NS, Rolls()
    last = dict(zip(stations, ages_s, strict=True))
    nation.deliver(
        influxdb, [nation.beat(s, at_ns - age * 10**9) for s, age in last.items()]
    )
    for moment_ns, passed_s in ((at_ns, 0), (at_ns + MINUTE_NS, 60)):
        found = attend(taken, rolls, "31", {"3171": len(stations)}, moment_ns)
        silent = {s for s, age in last.items() if age + passed_s > silent_s}
        assert set(found["3171"].call.absent) == silent


def test_a_roll_call_is_one_question_a_province(
    influxdb: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many regencies must be read by name."""
    nation.deliver(influxdb, [
        nation.beat(f"{regency}010001001", START_NS) for regency in REGENCIES
    ])  # fmt: skip
    asked: list[str] = []
    real = Server.tables

    def tables(self: Server, query: str) -> Iterator[Table]:
        asked.append(query)
        return real(self, query)

    monkeypatch.setattr(Server, "tables", tables)
    taken = desk(influxdb, tmp_path, [])
    expected = dict.fromkeys(REGENCIES, 1)
    found = attend(taken, Rolls(), "31", expected, START_NS + MINUTE_NS)
    assert {code: a.call.present for code, a in found.items()} == expected
    assert len(asked) == 3  # a count, the newest, the names


def test_strangers_are_met_where_nobody_is_expected(
    influxdb: Database, tmp_path: Path
) -> None:
    """Also one that is late already: it may be a station that moved there."""
    at_ns = START_NS + 4 * MINUTE_NS
    nation.deliver(influxdb, [nation.beat("3173010001001", START_NS)])
    found = attend(desk(influxdb, tmp_path, []), Rolls(), "31", {}, at_ns)
    assert found["3173"].call.strangers == {"3173010001001": START_NS}


def test_who_was_heard_last_is_remembered_beyond_the_lookback(
    influxdb: Database, tmp_path: Path
) -> None:
    """A station that is silent for long has not become one that was never heard."""
    station, other = "3171010001001", "3171010001002"
    taken = desk(influxdb, tmp_path, [station, other], lookback="1h")
    nation.deliver(influxdb, [nation.beat(station, START_NS)])
    for minutes in (30, 90):
        at_ns = START_NS + minutes * MINUTE_NS
        found = attend(taken, Rolls(), "31", {"3171": 2}, at_ns)
        assert found["3171"].call.absent == {station: START_NS, other: None}
