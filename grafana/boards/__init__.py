"""The seven dashboards, from the whole country down to one station.

The folder `dashboards` next to this package contains the generated JSON files.
"""

from __future__ import annotations

from grafana.boards.agents import AGENTS
from grafana.boards.board import LANGUAGES, Board, board_json
from grafana.boards.find import FIND
from grafana.boards.operators import OPERATORS
from grafana.boards.overview import OVERVIEW
from grafana.boards.region import REGION
from grafana.boards.rollout import ROLLOUT
from grafana.boards.station import STATION

__all__ = ["BOARDS", "LANGUAGES", "Board", "board_json"]
BOARDS = (OVERVIEW, REGION, STATION, OPERATORS, AGENTS, ROLLOUT, FIND)
