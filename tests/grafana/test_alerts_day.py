"""Every rule asked every minute while days go by under the census service.

One day has a trouble of each kind, at places of its own; on the other nothing is
planted. InfluxDB, register, census, sums and the rules' files are the real ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from grafana.alerts.limits import LIMITS
from qos_agent.noc.register.importing import stage
from qos_agent.noc.register.store import Register
from qos_agent.noc.service import Report, Service
from qos_agent.noc.simulator.population import nation, write_register
from qos_agent.noc.simulator.run import Nation
from qos_agent.noc.simulator.scenario import Scenario
from tests.grafana.evaluator import Rule, Turn
from tests.grafana.test_alerts import RULES
from tests.noc.nation import MINUTE_NS, deliver, settings
from tests.servers.database import Database, Row

# 10:00 in WIB: votes are cast until three hours later.
START = datetime(2024, 2, 14, 3, 0, tzinfo=UTC)
AREAS = {"java-w", "java-e", "nation"}
# Grafana evaluates when it likes; the census of the minute is there by then.
EVALUATED_NS = 20 * 10**9
WITHIN = {(limit.alert, limit.severity): limit.within_min for limit in LIMITS}


def _scenario(name: str, stations: int, minutes: int, trouble: Any = ()) -> Scenario:
    return Scenario.model_validate(
        {
            "name": name,
            "stations": stations,
            "minutes": minutes,
            "days_before": 2,
            "step_before": 360,
            "start": START,
            "calendar": "2024-02-14",
            "provinces": ["31", "34"],
            "targets": ["anchor"],
            "trouble": trouble,
        }
    )


KILLED_AT = 112
TROUBLED = _scenario(
    "troubled",
    360,
    KILLED_AT,
    [
        {"kind": "power_cut", "regency": "3175", "from": 20, "to": 50},
        {"kind": "core_failure", "regency": "3174", "operator": "telkomsel",
         "from": 20, "to": 60},
        {"kind": "overload", "regency": "3173", "from": 20, "to": 95, "amount": 7.0},
        {"kind": "backlog", "regency": "3172", "from": 20, "to": 60},
        {"kind": "cut_off", "regency": "3171", "from": 20, "to": 45},
        {"kind": "core_failure", "province": "34", "operator": "indosat",
         "from": 20, "to": 60},
        {"kind": "slow_uplink", "regency": "3403", "from": 20, "to": 95,
         "amount": 3.0},
        {"kind": "wrong_clock", "regency": "3402", "from": 20, "to": 60,
         "amount": 3.0},
        {"kind": "allowance", "regency": "3404", "from": 20, "to": 60, "amount": 5.0},
        {"kind": "power_cut", "regency": "3471", "from": 100},
    ],
)  # fmt: skip
HEALTHY = _scenario("healthy", 360, 60)


@dataclass
class Watch:
    """What the rules said on a day: turns with their minute, and the minute now."""

    turns: list[tuple[int, Turn]] = field(default_factory=list)
    rules: dict[str, Rule] = field(default_factory=dict)
    minute: int = -1

    def spells(self, alert: str, severity: str, **labels: str) -> list[tuple[int, int]]:
        """From which minute to which the alert fired there; the end may be to come."""
        found: dict[Any, list[int]] = {}
        for minute, turn in self.turns:
            told = RULES[turn.rule]["labels"]
            mine = dict(turn.labels)
            if (told["alert"], told["severity"]) == (alert, severity) and all(
                mine.get(name) == value for name, value in labels.items()
            ):
                found.setdefault(turn.labels, []).append(minute)
        return sorted(
            spell
            for minutes in found.values()
            for spell in zip(minutes[::2], [*minutes, 10**6][1::2], strict=False)
        )

    def fired(self) -> set[tuple[str, str]]:
        """Alerts that fired at all, with where: a regency, else a province."""
        return {
            (RULES[turn.rule]["labels"]["alert"], _place(turn))
            for _, turn in self.turns
            if turn.state == "firing"
        }


def _place(turn: Turn) -> str:
    labels = dict(turn.labels)
    return labels.get("regency") or labels.get("province") or ""


def _lived(
    scenario: Scenario, server: Database, folder: Path, after_min: int = 0
) -> Watch:
    """Live through a scenario, then some minutes with the census dead."""
    rollup = server.fresh()
    watch = Watch(
        rules={
            uid: Rule(rule)
            for uid, rule in RULES.items()
            if rule["labels"]["area"] in AREAS
        }
    )
    for ends_ns in _minutes(scenario, server.fresh(), rollup, folder):
        _evaluate(watch, ends_ns, rollup)
    for _ in range(after_min):
        ends_ns += MINUTE_NS
        _evaluate(watch, ends_ns, rollup)
    return watch


def _evaluate(watch: Watch, ends_ns: int, rollup: Database) -> None:
    watch.minute += 1

    @cache
    def asked(query: str) -> tuple[Row, ...]:
        return tuple(rollup.query(query))

    for rule in watch.rules.values():
        turns = rule.evaluate(ends_ns + EVALUATED_NS, lambda query: list(asked(query)))
        watch.turns += [(watch.minute, turn) for turn in turns]


def _minutes(
    scenario: Scenario, raw: Database, rollup: Database, folder: Path
) -> Iterator[int]:
    """Each minute of voting day as it ends, with its census and sums written."""
    _register(scenario, folder)
    service = Service(_settings(scenario, raw, rollup, folder))
    for batch in Nation(scenario, START).run():
        deliver(raw, [line for lines in batch.lines.values() for line in lines])
        if batch.minute < 0:
            start_ns = _start_ns() + batch.minute * MINUTE_NS
            for _ in service.recompute(start_ns, start_ns + 2 * MINUTE_NS):
                pass
        elif batch.minute < scenario.minutes:
            report = service.minute(batch.ends_ns)
            assert report.failed == {}
            for _ in service.owed(batch.ends_ns, report):
                pass
            yield batch.ends_ns
    service.close()


def _start_ns() -> int:
    return int(START.timestamp()) * 10**9


def _register(scenario: Scenario, folder: Path) -> None:
    path = folder / "stations.csv"
    write_register(path, nation(scenario))
    register = Register(folder / "register.sqlite3")
    assert stage(register, path, lambda _: None).faults == []
    register.apply(_start_ns() // 10**9 - 3 * 86400, close_missing=False)
    register.close()


def _settings(scenario: Scenario, raw: Database, rollup: Database, folder: Path) -> Any:
    collector = {"url": raw.url, "bucket": raw.database,
                 "provinces": list(scenario.provinces)}  # fmt: skip
    # The pass over a week would be most of the work, and there is no such week.
    return settings(raw, rollup, folder, collectors=[collector],
                    rollups={"back": "90m"})  # fmt: skip


@pytest.fixture(scope="session")
def troubled_watch(
    influxdb_shared: Database, tmp_path_factory: pytest.TempPathFactory
) -> Watch:
    """What was told on the day of troubles, and after the census had died."""
    return _lived(TROUBLED, influxdb_shared, tmp_path_factory.mktemp("troubled"), 12)


@pytest.fixture(scope="session")
def healthy_watch(
    influxdb_shared: Database, tmp_path_factory: pytest.TempPathFactory
) -> Watch:
    """What was told on the day without."""
    return _lived(HEALTHY, influxdb_shared, tmp_path_factory.mktemp("healthy"))


def test_x(troubled_watch: Watch) -> None:
    for minute, turn in troubled_watch.turns:
        print(minute, turn.rule, dict(turn.labels), turn.state, turn.reason)
