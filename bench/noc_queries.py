"""The questions that the national boards ask, as Grafana would put them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

from grafana.files import generated
from grafana.panels import RAW, ROLLUP
from tests.servers.database import Database

BOARDS = ("overview", "operators", "agents")
ROUNDS = 5
_ENOUGH_S = 10.0


@dataclass(frozen=True, slots=True)
class Question:
    """One query of a panel, and whether the panel's data source can be switched."""

    board: str
    panel: str
    query: str
    raw: bool
    rollup: bool

    def about(self, from_ns: int, to_ns: int) -> str:
        """The query for a span, by minute, over the whole nation."""
        span = f"time >= {from_ns} AND time < {to_ns}"
        query = self.query.replace("$timeFilter", span).replace("$__interval", "1m")
        return re.sub(r"\$\{\w+:regex\}", ".*", query)


def questions() -> Iterator[Question]:
    """Every query of the national boards, in English, each once."""
    files, seen = generated(), set()
    for board in BOARDS:
        for panel in json.loads(files[f"dashboards/en/{board}.json"])["panels"]:
            source = panel.get("datasource", {}).get("uid", "")
            free = source not in {RAW, ROLLUP}
            for target in panel.get("targets", ()):
                query = target.get("query", "")
                if query and query not in seen:
                    seen.add(query)
                    yield Question(board, panel["title"], query,
                                   raw=free or source == RAW,
                                   rollup=free or source == ROLLUP)  # fmt: skip


def took_s(database: Database, query: str) -> tuple[list[float], int]:
    """The times of some rounds, and how many rows came; no times if one is too long."""
    times: list[float] = []
    rows = 0
    while len(times) < ROUNDS and sum(times) < _ENOUGH_S:
        began = time.perf_counter()
        try:
            rows = len(database.query(query))
        except TimeoutError:
            return [], 0
        times.append(time.perf_counter() - began)
    return times, rows
