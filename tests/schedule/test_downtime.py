"""Slots missed while the agent did not run are counted by job and phase."""

from __future__ import annotations

from qos_agent.journal import Reservation
from qos_agent.model import Link, Outcome, Phase
from qos_agent.model.calendar import Change, Timeline
from qos_agent.schedule.downtime import killed_tasks, missed_slots
from qos_agent.schedule.slots import Job
from tests.support.clocks import ELECTION_MORNING_NS
from tests.support.probes import ScriptedProbe

HOUR_NS = 3600 * 10**9
INTERVALS_S = {Phase.PRE: 300.0, Phase.VOTING: 60.0}


TIMELINE = Timeline((Change(0, Phase.PRE), Change(ELECTION_MORNING_NS, Phase.VOTING)))


def _jobs(phase: Phase) -> list[Job]:
    return [Job("latency", Link("main", "xl"), None, INTERVALS_S[phase])]


def test_a_gap_over_a_phase_change_is_two_readings() -> None:
    """An hour before and an hour after the polls open have 12 and 60 slots."""
    gap = (ELECTION_MORNING_NS - HOUR_NS, ELECTION_MORNING_NS + HOUR_NS)
    probes = {"latency": ScriptedProbe()}
    readings = list(missed_slots(gap, 0, TIMELINE, _jobs, probes))
    assert [(r.slots, r.reason) for r in readings] == [
        (12, "not_running"),
        (60, "not_running"),
    ]
    assert readings[0].samples[0].fields == {"span_s": 3600.0}
    assert readings[1].boot_ns == ELECTION_MORNING_NS


def test_a_gap_shorter_than_an_interval_leaves_nothing() -> None:
    """A restart of a few seconds misses no slot."""
    gap = (ELECTION_MORNING_NS, ELECTION_MORNING_NS + 10**9)
    probes = {"latency": ScriptedProbe()}
    assert list(missed_slots(gap, 0, TIMELINE, _jobs, probes)) == []


def test_a_killed_task_counts_its_reservation() -> None:
    """A task that ran at the kill failed, and its worst case counts as its data."""
    reservations = (
        Reservation(1, "main", "latency", 11_000_000, "boot-0", 5),
        Reservation(2, "main", "advance", 1_000_000, "boot-0", 5),
    )
    probes = {"latency": ScriptedProbe()}
    (reading,) = killed_tasks(reservations, 7, [Link("main", "xl")], probes)
    assert (reading.outcome, reading.cause) == (Outcome.FAILED, "killed")
    assert reading.samples[0].fields == {"data_bytes": 11_000_000}
    assert reading.samples[0].tags["operator"] == "xl"
