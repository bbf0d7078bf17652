"""Tests of every query of every panel on a simulated day.

They use the English dashboards; the Indonesian ones have the same queries. `FIGURES`
compares ratios and extremes with plain arithmetic on the raw points. `OTHERS` compares
the rest with counts by DuckDB, the register and the injected faults.
"""

from __future__ import annotations

import pytest

from grafana.panels import RAW, ROLLUP
from grafana.queries import DELAY, ratio_over_time, worst_regencies
from qos_agent.model.line_protocol import decode
from tests.grafana.counts import areas
from tests.grafana.day import All, Day
from tests.grafana.expected_values import RANGE_S
from tests.grafana.panel_checks import OTHERS
from tests.grafana.panel_figures import EMPTY_FIGURES, FIGURES
from tests.grafana.panel_queries import (
    AGES_S,
    DASHBOARDS,
    NATION,
    PANELS,
    Place,
    choices,
    query_panel,
    sources,
    stations_by_fault,
)
from tests.noc.nation import MINUTE_NS

# Grafana's own list of alerts, which has no query.
NO_QUERY = {("overview", 12)}


def _name(place: Place) -> str:
    return f"{place[0]}:{place[1]}"


@pytest.mark.parametrize("place", FIGURES, ids=_name)
def test_figures_are_those_of_the_raw_points(place: Place, troubled: Day) -> None:
    """Each value is correct by minute and tags, on raw points and on roll-ups."""
    count = 0
    for source in sources(place):
        for chosen_now in choices(place[0], troubled):
            result = query_panel(place, troubled, source, chosen_now)
            only = {
                k: v
                for k, v in result.only.items()
                if k != "regency" or place[0] != "station"
            }
            figures = FIGURES[place]
            assert len(result.answers) == len(figures)
            for figure, rows in zip(figures, result.answers, strict=True):
                count += figure.holds(rows, troubled, only)
    assert count or place in EMPTY_FIGURES


def test_no_panel_lacks_an_expectation() -> None:
    """Every panel with a query has an expectation, and no other panel has one."""
    assert FIGURES.keys().isdisjoint(OTHERS)
    assert {*FIGURES, *OTHERS, *NO_QUERY} == PANELS.keys()
    assert {place for place, panel in PANELS.items() if not panel["targets"]} == (
        NO_QUERY
    )


@pytest.mark.parametrize("place", OTHERS, ids=_name)
def test_panels_show_what_was_injected(place: Place, troubled: Day) -> None:
    """Panels show the injected faults, with correct counts, and nothing else."""
    for source in sources(place):
        for now in choices(place[0], troubled):
            more = {"place": "3173"} if place[0] == "agents" else {}
            OTHERS[place](query_panel(place, troubled, source, {**now, **more}))


def test_the_operator_that_is_down_needs_help_first(troubled: Day) -> None:
    """The top row has the most affected stations, the duration and the cause."""
    rows = query_panel(("overview", 7), troubled, ROLLUP, {}).rows
    sort = PANELS["overview", 7]["options"]["sortBy"]
    assert sort == [{"displayName": "Down", "desc": True}]
    top, *rest = sorted(rows, key=lambda row: -row["hit"])
    assert (top["regency"], top["operator"], top["kpi"]) == (
        "3173",
        "telkomsel",
        "loss",
    )
    assert top["class_level"] == 2
    assert top["hit"] > max(row["hit"] for row in rest)
    # The fault begins at 10:40, and the census sees it within three minutes.
    assert top["since_local"] in {f"10:{minute} WIB" for minute in range(40, 44)}


def test_the_failed_station_shows_when_and_why(troubled: Day) -> None:
    """The verdict is good, then bad because of packet loss of 100 %."""
    station = {
        "station": stations_by_fault(troubled)["failed"],
        "link": All,
        "regency": "3173",
    }
    failed_ns = troubled.start_ns + 20 * MINUTE_NS
    verdicts = [
        row
        for row in query_panel(("station", 1), troubled, RAW, station).rows
        if row["operator"] == "telkomsel"
    ]
    before = {row["value"] for row in verdicts if row["time"] < failed_ns}
    after = {row["value"] for row in verdicts if row["time"] > failed_ns + MINUTE_NS}
    assert (before, after) == ({0}, {2})
    link = verdicts[0]["link"]
    kpis, *_ = query_panel(("station", 13), troubled, RAW, station).answers
    assert {
        row["value"]
        for row in kpis
        if row["time"] > failed_ns + MINUTE_NS and row["link"] == link
    } == {"loss"}
    losses, _ = query_panel(("station", 3), troubled, RAW, station).answers
    lost = {
        row["value"]
        for row in losses
        if (row["link"], row["layer"]) == (link, "anchor") and row["time"] > failed_ns
    }
    assert lost == {100}


def test_healthy_nation_has_no_problems(healthy: Day) -> None:
    """No row, no station and no count except 0 is shown."""
    assert query_panel(("overview", 7), healthy, ROLLUP, {}).rows == []
    assert query_panel(("region", 1), healthy, ROLLUP, NATION).rows == []
    for id_, want in ((1, healthy.scenario.stations), (3, 0), (4, 0), (5, 0)):
        rows = query_panel(("overview", id_), healthy, ROLLUP, {}).rows
        assert [row["value"] for row in rows] == [want]
    levels = query_panel(("region", 3), healthy, ROLLUP, NATION).rows
    middle_ns = (healthy.start_ns + healthy.end_ns) // 2
    assert not [row for row in levels if row["time"] > middle_ns]


def test_nothing_is_shown_as_current_when_the_census_stops(troubled: Day) -> None:
    """Ten minutes after the last census the overview is empty."""
    for place, panel in PANELS.items():
        if place[0] == "overview" and panel.get("timeFrom") == "5m":
            for target in panel["targets"]:
                later_ns = troubled.end_ns + 10 * MINUTE_NS
                rows = troubled.query(
                    target["query"], ROLLUP, later_ns, AGES_S[panel["timeFrom"]]
                )
                assert [row for row in rows if row.get("value") is not None] == []


def test_the_bar_reports_a_census_that_stopped(troubled: Day) -> None:
    """Its newest figure is 0 from the third minute without a census on."""
    panel = PANELS["overview", 15]
    (target,) = panel["targets"]
    for minutes, complete in ((0, True), (1, True), (4, False), (60, False)):
        at_ns = troubled.end_ns + minutes * MINUTE_NS + MINUTE_NS // 3
        rows = troubled.query(target["query"], ROLLUP, at_ns, AGES_S["6h"])
        assert (rows[-1]["value"] > 0) is complete, minutes


def test_variables_offer_what_there_is(troubled: Day) -> None:
    """Variables list provinces, their regencies, their stations and links."""
    offered: dict[tuple[str, str], set[str]] = {}
    station = stations_by_fault(troubled)["failed"]
    chosen_now = {"province": "31", "regency": "3173", "station": station}
    for name, board in DASHBOARDS.items():
        for asked in board["templating"]["list"]:
            if asked["type"] == "query" and asked["name"] != "worst":
                uid = asked["datasource"]["uid"]
                rows = troubled.query(asked["query"], uid, None, RANGE_S, **chosen_now)
                offered[name, asked["name"]] = {row["value"] for row in rows}
    of_jakarta = {code for code in areas(troubled) if code[:2] == "31"}
    stations = {r.tags["station"] for r in troubled.of("agent", regency="3173")}
    links = {r.tags["link"] for r in troubled.of("latency", station=station)}
    assert offered["region", "province"] == {"31", "81"}
    assert offered["region", "regency"] == offered["agents", "place"] == of_jakarta
    assert offered["station", "regency"] == set(areas(troubled))
    assert offered["station", "station"] == stations
    assert offered["station", "link"] == links


@pytest.mark.parametrize("count", [1, 2, 20])
def test_the_worst_regencies_are_chosen(troubled: Day, count: int) -> None:
    """They have the most station-minutes without a report or with a bad link."""
    down: dict[str, int] = {}
    for line in troubled.written:
        if line.startswith(b"census,"):
            record = decode(line)
            level = int(record.fields.get("class_level", 0))
            if record.tags["operator"] == "all" and level >= 2:
                both = (record.fields[name] for name in ("silent", "stations_bad"))
                code = record.tags["regency"]
                down[code] = down.get(code, 0) + sum(map(int, both))
    rows = troubled.query(worst_regencies(count), ROLLUP, province=All, regency=All)
    chosen = [row["regency"] for row in rows]
    assert len(set(chosen)) == len(chosen) == min(count, len(down))
    least = min(down[code] for code in chosen)
    assert all(n <= least for code, n in down.items() if code not in chosen)


def test_phases_are_annotated_where_they_begin(troubled: Day) -> None:
    """The start of counting in Ambon is marked, in both languages."""
    (asked,) = DASHBOARDS["overview"]["annotations"]["list"]
    rows = troubled.query(asked["query"], asked["datasource"]["uid"], range_s=3600)
    (row,) = rows
    assert row["time"] == troubled.start_ns + 40 * MINUTE_NS
    assert "Counting" in row["title"]
    assert row["text"].startswith("WIT 2024-02-14 13:00")
    assert row["end_ms"] > troubled.end_ns // 10**6


def test_a_line_breaks_where_nothing_was_answered(troubled: Day) -> None:
    """During an operator's outage its latency is null in every minute."""
    delay = ratio_over_time(DELAY, "latency", "\"layer\" = 'anchor'", '"station"')
    broken = troubled.gaps(delay, RAW, 3 * 3600)
    dead = set(troubled.hit("core_failure"))
    assert dead & {row["station"] for row in broken}
