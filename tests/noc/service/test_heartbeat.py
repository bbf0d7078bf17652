"""The baseline, the calendar and the census's own heartbeat, on a real InfluxDB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qos_agent.config.calendar_file import named
from qos_agent.model import Record, Value
from qos_agent.model.line_protocol import decode, encode
from qos_agent.noc.service.annotations import calendar_lines
from qos_agent.noc.service.service import Service
from tests.noc import nation
from tests.noc.nation import MINUTE_NS, START_NS
from tests.noc.simulation import do_pending
from tests.servers.database import Database

HOUR_NS = 60 * MINUTE_NS
PASSES = {"back": "20m", "again": ("10m",), "span": "20m"}
# Three days before the vote, at noon: the phase is `pre`.
BEFORE = "2024-02-11T12:00:00+07:00"


def test_the_baseline_equals_the_sums_of_duckdb(
    influxdb: Database, tmp_path: Path
) -> None:
    """It has anchors, downloads and only points of the `pre` phase."""
    scenario = nation.scenario(stations=40, minutes=61, provinces=["31"], start=BEFORE)
    arrived = nation.deliver_all(scenario, tmp_path, influxdb)
    begins_ns = nation.begin(scenario).start_ns
    rollup = influxdb.fresh()
    later = nation.scenario(stations=40, minutes=5, provinces=["31"])
    uploads = _uploads(begins_ns)
    nation.deliver(influxdb, uploads)
    arrived += uploads + nation.deliver_all(later, tmp_path, influxdb)
    service = Service(nation.settings(influxdb, rollup, tmp_path, rollups=PASSES))
    for _ in service.recompute(begins_ns, begins_ns + 65 * MINUTE_NS):
        pass
    for _ in service.recompute(START_NS, START_NS + 10 * MINUTE_NS):
        pass
    at_ns = START_NS + 10 * MINUTE_NS
    do_pending(service, service.minute(at_ns))
    baseline = {
        (r["regency"], r["operator"]): {k: r[k] for k in SUMMED if r.get(k) is not None}
        for r in rollup.query(f"SELECT * FROM baseline WHERE time = {at_ns}")
    }
    expected = _baseline_by_duckdb(arrived)
    assert baseline.keys() == expected.keys()
    for key, sums in expected.items():
        assert baseline[key] == pytest.approx(sums), key
    spans = [r["span_s"] for r in rollup.rows("baseline") if r["span_s"] is not None]
    reach_s = (at_ns - begins_ns) / 1e9
    assert max(spans) == reach_s
    assert min(spans) > reach_s - 3600


def _uploads(at_ns: int) -> list[bytes]:
    """Return uploads before the vote, which are off by default."""
    place = {"station": "3171010001001", "province": "31", "regency": "3171"}
    tags = {
        **place,
        "phase": "pre",
        "link": "main",
        "operator": "xl",
        "target": "forms",
        "layer": "application",
    }
    fields: dict[str, Value] = {"slots": 1, "uploads": 1, "upload_sum_ms": 812.25}
    return [encode(Record("web", tags, fields, at_ns + n)) for n in range(3)]


SUMMED = (
    "sent",
    "lost",
    "received",
    "rtt_sum_us",
    "tests",
    "rate_bps",
    "uploads",
    "upload_sum_ms",
    "good",
    "degraded",
    "bad",
)


def _baseline_by_duckdb(arrived: list[bytes]) -> dict[Any, dict[str, Any]]:
    import duckdb

    rows = []
    for r in map(decode, set(arrived)):
        tags, m = r.tags, r.measurement
        wanted = (
            (m == "latency" and tags["layer"] == "anchor")
            or (m == "throughput" and tags["direction"] == "down")
            or m in {"web", "verdict"}
        )
        if wanted and tags["phase"] == "pre":
            values = (r.fields.get(name) for name in SUMMED)
            rows.append((tags["regency"], tags["operator"], *values))
    with duckdb.connect() as db:
        columns = ", ".join(f"{name} DOUBLE" for name in SUMMED)
        db.execute(f"CREATE TABLE raw (regency TEXT, operator TEXT, {columns})")
        marks = ", ".join("?" * (2 + len(SUMMED)))
        for start in range(0, len(rows), 500):
            part = rows[start : start + 500]
            many = ", ".join([f"({marks})"] * len(part))
            flat = [value for row in part for value in row]
            db.execute(f"INSERT INTO raw VALUES {many}", flat)
        sums = ", ".join(f"sum({name})" for name in SUMMED)
        query = f"SELECT regency, operator, {sums} FROM raw GROUP BY ALL"
        totals = db.execute(query).fetchall()
    return {
        (regency, operator): {
            n: v for n, v in zip(SUMMED, values, strict=True) if v is not None
        }
        for regency, operator, *values in totals
    }


def test_there_is_no_baseline_without_points_before_the_vote(
    influxdb: Database, tmp_path: Path
) -> None:
    """It is absent, not zero."""
    scenario = nation.scenario(stations=10, minutes=3, provinces=["31"])
    nation.deliver_all(scenario, tmp_path, influxdb)
    rollup = influxdb.fresh()
    service = Service(nation.settings(influxdb, rollup, tmp_path, rollups=PASSES))
    do_pending(service, service.minute(START_NS + 3 * MINUTE_NS))
    assert rollup.count("latency", "sent") > 0
    assert rollup.rows("baseline") == []


def test_the_calendar_is_the_same_on_every_day(
    influxdb: Database, tmp_path: Path
) -> None:
    """It has each phase in three zones and two languages; a second day adds nothing."""
    rollup = influxdb.fresh()
    service = Service(nation.settings(influxdb, rollup, tmp_path))
    service.minute(START_NS)
    service.minute(START_NS + 24 * HOUR_NS)
    rows = rollup.rows("calendar")
    assert len(rows) == 3 * 5
    (opens,) = [r for r in rows if r["zone"] == "WITA" and r["after"] == "voting"]
    assert opens["time"] == START_NS - 5 * HOUR_NS
    assert opens["end_ms"] == (START_NS + HOUR_NS) // 10**6
    assert opens["title"] == "Pemungutan suara / Voting"
    assert opens["text"] == "WITA 2024-02-14 07:00"
    last = max(rows, key=lambda r: r["time"])
    assert last["after"] == "idle"
    assert last["end_ms"] is None


def test_there_are_no_annotations_without_a_calendar() -> None:
    """Without a calendar there are no phases."""
    assert calendar_lines(named(None)) == []


def test_each_collector_has_a_heartbeat(influxdb: Database, tmp_path: Path) -> None:
    """One has no such database; both have a point."""
    scenario = nation.scenario(stations=10, minutes=3, provinces=["31"])
    nation.deliver_all(scenario, tmp_path, influxdb)
    rollup = influxdb.fresh()
    both = [
        {**influxdb.section, "provinces": ["31"]},
        {**influxdb.section, "bucket": "nowhere", "provinces": ["94"]},
    ]
    settings = nation.settings(influxdb, rollup, tmp_path, collectors=both)
    service = Service(settings)
    at_ns = START_NS + 3 * MINUTE_NS
    report = service.minute(at_ns)
    rows = {r["collector"].split("_", 5)[-1]: r for r in rollup.rows("pipeline")}
    good, failing = rows[influxdb.database], rows["nowhere"]
    assert (good["failed"], failing["failed"]) == (0, 1)
    assert "create the bucket" in failing["detail"]
    assert good["detail"] is None
    assert good["points"] == report.written["31"] > 0
    assert failing["points"] == 0
    assert good["census_s"] == pytest.approx(report.census_s, abs=1e-6)
    assert rollup.count("census", "expected") > 0


def test_a_short_retention_is_reported(influxdb: Database, tmp_path: Path) -> None:
    """A retention below the dispute period is in the heartbeat and in the log."""
    raw = influxdb.create_database(f"{influxdb.database}_short", "30d")
    rollup = influxdb.fresh()
    service = Service(nation.settings(raw, rollup, tmp_path))
    first, *_ = service.warnings()
    assert "raw points are kept for 30d, less than the dispute period" in first
    service.minute(START_NS)
    (heartbeat,) = rollup.rows("pipeline")
    assert heartbeat["keep_s"] == 30 * 86400.0
    assert heartbeat["failed"] == 0
    assert "less than the dispute period of 180d" in heartbeat["detail"]
    raw.drop()
