"""The boards as files: whole, distinct, bounded in time, and true to the schema."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest

from grafana.files import HERE, generated
from qos_agent.schema import MEASUREMENTS

FILES = generated()
BOARDS = {n: json.loads(t) for n, t in FILES.items() if n.startswith("dashboards/")}
KINDS = {"stat", "table", "geomap", "timeseries", "bargauge", "alertlist",
         "state-timeline"}  # fmt: skip
OWN = {"value", "n", "samples"}


@pytest.mark.parametrize("name", FILES)
def test_committed_is_generated(name: str) -> None:
    """What is committed is what the generator writes."""
    assert (HERE / name).read_text(encoding="utf-8") == FILES[name]


def test_boards_are_five_in_each_language() -> None:
    """Ten boards, ten identities."""
    assert len({board["uid"] for board in BOARDS.values()}) == 10


@pytest.mark.parametrize("name", BOARDS)
def test_panels_are_distinct_and_do_not_overlap(name: str) -> None:
    """Each panel has its id, its place on the grid, a known kind, a unit."""
    panels = BOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["type"] for panel in panels} <= KINDS
    assert all(panel["fieldConfig"]["defaults"]["unit"] for panel in panels)
    for one, two in combinations((panel["gridPos"] for panel in panels), 2):
        assert not _overlap(one, two)


def _overlap(one: dict[str, int], two: dict[str, int]) -> bool:
    return all(
        one[at] < two[at] + two[size] and two[at] < one[at] + one[size]
        for at, size in (("x", "w"), ("y", "h"))
    )


def _queries() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{name}:{panel['id']}", target)
        for name, board in BOARDS.items()
        for panel in board["panels"]
        for target in panel["targets"]
    ]


@pytest.mark.parametrize(("place", "target"), _queries())
def test_query_is_bounded_and_in_the_schema(place: str, target: dict[str, Any]) -> None:
    """Every query is bound in time, reads a fixed source, names what there is."""
    query = target["query"]
    assert "$timeFilter" in query
    assert target["datasource"]["uid"] in {"qos", "qos-rollup", "${source}"}
    table = MEASUREMENTS[re.findall(r'FROM "(\w+)"', query)[0]]
    known = {field.name for field in table.fields} | set(table.tags) | OWN
    assert set(re.findall(r'"(\w+)"', query)) - {table.name} <= known
    if target["datasource"]["uid"] == "${source}":
        summed = set(re.findall(r'sum\("(\w+)"\)', query))
        assert all(table.field(field).additive for field in summed)
