"""Boards and alerts in a real Grafana, which evaluates them by its own clock.

The committed files are provisioned into the Grafana that QOS_GRAFANA names. A drill is
held now, with one planted trouble: an operator's core fails in one regency. Without the
variable nothing of this file is collected (decision 099).
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
from qos_agent.noc.simulator.scenario import Trouble
from tests.grafana.day import substitute
from tests.servers.influxd import Influxd
from tests.servers.influxdb import InfluxDB
from tests.support.requirement import require

PAST_MINUTES = 30
FAILING = "3174"
TROUBLE = Trouble.model_validate(
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
        "trouble": (TROUBLE,),
    }
)
FULL_LIMIT_S = 900.0
FIRES_LIMIT_S = 1200.0
BOARDS = sorted((FILES / "dashboards").rglob("*.json"))
ALERTING = sorted((FILES / "provisioning" / "alerting").glob("*.yaml"))
# How a panel says that its query failed: until 9.4, and later.
FAILED = re.compile(r"panel-info-corner--error|Panel status error[^\"]*")
LOOKS = 8
CHOSEN = {"source": "qos-rollup"}


@dataclass
class Centre:
    """An operations centre under way: its Grafana, its databases, its clock."""

    grafana: Grafana
    influxdb: InfluxDB

    @cached_property
    def rules(self) -> dict[str, dict[str, Any]]:
        """Every rule of the committed files by its uid."""
        files = (json.loads(path.read_text(encoding="utf-8")) for path in ALERTING)
        groups = (group for file in files for group in file.get("groups", ()))
        return {rule["uid"]: rule for group in groups for rule in group["rules"]}

    def states(self) -> list[dict[str, Any]]:
        """Every rule as the scheduler sees it now."""
        groups = self.get("/api/prometheus/grafana/api/v1/rules")["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def firing(self) -> list[dict[str, str]]:
        """The labels of all alerts that fire now."""
        found = self.get("/api/prometheus/grafana/api/v1/alerts")["data"]["alerts"]
        return [a["labels"] for a in found if a["state"].startswith("Alerting")]

    def get(self, path: str) -> Any:
        """What the API says. Fails the test where that is an error."""
        answer = self.grafana.ask(path)
        assert answer.status == 200, (path, answer.body)
        return answer.body


@pytest.fixture(scope="module")
def centre(
    influxd_program: Influxd, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Centre]:
    """Half an hour of a drill, which then goes on, and a Grafana that looks at it."""
    home = grafana.found()
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


def test_it_says_which_it_is(centre: Centre) -> None:
    """The Grafana under test is one of those that the files are written for."""
    version = centre.get("/api/health")["version"]
    print(f"\nGrafana {version}")
    assert (9, 3) <= tuple(map(int, version.split(".")[:2])) < (14, 0)


def test_every_file_of_alerts_is_taken(centre: Centre) -> None:
    """All rules, contact points, mute timings, the policies, the words are there."""
    taken = {rule["uid"] for rule in centre.get("/api/v1/provisioning/alert-rules")}
    assert taken == set(centre.rules)
    contents = [json.loads(path.read_text(encoding="utf-8")) for path in ALERTING]
    for key, path in (
        ("contactPoints", "contact-points"),
        ("muteTimes", "mute-timings"),
        ("templates", "templates"),
    ):
        ours = {one["name"] for file in contents for one in file.get(key, ())}
        there = {one["name"] for one in centre.get(f"/api/v1/provisioning/{path}")}
        assert ours <= there, key
    (tree,) = [one for file in contents for one in file.get("policies", ())]
    assert centre.get("/api/v1/provisioning/policies")["receiver"] == tree["receiver"]


def test_every_rule_is_evaluated_without_an_error(centre: Centre) -> None:
    """Grafana's scheduler has evaluated each rule on the drill, and none failed."""

    def all_evaluated() -> bool:
        states = centre.states()
        return len(states) == len(centre.rules) and all(
            not rule["lastEvaluation"].startswith("0001") for rule in states
        )

    centre.grafana.await_(all_evaluated, 300)
    states = centre.states()
    assert {
        rule["name"]: rule.get("lastError", "")
        for rule in states
        if rule["health"] == "error"
    } == {}
    print(
        f"\n{len(states)} rules, {sum(r['health'] == 'ok' for r in states)} with data"
    )


def test_the_planted_trouble_fires_and_nothing_else(centre: Centre) -> None:
    """The failing operator's regency is named by an alert; no other place is."""

    def named() -> bool:
        return any(
            labels.get("regency") == FAILING and labels.get("operator") == "telkomsel"
            for labels in centre.firing()
        )

    began = time.monotonic()
    centre.grafana.await_(named, FIRES_LIMIT_S)
    firing = centre.firing()
    print(f"\nafter {time.monotonic() - began:.0f} s:")
    print(*sorted(labels["alertname"] for labels in firing), sep="\n")
    assert {labels["regency"] for labels in firing if "regency" in labels} == {FAILING}
    assert "heartbeat" in {labels.get("alert") for labels in firing}


@pytest.mark.parametrize("path", BOARDS, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_a_board_is_there_and_its_queries_answer(path: Path, centre: Centre) -> None:
    """The board is loaded whole, and each query of each panel answers through it."""
    board = json.loads(path.read_text(encoding="utf-8"))
    loaded = _loaded(centre, board["uid"])
    panels = list(_panels(board))
    assert [p["id"] for p in _panels(loaded)] == [p["id"] for p in panels]
    given = _variables(centre)
    asked = filled = 0
    for panel in panels:
        for target in panel.get("targets", ()):
            frames = _frames(centre, panel, target, given)
            asked += 1
            filled += any(any(frame["data"]["values"]) for frame in frames)
    print(f"\n{board['uid']}: {asked} queries, {filled} with data")
    assert asked
    assert filled


def _loaded(centre: Centre, uid: str) -> Any:
    """The board as Grafana has it, once its provisioning has come to it."""

    def there() -> bool:
        return centre.grafana.ask(f"/api/dashboards/uid/{uid}").status == 200

    centre.grafana.await_(there, 60)
    return centre.get(f"/api/dashboards/uid/{uid}")["dashboard"]


def _panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", ())


def _variables(centre: Centre) -> dict[str, str]:
    """What a person would have chosen: the regency in trouble, a station in it."""
    view = centre.influxdb.view
    raw = type(view)(view.url, view.token, view.org, "qos-drill")
    query = (
        'SELECT last("beats") FROM "agent" WHERE '
        f'"regency" = \'{FAILING}\' GROUP BY "station" LIMIT 1'
    )
    station = str(raw.query(query)[0]["station"])
    return {"province": "31", "regency": FAILING, "station": station}


class _Chosen(dict[str, str]):
    """Any variable that the tests name no value for is All."""

    def __missing__(self, key: str) -> str:
        return ".*"


def _frames(
    centre: Centre, panel: dict[str, Any], target: dict[str, Any], given: dict[str, str]
) -> list[dict[str, Any]]:
    """The frames that a target's query gives. Fails the test where it is refused."""
    now_ms = time.time_ns() // 10**6
    uid = target["datasource"]["uid"]
    query = substitute(target["query"], now_ms * 10**6, 3600, _Chosen(given))
    source = CHOSEN["source"] if uid.startswith("${") else uid
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


def test_each_board_can_be_seen(centre: Centre, tmp_path: Path) -> None:
    """Chromium draws each board: every panel is there, and none fails at every look."""
    require(pictures.browser() is not None, "Chromium", "apt-get install chromium")
    given = "".join(f"&var-{k}={quote(v)}" for k, v in _variables(centre).items())
    for uid, height in pictures.boards():
        address = pictures.page(centre.grafana.url, uid, given)
        always = {panel["title"] for panel in _panels(_loaded(centre, uid))}
        for _ in range(LOOKS):
            shown = pictures.text(address, height)
            assert {title for title in always if title not in shown} == set(), uid
            always &= _failed(shown)
            if not always:
                break
        assert always == set(), uid
        picture = tmp_path / f"{uid}.png"
        pictures.take(address, height, picture)
        assert picture.stat().st_size > 10_000
        print(picture)


def _failed(shown: str) -> set[str]:
    """The panels that say they have failed.

    A browser in virtual time cancels questions now and then ("abort Handler" in
    Grafana's log), each time others; what Grafana refuses fails at every look.
    """
    return {
        titles[-1]
        for mark in FAILED.finditer(shown)
        if (titles := re.findall(r'aria-label="([^"]*) panel"', shown[: mark.start()]))
    }
