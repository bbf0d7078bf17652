"""The five boards: what the NOC looks at, from the nation down to one station."""

from __future__ import annotations

from grafana.boards.agents import AGENTS
from grafana.boards.board import LANGUAGES, Board, board_json
from grafana.boards.operators import OPERATORS
from grafana.boards.overview import OVERVIEW
from grafana.boards.region import REGION
from grafana.boards.station import STATION

__all__ = ["BOARDS", "LANGUAGES", "Board", "board_json"]
BOARDS = (OVERVIEW, REGION, STATION, OPERATORS, AGENTS)
