"""Every query of every panel, asked of a generated day: it returns what was planted.

The boards are those in English; the others ask the same. Most panels are ratios or
extremes of raw points, held to plain arithmetic by `FIGURES`; the rest are held to the
census as DuckDB counts it, to the register and to the answer key, by `OTHERS`.
"""

from __future__ import annotations

import pytest

from grafana.panels import RAW, ROLLUP
from grafana.queries import DELAY, ratio_over_time
from tests.grafana.asked import (
    AGES_S,
    NATION,
    PANELS,
    PLANNED,
    Place,
    choices,
    fates,
    see,
    sources,
)
from tests.grafana.checks import OTHERS, areas
from tests.grafana.day import All, Day
from tests.grafana.figures import FIGURES, SILENT_FIGURES
from tests.grafana.truth import RANGE_S
from tests.noc.nation import MINUTE_NS

# Asks nothing of the databases: Grafana's own list.
NO_QUERY = {("overview", 12)}


@pytest.mark.parametrize("place", FIGURES)
def test_figures_are_those_of_the_raw_points(place: Place, troubled: Day) -> None:
    """Each number at its minute, for its tags, on raw points and on sums alike."""
    count = 0
    for source in sources(place):
        for chosen_now in choices(place[0], troubled):
            seen = see(place, troubled, source, chosen_now)
            only = {k: v for k, v in seen.only.items() if k != "regency" or
                    place[0] != "station"}  # fmt: skip
            figures = FIGURES[place]
            assert len(seen.answers) == len(figures)
            for figure, rows in zip(figures, seen.answers, strict=True):
                count += figure.holds(rows, troubled, only)
    assert count or place in SILENT_FIGURES


def test_no_panel_lacks_an_expectation() -> None:
    """Every panel that asks has its truth here, and nothing else has."""
    assert FIGURES.keys().isdisjoint(OTHERS)
    assert {*FIGURES, *OTHERS, *NO_QUERY} == PANELS.keys()
    assert {place for place, panel in PANELS.items() if not panel["targets"]} == (
        NO_QUERY
    )


@pytest.mark.parametrize("place", OTHERS)
def test_panels_show_what_was_planted(place: Place, troubled: Day) -> None:
    """The planted troubles are found, counted as DuckDB counts, and nothing else is."""
    for source in sources(place):
        for now in choices(place[0], troubled):
            more = {"place": "3173"} if place[0] == "agents" else {}
            OTHERS[place](see(place, troubled, source, {**now, **more}))


def test_the_operator_that_is_down_needs_help_first(troubled: Day) -> None:
    """On top of the table: most stations without, for as long, by loss, its ticket."""
    rows = see(("overview", 7), troubled, ROLLUP, {}).rows
    sort = PANELS["overview", 7]["options"]["sortBy"]
    assert sort == [{"displayName": "Without", "desc": True}]
    top, *rest = sorted(rows, key=lambda row: -row["hit"])
    assert (top["regency"], top["operator"], top["kpi"]) == (
        "3173", "telkomsel", "loss")  # fmt: skip
    assert top["class_level"] == 2
    assert top["hit"] > max(row["hit"] for row in rest)
    lasted_s = (troubled.scenario.minutes - 20) * 60
    assert lasted_s - 180 <= top["since_s"] <= lasted_s


def test_the_failed_station_shows_when_and_why(troubled: Day) -> None:
    """Good, then bad from the failure on, by loss; all of its packets lost."""
    station = {"station": fates(troubled)["failed"], "link": All, "regency": "3173"}
    failed_ns = troubled.start_ns + 20 * MINUTE_NS
    verdicts = [
        row for row in see(("station", 1), troubled, RAW, station).rows
        if row["operator"] == "telkomsel"
    ]  # fmt: skip
    before = {row["value"] for row in verdicts if row["time"] < failed_ns}
    after = {row["value"] for row in verdicts if row["time"] > failed_ns + MINUTE_NS}
    assert (before, after) == ({0}, {2})
    link = verdicts[0]["link"]
    kpis, *_ = see(("station", 13), troubled, RAW, station).answers
    assert {
        row["value"]
        for row in kpis
        if row["time"] > failed_ns + MINUTE_NS and row["link"] == link
    } == {"loss"}
    losses, _ = see(("station", 3), troubled, RAW, station).answers
    lost = {row["value"] for row in losses
            if (row["link"], row["layer"]) == (link, "anchor")
            and row["time"] > failed_ns}  # fmt: skip
    assert lost == {100}


def test_the_healthy_nation_has_nobody_in_trouble(healthy: Day) -> None:
    """No row of who needs help, no station by name, no count but nought."""
    assert see(("overview", 7), healthy, ROLLUP, {}).rows == []
    assert see(("region", 1), healthy, ROLLUP, NATION).rows == []
    for id_, want in ((1, healthy.scenario.stations), (3, 0), (4, 0), (5, 0)):
        rows = see(("overview", id_), healthy, ROLLUP, {}).rows
        assert [row["value"] for row in rows] == [want]
    levels = see(("region", 3), healthy, ROLLUP, NATION).rows
    middle_ns = (healthy.start_ns + healthy.end_ns) // 2
    assert not [row for row in levels if row["time"] > middle_ns]


def test_nothing_is_shown_as_current_when_the_census_stops(troubled: Day) -> None:
    """Ten minutes after the last census the overview is empty, not as it was."""
    for place, panel in PANELS.items():
        if place[0] == "overview" and "timeFrom" in panel:
            for target in panel["targets"]:
                later_ns = troubled.end_ns + 10 * MINUTE_NS
                rows = troubled.ask(target["query"], ROLLUP, later_ns,
                                    AGES_S[panel["timeFrom"]])  # fmt: skip
                assert [row for row in rows if row.get("value") is not None] == []


def test_variables_offer_what_there_is(troubled: Day) -> None:
    """Provinces, regencies within, stations of one regency, links of one station."""
    found: dict[tuple[str, str], set[str]] = {}
    station = fates(troubled)["failed"]
    chosen_now = {"province": "31", "regency": "3173", "station": station}
    for name, board in PLANNED.items():
        for asked in board["templating"]["list"]:
            if asked["type"] == "query":
                uid = asked["datasource"]["uid"]
                rows = troubled.ask(asked["query"], uid, None, RANGE_S,
                                    **chosen_now)  # fmt: skip
                found[name, asked["name"]] = {row["value"] for row in rows}
    of_jakarta = {code for code in areas(troubled) if code[:2] == "31"}
    stations = {r.tags["station"] for r in troubled.of("agent", regency="3173")}
    links = {r.tags["link"] for r in troubled.of("latency", station=station)}
    assert found["region", "province"] == {"31", "81"}
    assert found["region", "regency"] == found["agents", "place"] == of_jakarta
    assert found["station", "regency"] == set(areas(troubled))
    assert found["station", "station"] == stations
    assert found["station", "link"] == links


def test_phases_are_annotated_where_they_begin(troubled: Day) -> None:
    """The counting in Ambon begins within the hour, and says so in both languages."""
    (asked,) = PLANNED["overview"]["annotations"]["list"]
    rows = troubled.ask(asked["query"], asked["datasource"]["uid"], range_s=3600)
    (row,) = rows
    assert row["time"] == troubled.start_ns + 40 * MINUTE_NS
    assert "Counting" in row["title"]
    assert row["text"].startswith("WIT 2024-02-14 13:00")
    assert row["end_ms"] > troubled.end_ns // 10**6


def test_a_line_breaks_where_nothing_was_answered(troubled: Day) -> None:
    """In the outage of an operator its delay is null, minute by minute, not joined."""
    delay = ratio_over_time(DELAY, "latency", "\"layer\" = 'anchor'", '"station"')
    broken = troubled.gaps(delay, RAW, 3 * 3600)
    dead = set(troubled.hit("core_failure"))
    assert dead & {row["station"] for row in broken}
