"""Tests of the dashboard files: complete, unique, limited in time, in the schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest

import grafana
from grafana.files import HERE, generated
from grafana.styles import ABSENT, CODES, LEVELS, OUT_OF_DATE
from qos_agent.config.thresholds import KPIS
from qos_agent.model.schema import MEASUREMENTS

FILES = generated()
BOARDS = {n: json.loads(t) for n, t in FILES.items() if n.startswith("dashboards/")}
UIDS = {board["uid"]: board for board in BOARDS.values()}
# Panel types that are part of Grafana 9.3 to 13.
KINDS = {
    "alertlist",
    "bargauge",
    "geomap",
    "heatmap",
    "stat",
    "state-timeline",
    "table",
    "timeseries",
}
SOURCES = {"qos", "qos-rollup", "${source}"}
DEFAULT_THRESHOLD = [{"color": "green", "value": None}, {"color": "red", "value": 80}]
# Columns that Grafana adds and no query returns.
ADDED = {"station (count)", "Time"}
_EVERY_BOARD = pytest.mark.parametrize("name", BOARDS)


def panels() -> Iterator[Any]:
    """Yield each panel of each dashboard, for parametrize."""
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            yield pytest.param(panel, id=f"{name[11:-5]}:{panel['id']}")


_EVERY_PANEL = pytest.mark.parametrize("panel", list(panels()))


@pytest.mark.parametrize("name", FILES)
def test_committed_is_generated(name: str) -> None:
    """The committed files equal the generated ones."""
    assert (HERE / name).read_text(encoding="utf-8") == FILES[name]


def test_boards_are_seven_in_each_language() -> None:
    """There are 14 dashboards with unique UIDs and the same panels and queries."""
    assert len(UIDS) == 14
    for uid, board in UIDS.items():
        other = UIDS[uid.removesuffix("-en").removesuffix("-id") + "-id"]
        assert _without_texts(board) == _without_texts(other)
        assert board["title"]


def _without_texts(board: dict[str, Any]) -> list[Any]:
    return [
        (p["id"], p["type"], p["gridPos"], [t["query"] for t in p["targets"]])
        for p in board["panels"]
    ]


@_EVERY_BOARD
def test_panels_of_boardare_distinct_and_do_not_overlap(name: str) -> None:
    """Each panel has a unique id, a place on the grid, a title and a description."""
    panels_of_board = BOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels_of_board}) == len(panels_of_board)
    assert all(panel["title"] and panel["description"] for panel in panels_of_board)
    for place in (panel["gridPos"] for panel in panels_of_board):
        assert place["x"] + place["w"] <= 24
    for one, two in combinations((panel["gridPos"] for panel in panels_of_board), 2):
        assert not _overlap(one, two)


def _overlap(one: dict[str, int], two: dict[str, int]) -> bool:
    return all(
        one[at] < two[at] + two[size] and two[at] < one[at] + one[size]
        for at, size in (("x", "w"), ("y", "h"))
    )


@_EVERY_PANEL
def test_panel_has_a_known_type_unit_and_thresholds(panel: dict[str, Any]) -> None:
    """The type exists in 9.3, and a missing value is grey, never green."""
    assert panel["type"] in KINDS
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"]
    assert defaults["noValue"]
    known = defaults["thresholds"]["steps"]
    assert known != DEFAULT_THRESHOLD
    assert known[0] == {"color": ABSENT, "value": None}
    assert all(one["value"] < two["value"] for one, two in pairwise(known[1:]))
    assert defaults.get("custom", {}).get("spanNulls", 0) <= 600_000


@_EVERY_PANEL
def test_a_current_figure_is_not_an_old_one(panel: dict[str, Any]) -> None:
    """A panel with the last value reads minutes, not the dashboard's hours."""
    if panel["type"] in {"stat", "bargauge", "geomap"}:
        tells_age = any("fill(0)" in t["query"] for t in panel["targets"])
        tells_age |= any("watermark" in t["query"] for t in panel["targets"])
        is_change = any("- first(" in t["query"] for t in panel["targets"])
        allowed = {"10m"} if is_change else {"5m"}
        assert panel["timeFrom"] in (allowed | {"6h"} if tells_age else allowed)


@_EVERY_PANEL
def test_counts_are_exact(panel: dict[str, Any]) -> None:
    """A number of stations is shown in full, not as "1 K"."""
    if panel["type"] == "stat":
        assert panel["fieldConfig"]["defaults"]["unit"] != "short"


@_EVERY_PANEL
def test_no_number_of_stations_is_red(panel: dict[str, Any]) -> None:
    """A hundred stations are many of 200 and few of 823,220."""
    title = panel["title"]
    if panel["type"] == "stat" and "census" in json.dumps(panel["targets"]):
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert all(s["value"] in {None, 0, 1} or s["value"] > 1e6 for s in steps), title


# Words that readers misunderstood, and those that replaced them.
_FORMER = {
    "en": ("Without", "of n", "Not well", "For", "Side", "Wall", "Fault side"),
    "id": ("Tanpa", "Tidak baik", "Senyap", "Waktu tunda", "memilih", "menghitung"),
}


@_EVERY_BOARD
def test_no_former_word_is_shown(name: str) -> None:
    """Titles of panels, columns and links are in the words of the shift guide."""
    board = BOARDS[name]
    texts = [link["title"] for link in board["links"]]
    for panel in board["panels"]:
        texts.append(panel["title"])
        texts += [
            entry["value"]
            for override in panel["fieldConfig"]["overrides"]
            for entry in override["properties"]
            if entry["id"] == "displayName"
        ]
    assert not set(_FORMER[board["tags"][1]]) & set(texts)


@pytest.mark.parametrize("language", ["en", "id"])
def test_the_overview_reports_an_old_census_across_its_width(language: str) -> None:
    """The first panel has the whole width, and a colour that no class uses."""
    first, *_ = UIDS[f"qos-overview-{language}"]["panels"]
    assert first["gridPos"] == {"x": 0, "y": 0, "w": 24, "h": 2}
    stale = first["fieldConfig"]["defaults"]["mappings"][1]["options"]["0"]
    assert stale["color"] == OUT_OF_DATE
    classes = {color for _, color, _ in LEVELS}
    assert OUT_OF_DATE not in classes


def queries() -> Iterator[Any]:
    """Yield each query of each panel, for parametrize."""
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            for target in panel["targets"]:
                place = f"{name[11:-5]}:{panel['id']}{target['refId']}"
                yield pytest.param(panel, target, id=place)


@pytest.mark.parametrize(("panel", "target"), list(queries()))
def test_query_is_bounded_and_in_the_schema(
    panel: dict[str, Any], target: dict[str, Any]
) -> None:
    """Every SELECT is limited in time and uses existing fields and tags."""
    query, source = target["query"], target["datasource"]["uid"]
    assert query.count("$timeFilter") == query.count("SELECT") > 0
    assert target["rawQuery"] is True
    assert ";" not in query
    assert source in SOURCES
    assert target["datasource"] == panel["datasource"]
    (name,) = set(re.findall(r'FROM "(\w+)"', query))
    table = MEASUREMENTS[name]
    existing = {field.name for field in table.fields} | set(table.tags)
    named = set(re.findall(r'AS "(\w+)"', query))
    assert set(re.findall(r'"(\w+)"', query)) - {name} <= existing | named
    if source != "qos" and table.source == "agent":
        # Roll-ups have sums of additive fields only, without station and link.
        used = set(re.findall(r'(\w+)\("(\w+)"\)', query))
        assert {function for function, _ in used} == {"sum"}
        assert all(
            table.field(field).additive for _, field in used if field not in named
        )
        assert not re.search(r'"(station|link)"', query)
    for variable in re.findall(r"\$\{[^}]*\}", query):
        # The search finds a part of a name. Grafana escapes the text of the user.
        is_search = variable == "${search:regex}"
        wanted = f"/(?i){variable}/" if is_search else f"=~ /^{variable}$/"
        assert wanted in query
        assert variable.endswith(":regex}")


@_EVERY_PANEL
def test_a_ratio_has_its_sample_count(panel: dict[str, Any]) -> None:
    """Every ratio is shown with its divisor, in the table or the tooltip."""
    asked = "\n".join(target["query"] for target in panel["targets"])
    for named in re.findall(r'/ (\(.*?"\)\)|sum\("\w+"\)|"\w+")', asked):
        divisors = re.findall(r', ([^,]+?) AS "bottom"', asked)
        for divisor in set(divisors) if named == 'sum("bottom")' else {named}:
            shown = rf"(SELECT|,) {re.escape(divisor)}( AS \"(?!bottom)|,| FROM)"
            assert re.search(shown, asked), divisor


@_EVERY_PANEL
def test_columns_are_what_the_queries_return(panel: dict[str, Any]) -> None:
    """A table has a title and a position for exactly its columns."""
    if panel["type"] not in {"table", "geomap"}:
        return
    wanted = {o["matcher"]["options"] for o in panel["fieldConfig"]["overrides"]}
    returned = {
        column for target in panel["targets"] for column in _columns(target["query"])
    }
    steps = {t["id"]: t["options"] for t in panel["transformations"]}
    computed = {
        t["options"]["alias"]
        for t in panel["transformations"]
        if t["id"] == "calculateField"
    }
    assert wanted - ADDED - computed <= returned
    if "station (count)" not in wanted:
        assert returned <= wanted
    if panel["type"] == "table":
        order = steps["organize"]["indexByName"]
        assert set(order) == wanted
        assert ("Time" in wanted) != steps["organize"]["excludeByName"].get(
            "Time", False
        )


def _columns(query: str) -> set[str]:
    """Return the columns of a result: outer SELECT and GROUP BY."""
    outer = query.split(" FROM ", maxsplit=1)[0]
    tail = query.rsplit("GROUP BY ", 1)[1] if "GROUP BY" in query else ""
    parts = re.split(r", (?![^(]*\))", outer.removeprefix("SELECT "))
    return {part.split('"')[-2] for part in parts} | set(re.findall(r'"(\w+)"', tail))


def _links(board: dict[str, Any]) -> Iterator[str]:
    yield from (link["url"] for link in board["links"] if "url" in link)
    for panel in board["panels"]:
        for override in panel["fieldConfig"]["overrides"]:
            for entry in override["properties"]:
                if entry["id"] == "links":
                    yield from (link["url"] for link in entry["value"])


@_EVERY_BOARD
def test_links_lead_to_boards_that_exist(name: str) -> None:
    """Links keep language and time, and set variables that exist there."""
    board = BOARDS[name]
    for url in _links(board):
        uid = re.match(r"/d/([\w-]+)\?", url)
        assert uid is not None
        target = UIDS[uid.group(1)]
        assert target["tags"] == board["tags"]
        variables = set(re.findall(r"var-(\w+)=", url))
        assert variables <= {v["name"] for v in target["templating"]["list"]}
        assert "${__url_time_range}" in url or "kiosk" in url or "find" in url


def test_all_boards_are_reached_from_the_first() -> None:
    """Links lead from the overview to all dashboards; the menu has the rest."""
    reached, waiting = set[str](), {"qos-overview-en"}
    while waiting:
        reached |= waiting
        targets = {
            re.split(r"[/?]", url)[2] for uid in waiting for url in _links(UIDS[uid])
        }
        waiting = targets - reached
    english = {uid for uid in UIDS if uid.endswith("-en")}
    assert english - reached == {"qos-rollout-en", "qos-agents-en"}
    for board in UIDS.values():
        (menu,) = (link for link in board["links"] if link["type"] == "dashboards")
        assert set(menu["tags"]) <= set(board["tags"])


@_EVERY_BOARD
def test_the_search_is_on_every_board(name: str) -> None:
    """A link to the search keeps the language and the time range."""
    (link,) = (x for x in BOARDS[name]["links"] if x.get("icon") == "search")
    assert (
        UIDS[link["url"].split("/")[2].removesuffix("?")]["tags"]
        == (BOARDS[name]["tags"])
    )
    assert link["keepTime"]


@_EVERY_PANEL
def test_sample_counts_are_in_the_tooltip_only(panel: dict[str, Any]) -> None:
    """No series is called `n`, and legends and axes have figures only."""
    aliases = [target.get("alias", "") for target in panel["targets"]]
    assert not [alias for alias in aliases if re.match(r"n\b", alias)]
    for alias in aliases:
        if alias.startswith(("samples: ", "sampel: ")):
            (count,) = (
                override["properties"]
                for override in panel["fieldConfig"]["overrides"]
                if override["matcher"]["options"]
                in {alias, f"/^{alias.partition('$')[0]}.*/"}
            )
            hidden = {p["id"]: p["value"] for p in count}["custom.hideFrom"]
            assert hidden == {"legend": True, "tooltip": False, "viz": False}


@_EVERY_PANEL
def test_a_missing_text_is_not_null(panel: dict[str, Any]) -> None:
    """Grafana prints `null` for a missing text unless it is mapped."""
    if panel["type"] != "table":
        return
    for override in panel["fieldConfig"]["overrides"]:
        properties = {p["id"]: p["value"] for p in override["properties"]}
        if properties.get("unit") == "none":
            matches = [m["options"].get("match") for m in properties["mappings"]]
            assert "null+nan" in matches, override["matcher"]


@_EVERY_BOARD
def test_variables_and_annotations_ask_the_schema(name: str) -> None:
    """Variables use fixed sources and existing tags, and never list all stations."""
    for asked in BOARDS[name]["templating"]["list"]:
        if asked["type"] != "query":
            assert asked["name"] in {"source", "search"}
            continue
        assert asked["datasource"]["uid"] in SOURCES - {"${source}"}
        if asked["name"] == "worst":
            # Grafana 9.3 replaces the first time filter of a variable only.
            assert asked["query"].count("$timeFilter") == 1
            continue
        match = re.match(
            r'SHOW TAG VALUES FROM "(\w+)" WITH KEY = "(\w+)"( WHERE .*)?$',
            asked["query"],
        )
        assert match is not None
        measurement, tag, where = match.groups()
        assert tag in MEASUREMENTS[measurement].tags
        assert tag != "station" or "${regency:regex}" in where
    (phases,) = BOARDS[name]["annotations"]["list"]
    assert phases["target"]["query"] == phases["query"]
    assert "$timeFilter" in phases["query"]


def _rules() -> Iterator[Any]:
    for name, text in FILES.items():
        if "alerting/rules-" not in name:
            continue
        for group in json.loads(text)["groups"]:
            yield from (pytest.param(rule, id=rule["uid"]) for rule in group["rules"])


@pytest.mark.parametrize("rule", list(_rules()))
def test_an_alert_shows_a_panel_of_what_it_asks(rule: dict[str, Any]) -> None:
    """The linked panel exists and reads a measurement of the rule."""
    (panel,) = (
        p for p in UIDS[rule["dashboardUid"]]["panels"] if p["id"] == rule["panelId"]
    )
    asked = {m for d in rule["data"] for m in _measurements(d["model"])}
    shown = {m for target in panel["targets"] for m in _measurements(target)}
    assert asked & shown


def _measurements(model: dict[str, Any]) -> set[str]:
    return set(re.findall(r'FROM "(\w+)"', model.get("query", "")))


@_EVERY_PANEL
def test_the_map_of_stations_zooms_to_them(panel: dict[str, Any]) -> None:
    """A map with markers of one size fits the layer of markers, not the outline."""
    if panel["type"] == "geomap":
        (layer,) = panel["options"]["layers"]
        has_sizes = "field" in layer["config"]["style"]["size"]
        view = panel["options"]["view"]
        assert view["id"] == ("coords" if has_sizes else "fit")
        assert has_sizes or (view["layer"], view["allLayers"]) == (layer["name"], False)


def test_folders_have_uids_that_stay() -> None:
    """Grafana draws a random UID for a folder without one."""
    providers = json.loads(FILES["provisioning/dashboards/qos.yaml"])["providers"]
    assert [p["folderUid"] for p in providers] == ["qos-boards-en", "qos-boards-id"]


def test_the_map_needs_no_internet() -> None:
    """The outline is a GeoJSON file, and no dashboard contains a host."""
    outline = json.loads((HERE / "maps/indonesia_outline.geojson").read_text())
    assert outline["type"] == "FeatureCollection"
    for name in BOARDS:
        assert "://" not in FILES[name]
        for panel in BOARDS[name]["panels"]:
            if panel["type"] == "geomap":
                source = panel["options"]["basemap"]["config"]["src"]
                assert source == "public/maps/indonesia_outline.geojson"


def test_generator_files_are_short() -> None:
    """No file of the generator has over 400 lines."""
    for path in Path(grafana.__file__).parent.rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path


@_EVERY_PANEL
def test_texts_over_time_have_no_null(panel: dict[str, Any]) -> None:
    """Grafana's backend returns status 500 for a series of texts with a null."""
    for target in panel["targets"]:
        asked = re.findall(r'\w+\("(\w+)"\)', target["query"])
        texts = {
            f.name for m in MEASUREMENTS.values() for f in m.fields if f.type == "str"
        }
        if texts & set(asked):
            assert "fill(null)" not in target["query"]


def test_every_kpi_has_a_name() -> None:
    """Tables show a name instead of the code of a KPI or of a fault side."""
    assert CODES.keys() == {*KPIS, "clock", "access", "destination"}
