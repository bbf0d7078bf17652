"""Archives of a few readings with known sums."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from qos_agent.archive.build import build
from qos_agent.archive.sources import open_sources
from qos_agent.model import Record, Value
from qos_agent.model.line_protocol import encode
from qos_agent.model.schema import RTT_BOUNDS_MS
from tests.archive.support import VOTING_NS

STATION = {"station": "s1", "province": "31", "regency": "3171", "phase": "voting"}
LINK = {**STATION, "link": "main", "operator": "telkomsel"}
TAGS = {
    "latency": {**LINK, "target": "anchor", "layer": "anchor"},
    "throughput": {**LINK, "backend": "http", "direction": "down"},
    "verdict": LINK,
    "agent": STATION,
}
_JOURNAL = "j1"


def reading(measurement: str, seq: int, **values: Value) -> bytes:
    """Return a line; `values` replace tags, or are fields."""
    tags = {
        name: str(values.pop(name, value)) for name, value in TAGS[measurement].items()
    }
    time_ns = int(values.pop("time_ns", VOTING_NS + seq))
    fields = {"seq": seq, "journal": _JOURNAL, **values}
    return encode(Record(measurement, tags, fields, time_ns))


def train(seq: int, rtts_ms: Iterable[int], lost: int = 0, **values: Value) -> bytes:
    """Return a latency reading with these round trips."""
    known = [*rtts_ms]
    bins = {f"rtt_le_{b}": sum(rtt <= b for rtt in known) for b in RTT_BOUNDS_MS}
    counts = {"sent": len(known) + lost, "received": len(known), "lost": lost}
    times = {"rtt_sum_us": 1000 * sum(known), "pdv_le_50": len(known)}
    outcome = {"slots": 1, "ok": 1, "failed": 0, "skipped": 0}
    fields: dict[str, Value] = {**outcome, **counts, **times, **bins}
    return reading("latency", seq, **{**fields, **values})


def archive_of(folder: Path, lines: Iterable[bytes]) -> Path:
    """Build an archive of lines; return its folder."""
    path = folder / "readings.lp"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    build(open_sources(path), folder / "archive")
    return folder / "archive"
