"""The panels of the boards in English, and how a test asks them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grafana.boards import BOARDS
from grafana.boards.board import board_json
from grafana.panels import CHOSEN, RAW, ROLLUP
from tests.grafana.day import All, Day
from tests.grafana.truth import RANGE_S
from tests.servers.database import Row

Place = tuple[str, int]
PLANNED = {board.name: board_json(board, 0) for board in BOARDS}
PANELS = {
    (name, panel["id"]): panel
    for name, board in PLANNED.items()
    for panel in board["panels"]
}
AGES_S = {"2m": 120.0, "5m": 300.0, "2h": 7200.0}


@dataclass(frozen=True)
class Seen:
    """A panel's answers, one list of rows for each of its queries."""

    day: Day
    answers: list[list[Row]]
    only: Mapping[str, Any]

    @property
    def rows(self) -> list[Row]:
        """The rows of the one query there is."""
        (rows,) = self.answers
        return rows

    def by(self, *tags: str) -> dict[Any, Row]:
        """The rows by their tags; none comes twice."""
        made = {tuple(row[tag] for tag in tags): row for row in self.rows}
        assert len(made) == len(self.rows)
        return {key[0] if len(tags) == 1 else key: row for key, row in made.items()}


def see(place: Place, day: Day, source: str, variables: Mapping[str, Any]) -> Seen:
    """Ask a panel's queries as Grafana would, of a source."""
    panel = PANELS[place]
    range_s = AGES_S.get(panel.get("timeFrom"), RANGE_S)
    uids = [target["datasource"]["uid"] for target in panel["targets"]]
    answers = [
        day.ask(target["query"], source if uid == CHOSEN else uid, None, range_s,
                **variables)
        for target, uid in zip(panel["targets"], uids, strict=True)
    ]  # fmt: skip
    only = {tag: value for tag, value in variables.items() if value != All}
    return Seen(day, answers, only)


def sources(place: Place) -> tuple[str, ...]:
    """Where a panel may be asked: where it can be switched, both."""
    uid = PANELS[place]["datasource"]["uid"]
    return (RAW, ROLLUP) if uid == CHOSEN else (uid,)


NATION = {"province": All, "regency": All}
CITY = {"province": "31", "regency": ["3173", "3175"]}


def choices(board: str, day: Day) -> list[dict[str, Any]]:
    """What somebody at a board chooses: all, some; stations of each fate."""
    if board != "station":
        return [NATION, CITY] if PLANNED[board]["templating"]["list"] else [{}]
    return [{"regency": day_of[:4], "station": day_of, "link": All}
            for day_of in fates(day).values()]  # fmt: skip


def fates(day: Day) -> dict[str, str]:
    """A station of each fate: its operator failed, it came back, it caught up."""
    return {
        "failed": min(day.hit("core_failure")),
        "returned": min(day.hit("power_cut", "3171")),
        "caught up": min(day.hit("backlog") - day.hit("never")),
        "busy": min(day.hit("overload")),
    }
