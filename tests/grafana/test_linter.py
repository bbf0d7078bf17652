"""The rules of Grafana's dashboard-linter that apply to InfluxQL hold on every board.

Its rules on PromQL and LogQL queries, and on the variables `job` and `instance`, are
about other databases. The two rules on a variable for the data source do not hold: each
panel reads raw points or roll-ups, and the files provision both under fixed UIDs.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.grafana.test_boards import BOARDS, panels

# Names of units in Grafana 9.3 to 13 that the boards use.
UNITS = {
    "bool_yes_no",
    "bps",
    "bytes",
    "celsius",
    "dB",
    "dBm",
    "dateTimeAsIso",
    "dateTimeFromNow",
    "dtdurations",
    "ms",
    "none",
    "percent",
    "percentunit",
    "s",
    "short",
}
_EVERY_BOARD = pytest.mark.parametrize("name", BOARDS)
_EVERY_PANEL = pytest.mark.parametrize("panel", list(panels()))


@_EVERY_PANEL
def test_a_panel_has_title_and_description(panel: dict[str, Any]) -> None:
    """Rule panel-title-description."""
    assert panel["title"].strip()
    assert panel["description"].strip()


@_EVERY_PANEL
def test_a_panel_has_units_that_grafana_knows(panel: dict[str, Any]) -> None:
    """Rule panel-units, also for each column."""
    config = panel["fieldConfig"]
    columns = [
        entry["value"]
        for override in config["overrides"]
        for entry in override["properties"]
        if entry["id"] == "unit"
    ]
    assert {config["defaults"]["unit"], *columns} <= UNITS


@_EVERY_PANEL
def test_a_panel_asks_something(panel: dict[str, Any]) -> None:
    """Rule panel-no-targets; Grafana's own list of alerts has none."""
    assert bool(panel["targets"]) is (panel["type"] != "alertlist")


@_EVERY_BOARD
def test_variables_are_read_again_when_the_time_changes(name: str) -> None:
    """Rule template-on-time-change-reload."""
    for variable in BOARDS[name]["templating"]["list"]:
        if variable["type"] == "query":
            assert variable["refresh"] == 2


@_EVERY_BOARD
def test_a_board_cannot_be_edited(name: str) -> None:
    """Rule uneditable: the files are the only source."""
    assert BOARDS[name]["editable"] is False


@_EVERY_PANEL
def test_points_over_time_follow_the_interval(panel: dict[str, Any]) -> None:
    """Rule target-rate-interval, in InfluxQL: no fixed interval where Grafana has one.

    A count for each minute, and clusters of an hour, are figures of their own.
    """
    for target in panel["targets"]:
        fixed = re.findall(r"time\((\d\w+)\)", target["query"])
        assert set(fixed) <= {"1m", "1h"}
        if panel["type"] in {"timeseries", "heatmap", "state-timeline"}:
            is_count = "beats" in target["query"] or not fixed
            assert is_count or "$__interval" in target["query"]
