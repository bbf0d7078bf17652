"""The simulated nation: reproducible, with injected faults and an answer key."""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
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
KINDS = {
    "overload",
    "core_failure",
    "power_cut",
    "cut_off",
    "backlog",
    "wrong_clock",
    "never",
    "slow_uplink",
    "allowance",
}


def simulate(*faults: dict[str, Any], **values: Any) -> Nation:
    """Return a small nation with injected faults."""
    return nation.begin(nation.scenario(**SMALL | {"fault": list(faults)} | values))


def lines_of(simulated: Nation) -> list[bytes]:
    """Return all lines in the order of their arrival."""
    return [
        line
        for batch in simulated.run()
        for lines in batch.lines.values()
        for line in lines
    ]


def records_of(simulated: Nation) -> dict[str, list[Record]]:
    """Return all records by measurement, in the order of their numbers."""
    by_measurement: dict[str, list[Record]] = defaultdict(list)
    for record in map(decode, lines_of(simulated)):
        by_measurement[record.measurement].append(record)
    for records in by_measurement.values():
        records.sort(key=lambda r: int(r.fields["seq"]))
    return by_measurement


def affected_by(simulated: Nation, index: int = 0) -> set[str]:
    """Return the stations that the answer key names for a fault."""
    stations: Any = simulated.answer_key()[index]["stations"]
    return set(stations)


def minute_of(record: Record) -> int:
    return (record.time_ns - START_NS) // MINUTE_NS


def test_the_same_seed_gives_the_same_bytes() -> None:
    """Every line is equal and in the same order. Another seed gives other lines."""
    fault = {"kind": "backlog", "from": 2, "to": 5, "share": 0.5}
    first = lines_of(simulate(fault, duplicates=0.1))
    assert lines_of(simulate(fault, duplicates=0.1)) == first
    assert lines_of(simulate(fault, duplicates=0.1, seed=2)) != first


def test_all_parts_together_give_the_lines_of_the_whole() -> None:
    """Three processes that share a nation write each of its lines once."""
    faults = [
        {"kind": "core_failure", "from": 2, "to": 6, "share": 0.5},
        {"kind": "slow_uplink", "share": 0.3, "amount": 2.0},
    ]
    plan = nation.scenario(**SMALL, days_before=0.2, fault=faults)
    whole = Counter(lines_of(Nation(plan, START)))
    parts = [lines_of(Nation(plan, START, (n, 3))) for n in (1, 2, 3)]
    assert all(parts)
    assert Counter(line for part in parts for line in part) == whole


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_built_in_scenario_runs_and_affects_stations(name: str) -> None:
    """Each gives points, and its answer key names stations for each fault."""
    simulated = Nation(load(name), START)
    key = simulated.answer_key()
    assert len(key) == len(simulated.scenario.fault)
    assert all(event["stations"] for event in key)
    assert next(simulated.parts()).count > 0


def test_a_fault_after_the_end_is_not_in_the_answer_key() -> None:
    """The key of the first five hours of an election day has only their faults."""
    key = Nation(load("election-day", minutes=300), START).answer_key()
    kinds = [event["kind"] for event in key]
    assert kinds == ["never", "core_failure", "cut_off", "wrong_clock"]
    assert all(event["from"] < event["to"] for event in key)  # type: ignore[operator]


def test_there_is_a_scenario_of_each_kind_of_fault() -> None:
    """There is also a healthy one, an election day in three zones and a baseline."""
    kinds = {fault.kind for name in shipped() for fault in load(name).fault}
    alone = {
        scenario.fault[0].kind
        for scenario in map(load, shipped())
        if len(scenario.fault) == 1
    }
    assert kinds == alone == KINDS
    assert load("healthy").fault == ()
    assert load("election-day").calendar == "2024-02-14"


def test_an_invalid_scenario_is_rejected_by_its_key(tmp_path: Path) -> None:
    """Each error has one line with the key and the problem."""
    with pytest.raises(InvalidConfigError, match="stations"):
        load("healthy", stations=0)
    with pytest.raises(ValidationError, match="reference data"):
        simulate({"kind": "cut_off", "regency": "3199"})
    with pytest.raises(InvalidConfigError, match="election-day"):
        load("no-such-scenario")
    path = tmp_path / "scenario.toml"
    path.write_text('name = "a"\n[schedule.voting]\nlatencyy = "1m"\n')
    with pytest.raises(InvalidConfigError, match="rename it to latency"):
        load(str(path))


def test_the_former_name_of_a_fault_is_one_error_with_the_new_name(
    tmp_path: Path,
) -> None:
    """A scenario with [[trouble]] is not read as one without faults."""
    path = tmp_path / "old.toml"
    path.write_text('name = "old"\n[[trouble]]\nkind = "other"\n')
    with pytest.raises(InvalidConfigError) as caught:
        load(str(path))
    assert str(caught.value) == (
        "trouble: has a new name. Fix: rename it to [[fault]]."
    )


def test_every_stored_point_is_acknowledged_or_pending() -> None:
    """At each heartbeat: acknowledged so far + backlog = stored before it."""
    simulated = simulate(
        {"kind": "backlog", "from": 2, "to": 6, "share": 0.4},
        {"kind": "slow_uplink", "share": 0.3, "amount": 3.0},
        {"kind": "power_cut", "from": 4, "to": 7, "share": 0.3},
        minutes=12,
    )
    records = records_of(simulated)
    stored: Counter[tuple[str, int]] = Counter()
    for record in (r for group in records.values() for r in group):
        # Skipped readings of a downtime are dated one second before its end.
        minute = (record.time_ns + 10**9 - START_NS) // MINUTE_NS
        stored[record.tags["station"], minute] += 1
    acked: Counter[str] = Counter()
    for beat in records["agent"]:
        station, fields = beat.tags["station"], beat.fields
        acked[station] += sum(
            int(fields[f"acked_{age}"]) for age in ("le_2m", "le_1h", "le_1d", "older")
        )
        earlier = sum(
            count
            for (stored_by, minute), count in stored.items()
            if stored_by == station and minute < minute_of(beat)
        )
        assert acked[station] + int(fields["backlog_points"]) == earlier


def test_a_backlog_is_reported_and_arrives_together() -> None:
    """It grows older than an hour, and is acknowledged by age in one minute."""
    fault = {"kind": "backlog", "from": 2, "to": 70, "share": 0.5}
    simulated = simulate(fault, minutes=72, stations=6)
    affected = affected_by(simulated)
    beats: dict[str, dict[int, Record]] = defaultdict(dict)
    for beat in records_of(simulated)["agent"]:
        beats[beat.tags["station"]][minute_of(beat)] = beat
    assert 0 < len(affected) < len(beats)
    for station, by_minute in beats.items():
        cut_off = station in affected
        assert [by_minute[m].fields["unsent_old"] for m in (10, 62, 63, 70)] == (
            [0, 0, 1, 0] if cut_off else [0, 0, 0, 0]
        )
        during, after = by_minute[50].fields, by_minute[70].fields
        assert during.get("oldest_unsent_s") == (48 * 60.0 if cut_off else None)
        assert (during["uplink_failures"] != 0) == cut_off
        assert (int(after["acked_le_1h"]) > 100) == cut_off
        assert (int(after["acked_le_1d"]) > 0) == cut_off
        assert after["backlog_points"] == 0


def test_delayed_points_arrive_when_the_fault_ends() -> None:
    """Lines of a cut-off regency arrive in the minute in which the fault ends."""
    simulated = simulate({"kind": "cut_off", "from": 2, "to": 5, "regency": "3171"})
    affected = affected_by(simulated)
    arrived: dict[int, set[int]] = defaultdict(set)
    for batch in simulated.run():
        for line in (line for lines in batch.lines.values() for line in lines):
            record = decode(line)  # incidents have the time of their end
            if record.tags["station"] in affected and record.measurement != "incident":
                arrived[batch.minute].add(minute_of(record))
    first = {minute: sorted(of) for minute, of in arrived.items() if minute < 7}
    assert first == {0: [0], 1: [1], 5: [2, 3, 4, 5], 6: [6]}


def test_a_failed_core_opens_and_closes_an_incident_on_each_of_its_links(
    tmp_path: Path,
) -> None:
    """Stations, start and end are those of the written answer key."""
    place = {"province": "31", "operator": "telkomsel"}
    fault = {"kind": "core_failure", "from": 3, "to": 8, **place}
    simulated = simulate(fault, minutes=14)
    write_key(simulated, tmp_path / "key.json")
    (injected,) = json.loads((tmp_path / "key.json").read_text())
    incidents = records_of(simulated)["incident"]
    opened = [r for r in incidents if r.fields.get("opened")]
    closed = [r for r in incidents if r.fields.get("closed")]
    assert {r.tags["station"] for r in opened} == set(injected["stations"])
    assert {r.tags["operator"] for r in incidents} == {"telkomsel"}
    assert {r.fields["incident"] for r in opened} == {
        r.fields["incident"] for r in closed
    }
    for record in incidents:
        signs = (record.fields["sign_1"], record.fields["sign_2"])
        assert signs == ("trains: lost", "radio: searching")
        assert 0 <= int(record.fields["start_ns"]) // 10**9 - injected["from"] < 60
    for record in closed:
        assert 0 <= record.time_ns // 10**9 - injected["to"] < 60
        assert record.fields["lasted_s"] == 300.0


def test_a_healthy_nation_has_no_incident_and_no_backlog() -> None:
    """Noise alone opens no incident, and every heartbeat is good."""
    records = records_of(simulate(minutes=20))
    assert records["incident"] == []
    for beat in records["agent"]:
        flags = ("backlog_points", "clock_poor", "allowance_low", "unsent_old")
        assert [beat.fields[name] for name in flags] == [0, 0, 0, 0]
    assert len({beat.fields["version"] for beat in records["agent"]}) == 2
    assert len({beat.fields["config_hash"] for beat in records["agent"]}) == 3


def test_a_power_cut_leaves_no_points_and_is_reported_afterwards() -> None:
    """After it there are a start event, skipped slots and a short time since boot."""
    simulated = simulate({"kind": "power_cut", "from": 2, "to": 6, "regency": "3171"})
    affected = affected_by(simulated)
    records = records_of(simulated)
    all_records = [r for group in records.values() for r in group]
    own = [r for r in all_records if r.tags["station"] in affected]
    skipped = [r for r in own if r.fields.get("reason") == "not_running"]
    others = [r for r in own if r not in skipped]
    assert {minute_of(r) for r in others} == {0, 1, 6, 7, 8, 9}
    assert {(r.fields["slots"], r.fields["span_s"]) for r in skipped} == {(4, 240.0)}
    starts = [r for r in records["event"] if r.tags["kind"] == "start"]
    assert {r.tags["station"] for r in starts} == affected
    assert {r.tags["station"] for r in skipped} == affected
    boots_s = {
        float(r.fields["boot_s"])
        for r in records["agent"]
        if r.tags["station"] in affected and minute_of(r) == 7
    }
    assert boots_s == {60.0}


def test_a_wrong_clock_is_reported_by_the_device() -> None:
    """Its points were held and are an hour off, and its heartbeat flags the clock."""
    simulated = simulate({"kind": "wrong_clock", "share": 0.3, "amount": -3600.0})
    affected = affected_by(simulated)
    beats = records_of(simulated)["agent"]
    poor = {b.tags["station"] for b in beats if b.fields["clock_poor"]}
    assert poor == affected
    assert {b.tags["station"] for b in beats if b.fields.get("clock_held")} == affected
    for beat in (b for b in beats if b.tags["station"] in affected):
        assert beat.time_ns < START_NS
        assert abs(float(beat.fields["clock_offset_ms"]) + 3_600_000) <= 20


def test_a_clock_set_back_overwrites_no_point() -> None:
    """The device does not use a timestamp twice."""
    fault = {"kind": "wrong_clock", "from": 5, "to": 9, "amount": -300.0}
    keys = [
        (r.measurement, tuple(sorted(r.tags.items())), r.time_ns)
        for r in map(decode, lines_of(simulate(fault)))
    ]
    assert len(keys) == len(set(keys))


@pytest.mark.slow
def test_an_allowance_that_runs_out_skips_tests() -> None:
    """The heartbeat flags it, and every throughput slot is skipped with its reason."""
    simulated = simulate({"kind": "allowance", "share": 0.5, "amount": 8.0}, minutes=60)
    affected = affected_by(simulated)
    records = records_of(simulated)
    low = {b.tags["station"] for b in records["agent"] if b.fields["allowance_low"]}
    assert low == affected
    tests = [r for r in records["throughput"] if r.tags["station"] in affected]
    assert tests
    assert {r.fields.get("reason") for r in tests} == {"allowance"}
    assert all(r.fields["skipped"] == 1 for r in tests)


def test_due_slots_are_the_sum_of_outcomes_and_of_the_points_slots() -> None:
    """due = ok + failed + skipped; their sums equal the sums of the points' slots."""
    simulated = simulate(
        {"kind": "core_failure", "from": 2, "to": 6},
        {"kind": "power_cut", "from": 3, "to": 7, "share": 0.4},
    )
    records = records_of(simulated)
    beats = records.pop("agent")
    for name, of in (("due", "slots"), ("failed", "failed"), ("skipped", "skipped")):
        reported = sum(int(beat.fields[name]) for beat in beats)
        # Down and up of one throughput test are one slot.
        assert reported == sum(
            int(r.fields.get(of, 0))
            for group in records.values()
            for r in group
            if r.tags.get("direction") != "up"
        )
        assert reported > 0
    for beat in beats:
        fields = beat.fields
        parts = (int(fields[name]) for name in ("ok", "failed", "skipped"))
        assert fields["due"] == sum(parts)


@pytest.mark.slow
def test_days_before_give_a_baseline_of_every_probe() -> None:
    """Every link has hours of the phase pre before the start, and minutes after it."""
    values = {
        "days_before": 1,
        "step_before": 60,
        "minutes": 2,
        "start": "2024-02-14T07:00:00+07:00",
        "provinces": ["31"],
        "schedule": {"pre": {"form": "1h"}},
    }
    simulated = simulate(**values)
    minutes = sorted({batch.minute for batch in simulated.run()})
    assert minutes == [*range(-1440, 0, 60), 0, 1]
    records = records_of(simulate(**values))
    links = {(r.tags["station"], r.tags["link"]) for r in records["verdict"]}
    for name in ("latency", "throughput", "signal", "web"):
        pre = [r for r in records[name] if r.tags["phase"] == "pre"]
        assert {(r.tags["station"], r.tags["link"]) for r in pre} == links, name
    changes = [r for r in records["event"] if r.tags["kind"] == "phase"]
    assert [(r.fields["before"], r.fields["after"]) for r in changes] == [
        ("pre", "voting")
    ] * 40


@pytest.mark.slow
def test_a_full_cell_is_slower_and_noisier_but_not_weaker() -> None:
    """RSRQ, SINR, rates and delay get worse under load. RSRP does not."""

    def means(*faults: dict[str, Any]) -> dict[str, float]:
        records = records_of(simulate(*faults, minutes=60, stations=20))
        measurements = {
            "rsrp_dbm": "signal",
            "rsrq_db": "signal",
            "sinr_db": "signal",
            "rate_bps": "throughput",
            "rtt_p50_ms": "latency",
        }
        return {
            name: fmean(_values(records[measurement], name))
            for name, measurement in measurements.items()
        }

    quiet, full = means(), means({"kind": "overload", "amount": 6.0})
    assert abs(full["rsrp_dbm"] - quiet["rsrp_dbm"]) < 1
    assert full["rsrq_db"] < quiet["rsrq_db"] - 3
    assert full["sinr_db"] < quiet["sinr_db"] - 5
    assert full["rate_bps"] < quiet["rate_bps"] / 4
    assert full["rtt_p50_ms"] > 2 * quiet["rtt_p50_ms"]


def _values(records: list[Record], name: str) -> list[float]:
    return [float(r.fields[name]) for r in records if name in r.fields]


def test_the_day_has_its_shape() -> None:
    """Minimum at 4:00, maximum at 20:00, and a peak when voting closes."""
    loads = {hour: day_load(hour) for hour in range(24)}
    assert min(loads, key=loads.__getitem__) == 4
    assert loads[13] > loads[11]
    assert loads[13] > loads[15]
    assert max(loads[h] for h in range(16, 24)) == pytest.approx(1.8, abs=0.05)


def test_a_simulation_can_be_stopped_at_any_moment(tmp_path: Path) -> None:
    """The current part is written in full, and nothing after it."""
    stop = threading.Event()
    path = tmp_path / "lines"
    batches: Iterator[Any] = to_file(simulate(), path, stop)
    count = next(batches).count
    stop.set()
    assert next(batches, None) is None
    assert len([decode(line) for line in path.read_bytes().splitlines()]) == count


def test_every_point_reaches_a_real_collector(
    influxdb: Database, tmp_path: Path
) -> None:
    """Every point counted as delivered is stored, also those of the last part."""
    settings = nation.settings(influxdb, influxdb, tmp_path)
    simulated = simulate({"kind": "slow_uplink", "share": 0.5}, minutes=3)
    batches = to_collectors(simulated, settings, 1e9, 0, threading.Event())
    total = sum(batch.count for batch in batches)
    stored = sum(
        influxdb.count(row["name"], "seq")
        for row in influxdb.query("SHOW MEASUREMENTS")
    )
    assert stored == total > 500


def test_a_collector_that_rejects_points_is_reported(
    influxdb: Database, tmp_path: Path
) -> None:
    """The error of the part being sent is not lost."""
    gone = Database(influxdb.url, "", influxdb.org, "no_such_database")
    settings = nation.settings(gone, influxdb, tmp_path)
    batches = to_collectors(simulate(), settings, 1e9, 0, _Waits())
    with pytest.raises(WriteError, match="no_such_database"):
        list(batches)


class _Waits(threading.Event):
    """An event whose waits end at once and advance a clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        self.now_s += timeout or 0.0
        return self.is_set()


def test_the_rate_is_limited_and_time_can_be_compressed(
    influxdb: Database, tmp_path: Path
) -> None:
    """n points take n / rate seconds; minute m is sent after m minutes / speed."""
    settings = nation.settings(influxdb, influxdb, tmp_path)
    waits = _Waits()
    batches = to_collectors(
        simulate(minutes=2), settings, 10.0, 0, waits, lambda: waits.now_s
    )
    sent = list(batches)
    assert waits.now_s == pytest.approx(sum(batch.count for batch in sent) / 10)
    waits = _Waits()
    simulated = simulate(minutes=3, days_before=1)
    for batch in to_collectors(
        simulated, settings, 1e9, 60.0, waits, lambda: waits.now_s
    ):
        assert waits.now_s == pytest.approx(max(0, batch.minute + 1), abs=0.01)
