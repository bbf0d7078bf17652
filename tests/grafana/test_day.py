"""The generated day holds what was planted, where the boards and alerts will look."""

from __future__ import annotations

import pytest

from tests.grafana.day import All, Day, substitute

_NOW = (
    'SELECT sum("expected") AS "expected", sum("silent") AS "silent", '
    'sum("never") AS "never" FROM "census" '
    "WHERE $timeFilter AND \"operator\" = 'all'"
)


def test_troubles_were_planted_and_lived_through(troubled: Day) -> None:
    """Each trouble hit somebody, and the census counts those it silenced."""
    assert all(event["stations"] for event in troubled.key)
    (row,) = troubled.ask(_NOW, "qos-rollup", range_s=30)
    never = troubled.hit("never")
    silent = never | troubled.hit("power_cut", "3175") | troubled.hit("wrong_clock")
    assert row["expected"] == troubled.scenario.stations
    assert (row["silent"], row["never"]) == (len(silent), len(never))


def test_all_of_the_healthy_report(healthy: Day) -> None:
    """No silence in a nation without trouble."""
    (row,) = healthy.ask(_NOW, "qos-rollup", range_s=30)
    assert (row["expected"], row["silent"]) == (healthy.scenario.stations, 0)


def test_what_came_late_is_in_the_sums(troubled: Day) -> None:
    """The roll-ups hold every probe that arrived, also an hour's backlog."""
    sent = 'SELECT sum("sent") AS "sent" FROM "latency" WHERE $timeFilter'
    own = [r for r in troubled.of("latency") if r.time_ns >= troubled.start_ns]
    expected = sum(int(record.fields.get("sent", 0)) for record in own)
    span_s = (troubled.end_ns - troubled.start_ns) / 1e9
    for source in ("qos", "qos-rollup"):
        assert troubled.ask(sent, source, range_s=span_s)[0]["sent"] == expected


def test_grafana_writes_regular_expressions() -> None:
    """One value escaped, several in a group, the value for all as it stands."""
    query = 'SELECT 1 WHERE "regency" =~ /^${regency:regex}$/ AND $timeFilter'
    made = [
        substitute(query, 10**12, 1, {"regency": value})
        for value in ("3171", ["a-b", "c.d"], All)
    ]
    assert [text.split("/")[1] for text in made] == [
        "^3171$", r"^(a\-b|c\.d)$", "^.*$"]  # fmt: skip
    assert made[0].endswith("time >= 999000ms and time <= 1000000ms")
    with pytest.raises(ValueError, match="timeTo"):
        substitute("SELECT $__timeTo", 10**12, 1)
