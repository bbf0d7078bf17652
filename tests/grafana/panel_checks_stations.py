"""Expectations of the search, the roll-out and the top of the station dashboard."""

from __future__ import annotations

from qos_agent.noc.register.store import Entry
from tests.grafana.counts import areas
from tests.grafana.day import Day
from tests.grafana.expected_values import chosen
from tests.grafana.panel_queries import PanelResult


def entries(day: Day) -> dict[str, Entry]:
    """Return all registered stations by code."""
    at_s = day.end_ns // 10**9
    return {
        code: entry
        for regency in areas(day)
        for code, entry in day.register.stations(regency, at_s).items()
    }


def found(result: PanelResult) -> None:
    """The stations whose code or name contains the text, with their contact."""
    text = result.only["search"].lower()
    want = {
        code: entry
        for code, entry in entries(result.day).items()
        if text in code or text in entry.name.lower()
    }
    got = result.by("station")
    assert len(got) == min(50, len(want)) > 0
    assert got.keys() <= want.keys()
    for code, row in got.items():
        _is_entry(row, want[code])


def listed(result: PanelResult) -> None:
    """The one entry of the selected station."""
    (row,) = result.rows
    assert row["station"] == result.only["station"]
    _is_entry(row, entries(result.day)[row["station"]])


def _is_entry(row: dict[str, object], entry: Entry) -> None:
    assert (row["name"], row["regency"]) == (entry.name, entry.regency)
    assert row["province"] == entry.province
    assert row["operator"] == ", ".join(sorted(entry.operators))
    assert row.get("contact") == entry.contact


def heard(result: PanelResult) -> None:
    """The newest figure shows a report in five minutes, or in twelve only."""
    station = {"station": result.only["station"]}
    own = {s: list(chosen(result.day, "agent", station, s)) for s in (300, 720)}
    value = result.rows[-1]["value"]
    assert (value > 0.002) is bool(own[300])
    assert (value > 0) is bool(own[720])


def last_heard(result: PanelResult) -> None:
    """The time of the newest heartbeat of the station."""
    (row,) = result.rows
    station = result.only["station"]
    assert row["time"] == max(
        r.time_ns for r in result.day.of("agent", station=station)
    )


def problem(result: PanelResult) -> None:
    """The station with a failed core network is bad; others may have no row."""
    station = result.only["station"]
    assert {row["station"] for row in result.rows} <= {station}
    if station in result.day.hit("core_failure"):
        (row,) = result.rows
        assert (row["class_level"], row["kpi"]) == (2, "loss")


def rollout(result: PanelResult) -> None:
    """Each province has its stations, and those that have ever reported."""
    for province, row in result.by("province").items():
        counts = [n for code, n in areas(result.day).items() if code[:2] == province]
        expected = sum(n["expected"] for n in counts)
        ever = expected - sum(n["never"] for n in counts)
        assert (row["expected"], row["heard"]) == (expected, ever)
        assert row["share"] == 100 * ever / expected
        assert row["never"] == expected - ever
        # No technician has set up a device of this day, and it has no ledger.
        assert row["accepted"] == 0
        assert row["provisioned"] is None
    assert len(result.rows) == 2


def rollout_by_day(result: PanelResult) -> None:
    """The newest figures are those of the nation now."""
    counts = areas(result.day).values()
    expected = sum(n["expected"] for n in counts)
    ever = expected - sum(n["never"] for n in counts)
    last = [rows[-1]["value"] if rows else None for rows in result.answers]
    reporting = sum(n["reporting"] for n in counts)
    assert last == [expected, None, None, 0, ever, reporting]
