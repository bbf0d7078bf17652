"""The simulated nation: reproducible, true to what was planted, with an answer key."""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from qos_agent.influx.writer import WriteError
from qos_agent.model import Record
from qos_agent.model.errors import InvalidConfigError
from qos_agent.model.line_protocol import decode
from qos_agent.noc.simulator.delivery import to_collectors, to_file, write_key
from qos_agent.noc.simulator.link_model import day_load
from qos_agent.noc.simulator.run import Nation
from qos_agent.noc.simulator.scenario import load, shipped
from tests.noc import nation
from tests.noc.nation import MINUTE_NS, START, START_NS
from tests.servers.database import Database

SMALL = {"stations": 40, "targets": ["anchor"]}
MADE_BY_TROUBLE = {
    "overload", "core_failure", "power_cut", "cut_off", "backlog", "wrong_clock",
    "never", "slow_uplink", "allowance",
}  # fmt: skip


def made(*trouble: dict[str, Any], **given: Any) -> Nation:
    """A small nation with troubles."""
    return nation.begin(nation.scenario(**SMALL | {"trouble": list(trouble)} | given))


def lines_of(simulated: Nation) -> list[bytes]:
    """All lines in the order of their arrival."""
    return [
        line
        for batch in simulated.run()
        for some in batch.lines.values()
        for line in some
    ]


def records_of(simulated: Nation) -> dict[str, list[Record]]:
    """All records by measurement, in the order in which each device made them."""
    found: dict[str, list[Record]] = defaultdict(list)
    for record in map(decode, lines_of(simulated)):
        found[record.measurement].append(record)
    for records in found.values():
        records.sort(key=lambda r: int(r.fields["seq"]))
    return found


def hit_by(simulated: Nation, index: int = 0) -> set[str]:
    """The stations of a trouble, as the answer key names them."""
    stations: Any = simulated.answer_key()[index]["stations"]
    return set(stations)


def minute_of(record: Record) -> int:
    return (record.time_ns - START_NS) // MINUTE_NS


def test_the_same_seed_gives_the_same_bytes() -> None:
    """Every line, in the same order; another seed gives other ones."""
    trouble = {"kind": "backlog", "from": 2, "to": 5, "share": 0.5}
    first = lines_of(made(trouble, duplicates=0.1))
    assert lines_of(made(trouble, duplicates=0.1)) == first
    assert lines_of(made(trouble, duplicates=0.1, seed=2)) != first


def test_parts_say_together_what_the_whole_says() -> None:
    """Three processes that share a nation write its lines, each line once."""
    wanted = nation.scenario(
        **SMALL, days_before=0.2,
        trouble=[{"kind": "core_failure", "from": 2, "to": 6, "share": 0.5},
                 {"kind": "slow_uplink", "share": 0.3, "amount": 2.0}],
    )  # fmt: skip
    whole = Counter(lines_of(Nation(wanted, START)))
    parts = [lines_of(Nation(wanted, START, (n, 3))) for n in (1, 2, 3)]
    assert all(parts)
    assert Counter(line for part in parts for line in part) == whole


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_shipped_scenario_runs_and_hits_somebody(name: str) -> None:
    """Each loads, makes points, and its answer key names stations for each trouble."""
    simulated = Nation(load(name), START)
    key = simulated.answer_key()
    assert len(key) == len(simulated.scenario.trouble)
    assert all(event["stations"] for event in key)
    assert next(simulated.parts()).count > 0


def test_a_trouble_that_never_begins_is_no_event() -> None:
    """Of an election day's first five hours, the key has what happened in them."""
    key = Nation(load("election-day", minutes=300), START).answer_key()
    assert [event["kind"] for event in key] == [
        "never", "core_failure", "cut_off", "wrong_clock"
    ]  # fmt: skip
    assert all(event["from"] < event["to"] for event in key)  # type: ignore[operator]


def test_there_is_a_scenario_of_each_trouble() -> None:
    """Healthy, election day in three zones, a baseline, and one of each kind."""
    kinds = {trouble.kind for name in shipped() for trouble in load(name).trouble}
    alone = {
        scenario.trouble[0].kind
        for scenario in map(load, shipped())
        if len(scenario.trouble) == 1
    }
    assert kinds == alone == MADE_BY_TROUBLE
    assert load("healthy").trouble == ()
    assert load("election-day").calendar == "2024-02-14"


def test_a_scenario_that_cannot_be_is_refused_by_key(tmp_path: Path) -> None:
    """One line with the key and what is allowed."""
    with pytest.raises(InvalidConfigError, match="stations"):
        load("healthy", stations=0)
    with pytest.raises(ValidationError, match="reference data"):
        made({"kind": "cut_off", "regency": "3199"})
    with pytest.raises(InvalidConfigError, match="election-day"):
        load("no-such-scenario")
    path = tmp_path / "scenario.toml"
    path.write_text('name = "a"\n[schedule.voting]\nlatencyy = "1m"\n')
    with pytest.raises(InvalidConfigError, match="rename it to latency"):
        load(str(path))


def test_all_that_is_stored_is_acknowledged_or_waits() -> None:
    """At each heartbeat: acknowledged so far + backlog = stored before it."""
    simulated = made(
        {"kind": "backlog", "from": 2, "to": 6, "share": 0.4},
        {"kind": "slow_uplink", "share": 0.3, "amount": 3.0},
        {"kind": "power_cut", "from": 4, "to": 7, "share": 0.3},
        minutes=12,
    )
    found = records_of(simulated)
    stored: Counter[tuple[str, int]] = Counter()
    for record in (r for records in found.values() for r in records):
        # What is said of an absence stands a second before the return.
        minute = (record.time_ns + 10**9 - START_NS) // MINUTE_NS
        stored[record.tags["station"], minute] += 1
    acked: Counter[str] = Counter()
    for beat in found["agent"]:
        station, fields = beat.tags["station"], beat.fields
        acked[station] += sum(
            int(fields[f"acked_{age}"]) for age in ("le_2m", "le_1h", "le_1d", "older")
        )
        before = sum(n for (s, m), n in stored.items()
                     if s == station and m < minute_of(beat))  # fmt: skip
        assert acked[station] + int(fields["backlog_points"]) == before


def test_a_backlog_is_told_and_returns_together() -> None:
    """It grows, ages, passes an hour, and is acknowledged by age in one minute."""
    simulated = made({"kind": "backlog", "from": 2, "to": 70, "share": 0.5},
                     minutes=72, stations=6)  # fmt: skip
    hit = hit_by(simulated)
    beats: dict[str, dict[int, Record]] = defaultdict(dict)
    for beat in records_of(simulated)["agent"]:
        beats[beat.tags["station"]][minute_of(beat)] = beat
    assert 0 < len(hit) < len(beats)
    for station, mine in beats.items():
        cut = station in hit
        assert [mine[m].fields["unsent_old"] for m in (10, 62, 63, 70)] == (
            [0, 0, 1, 0] if cut else [0, 0, 0, 0]
        )
        assert mine[50].fields.get("oldest_unsent_s") == (48 * 60.0 if cut else None)
        assert (mine[50].fields["uplink_failures"] != 0) == cut
        back = mine[70].fields
        assert (int(back["acked_le_1h"]) > 100) == cut
        assert (int(back["acked_le_1d"]) > 0) == cut
        assert back["backlog_points"] == 0


def test_what_waits_arrives_when_the_way_is_open() -> None:
    """Lines of a cut-off regency come in the minute in which it ends, not before."""
    simulated = made({"kind": "cut_off", "from": 2, "to": 5, "regency": "3171"})
    hit = hit_by(simulated)
    came: dict[int, set[int]] = defaultdict(set)
    for batch in simulated.run():
        for line in (line for some in batch.lines.values() for line in some):
            record = decode(line)  # an incident ends before it is told to have
            if record.tags["station"] in hit and record.measurement != "incident":
                came[batch.minute].add(minute_of(record))
    assert {m: sorted(of) for m, of in came.items() if m < 7} == {
        0: [0], 1: [1], 5: [2, 3, 4, 5], 6: [6]
    }  # fmt: skip


def test_a_failed_core_opens_and_closes_an_incident_on_each_of_its_links(
    tmp_path: Path,
) -> None:
    """As the written answer key has it: which stations, from when, until when."""
    simulated = made({"kind": "core_failure", "from": 3, "to": 8, "province": "31",
                      "operator": "telkomsel"}, minutes=14)  # fmt: skip
    write_key(simulated, tmp_path / "key.json")
    (planted,) = json.loads((tmp_path / "key.json").read_text())
    incidents = records_of(simulated)["incident"]
    opened = [r for r in incidents if r.fields.get("opened")]
    closed = [r for r in incidents if r.fields.get("closed")]
    assert {r.tags["station"] for r in opened} == set(planted["stations"])
    assert {r.tags["operator"] for r in incidents} == {"telkomsel"}
    assert {r.fields["incident"] for r in opened} == {
        r.fields["incident"] for r in closed
    }
    for record in incidents:
        assert (record.fields["sign_1"], record.fields["sign_2"]) == (
            "trains: lost", "radio: searching"
        )  # fmt: skip
        assert 0 <= int(record.fields["start_ns"]) // 10**9 - planted["from"] < 60
    for record in closed:
        assert 0 <= record.time_ns // 10**9 - planted["to"] < 60
        assert record.fields["lasted_s"] == 300.0


def test_a_healthy_nation_has_no_incident_and_no_backlog() -> None:
    """Noise alone opens nothing, and every heartbeat is well."""
    found = records_of(made(minutes=20))
    assert found["incident"] == []
    for beat in found["agent"]:
        said = ("backlog_points", "clock_poor", "allowance_low", "unsent_old")
        assert [beat.fields[name] for name in said] == [0, 0, 0, 0]
    assert len({beat.fields["version"] for beat in found["agent"]}) == 2
    assert len({beat.fields["config_hash"] for beat in found["agent"]}) == 3


def test_a_power_cut_leaves_nothing_and_is_told_on_return() -> None:
    """No point within; then a start, what was not measured, and a young boot."""
    simulated = made({"kind": "power_cut", "from": 2, "to": 6, "regency": "3171"})
    hit = hit_by(simulated)
    found = records_of(simulated)
    every = [r for records in found.values() for r in records]
    mine = [r for r in every if r.tags["station"] in hit]
    skipped = [r for r in mine if r.fields.get("reason") == "not_running"]
    rest = [r for r in mine if r not in skipped]
    assert {minute_of(r) for r in rest} == {0, 1, 6, 7, 8, 9}
    assert {(r.fields["slots"], r.fields["span_s"]) for r in skipped} == {(4, 240.0)}
    starts = [r for r in found["event"] if r.tags["kind"] == "start"]
    assert {r.tags["station"] for r in starts} == hit
    assert {r.tags["station"] for r in skipped} == hit
    boots = {float(r.fields["boot_s"]) for r in found["agent"]
             if r.tags["station"] in hit and minute_of(r) == 7}  # fmt: skip
    assert boots == {60.0}


def test_a_wrong_clock_is_told_by_the_device() -> None:
    """Its points are held, an hour off, and its heartbeat calls the clock poor."""
    simulated = made({"kind": "wrong_clock", "share": 0.3, "amount": -3600.0})
    hit = hit_by(simulated)
    beats = records_of(simulated)["agent"]
    poor = {b.tags["station"] for b in beats if b.fields["clock_poor"]}
    assert poor == hit
    assert {b.tags["station"] for b in beats if b.fields.get("clock_held")} == hit
    for beat in (b for b in beats if b.tags["station"] in hit):
        assert beat.time_ns < START_NS
        assert abs(float(beat.fields["clock_offset_ms"]) + 3_600_000) <= 20


def test_a_clock_set_back_writes_over_nothing() -> None:
    """A stamp that the device has given already is not given again."""
    trouble = {"kind": "wrong_clock", "from": 5, "to": 9, "amount": -300.0}
    keys = [
        (r.measurement, tuple(sorted(r.tags.items())), r.time_ns)
        for r in map(decode, lines_of(made(trouble)))
    ]
    assert len(keys) == len(set(keys))


def test_an_allowance_that_runs_out_skips_tests() -> None:
    """The heartbeat says low, and every throughput slot is skipped with its reason."""
    simulated = made({"kind": "allowance", "share": 0.5, "amount": 8.0}, minutes=60)
    hit = hit_by(simulated)
    found = records_of(simulated)
    low = {b.tags["station"] for b in found["agent"] if b.fields["allowance_low"]}
    assert low == hit
    tests = [r for r in found["throughput"] if r.tags["station"] in hit]
    assert tests
    assert {r.fields.get("reason") for r in tests} == {"allowance"}
    assert all(r.fields["skipped"] == 1 for r in tests)


def test_due_is_what_became_of_it_and_equals_the_points_slots() -> None:
    """due = ok + failed + skipped, summed over all, is the sum of the points' slots."""
    found = records_of(made(
        {"kind": "core_failure", "from": 2, "to": 6},
        {"kind": "power_cut", "from": 3, "to": 7, "share": 0.4},
    ))  # fmt: skip
    beats = found.pop("agent")
    for name, of in (("due", "slots"), ("failed", "failed"), ("skipped", "skipped")):
        told = sum(int(beat.fields[name]) for beat in beats)
        # Down and up of one throughput test are one slot.
        assert told == sum(
            int(r.fields.get(of, 0))
            for records in found.values()
            for r in records
            if r.tags.get("direction") != "up"
        )
        assert told > 0
    for beat in beats:
        fields = beat.fields
        parts = (int(fields[name]) for name in ("ok", "failed", "skipped"))
        assert fields["due"] == sum(parts)


def test_days_before_give_a_baseline_of_every_probe() -> None:
    """Hours of the phase pre stand before the start, at every link, then minutes."""
    simulated = made(days_before=1, step_before=60, minutes=2,
                     start="2024-02-14T07:00:00+07:00", provinces=["31"],
                     schedule={"pre": {"form": "1h"}})  # fmt: skip
    minutes = sorted({batch.minute for batch in simulated.run()})
    assert minutes == [*range(-1440, 0, 60), 0, 1]
    again = made(days_before=1, step_before=60, minutes=2, provinces=["31"],
                 start="2024-02-14T07:00:00+07:00",
                 schedule={"pre": {"form": "1h"}})  # fmt: skip
    found = records_of(again)
    links = {(r.tags["station"], r.tags["link"]) for r in found["verdict"]}
    for name in ("latency", "throughput", "signal", "web"):
        pre = [r for r in found[name] if r.tags["phase"] == "pre"]
        assert {(r.tags["station"], r.tags["link"]) for r in pre} == links, name
    changes = [r for r in found["event"] if r.tags["kind"] == "phase"]
    assert [(r.fields["before"], r.fields["after"]) for r in changes] == [
        ("pre", "voting")
    ] * 40


def test_a_full_cell_is_slower_and_noisier_but_not_weaker() -> None:
    """RSRQ, SINR, rates and delay get worse under load; RSRP does not."""

    def means(*trouble: dict[str, Any]) -> dict[str, float]:
        found = records_of(made(*trouble, minutes=60, stations=20))
        wanted = {"rsrp_dbm": "signal", "rsrq_db": "signal", "sinr_db": "signal",
                  "rate_bps": "throughput", "rtt_p50_ms": "latency"}  # fmt: skip
        return {name: sum(_values(found[of], name)) / len(_values(found[of], name))
                for name, of in wanted.items()}  # fmt: skip

    quiet, full = means(), means({"kind": "overload", "amount": 6.0})
    assert abs(full["rsrp_dbm"] - quiet["rsrp_dbm"]) < 1
    assert full["rsrq_db"] < quiet["rsrq_db"] - 3
    assert full["sinr_db"] < quiet["sinr_db"] - 5
    assert full["rate_bps"] < quiet["rate_bps"] / 4
    assert full["rtt_p50_ms"] > 2 * quiet["rtt_p50_ms"]


def _values(records: list[Record], name: str) -> list[float]:
    return [float(r.fields[name]) for r in records if name in r.fields]


def test_the_day_has_its_shape() -> None:
    """Least at four, most at twenty, and a hill of its own as polls close."""
    loads = {hour: day_load(hour) for hour in range(24)}
    assert min(loads, key=loads.__getitem__) == 4
    assert loads[13] > loads[11]
    assert loads[13] > loads[15]
    assert max(loads[h] for h in range(16, 24)) == pytest.approx(1.8, abs=0.05)


def test_it_can_be_stopped_at_any_moment(tmp_path: Path) -> None:
    """After the part under way nothing more is written, and what is there is whole."""
    stop = threading.Event()
    path = tmp_path / "lines"
    batches: Iterator[Any] = to_file(made(), path, stop)
    count = next(batches).count
    stop.set()
    assert next(batches, None) is None
    assert len([decode(line) for line in path.read_bytes().splitlines()]) == count


def test_every_point_reaches_a_real_collector(
    influxdb: Database, tmp_path: Path
) -> None:
    """What is counted as delivered is there, last part included."""
    settings = nation.settings(influxdb, influxdb, tmp_path)
    simulated = made({"kind": "slow_uplink", "share": 0.5}, minutes=3)
    batches = to_collectors(simulated, settings, 1e9, 0, threading.Event())
    total = sum(batch.count for batch in batches)
    there = sum(
        influxdb.count(row["name"], "seq")
        for row in influxdb.query("SHOW MEASUREMENTS")
    )
    assert there == total > 500


def test_a_collector_that_does_not_take_points_is_told(
    influxdb: Database, tmp_path: Path
) -> None:
    """The error of a part that was on its way is not lost."""
    gone = Database(influxdb.url, "", influxdb.org, "no_such_database")
    settings = nation.settings(gone, influxdb, tmp_path)
    batches = to_collectors(made(), settings, 1e9, 0, _Waits())
    with pytest.raises(WriteError, match="no_such_database"):
        list(batches)


class _Waits(threading.Event):
    """An event whose waits pass at once, on a clock of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        self.now_s += timeout or 0.0
        return self.is_set()


def test_the_rate_is_bounded_and_time_may_be_compressed(
    influxdb: Database, tmp_path: Path
) -> None:
    """n points take n / rate; the last of m minutes leaves m minutes / speed in."""
    settings = nation.settings(influxdb, influxdb, tmp_path)
    waits = _Waits()
    sent = list(to_collectors(made(minutes=2), settings, 10.0, 0, waits,
                              lambda: waits.now_s))  # fmt: skip
    assert waits.now_s == pytest.approx(sum(batch.count for batch in sent) / 10)
    waits = _Waits()
    for batch in to_collectors(made(minutes=3, days_before=1), settings, 1e9, 60.0,
                               waits, lambda: waits.now_s):  # fmt: skip
        assert waits.now_s == pytest.approx(max(0, batch.minute + 1), abs=0.01)
