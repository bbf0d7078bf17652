"""From a point to its line: number, provenance, quality of the clock, phase. Pure.

What the schema refuses is a fault of our own and must neither be lost nor block
its neighbours: it is stored as a failed reading, or as an event, that says so.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from qos_agent.evidence.merkle import leaf_hash
from qos_agent.model import Identity, Phase, Point, Record, Value
from qos_agent.model.line_protocol import encode, one_line, tag_value
from qos_agent.model.schema import MEASUREMENTS, SCHEMA_VERSION

_log = logging.getLogger(__name__)

_COLLISION_STEP_NS = 1000


@dataclass(frozen=True, slots=True)
class Stamp:
    """When a point was measured, and how good the clock is that says so."""

    wall_ns: int
    synced: bool
    error_ms: float | None
    held: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A point as it is stored."""

    seq: int
    time_ns: int
    rank: int
    line: bytes

    @property
    def leaf(self) -> bytes:
        """Its leaf in the evidence tree."""
        return leaf_hash(self.line)

    @property
    def series(self) -> bytes:
        """Measurement and tags with the space after them; tags hold no space."""
        return self.line[: self.line.index(b" ") + 1]


@dataclass(frozen=True, slots=True)
class Stamper:
    """Turns points into lines of one journal."""

    identity: Identity
    journal: str
    phase_at: Callable[[int], Phase]

    def record(self, point: Point, seq: int, stamp: Stamp) -> Record:
        """The point with its stamp and all that every point carries."""
        fields: dict[str, Value] = {
            **point.fields,
            "seq": seq,
            "device": self.identity.device,
            "journal": self.journal,
            "schema": SCHEMA_VERSION,
            "clock_synced": int(stamp.synced),
        }
        if stamp.error_ms is not None:
            fields["clock_error_ms"] = stamp.error_ms
        if stamp.held:
            fields["clock_held"] = 1
        tags = {**point.tags, "phase": self.phase_at(stamp.wall_ns).value}
        return Record(point.measurement, tags, fields, stamp.wall_ns)

    def line(
        self,
        numbered: tuple[int, int, Point],
        stamp: Stamp,
        taken: Callable[[int, bytes], bool],
    ) -> Line:
        """The line of a (seq, rank, point), at the next time that is not taken."""
        seq, rank, point = numbered
        record = self.record(point, seq, stamp)
        line = Line(seq, record.time_ns, rank, encode(record))
        while taken(line.time_ns, line.series):
            record = replace(record, time_ns=record.time_ns + _COLLISION_STEP_NS)
            line = Line(seq, record.time_ns, rank, encode(record))
        return line

    def sound(self, point: Point) -> Point:
        """The point, or where the schema refuses it what is stored in its place."""
        trial = Stamp(0, synced=True, error_ms=0.0, held=True)
        try:
            encode(self.record(point, 0, trial))
        except (ValueError, TypeError) as error:
            _log.exception("a point the schema refuses")
            return self._salvaged(point, one_line(str(error)))
        return point

    def _salvaged(self, point: Point, said: str) -> Point:
        place = {
            "station": tag_value(self.identity.station),
            "province": tag_value(self.identity.province),
            "regency": tag_value(self.identity.regency),
        }
        table = MEASUREMENTS.get(point.measurement)
        if table is None or "slots" not in {field.name for field in table.fields}:
            detail = one_line(f"{point.measurement}: {said}")
            fields: Mapping[str, Value] = {"count": 1, "detail": detail}
            return Point("event", {**place, "kind": "refused"}, fields, point.boot_ns)
        tags = {k: tag_value(v) for k, v in point.tags.items() if k in table.tags}
        slots = point.fields.get("slots")
        count = slots if isinstance(slots, int) and 0 < slots < 2**63 else 1
        outcome = {"slots": count, "ok": 0, "failed": count, "skipped": 0}
        fields = {**outcome, "cause": "internal", "detail": said}
        return Point(point.measurement, {**place, **tags}, fields, point.boot_ns)


def to_text(rank: int, point: Point) -> str:
    """A pending point as JSON, for `from_text`."""
    return json.dumps([rank, point.measurement, dict(point.tags), dict(point.fields)])


def from_text(text: str, boot_ns: int) -> tuple[int, Point]:
    """The rank and point that `to_text` wrote."""
    rank, measurement, tags, fields = json.loads(text)
    return rank, Point(measurement, tags, fields, boot_ns)
