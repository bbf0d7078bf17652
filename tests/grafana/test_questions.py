"""Ten questions of a shift, each answered in at most three clicks from the overview.

A way is a list of clicks: a cell with a link, the menu of dashboards, a variable, or
the search. The test follows the links in the board files, then asks the queries of the
panel on a simulated day and compares the answer with the injected faults.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.grafana.day import All, Day
from tests.grafana.panel_checks_operators import transformed
from tests.grafana.panel_queries import DASHBOARDS, NATION, PANELS, Place, query_panel

CLICKS = 3


@dataclass(frozen=True)
class Question:
    """A question, the clicks from the overview, the panel, and a check of its answer.

    `columns` must be visible in the panel.
    """

    text: str
    clicks: tuple[tuple[str, ...], ...]
    panel: Place
    columns: tuple[str, ...]
    answer: Callable[[Day, list[list[Any]]], bool]


def _failed(day: Day) -> str:
    return min(day.hit("core_failure"))


def _variables(question: Question, day: Day) -> dict[str, Any]:
    station = _failed(day)
    if question.panel[0] == "station":
        return {"regency": station[:4], "station": station, "link": All}
    variables: dict[str, Any] = {**NATION, "place": station[:4], "search": station}
    for kind, *details in question.clicks:
        if kind == "variable" or details[-1:] == ["operator"]:
            variables |= {"province": "81" if "81" in details else station[:2]}
        if details[-1:] == ["regency"]:
            variables |= {"regency": station[:4]}
    return variables


def _is_worst(rows: list[Any], name: str, by: str) -> bool:
    return bool(max(rows, key=lambda row: row[by] or 0)["operator"] == name)


QUESTIONS = (
    Question(
        "How many stations are silent now, and is it getting worse?",
        (),
        ("overview", 18),
        (),
        lambda day, answers: len(answers) == 5 and all(len(r) == 1 for r in answers),
    ),
    Question(
        "Where is help needed first, since when, and why?",
        (),
        ("overview", 7),
        ("hit", "regency", "operator", "since_local", "kpi", "side"),
        lambda day, answers: _is_worst(answers[0], "telkomsel", "hit"),
    ),
    Question(
        "What did I acknowledge?",
        (),
        ("overview", 14),
        ("acknowledged_by", "acknowledged_at", "ticket", "place"),
        lambda day, answers: all("acknowledged_by" in row for row in answers[0]),
    ),
    Question(
        "Which operator is worst in Maluku?",
        (("menu", "operators"), ("variable", "province", "81")),
        ("operators", 7),
        ("operator", "links_bad", "down"),
        lambda day, answers: {"telkomsel", "xl"} <= {r["operator"] for r in answers[0]},
    ),
    Question(
        "Is this trouble one operator's, or all of them?",
        (("cell", "overview", "7", "operator"),),
        ("operators", 7),
        ("operator", "links_bad", "down"),
        lambda day, answers: _is_worst(answers[0], "telkomsel", "links_bad"),
    ),
    Question(
        "Which stations of this regency have a problem, and whom do I call?",
        (("cell", "overview", "7", "regency"),),
        ("region", 1),
        ("station", "name", "contact", "since_local", "kpi"),
        lambda day, answers: _failed(day) in {row["station"] for row in answers[0]},
    ),
    Question(
        "Since when is station X down, and why?",
        (("search",), ("cell", "find", "1", "station")),
        ("station", 24),
        ("class_level", "since_local", "kpi", "side"),
        lambda day, answers: answers[0][0]["kpi"] == "loss",
    ),
    Question(
        "Whom do I call at station X?",
        (("search",), ("cell", "find", "1", "station")),
        ("station", 22),
        ("name", "contact", "ticket"),
        lambda day, answers: bool(answers[0][0]["contact"]),
    ),
    Question(
        "Is latency worse than before the election, or is it chance?",
        (("menu", "operators"),),
        ("operators", 9),
        ("before", "voting", "difference", "chance"),
        lambda day, answers: all(
            row["chance"] is not None
            for row in transformed(answers, PANELS["operators", 9]["transformations"])
        ),
    ),
    Question(
        "Which stations of Maluku have never reported?",
        (("menu", "rollout"), ("cell", "rollout", "1", "province")),
        ("agents", 13),
        ("station", "name", "contact"),
        lambda day, answers: {row["station"] for row in answers[0]} == day.hit("never"),
    ),
)


def _link_of(board: str, panel: str, column: str) -> str:
    for override in PANELS[board, int(panel)]["fieldConfig"]["overrides"]:
        if override["matcher"]["options"] == column:
            for entry in override["properties"]:
                if entry["id"] == "links":
                    return str(entry["value"][0]["url"])
    raise AssertionError((board, panel, column))


def _arrives(clicks: tuple[tuple[str, ...], ...]) -> str:
    """Follow the clicks, and return the dashboard at their end."""
    board = "overview"
    for kind, *details in clicks:
        links = DASHBOARDS[board]["links"]
        match kind:
            case "menu":
                assert any(link["type"] == "dashboards" for link in links)
                (board,) = details
                assert board in DASHBOARDS
            case "search":
                assert any(link.get("icon") == "search" for link in links)
                board = "find"
            case "variable":
                names = {v["name"] for v in DASHBOARDS[board]["templating"]["list"]}
                assert details[0] in names
            case _:
                assert details[0] == board
                board = _link_of(*details).split("/d/qos-")[1].split("-en")[0]
    return board


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.text)
def test_a_question_takes_three_clicks(question: Question, troubled: Day) -> None:
    """The way leads to the panel, its columns are visible, and the answer is right."""
    assert len(question.clicks) <= CLICKS
    assert _arrives(question.clicks) == question.panel[0]
    overrides = {
        o["matcher"]["options"]: {p["id"]: p["value"] for p in o["properties"]}
        for o in PANELS[question.panel]["fieldConfig"]["overrides"]
    }
    for column in question.columns:
        assert not overrides[column].get("custom.hidden"), column
    source = "qos-rollup"
    result = query_panel(
        question.panel, troubled, source, _variables(question, troubled)
    )
    assert question.answer(troubled, result.answers)


def test_there_are_ten() -> None:
    """No question is asked twice."""
    assert len({question.text for question in QUESTIONS}) == 10
