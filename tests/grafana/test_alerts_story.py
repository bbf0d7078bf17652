"""Tests of the rules on prepared roll-ups: limits, minimum counts, windows, ends.

The points of more than two hours are written as by the census and roll-ups. Then every
rule is evaluated every minute. Each regency has a role, see `tests.grafana.story`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from grafana.alerts.limits import LIMITS
from tests.grafana.evaluations import EvaluationLog, evaluate, rules_of
from tests.grafana.evaluator import MINUTE_NS
from tests.grafana.story import (
    BEGINS,
    ENDS,
    FALLING_SILENT,
    FLICKERING,
    HEALTHY,
    MINUTES,
    NEXT,
    ONCE,
    OPERATOR,
    POLLS_CLOSE,
    SMALL,
    START_NS,
    TROUBLED,
    baseline,
    census,
    line,
    points_of_minute,
    rollups,
)
from tests.servers.database import Database

LINK_ALERTS = ("bad-share", "degraded-share", "loss", "rtt", "throughput", "upload")
PLACE_ALERTS = (
    "silent",
    "outage-place",
    "backlog",
    "unsent",
    "clock",
    "allowance",
    "late",
)
LIMIT = {(limit.alert, limit.severity): limit for limit in LIMITS}


@pytest.fixture(scope="session")
def story(influxdb_shared: Database) -> Iterator[EvaluationLog]:
    """Write the story and evaluate all rules minute by minute."""
    database = influxdb_shared.fresh()
    lines = [*baseline(), *(x for m in range(MINUTES) for x in points_of_minute(m))]
    for start in range(0, len(lines), 5000):
        assert database.write(b"\n".join(lines[start : start + 5000])).status == 204
    log = EvaluationLog(rules_of({"java-w"}))
    for minute in range(BEGINS - 2, MINUTES):
        evaluate(log, minute, START_NS + minute * MINUTE_NS, database)
    yield log
    database.drop()


@pytest.mark.parametrize("alert", [*LINK_ALERTS, *PLACE_ALERTS])
@pytest.mark.parametrize("severity", ["warning", "critical"])
def test_trouble_fires_in_time_stays_and_ends(
    story: EvaluationLog, alert: str, severity: str
) -> None:
    """A fault gives one firing period, in time, until it or voting ends."""
    (period,) = story.firing_periods(alert, severity, regency=TROUBLED)
    begins, ends = period
    assert BEGINS < begins <= BEGINS + LIMIT[alert, severity].within_min
    over = POLLS_CLOSE if severity == "critical" and alert != "upload" else ENDS
    assert over <= ends <= over + 40
    assert story.firing_periods(alert, severity, regency=HEALTHY) == []


@pytest.mark.parametrize("alert", [*LINK_ALERTS[:4], "silent", "outage-place"])
def test_too_few_stations_fire_nothing(story: EvaluationLog, alert: str) -> None:
    """The same fault at only four stations fires nothing."""
    assert story.firing_periods(alert, "warning", regency=SMALL) == []


def test_one_operator_down_over_several_places_is_its_network(
    story: EvaluationLog,
) -> None:
    """The alert fires for two regencies of a province, not for one."""
    (period,) = story.firing_periods(
        "outage-operator", "warning", province="31", operator="indosat"
    )
    assert BEGINS < period[0] <= BEGINS + 4
    assert ENDS <= period[1] <= ENDS + 1
    assert story.firing_periods("outage-operator", "warning", province="36") == []


def test_share_that_flickers_is_one_alert(story: EvaluationLog) -> None:
    """Links that are bad every fourth minute give one firing period."""
    (period,) = story.firing_periods("bad-share", "warning", regency=FLICKERING)
    assert ENDS <= period[1] <= ENDS + 12


def test_two_bad_minutes_are_no_alert(story: EvaluationLog) -> None:
    """A fault that ends before the time `for` fires nothing."""
    for severity in ("warning", "critical"):
        assert story.firing_periods("bad-share", severity, regency=ONCE) == []


def test_links_that_fall_silent_have_not_got_well(story: EvaluationLog) -> None:
    """Bad links of stations that fall silent keep the alert firing for an hour."""
    (period,) = story.firing_periods("bad-share", "warning", regency=FALLING_SILENT)
    assert period[1] >= ENDS
    (period,) = story.firing_periods("bad-share", "critical", regency=FALLING_SILENT)
    assert period[1] == POLLS_CLOSE


@pytest.fixture
def prepared(influxdb: Database) -> Any:
    """Return an object that writes points and evaluates all rules on them."""

    class Prepared:
        def __init__(self) -> None:
            self.log = EvaluationLog(rules_of({"java-w", "nation"}))

        def write(self, *lines: bytes) -> None:
            assert influxdb.write(b"\n".join(lines)).status == 204

        def pass_by(self, first: int, last: int) -> None:
            for minute in range(first, last):
                at_ns = START_NS + minute * MINUTE_NS
                evaluate(self.log, minute, at_ns, influxdb)

    return Prepared()


def test_what_arrives_late_fires_nothing(prepared: Any) -> None:
    """Late bad data change the roll-ups after an hour, but fire nothing."""
    prepared.write(*baseline())
    for minute in range(61):
        prepared.write(
            *rollups(minute, HEALTHY, False),
            census(minute, HEALTHY, "all", 40),
            census(minute, HEALTHY, OPERATOR, 20),
        )
    bad_late = partial(rollups, regency=HEALTHY, bad=True)
    for minute in range(61, 130):
        prepared.write(
            *rollups(minute, HEALTHY, False),
            census(minute, HEALTHY, "all", 40),
            census(minute, HEALTHY, OPERATOR, 20),
        )
        prepared.write(*bad_late(minute - 61))  # an hour late
        prepared.pass_by(minute, minute + 1)
    assert _fired(prepared.log) == {"pipeline-dead", "heartbeat"}


def test_what_arrives_ten_minutes_late_fires_nothing_on_short_windows(
    prepared: Any,
) -> None:
    """Changes of a minute that is ten minutes old fire nothing."""
    prepared.write(*baseline())
    slow = ("throughput", "late")
    for minute in range(60):
        prepared.write(
            *rollups(minute, HEALTHY, False),
            census(minute, HEALTHY, "all", 40),
            census(minute, HEALTHY, OPERATOR, 20),
        )
        if minute >= 11:
            prepared.write(*rollups(minute - 11, HEALTHY, True))
        prepared.pass_by(minute, minute + 1)
    assert _fired(prepared.log) - set(slow) == {"pipeline-dead", "heartbeat"}


def _fired(log: EvaluationLog) -> set[str]:
    return {alert for alert, _ in log.fired()}


def test_a_regency_that_is_counted_no_more_is_not_resolved(prepared: Any) -> None:
    """The alert stays for an hour after the census stops counting a regency."""
    for minute in range(20):
        prepared.write(
            census(minute, HEALTHY, "all", 40),
            census(minute, TROUBLED, "all", 40, silent=30),
        )
    prepared.pass_by(0, 75)
    (period,) = prepared.log.firing_periods("silent", "warning", regency=TROUBLED)
    assert period == (5, 10**6)


def test_a_province_that_is_counted_no_more_is_fired(prepared: Any) -> None:
    """Only the province without a census fires, and stays firing."""
    for minute in range(60):
        prepared.write(census(minute, HEALTHY, "all", 40))
        if minute < 20:
            prepared.write(census(minute, NEXT, "all", 40))
    prepared.pass_by(10, 60)
    (period,) = prepared.log.firing_periods("census-missing", "critical")
    assert 20 < period[0] <= 20 + LIMIT["census-missing", "critical"].within_min
    assert prepared.log.firing_periods("census-missing", "critical", province="36") == [
        period
    ]


def test_the_census_killed_is_told_and_the_heartbeat_goes_on(prepared: Any) -> None:
    """Missing data fire the alert; new data end it."""
    for minute in (*range(20), *range(40, 60)):
        prepared.write(
            line("pipeline", "collector=a", minute, {"failed": 0, "behind_s": 0.0})
        )
    prepared.pass_by(0, 60)
    (period,) = prepared.log.firing_periods("pipeline-dead", "critical")
    within = LIMIT["pipeline-dead", "critical"].within_min
    assert 20 + 5 <= period[0] <= 20 + 5 + within
    assert 40 <= period[1] <= 42
    for minute in range(60):
        assert any(
            a <= minute < b for a, b in prepared.log.firing_periods("heartbeat", "none")
        )


def test_a_collector_that_fails_or_lags_is_told_by_name(prepared: Any) -> None:
    """The alerts name the one collector that fails or is late."""
    for minute in range(60):
        affected = 20 <= minute < 40
        prepared.write(
            line("pipeline", "collector=a", minute, {"failed": 0, "behind_s": 0.0}),
            line(
                "pipeline",
                "collector=b",
                minute,
                {"failed": int(affected), "behind_s": 600.0 * affected},
            ),
        )
    prepared.pass_by(0, 60)
    for alert, severity in (
        ("pipeline-failed", "critical"),
        ("pipeline-behind", "warning"),
    ):
        (period,) = prepared.log.firing_periods(alert, severity)
        assert 20 < period[0] <= 20 + LIMIT[alert, severity].within_min
        assert 40 <= period[1] <= 46
        assert prepared.log.firing_periods(alert, severity, collector="b") == [period]


def test_installation_is_not_silence_and_maintenance_excuses_none(
    prepared: Any,
) -> None:
    """Before voting, stations that never reported are not silent.

    During voting they are silent. All stations stay in the denominator, also those
    under maintenance: 15 silent of 40 expected stations are 37 %.
    """
    for minute in range(15):
        prepared.write(
            census(minute, TROUBLED, "all", 40, silent=15, maintenance=15),
            census(minute, HEALTHY, "all", 40, silent=35, never=35),
            census(minute, SMALL, "all", 40, silent=26, never=20, voting=0),
        )
    prepared.pass_by(0, 15)
    (warned,) = prepared.log.firing_periods("silent", "warning", regency=TROUBLED)
    assert warned[0] <= LIMIT["silent", "warning"].within_min
    assert len(prepared.log.firing_periods("silent", "warning")) == 1
    assert len(prepared.log.firing_periods("silent", "critical")) == 1
    assert prepared.log.firing_periods("silent", "critical", regency=HEALTHY)
