"""The alert rules as files: what Grafana 9.3 refuses, ignores or chokes on."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from grafana.alerts.areas import AREAS, INSTANCES_AT_MOST, OPERATORS_AT_MOST
from grafana.alerts.files import ALERTS
from grafana.alerts.limits import LIMITS
from grafana.files import HERE, generated
from grafana.panels import ROLLUP
from qos_agent.config.places import province_zones, regencies
from qos_agent.model.calendar import ZONES
from qos_agent.model.schema import MEASUREMENTS
from tests.grafana.evaluator import duration_s

FOLDER = "provisioning/alerting/"
_GENERATED = generated()
FILES = {
    name: json.loads(text)
    for name, text in _GENERATED.items()
    if name.startswith(FOLDER)
}
PANELS = {
    board["uid"]: {panel["id"] for panel in board["panels"]}
    for name, text in _GENERATED.items()
    if name.startswith("dashboards/")
    for board in [json.loads(text)]
}
GROUPS = [group for file in FILES.values() for group in file.get("groups", ())]
RULES: dict[str, dict[str, Any]] = {
    rule["uid"]: rule for group in GROUPS for rule in group["rules"]
}
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations"
# What 9.3 knows, and nothing that a later version alone would act on.
RULE_KEYS = {
    "uid", "title", "condition", "for", "noDataState", "execErrState",
    "dashboardUid", "panelId", "labels", "annotations", "data",
}  # fmt: skip
LABELS = {"alert", "severity", "team", "area", "zone"}
OWN = {"value", "v", "d", "e"}
QUERIES = [
    pytest.param(node, id=f"{uid}-{node['refId']}")
    for uid, rule in RULES.items()
    for node in rule["data"]
    if node["datasourceUid"] == ROLLUP
    and rule["labels"]["area"] in {"java-w", "nation"}
]


def test_every_province_is_in_one_area() -> None:
    """All 38 provinces, each once, in an area of its own time zone."""
    counted = Counter(code for area in AREAS for code in area.provinces)
    assert counted == Counter(dict.fromkeys(province_zones(), 1))
    for area in AREAS:
        zones = {province_zones()[code] for code in area.provinces}
        assert zones == {ZONES[area.zone.upper()]}


def test_regencies_keep_the_time_of_their_province() -> None:
    """No regency votes at another hour than the zone its rules are labelled with."""
    assert all(
        place.time_zone == province_zones()[place.province]
        for place in regencies().values()
    )


@pytest.mark.parametrize("area", AREAS, ids=lambda area: area.name)
def test_instances_stay_under_what_9_3_bears(area: Any) -> None:
    """Regencies by operators of every area: fewer than five hundred."""
    places = [r for r in regencies().values() if r.province in area.provinces]
    assert len(places) * OPERATORS_AT_MOST < INSTANCES_AT_MOST


def test_identities_are_distinct_and_short() -> None:
    """Uids and titles are there once; a uid has at most forty plain characters."""
    rules = [rule for group in GROUPS for rule in group["rules"]]
    assert len({rule["uid"] for rule in rules}) == len(rules)
    assert len({rule["title"] for rule in rules}) == len(rules)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,40}", uid) for uid in RULES)
    assert all(len(rule["title"]) <= 190 for rule in rules)
    assert all("/" not in group["folder"] for group in GROUPS)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_rule_is_of_the_common_subset(rule: dict[str, Any]) -> None:
    """Only keys and values that 9.3 knows: an unknown value stops its start."""
    assert set(rule) == RULE_KEYS
    assert rule["noDataState"] in {"OK", "NoData", "Alerting"}
    assert rule["execErrState"] in {"OK", "Error", "Alerting"}
    assert duration_s(rule["for"]) % 60 == 0
    nodes = [node["refId"] for node in rule["data"]]
    assert rule["condition"] == nodes[-1]
    assert len(nodes) == len(set(nodes))
    for at, node in enumerate(rule["data"]):
        _check_node(node, nodes[:at])


def _check_node(node: dict[str, Any], before: list[str]) -> None:
    model = node["model"]
    assert model["refId"] == node["refId"]
    assert model["datasource"]["uid"] == node["datasourceUid"]
    assert node["relativeTimeRange"]["from"] > node["relativeTimeRange"]["to"] >= 0
    match model.get("type"):
        case None:
            assert node["datasourceUid"] == ROLLUP
            assert model["rawQuery"] is True
            assert model["resultFormat"] == "time_series"
        case "math":
            asked = re.findall(r"\$(\w+)", model["expression"])
            assert asked
            assert set(asked) <= set(before)
        case "reduce" | "threshold":
            assert node["datasourceUid"] == "__expr__"
            assert model["expression"] in before
        case other:
            pytest.fail(f"an expression that 9.3 has not: {other}")


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_labels_never_change(rule: dict[str, Any]) -> None:
    """Labels are literal, and no query groups by what changes: a change resolves."""
    assert set(rule["labels"]) == LABELS
    assert all(re.fullmatch(r"[a-z0-9-]+", text) for text in rule["labels"].values())
    for node in rule["data"]:
        grouped = re.findall(
            r"GROUP BY (.*?)(?:\)| fill|$)", node["model"].get("query", "")
        )
        tags = {tag for group in grouped for tag in re.findall(r'"(\w+)"', group)}
        assert tags <= {"province", "regency", "operator", "collector"}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_figures_that_are_joined_have_equal_labels(rule: dict[str, Any]) -> None:
    """Math drops what has labels on one side only, so all queries group alike."""
    groups = {
        tuple(re.findall(r'"(\w+)"', node["model"]["query"].rpartition("GROUP BY")[2]))
        for node in rule["data"]
        if "query" in node["model"]
    }
    assert len({tags if "GROUP BY" in _queries(rule) else () for tags in groups}) == 1


def _queries(rule: dict[str, Any]) -> str:
    return " ".join(node["model"].get("query", "") for node in rule["data"])


@pytest.mark.parametrize("node", QUERIES)
def test_query_is_bounded_and_of_the_schema(node: dict[str, Any]) -> None:
    """Every SELECT is bound in time and names fields and tags there are; sums add."""
    query = node["model"]["query"]
    assert query.count("$timeFilter") == query.count("SELECT")
    table = MEASUREMENTS[re.findall(r'FROM "(\w+)"', query)[0]]
    known = {field.name for field in table.fields} | set(table.tags) | OWN
    assert set(re.findall(r'"(\w+)"', query)) - {table.name} <= known
    summed = set(re.findall(r'sum\("(\w+)"\)', query)) - OWN
    assert all(table.field(name).additive for name in summed)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_panel_named_by_a_rule_is_there_in_both_languages(rule: dict[str, Any]) -> None:
    """The link of a notification leads to a panel."""
    english = rule["dashboardUid"]
    for uid in (english, english.removesuffix("en") + "id"):
        assert rule["panelId"] in PANELS[uid]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_rule_says_what_happens_in_both_languages(rule: dict[str, Any]) -> None:
    """Two summaries, of labels the queries have and numbers the rule asks for."""
    told = rule["annotations"]
    assert told["summary"]
    assert told["summary_id"]
    assert told["summary"] != told["summary_id"]
    names = {node["refId"] for node in rule["data"]}
    for text in (told["summary"], told["summary_id"]):
        assert set(re.findall(r"\$values\.(\w+)\.Value", text)) <= names
        labels = set(re.findall(r"\$labels\.(\w+)", text))
        grouped = set(re.findall(r'"(\w+)"', _queries(rule).rpartition("GROUP BY")[2]))
        assert labels <= grouped


def test_each_alert_has_its_page_and_each_page_its_alert() -> None:
    """Runbook links lead somewhere, and no page is about an alert that is no more."""
    pages = {path.stem for path in OPERATIONS.glob("*.md")} - {"README"}
    assert pages == {alert.name for alert in ALERTS}
    for rule in RULES.values():
        name = rule["labels"]["alert"]
        assert rule["annotations"]["runbook_url"] == f"${{QOS_DOCS_URL}}/{name}.md"


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_page_says_what_a_shift_needs(alert: Any) -> None:
    """What it means, how it is computed, what to do, whom to call, what is false."""
    text = (OPERATIONS / f"{alert.name}.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
        "What it means", "What to do now", "Whom to call", "How it is computed",
        "False alarms",
    ]  # fmt: skip
    assert alert.title[0] in text
    assert alert.title[1] in text
    index = (OPERATIONS / "README.md").read_text(encoding="utf-8")
    assert f"({alert.name}.md)" in index


@pytest.mark.parametrize("limit", LIMITS, ids=lambda one: f"{one.alert}-{one.severity}")
def test_page_states_the_numbers_of_the_table(limit: Any) -> None:
    """The pages' numbers are the rules': threshold, `for`, minutes until it fires."""
    text = (OPERATIONS / f"{limit.alert}.md").read_text(encoding="utf-8")
    cells = (limit.severity, f"{limit.limit:g}", limit.wait_min, limit.within_min)
    assert f"| {' | '.join(map(str, cells))} |" in text


def test_limits_and_alerts_are_of_each_other() -> None:
    """Every limit has an alert, every alert a limit; each pair is there once."""
    pairs = Counter((limit.alert, limit.severity) for limit in LIMITS)
    assert set(pairs.values()) == {1}
    assert {name for name, _ in pairs} == {alert.name for alert in ALERTS}
    assert all(limit.why for limit in LIMITS)


def test_critical_rules_of_the_field_ask_whether_votes_are_cast() -> None:
    """Critical is for voting; the pipeline's own alerts are critical at any time."""
    for rule in RULES.values():
        gated = "$voting == 1" in rule["data"][-2]["model"]["expression"]
        field = rule["labels"]["team"] == "field"
        assert gated == (field and rule["labels"]["severity"] == "critical")


def test_what_was_shipped_is_kept_or_deleted_by_name() -> None:
    """9.3 keeps a rule that is gone from its file: the deleted ones are listed."""
    known = set((HERE / "alerts" / "known.txt").read_text(encoding="utf-8").split())
    deleted = {row["uid"] for row in FILES[f"{FOLDER}deleted.yaml"]["deleteRules"]}
    assert known == deleted | set(RULES)
    assert deleted & set(RULES) == set()
