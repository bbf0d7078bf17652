"""The queries of the national dashboards, as Grafana sends them."""

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
class PanelQuery:
    """One query of a panel, and the databases that it can run on."""

    board: str
    panel: str
    query: str
    raw: bool
    rollup: bool

    def for_span(self, from_ns: int, to_ns: int) -> str:
        """Return the query for a span, by minute, over the whole nation."""
        span = f"time >= {from_ns} AND time < {to_ns}"
        query = self.query.replace("$timeFilter", span).replace("$__interval", "1m")
        return re.sub(r"\$\{\w+:regex\}", ".*", query)


def panel_queries() -> Iterator[PanelQuery]:
    """Yield each query of the English national dashboards once."""
    files, seen = generated(), set()
    for board in BOARDS:
        for panel in json.loads(files[f"dashboards/en/{board}.json"])["panels"]:
            source = panel.get("datasource", {}).get("uid", "")
            any_source = source not in {RAW, ROLLUP}
            for target in panel.get("targets", ()):
                query = target.get("query", "")
                if query and query not in seen:
                    seen.add(query)
                    yield PanelQuery(
                        board,
                        panel["title"],
                        query,
                        raw=any_source or source == RAW,
                        rollup=any_source or source == ROLLUP,
                    )


def took_s(database: Database, query: str) -> tuple[list[float], int]:
    """Return the times of some rounds and the number of rows; a timeout has none."""
    times: list[float] = []
    rows = 0
    while len(times) < ROUNDS and sum(times) < _ENOUGH_S:
        began_mono = time.perf_counter()
        try:
            rows = len(database.query(query))
        except TimeoutError:
            return [], 0
        times.append(time.perf_counter() - began_mono)
    return times, rows
