"""Readings about the agent, and the log line of a reading."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from qos_agent.agent.events import HeartbeatFigures, event, heartbeat
from qos_agent.agent.ledger import Tally
from qos_agent.agent.log_line import log_line
from qos_agent.model import Outcome, Reading, Sample
from qos_agent.model.schema import MEASUREMENTS
from tests.agent.test_status import figures


def test_every_figure_is_a_field_of_the_schema() -> None:
    """No figure is lost because the schema does not have it."""
    names = {field.name for field in MEASUREMENTS["agent"].fields}
    assert {field.name for field in fields(HeartbeatFigures)} <= names


def test_a_heartbeat_has_the_known_figures_and_the_slot_counts() -> None:
    """Unknown figures are left out, and zeros are not."""
    known = replace(figures(), evicted=0)
    tally = Tally({"ok": 3, "skipped": 1}, stored=5)
    (sample,) = heartbeat(7, known, tally).samples
    counts = {"beats": 1, "due": 4, "ok": 3, "failed": 0, "skipped": 1, "stored": 5}
    assert sample.fields == {
        "version": "0.1.0",
        "uptime_s": 60.0,
        "in_memory": 0,
        "backlog_points": 3,
        "oldest_unsent_s": 12.0,
        "evicted": 0,
        **counts,
    }


def test_an_unknown_kind_of_event_is_an_error() -> None:
    """Only kinds of the schema's list can be recorded."""
    with pytest.raises(KeyError):
        event("surprise", 0)


def test_a_log_line_has_tags_fields_and_outcome() -> None:
    """The named fields have six digits; a link and a cause are there only once."""
    tags = {"link": "main", "layer": "anchor", "target": "a"}
    sample = Sample(tags, {"rtt_p50_ms": 20.123456, "sent": 20, "wake_ms": 1.0})
    reading = Reading("latency", Outcome.FAILED, 0, (sample,), cause="timeout")
    assert log_line(reading, ("rtt_p50_ms", "sent")) == (
        "latency main a rtt_p50_ms=20.1235 sent=20 failed timeout"
    )
    tags = {"link": "main", "direction": "down"}
    samples = (Sample(tags, {}), Sample(tags | {"direction": "up"}, {}))
    detail = "down: refused: no listener"
    failed = Reading(
        "throughput", Outcome.FAILED, 0, samples, cause="refused", detail=detail
    )
    assert log_line(failed, ()) == (
        "throughput main down up failed refused down: no listener"
    )
    assert log_line(event("start", 0, "in phase idle"), ()) == (
        "event start detail=in phase idle ok"
    )
