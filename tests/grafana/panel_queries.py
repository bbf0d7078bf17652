"""The panels of the English dashboards, and a function that queries them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grafana.boards import BOARDS
from grafana.boards.board import board_json
from grafana.panels import RAW, ROLLUP, SELECTED
from tests.grafana.day import All, Day
from tests.grafana.expected_values import RANGE_S
from tests.servers.database import Row

Place = tuple[str, int]
DASHBOARDS = {board.name: board_json(board, 0) for board in BOARDS}
PANELS = {
    (name, panel["id"]): panel
    for name, board in DASHBOARDS.items()
    for panel in board["panels"]
}
AGES_S = {
    "5m": 300.0,
    "10m": 600.0,
    "15m": 900.0,
    "2h": 7200.0,
    "6h": 21600.0,
    "1d": 86400.0,
    "2d": 172800.0,
}


@dataclass(frozen=True)
class PanelResult:
    """The results of a panel: one list of rows for each of its queries."""

    day: Day
    answers: list[list[Row]]
    only: Mapping[str, Any]

    @property
    def rows(self) -> list[Row]:
        """Return the rows of a panel with a single query."""
        (rows,) = self.answers
        return rows

    def by(self, *tags: str) -> dict[Any, Row]:
        """Return the rows by their tags. Fail the test if tags occur twice."""
        result = {tuple(row[tag] for tag in tags): row for row in self.rows}
        assert len(result) == len(self.rows)
        return {key[0] if len(tags) == 1 else key: row for key, row in result.items()}


def query_panel(
    place: Place, day: Day, source: str, variables: Mapping[str, Any]
) -> PanelResult:
    """Run a panel's queries on a data source, as Grafana does."""
    panel = PANELS[place]
    range_s = AGES_S.get(panel.get("timeFrom"), RANGE_S)
    uids = [target["datasource"]["uid"] for target in panel["targets"]]
    answers = [
        day.query(
            target["query"],
            source if uid == SELECTED else uid,
            None,
            range_s,
            **variables,
        )
        for target, uid in zip(panel["targets"], uids, strict=True)
    ]
    only = {tag: value for tag, value in variables.items() if value != All}
    return PanelResult(day, answers, only)


def sources(place: Place) -> tuple[str, ...]:
    """Return the data sources of a panel: both if the user can select one."""
    uid = PANELS[place]["datasource"]["uid"]
    return (RAW, ROLLUP) if uid == SELECTED else (uid,)


# The simulated nation has fewer than twenty bad regencies, so all are the worst.
NATION = {"province": All, "regency": All, "worst": All}
CITY = {"province": "31", "regency": ["3173", "3175"], "worst": All}


def choices(board: str, day: Day) -> list[dict[str, Any]]:
    """Return selections of variables: all areas, some areas, or some stations."""
    if board == "find":
        station = stations_by_fault(day)["failed"]
        return [{"search": text} for text in (station, station[4:9], "tps 00", "")]
    if board != "station":
        return [NATION, CITY] if DASHBOARDS[board]["templating"]["list"] else [{}]
    return [
        {"regency": station[:4], "station": station, "link": All}
        for station in stations_by_fault(day).values()
    ]


def stations_by_fault(day: Day) -> dict[str, str]:
    """Return one station for each kind of fault."""
    return {
        "failed": min(day.hit("core_failure")),
        "returned": min(day.hit("power_cut", "3171")),
        "caught up": min(day.hit("backlog") - day.hit("never")),
        "busy": min(day.hit("overload")),
    }
