"""Tests of the layout at the widths of a laptop, a wall screen and a phone.

Grafana draws with the metrics below (its grid and its table cells). Widths of texts are
those of its font, Inter, at 14 pixels: seven pixels for an average letter.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from qos_agent.config.places import regencies
from qos_agent.noc.troubles.places import place_names
from tests.grafana.test_boards import BOARDS, UIDS

WALL_PX, LAPTOP_PX, PHONE_PX = 1920, 1366, 390
LAPTOP_HEIGHT_PX = 768
_LETTER_PX = 7
_CELL_PX, _EDGE_PX, _GAP_PX, _ROW_PX = 14, 16, 8, 38
# Columns of free text without a fixed width need at least this much.
_FREE_PX = 90
_LEVELS = ("en", "id")
_TABLES = [
    pytest.param(panel, UIDS[uid]["uid"][-2:], id=f"{uid}:{panel['id']}")
    for uid in UIDS
    for panel in UIDS[uid]["panels"]
    if panel["type"] == "table"
]


def _panel_px(width: int, page_px: int) -> float:
    """Return the inner width of a panel of some grid columns."""
    column = (page_px - 2 * _EDGE_PX + _GAP_PX) / 24
    return width * column - _GAP_PX - _EDGE_PX


def _columns(panel: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the visible columns in order, with their properties."""
    steps = {t["id"]: t["options"] for t in panel["transformations"]}
    hidden = {n for n, gone in steps["organize"]["excludeByName"].items() if gone}
    found = {}
    for override in panel["fieldConfig"]["overrides"]:
        values = {p["id"]: p["value"] for p in override["properties"]}
        if not values.get("custom.hidden"):
            found[override["matcher"]["options"]] = values
    order = sorted(steps["organize"]["indexByName"].items(), key=lambda item: item[1])
    return [(n, found[n]) for n, _ in order if n in found and n not in hidden]


def _texts(values: dict[str, Any]) -> list[str]:
    """Return all texts that a column can show, as far as they are known.

    The rows of these tables have a class, so `unknown` is not one of them.
    """
    return [
        result["text"]
        for mapping in values.get("mappings", ())
        for result in (
            mapping["options"].values()
            if mapping["type"] == "value"
            else [mapping["options"]["result"]]
        )
        if result["text"] not in {"unknown", "belum diketahui"}
    ]


def _need_px(values: dict[str, Any]) -> float:
    known = max(map(len, _texts(values)), default=0)
    if known <= 1:
        return _FREE_PX
    return known * _LETTER_PX + _CELL_PX


@pytest.mark.parametrize("width_px", [WALL_PX, LAPTOP_PX])
@pytest.mark.parametrize(("panel", "language"), _TABLES)
def test_no_name_is_cut(panel: dict[str, Any], language: str, width_px: int) -> None:
    """Names of places and causes fit, next to all other columns."""
    columns = _columns(panel)
    needs = [v.get("custom.width") or _need_px(v) for _, v in columns]
    assert sum(needs) <= _panel_px(panel["gridPos"]["w"], width_px), needs


@pytest.mark.parametrize(("panel", "language"), _TABLES)
def test_a_fixed_width_is_enough_for_its_texts(
    panel: dict[str, Any], language: str
) -> None:
    """Each word of a column with a fixed width, and its title, is readable."""
    for name, values in _columns(panel):
        width = values.get("custom.width")
        texts = [values["displayName"], *_texts(values)]
        if width:
            longest = max(texts, key=len)
            assert len(longest) * _LETTER_PX + _CELL_PX <= width, (name, longest)


@pytest.mark.parametrize("language", _LEVELS)
def test_a_laptop_shows_what_matters_without_scrolling(language: str) -> None:
    """Bar, numbers, their change, map, help table and open troubles are in view."""
    panels = {p["id"]: p["gridPos"] for p in UIDS[f"qos-overview-{language}"]["panels"]}
    for id_ in (15, 1, 2, 3, 4, 5, 6, 7, 8, 14, 18):
        bottom = (panels[id_]["y"] + panels[id_]["h"]) * _ROW_PX
        assert bottom <= LAPTOP_HEIGHT_PX - 2 * _EDGE_PX - _GAP_PX


@pytest.mark.parametrize("language", _LEVELS)
def test_a_phone_shows_numbers_and_place_first(language: str) -> None:
    """On a phone a table has the whole width, and nine names of ten are whole."""
    names = [len(f"{code} {place.name}") for code, place in regencies().items()]
    usual = sorted(names)[len(names) * 9 // 10] * _LETTER_PX + _CELL_PX
    for id_ in (7, 14):
        (panel,) = (
            p for p in UIDS[f"qos-overview-{language}"]["panels"] if p["id"] == id_
        )
        *numbers, (place, _) = _columns(panel)[:3]
        assert place in {"regency", "place"}
        widths = [values["custom.width"] for _, values in numbers]
        assert sum(widths) + usual <= PHONE_PX - 2 * _EDGE_PX


@pytest.mark.parametrize("language", _LEVELS)
def test_a_phone_shows_the_state_of_a_station_first(language: str) -> None:
    """On a phone panels are one column: the state comes first, then whom to call."""
    panels = UIDS[f"qos-station-{language}"]["panels"]
    places = {p["id"]: (p["gridPos"]["y"], p["gridPos"]["x"]) for p in panels}
    assert sorted(places, key=lambda id_: places[id_])[:4] == [21, 23, 22, 24]
    for id_, count in ((23, 2), (24, 2)):
        (panel,) = (p for p in panels if p["id"] == id_)
        needs = [
            v.get("custom.width") or _need_px(v) for _, v in _columns(panel)[:count]
        ]
        assert sum(needs) <= PHONE_PX - 2 * _EDGE_PX


def test_the_longest_names_are_known() -> None:
    """The widths above come from the names of all places."""
    text = json.dumps(list(BOARDS.values()), ensure_ascii=False)
    longest = max((r.name for r in regencies().values()), key=len)
    assert longest in text
    assert max(place_names(1).values(), key=len) in text
