"""Dashboards and alerts in a real Grafana, which evaluates them with its own clock.

The committed files are provisioned into the Grafana of QOS_GRAFANA. The data are a live
simulation with one fault: the core network of an operator fails in one regency. Without
the variable this file is not collected (docs/design/alerts.md).
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from deploy.demo import grafana, influxd, pictures
from deploy.demo.__main__ import variables
from deploy.demo.drill import BACK_MINUTES, planned
from deploy.demo.grafana import FILES, Grafana
from deploy.demo.nation import live
from qos_agent.noc.simulator.scenario import InjectedFault
from tests.grafana.day import substitute
from tests.servers.influxd import Influxd
from tests.servers.influxdb import InfluxDB
from tests.support.requirement import require

PAST_MINUTES = 30
FAILING = "3174"
FAULT = InjectedFault.model_validate(
    {
        "kind": "core_failure",
        "regency": FAILING,
        "operator": "telkomsel",
        "from": PAST_MINUTES - 10,
    }
)
PLAN = planned().model_copy(
    update={
        "stations": 60,
        "minutes": 120,
        "provinces": ("31",),
        "fault": (FAULT,),
    }
)
FULL_LIMIT_S = 900.0
FIRES_LIMIT_S = 1200.0
BOARDS = sorted((FILES / "dashboards").rglob("*.json"))
ALERTING = sorted((FILES / "provisioning" / "alerting").glob("*.yaml"))
# The mark of a panel whose query failed: first until 9.4, then later versions.
FAILED = re.compile(r"panel-info-corner--error|Panel status error[^\"]*")
MAX_LOADS = 8
SELECTED = {"source": "qos-rollup"}


@dataclass
class Centre:
    """A running operations centre with its Grafana and its database."""

    grafana: Grafana
    influxdb: InfluxDB

    @cached_property
    def rules(self) -> dict[str, dict[str, Any]]:
        """All rules of the committed files by uid."""
        files = (json.loads(path.read_text(encoding="utf-8")) for path in ALERTING)
        groups = (group for file in files for group in file.get("groups", ()))
        return {rule["uid"]: rule for group in groups for rule in group["rules"]}

    def states(self) -> list[dict[str, Any]]:
        """Return the state of every rule in Grafana's scheduler."""
        groups = self.get("/api/prometheus/grafana/api/v1/rules")["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def firing(self) -> list[dict[str, str]]:
        """Return the labels of all firing alerts."""
        alerts = self.get("/api/prometheus/grafana/api/v1/alerts")["data"]["alerts"]
        return [a["labels"] for a in alerts if a["state"].startswith("Alerting")]

    def get(self, path: str) -> Any:
        """Return the answer of the API. Fails the test if it is an error."""
        answer = self.grafana.ask(path)
        assert answer.status == 200, (path, answer.body)
        return answer.body


@pytest.fixture(scope="module")
def centre(
    influxd_program: Influxd, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Centre]:
    """Start a live simulation with half an hour of history, and a Grafana on it."""
    home = grafana.configured_home()
    assert home is not None
    folder = tmp_path_factory.mktemp("grafana")
    server = InfluxDB(influxd_program, folder / "influxdb").start()
    now = datetime.now(UTC) + timedelta(minutes=BACK_MINUTES - PAST_MINUTES)
    stop, ready = threading.Event(), threading.Event()

    def say(text: str) -> None:
        if text == "ready":
            ready.set()

    nation = threading.Thread(
        target=live, args=(folder / "drill", server.url, say, stop, PLAN, now)
    )
    nation.start()
    boards = Grafana(
        home, folder / "grafana", influxd.free_port(), variables(server.url)
    )
    try:
        assert ready.wait(FULL_LIMIT_S)
        yield Centre(boards.start(), server)
    finally:
        boards.stop()
        stop.set()
        nation.join()
        server.stop()


def test_version_is_supported(centre: Centre) -> None:
    """The files support the version of the Grafana under test."""
    version = centre.get("/api/health")["version"]
    print(f"\nGrafana {version}")
    assert (9, 3) <= tuple(map(int, version.split(".")[:2])) < (14, 0)


def test_every_alerting_file_is_provisioned(centre: Centre) -> None:
    """Grafana has all rules, contact points, mute timings, policies and templates."""
    loaded = {rule["uid"] for rule in centre.get("/api/v1/provisioning/alert-rules")}
    assert loaded == set(centre.rules)
    contents = [json.loads(path.read_text(encoding="utf-8")) for path in ALERTING]
    for key, path in (
        ("contactPoints", "contact-points"),
        ("muteTimes", "mute-timings"),
        ("templates", "templates"),
    ):
        committed = {item["name"] for file in contents for item in file.get(key, ())}
        items = centre.get(f"/api/v1/provisioning/{path}")
        assert committed <= {item["name"] for item in items}, key
    (tree,) = [policy for file in contents for policy in file.get("policies", ())]
    assert centre.get("/api/v1/provisioning/policies")["receiver"] == tree["receiver"]


def test_every_rule_is_evaluated_without_an_error(centre: Centre) -> None:
    """Grafana's scheduler has evaluated each rule, and none failed."""

    def all_evaluated() -> bool:
        states = centre.states()
        return len(states) == len(centre.rules) and all(
            not rule["lastEvaluation"].startswith("0001") for rule in states
        )

    centre.grafana.wait_until(all_evaluated, 300)
    states = centre.states()
    assert {
        rule["name"]: rule.get("lastError", "")
        for rule in states
        if rule["health"] == "error"
    } == {}
    print(
        f"\n{len(states)} rules, {sum(r['health'] == 'ok' for r in states)} with data"
    )


def test_only_the_simulated_fault_fires(centre: Centre) -> None:
    """Alerts fire for the regency of the failing operator and for no other place."""

    def is_reported() -> bool:
        return any(
            labels.get("regency") == FAILING and labels.get("operator") == "telkomsel"
            for labels in centre.firing()
        )

    start_s = time.monotonic()
    centre.grafana.wait_until(is_reported, FIRES_LIMIT_S)
    firing = centre.firing()
    print(f"\nafter {time.monotonic() - start_s:.0f} s:")
    print(*sorted(labels["alertname"] for labels in firing), sep="\n")
    assert {labels["regency"] for labels in firing if "regency" in labels} == {FAILING}
    assert "heartbeat" in {labels.get("alert") for labels in firing}


@pytest.mark.parametrize("path", BOARDS, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_dashboard_is_loaded_and_its_queries_work(path: Path, centre: Centre) -> None:
    """The dashboard has all its panels, and each query of each panel succeeds."""
    board = json.loads(path.read_text(encoding="utf-8"))
    loaded = _loaded(centre, board["uid"])
    panels = list(_panels(board))
    assert [p["id"] for p in _panels(loaded)] == [p["id"] for p in panels]
    selected = _variables(centre)
    queries = with_data = 0
    for panel in panels:
        for target in panel.get("targets", ()):
            frames = _frames(centre, panel, target, selected)
            queries += 1
            with_data += any(any(frame["data"]["values"]) for frame in frames)
    print(f"\n{board['uid']}: {queries} queries, {with_data} with data")
    assert queries
    assert with_data


def _loaded(centre: Centre, uid: str) -> Any:
    """Wait until Grafana has provisioned a dashboard, and return it."""

    def exists() -> bool:
        return centre.grafana.ask(f"/api/dashboards/uid/{uid}").status == 200

    centre.grafana.wait_until(exists, 60)
    return centre.get(f"/api/dashboards/uid/{uid}")["dashboard"]


def _panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", ())


def _variables(centre: Centre) -> dict[str, str]:
    """Return the variables of a user who selects the failing regency and a station."""
    view = centre.influxdb.view
    raw = type(view)(view.url, view.token, view.org, "qos-drill")
    query = (
        'SELECT last("beats") FROM "agent" WHERE '
        f'"regency" = \'{FAILING}\' GROUP BY "station" LIMIT 1'
    )
    station = str(raw.query(query)[0]["station"])
    return {"province": "31", "regency": FAILING, "station": station}


class _Variables(dict[str, str]):
    """Values of variables; the value of all others is All."""

    def __missing__(self, key: str) -> str:
        return ".*"


def _frames(
    centre: Centre,
    panel: dict[str, Any],
    target: dict[str, Any],
    selected: dict[str, str],
) -> list[dict[str, Any]]:
    """Return the frames of a target's query. Fails the test if Grafana refuses it."""
    now_ms = time.time_ns() // 10**6
    uid = target["datasource"]["uid"]
    query = substitute(target["query"], now_ms * 10**6, 3600, _Variables(selected))
    source = SELECTED["source"] if uid.startswith("${") else uid
    answer = centre.grafana.ask(
        "/api/ds/query",
        {
            "from": str(now_ms - 3_600_000),
            "to": str(now_ms),
            "queries": [
                {
                    **target,
                    "query": query,
                    "datasource": {"type": "influxdb", "uid": source},
                    "intervalMs": 60_000,
                    "maxDataPoints": 1000,
                }
            ],
        },
    )
    assert answer.status == 200, (panel["title"], answer.body, query)
    result = answer.body["results"][target["refId"]]
    assert "error" not in result, (panel["title"], result["error"], query)
    return list(result.get("frames", ()))


def test_each_dashboard_is_drawn(centre: Centre, tmp_path: Path) -> None:
    """Chromium draws every panel of each dashboard, and no panel fails every time."""
    require(pictures.browser() is not None, "Chromium", "apt-get install chromium")
    selected = "".join(f"&var-{k}={quote(v)}" for k, v in _variables(centre).items())
    for uid, height in pictures.boards():
        address = pictures.page(centre.grafana.url, uid, selected)
        failing = {panel["title"] for panel in _panels(_loaded(centre, uid))}
        for _ in range(MAX_LOADS):
            html = pictures.text(address, height)
            assert {title for title in failing if title not in html} == set(), uid
            failing &= _failed(html)
            if not failing:
                break
        assert failing == set(), uid
        picture = tmp_path / f"{uid}.png"
        pictures.take(address, height, picture)
        assert picture.stat().st_size > 10_000
        print(picture)


def _failed(html: str) -> set[str]:
    """Return the titles of the panels that show an error.

    A browser in virtual time sometimes cancels queries, each time other ones ("abort
    Handler" in Grafana's log). A query that Grafana refuses fails every time.
    """
    return {
        titles[-1]
        for mark in FAILED.finditer(html)
        if (titles := re.findall(r'aria-label="([^"]*) panel"', html[: mark.start()]))
    }
