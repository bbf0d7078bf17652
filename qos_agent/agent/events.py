"""Readings about the agent itself: events and the heartbeat."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from qos_agent.agent.ledger import Tally
from qos_agent.journal import JournalEvent
from qos_agent.model import Outcome, Reading, Sample, Value
from qos_agent.model.schema import MEASUREMENTS
from qos_agent.model.schema.codes import EVENT_KINDS


def event(kind: str, boot_ns: int, detail: str = "", **fields: Value) -> Reading:
    """Return the reading of an event. Raises KeyError if `kind` is not in the list."""
    EVENT_KINDS[kind]
    details: dict[str, Value] = {"detail": detail} if detail else {}
    sample = Sample({"kind": kind}, {"count": 1, **details, **fields})
    return Reading("event", Outcome.OK, boot_ns, (sample,))


@dataclass(frozen=True, slots=True)
class HeartbeatFigures:
    """The fields of the `agent` measurement that are not slot counts.

    The schema has their meanings and units. None means unknown and is left out.
    """

    version: str
    config_hash: str
    calendar_hash: str | None
    uptime_s: float
    boot_s: float
    backlog_points: int
    oldest_unsent_s: float | None
    pending_points: int
    quarantined_points: int
    journal_bytes: int
    in_memory: int
    disk_free_bytes: float | None
    allowance_left_bytes: int | None
    allowance_left_share: float | None
    allowance_day_left_bytes: int | None
    clock_offset_ms: float | None
    clock_poor: int
    allowance_low: int
    unsent_old: int
    acked_le_2m: int
    acked_le_1h: int
    acked_le_1d: int
    acked_older: int
    evicted: int
    uplink_bytes: int
    uplink_failures: int
    delivery_s: float | None
    collector_full: int
    collector_insecure: int
    remote_refused: int = 0
    remote_expired: int | None = None
    remote_version: int | None = None
    remote_hash: str | None = None
    remote_seen: int | None = None
    remote_checked_s: float | None = None


def heartbeat(boot_ns: int, figures: HeartbeatFigures, tally: Tally) -> Reading:
    """Return a heartbeat; `tally` has the slots since the previous heartbeat."""
    values: dict[str, Value | None] = {
        **asdict(figures),
        **{outcome.value: tally.count(outcome) for outcome in Outcome},
        "beats": 1,
        "due": tally.due,
        "stored": tally.stored,
    }
    fields = {
        field.name: value
        for field in MEASUREMENTS["agent"].fields
        if (value := values.get(field.name)) is not None
    }
    return Reading("agent", Outcome.OK, boot_ns, (Sample({}, fields),))


def reading_of(journal_event: JournalEvent, boot_ns: int) -> Reading:
    """Return an event of the journal as a reading."""
    values: dict[str, Value | None] = {
        "amount": journal_event.amount,
        "first_seq": journal_event.first_seq,
        "last_seq": journal_event.last_seq,
    }
    fields = {name: value for name, value in values.items() if value is not None}
    return event(journal_event.kind, boot_ns, journal_event.detail, **fields)
