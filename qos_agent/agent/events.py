"""Readings about the agent itself, and a reading in one line of the log."""

from __future__ import annotations

from dataclasses import dataclass

from qos_agent.agent.ledger import Tally
from qos_agent.model import Outcome, Reading, Sample, Value
from qos_agent.model.schema.codes import EVENT_KINDS


def event(kind: str, boot_ns: int, detail: str = "", **fields: Value) -> Reading:
    """Something that happened. `kind` is of the closed list; KeyError otherwise."""
    EVENT_KINDS[kind]
    said: dict[str, Value] = {"detail": detail} if detail else {}
    sample = Sample({"kind": kind}, {"count": 1, **said, **fields})
    return Reading("event", Outcome.OK, boot_ns, (sample,))


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a heartbeat says beside the ledger; None is left out."""

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


def heartbeat(boot_ns: int, pulse: Pulse, tally: Tally) -> Reading:
    """The heartbeat: the pulse, and the ledger since the one before."""
    given = {name: getattr(pulse, name) for name in pulse.__slots__}
    fields: dict[str, Value] = {k: v for k, v in given.items() if v is not None}
    fields |= {outcome.value: tally.count(outcome) for outcome in Outcome}
    fields |= {"beats": 1, "due": tally.due, "stored": tally.stored}
    return Reading("agent", Outcome.OK, boot_ns, (Sample({}, fields),))


_SAID = ("target", "direction", "technology", "kind")
_SAID_FIELDS = ("rtt_p50_ms", "lost", "sent", "rate_bps", "total_ms", "upload_ms",
                "rsrp_dbm", "cpu_share", "detail")  # fmt: skip


def one_line(reading: Reading) -> str:
    """The canonical log line of a reading: what, where, outcome, the main figures."""
    parts = [reading.measurement]
    for sample in reading.samples:
        parts += [sample.tags[tag] for tag in ("link", *_SAID) if tag in sample.tags]
        parts += [
            f"{name}={_short(sample.fields[name])}"
            for name in _SAID_FIELDS
            if name in sample.fields
        ]
    parts.append(reading.outcome.value)
    parts += [word for word in (reading.cause, reading.reason, reading.detail) if word]
    return " ".join(parts)


def _short(value: Value) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
