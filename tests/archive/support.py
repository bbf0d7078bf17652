"""Readings of two journals for tests of the archive."""

from __future__ import annotations

from pathlib import Path

from qos_agent.journal.tables import FILE_NAME
from qos_agent.model import Record, Value
from qos_agent.model.line_protocol import decode, encode
from tests.journal.support import bodies, open_journal, put
from tests.support.clocks import FakeClock

DAY_NS = 86_400 * 10**9
# 14 February 2024, 00:00 UTC.
VOTING_NS = 1_707_868_800 * 10**9


def line(seq: int, journal: str = "j1", **changes: Value) -> bytes:
    """Return the line of a latency reading; `changes` replace tags, fields or time."""
    tags = {
        "station": "3171010001001",
        "province": "31",
        "regency": "3171",
        "phase": "voting",
        "link": "main",
        "operator": "telkomsel",
        "target": "anchor",
        "layer": "anchor",
    }
    fields: dict[str, Value] = {
        "seq": seq,
        "journal": journal,
        "device": "pi-1",
        "schema": 1,
        "sent": 20,
        "received": 19,
        "lost": 1,
        "rtt_sum_us": 380_000 + seq,
        "rtt_p50_ms": 20.0 + seq / 7,
        "method": 'icmp, "plain" \\ echo',
    }
    time_ns = int(changes.pop("time_ns", VOTING_NS + seq * 10**9))
    for name, value in changes.items():
        if name in tags:
            tags[name] = str(value)
        else:
            fields[name] = value
    return encode(Record("latency", tags, fields, time_ns))


def lines(count: int, journal: str = "j1") -> list[bytes]:
    """Return lines with the numbers from 1 on."""
    return [line(seq, journal) for seq in range(1, count + 1)]


def filled_journal(folder: Path, count: int = 30) -> list[bytes]:
    """Create a journal, and return its lines."""
    clock = FakeClock()
    journal = open_journal(folder)
    put(journal, clock, count)
    stored = bodies(journal)
    journal.close()
    return stored


def journal_file(folder: Path) -> Path:
    """Return the file of a journal."""
    return folder / FILE_NAME


def identity(reading: bytes) -> tuple[str, int]:
    """Return journal and number of a line."""
    fields = decode(reading).fields
    return str(fields["journal"]), int(fields["seq"])
