"""Each failure of the centre fires its rule within the time on the rule's page."""

from __future__ import annotations

import pytest

from grafana.alerts.monitoring import MONITORING
from qos_agent.noc.troubles.limits import limits
from tests.grafana.evaluator import Rule
from tests.grafana.platform_events import EVENT, EVENTS, STOPPED, minutes_to_firing
from tests.grafana.test_alerts import RULES
from tests.noc.nation import START_NS
from tests.servers.database import Database

_WITHIN = {cause: limit.within_min for (cause, _), limit in limits().items()}


@pytest.mark.parametrize("alert", EVENTS)
def test_a_failure_fires_in_time(alert: str, influxdb: Database) -> None:
    """The rule is quiet before the event, and fires within its stated minutes."""
    found = minutes_to_firing(influxdb, alert, EVENTS[alert], EVENT + 1)
    assert found <= _WITHIN[alert]


@pytest.mark.parametrize("alert", STOPPED)
def test_a_check_that_stops_fires_too(alert: str, influxdb: Database) -> None:
    """A part whose points end is not taken for a part that works."""
    found = minutes_to_firing(influxdb, alert, STOPPED[alert], EVENT)
    assert found <= _WITHIN[alert]


def test_a_centre_without_health_checks_has_no_alarm(influxdb: Database) -> None:
    """No point of a part has ever been written."""
    (json,) = (r for r in RULES.values() if r["labels"]["alert"] == "platform-part")
    rule = Rule(json)
    rule.evaluate(START_NS, influxdb.query)
    assert not rule.firing()


def test_every_rule_of_the_centre_has_an_event() -> None:
    """The heartbeat has none: it always fires."""
    assert {alert.name for alert in MONITORING} - {"heartbeat"} == EVENTS.keys()
