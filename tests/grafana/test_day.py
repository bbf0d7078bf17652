"""Tests that the simulated day contains the injected faults."""

from __future__ import annotations

import pytest

from tests.grafana.day import All, Day, substitute

_NOW = (
    'SELECT sum("expected") AS "expected", sum("silent") AS "silent", '
    'sum("never") AS "never", sum("wrong_clock") AS "wrong_clock" FROM "census" '
    "WHERE $timeFilter AND \"operator\" = 'all'"
)


def test_injected_faults_are_in_the_census(troubled: Day) -> None:
    """Each fault affects a station, and the census counts the silent ones."""
    assert all(event["stations"] for event in troubled.key)
    (row,) = troubled.query(_NOW, "qos-rollup", range_s=30)
    never = troubled.hit("never")
    silent = never | troubled.hit("power_cut", "3175")
    assert row["wrong_clock"] == len(troubled.hit("wrong_clock"))
    assert row["expected"] == troubled.scenario.stations
    assert (row["silent"], row["never"]) == (len(silent), len(never))


def test_all_of_the_healthy_report(healthy: Day) -> None:
    """No station is silent in a nation without faults."""
    (row,) = healthy.query(_NOW, "qos-rollup", range_s=30)
    assert (row["expected"], row["silent"]) == (healthy.scenario.stations, 0)


def test_what_came_late_is_in_the_sums(troubled: Day) -> None:
    """The roll-ups contain every packet that arrived, late ones too."""
    sent = 'SELECT sum("sent") AS "sent" FROM "latency" WHERE $timeFilter'
    own = [r for r in troubled.of("latency") if r.time_ns >= troubled.start_ns]
    expected = sum(int(record.fields.get("sent", 0)) for record in own)
    span_s = (troubled.end_ns - troubled.start_ns) / 1e9
    for source in ("qos", "qos-rollup"):
        assert troubled.query(sent, source, range_s=span_s)[0]["sent"] == expected


def test_grafana_writes_regular_expressions() -> None:
    """One value is escaped, several form a group, and the value for all is kept."""
    query = 'SELECT 1 WHERE "regency" =~ /^${regency:regex}$/ AND $timeFilter'
    texts = [
        substitute(query, 10**12, 1, {"regency": value})
        for value in ("3171", ["a-b", "c.d"], All)
    ]
    assert [text.split("/")[1] for text in texts] == [
        "^3171$",
        r"^(a\-b|c\.d)$",
        "^.*$",
    ]
    assert texts[0].endswith("time >= 999000ms and time <= 1000000ms")
    with pytest.raises(ValueError, match="timeTo"):
        substitute("SELECT $__timeTo", 10**12, 1)
