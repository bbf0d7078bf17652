"""Tests of the alert rule files and of the pages on the alerts.

The rules may only contain what Grafana 9.3 accepts.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from grafana.alerts.files import ALERTS
from grafana.alerts.network import LABELS as TROUBLE_LABELS
from grafana.alerts.network import NETWORK
from grafana.boards import LANGUAGES
from grafana.files import HERE, generated
from grafana.panels import ROLLUP
from qos_agent.config.places import province_zones, regencies
from qos_agent.model.schema import MEASUREMENTS
from qos_agent.noc.troubles.causes import CAUSES
from qos_agent.noc.troubles.limits import limits
from qos_agent.noc.troubles.places import GROUPS
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
RULE_GROUPS = [group for file in FILES.values() for group in file.get("groups", ())]
RULES: dict[str, dict[str, Any]] = {
    rule["uid"]: rule for group in RULE_GROUPS for rule in group["rules"]
}
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations"
PAGES = (OPERATIONS, OPERATIONS / "id")
HEADINGS = (
    [
        "What it means",
        "What to do now",
        "Whom to call",
        "How it is computed",
        "False alarms",
    ],
    [
        "Artinya",
        "Tindakan sekarang",
        "Pihak yang dihubungi",
        "Cara penghitungan",
        "Alarm palsu",
    ],
)
# The keys of Grafana 9.3, and none that only a later version reads.
RULE_KEYS = {
    "uid",
    "title",
    "condition",
    "for",
    "noDataState",
    "execErrState",
    "dashboardUid",
    "panelId",
    "labels",
    "annotations",
    "data",
}
LIMITS = tuple(limits().values())
OWN = {"value"}
QUERIES = [
    pytest.param(node, id=f"{uid}-{node['refId']}")
    for uid, rule in RULES.items()
    for node in rule["data"]
    if node["datasourceUid"] == ROLLUP
]


def test_every_province_is_in_one_group() -> None:
    """Each of the 38 provinces is in one group, and a group is in one time zone."""
    counted = Counter(code for _, codes in GROUPS.values() for code in codes)
    assert counted == Counter(dict.fromkeys(province_zones(), 1))
    for _, codes in GROUPS.values():
        assert len({province_zones()[code] for code in codes}) == 1


def test_regencies_have_the_time_zone_of_their_province() -> None:
    """Every regency is in the time zone of the label of its rules."""
    assert all(
        place.time_zone == province_zones()[place.province]
        for place in regencies().values()
    )


def test_rules_and_queries_are_few() -> None:
    """At most 40 rules with 100 queries a minute, and no query is asked twice."""
    queries = [node["model"]["query"] for node in _queried()]
    assert len(RULES) <= 40
    assert len(queries) <= 100
    pipeline = [query for query in queries if 'FROM "trouble"' not in query]
    assert len(queries) - len(pipeline) == len(set(queries) - set(pipeline))


def _queried() -> list[dict[str, Any]]:
    nodes = [node for rule in RULES.values() for node in rule["data"]]
    return [node for node in nodes if node["datasourceUid"] == ROLLUP]


def test_each_cause_has_a_rule() -> None:
    """Every trouble of the centre is forwarded, and every rule has a cause."""
    assert {alert.name for alert in NETWORK} == {cause.name for cause in CAUSES}


def test_uids_and_titles_are_unique_and_short() -> None:
    """UIDs and titles are unique; a UID has at most 40 plain characters."""
    rules = [rule for group in RULE_GROUPS for rule in group["rules"]]
    assert len({rule["uid"] for rule in rules}) == len(rules)
    assert len({rule["title"] for rule in rules}) == len(rules)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,40}", uid) for uid in RULES)
    assert all(len(rule["title"]) <= 190 for rule in rules)
    assert all("/" not in group["folder"] for group in RULE_GROUPS)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_rule_has_only_keys_and_values_of_9_3(rule: dict[str, Any]) -> None:
    """Grafana 9.3 does not start if a value is unknown to it."""
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
            pytest.fail(f"an expression that Grafana 9.3 does not have: {other}")


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_labels_never_change(rule: dict[str, Any]) -> None:
    """Labels are constant, because a changed label resolves the alert."""
    assert set(rule["labels"]) | {"severity"} == {"alert", "team", "severity"}
    assert all(re.fullmatch(r"[a-z0-9-]+", text) for text in rule["labels"].values())
    for node in rule["data"]:
        grouped = re.findall(
            r"GROUP BY (.*?)(?:\)| fill|$)", node["model"].get("query", "")
        )
        tags = {tag for group in grouped for tag in re.findall(r'"(\w+)"', group)}
        assert tags <= {*TROUBLE_LABELS, "collector", "part", "name"}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_figures_that_are_joined_have_equal_labels(rule: dict[str, Any]) -> None:
    """All queries group alike, because math drops labels without a counterpart."""
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
    """Every SELECT is limited in time, uses the schema and sums additive fields."""
    query = node["model"]["query"]
    assert query.count("$timeFilter") == query.count("SELECT")
    table = MEASUREMENTS[re.findall(r'FROM "(\w+)"', query)[0]]
    known = {field.name for field in table.fields} | set(table.tags) | OWN
    assert set(re.findall(r'"(\w+)"', query)) - {table.name} <= known
    summed = set(re.findall(r'sum\("(\w+)"\)', query)) - OWN
    assert all(table.field(name).additive for name in summed)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_linked_panel_exists_in_both_languages(rule: dict[str, Any]) -> None:
    """The link of a notification opens an existing panel."""
    english = rule["dashboardUid"]
    for uid in (english, english.removesuffix("en") + "id"):
        assert rule["panelId"] in PANELS[uid]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_rule_has_a_summary_in_both_languages(rule: dict[str, Any]) -> None:
    """Both summaries use only labels and numbers that the rule has."""
    annotations = rule["annotations"]
    assert annotations["summary"]
    assert annotations["summary_id"]
    assert annotations["summary"] != annotations["summary_id"]
    names = {node["refId"] for node in rule["data"]}
    assert annotations["__dashboardUid__"] == rule["dashboardUid"]
    assert annotations["__panelId__"] == str(rule["panelId"])
    for text in (annotations["summary"], annotations["summary_id"]):
        assert set(re.findall(r"\$values\.(\w+)\.Value", text)) <= names
        labels = set(re.findall(r"\$labels\.(\w+)", text))
        grouped = set(re.findall(r'"(\w+)"', _queries(rule).rpartition("GROUP BY")[2]))
        assert labels <= grouped


def test_each_alert_has_a_page_in_both_languages() -> None:
    """Every alert has its pages, every page an alert, and links lead to a page."""
    for folder in PAGES:
        pages = {path.stem for path in folder.glob("*.md")} - {"README"}
        assert pages == {alert.name for alert in ALERTS}
    for rule in RULES.values():
        name = rule["labels"]["alert"]
        assert rule["annotations"]["runbook_url"] == f"${{QOS_DOCS_URL}}/{name}.md"


@pytest.mark.parametrize("language", [0, 1], ids=LANGUAGES)
@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_page_has_all_headings(alert: Any, language: int) -> None:
    """Each page has its title, the five headings in order and a line in the index."""
    text = (PAGES[language] / f"{alert.name}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {alert.title[language]}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS[language]
    index = (OPERATIONS / "README.md").read_text(encoding="utf-8")
    prefix = ("", "id/")[language]
    assert f"[{alert.title[language]}]({prefix}{alert.name}.md)" in index


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_pages_have_the_same_numbers_in_both_languages(alert: Any) -> None:
    """Both pages have the same thresholds, and link each other."""
    english, indonesian = (
        (folder / f"{alert.name}.md").read_text(encoding="utf-8") for folder in PAGES
    )
    assert _table(english) == _table(indonesian)
    assert f"[{alert.title[1]}](id/{alert.name}.md)" in english
    assert f"[{alert.title[0]}](../{alert.name}.md)" in indonesian


def _table(page: str) -> list[str]:
    """Return the rows of the page's first table, without its header."""
    rows = re.findall(r"^\|.*\|$", page, re.MULTILINE)
    return rows[1:]


@pytest.mark.parametrize("language", [0, 1], ids=LANGUAGES)
@pytest.mark.parametrize("limit", LIMITS, ids=lambda one: f"{one.alert}-{one.severity}")
def test_page_has_the_numbers_of_the_rule(limit: Any, language: int) -> None:
    """The page has the rule's threshold, `for`, time until it fires, and reason."""
    text = (PAGES[language] / f"{limit.alert}.md").read_text(encoding="utf-8")
    cells = (limit.severity, f"{limit.limit:g}", limit.wait_min, limit.within_min)
    assert f"| {' | '.join(map(str, cells))} |" in text
    assert f"- {limit.severity}: {limit.reason[language]}" in " ".join(text.split())


def test_limits_and_alerts_match() -> None:
    """Every limit has an alert and every alert a limit, without duplicates."""
    pairs = Counter((limit.alert, limit.severity) for limit in LIMITS)
    assert set(pairs.values()) == {1}
    assert {name for name, _ in pairs} == {alert.name for alert in ALERTS}
    assert all(all(limit.reason) for limit in LIMITS)


def test_removed_rules_are_deleted_by_uid() -> None:
    """Every UID ever generated is in a rule file or in deleted.yaml."""
    known = set((HERE / "alerts" / "known.txt").read_text(encoding="utf-8").split())
    deleted = {row["uid"] for row in FILES[f"{FOLDER}deleted.yaml"]["deleteRules"]}
    assert known == deleted | set(RULES)
    assert deleted & set(RULES) == set()
