"""Tests of every rule, evaluated every minute of a simulated day.

One day has a fault of each kind, in different regencies; the other day has none.
InfluxDB, register, census, roll-ups and rule files are the real ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from qos_agent.noc.register.importing import stage
from qos_agent.noc.register.store import Register
from qos_agent.noc.service.service import Service
from qos_agent.noc.simulator.population import nation, write_register
from qos_agent.noc.simulator.run import Nation
from qos_agent.noc.simulator.scenario import Scenario
from qos_agent.noc.troubles.limits import limits
from tests.grafana.evaluations import (
    FOREVER,
    EvaluationLog,
    FiringPeriod,
    all_rules,
    evaluate,
)
from tests.noc.nation import MINUTE_NS, deliver, settings
from tests.servers.database import Database

# 10:00 in WIB; voting ends three hours later.
START = datetime(2024, 2, 14, 3, 0, tzinfo=UTC)
WITHIN = {key: limit.within_min for key, limit in limits().items()}


def _scenario(name: str, stations: int, minutes: int, faults: Any = ()) -> Scenario:
    return Scenario.model_validate(
        {
            "name": name,
            "stations": stations,
            "minutes": minutes,
            "days_before": 2,
            "step_before": 360,
            "start": START,
            "calendar": "2024-02-14",
            "provinces": ["31"],
            "targets": ["anchor"],
            "fault": faults,
        }
    )


KILLED_AT = 62
TROUBLED = _scenario(
    "troubled",
    130,
    KILLED_AT,
    [
        {"kind": "power_cut", "regency": "3171", "from": 12, "to": 36},
        {
            "kind": "core_failure",
            "regency": "3172",
            "operator": "indosat",
            "from": 12,
            "to": 36,
        },
        {
            "kind": "core_failure",
            "regency": "3174",
            "operator": "indosat",
            "from": 12,
            "to": 36,
        },
        {"kind": "allowance", "regency": "3172", "from": 4, "to": 40, "amount": 5.0},
        {"kind": "wrong_clock", "regency": "3174", "from": 4, "to": 40, "amount": 3.0},
        {"kind": "backlog", "regency": "3173", "from": 12, "to": 36},
        {"kind": "overload", "regency": "3175", "from": 12, "to": 45, "amount": 7.0},
        {"kind": "power_cut", "regency": "3171", "from": 50},
    ],
)
HEALTHY = _scenario("healthy", 130, 30)


def _simulate(
    scenario: Scenario, server: Database, folder: Path, after_min: int = 0
) -> EvaluationLog:
    """Simulate a scenario, then a few minutes without a census."""
    rollup = server.fresh()
    log = EvaluationLog(all_rules())
    minute = -1
    for ends_ns in _minutes(scenario, server.fresh(), rollup, folder):
        minute += 1
        evaluate(log, minute, ends_ns, rollup)
    for after in range(1, after_min + 1):
        evaluate(log, minute + after, ends_ns + after * MINUTE_NS, rollup)
    return log


def _minutes(
    scenario: Scenario, raw: Database, rollup: Database, folder: Path
) -> Iterator[int]:
    """Yield each minute of voting day after its census and roll-ups are written."""
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
            # Recompute every ten minutes, like a busy census.
            late = batch.minute % 10 == 1
            assert report.failed == {}
            for _ in service.pending(report) if late else ():
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
    collector = raw.section | {"provinces": list(scenario.provinces)}
    # Without these settings, recomputing a whole week would take most of the time.
    return settings(
        raw, rollup, folder, collectors=[collector], rollups={"back": "90m"}
    )


@pytest.fixture(scope="session")
def troubled_log(
    influxdb_shared: Database, tmp_path_factory: pytest.TempPathFactory
) -> EvaluationLog:
    """Evaluate the rules on the day with faults, then without a census."""
    return _simulate(TROUBLED, influxdb_shared, tmp_path_factory.mktemp("troubled"), 12)


@pytest.fixture(scope="session")
def healthy_log(
    influxdb_shared: Database, tmp_path_factory: pytest.TempPathFactory
) -> EvaluationLog:
    """Evaluate the rules on the day without faults."""
    return _simulate(HEALTHY, influxdb_shared, tmp_path_factory.mktemp("healthy"))


# A period ends later than its fault: by the device's window of ten minutes, the ten
# minutes for which one bad minute counts, and the minute of the census.
ENDS_WITHIN = 22
SECOND_CUT = 50
BACKLOG_ARRIVES = 36


INJECTED = (
    ("outage-place", {"place": "3171"}, (12, 36)),
    ("outage-place", {"place": "3173"}, (12, 36)),
    ("outage-operator", {"place": "3172", "operator": "indosat"}, (12, 36)),
    ("degraded-share", {"place": "3175", "operator": "telkomsel"}, (12, 45)),
    ("allowance", {"place": "3172"}, (4, 40)),
    ("clock", {"place": "3174"}, (4, 40)),
)


@pytest.mark.parametrize(("alert", "labels", "injected"), INJECTED, ids=str)
def test_what_was_injected_fires_once_while_it_lasts(
    troubled_log: EvaluationLog, alert: str, labels: Any, injected: FiringPeriod
) -> None:
    """It fires in time, stays until the fault is over, and never flaps."""
    periods = [
        period
        for severity in ("warning", "critical")
        for period in troubled_log.firing_periods(alert, severity, **labels)
        if period[0] < SECOND_CUT
    ]
    begins, ends = injected
    assert 1 <= len(periods) <= 2, periods
    assert begins < periods[0][0] <= begins + WITHIN[alert, "warning"]
    assert ends <= max(end for _, end in periods) <= ends + ENDS_WITHIN


def test_the_healthy_nation_is_silent(healthy_log: EvaluationLog) -> None:
    """Only the heartbeat alert fires, which always does."""
    assert healthy_log.fired() == {("heartbeat", "")}


def test_nothing_fires_where_nothing_was_injected(troubled_log: EvaluationLog) -> None:
    """Each place with a fault has one cause, and other places have none."""
    causes: dict[str, set[str]] = {}
    for cause, where in troubled_log.fired():
        if where:
            causes.setdefault(where, set()).add(cause)
    of_3175 = {where for where in causes if where.startswith("3175")}
    assert {where: causes[where] for where in causes.keys() - of_3175} == {
        "3171": {"outage-place"},
        "3173": {"outage-place"},
        "3172/indosat": {"outage-operator"},
        "3174/indosat": {"bad-share"},
        "3172": {"allowance"},
        "3174": {"clock"},
    }
    assert all(len(causes[where]) == 1 for where in of_3175)


def test_backlog_that_arrives_fires_nothing(troubled_log: EvaluationLog) -> None:
    """When the backlog of 3173 arrives, its alerts end and no new one fires."""
    started = [
        (minute, change)
        for minute, change in troubled_log.changes
        if change.state == "firing"
        and minute >= BACKLOG_ARRIVES
        and dict(change.labels).get("place") == "3173"
    ]
    assert started == []


def test_stopped_census_fires_and_silence_is_not_resolved(
    troubled_log: EvaluationLog,
) -> None:
    """The alert fires in time, and the alert of the second power cut stays."""
    (period,) = troubled_log.firing_periods("pipeline-dead", "critical")
    within = WITHIN["pipeline-dead", "critical"]
    assert KILLED_AT < period[0] <= KILLED_AT + within
    *_, last = troubled_log.firing_periods("outage-place", "critical", place="3171")
    assert SECOND_CUT < last[0] < KILLED_AT + 5
    assert last[1] == FOREVER
