"""Encodes points into canonical lines with number, provenance and phase. Pure.

A point that the schema rejects is a bug, but it must neither be lost nor block the
points after it. It is stored as a failed reading, or as an event of kind `refused`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from qos_agent.evidence.merkle import leaf_hash
from qos_agent.model import Identity, Phase, Point, Record, Value, json_text
from qos_agent.model.line_protocol import encode, one_line, tag_value
from qos_agent.model.schema import MEASUREMENTS, SCHEMA_VERSION

_log = logging.getLogger(__name__)

_COLLISION_STEP_NS = 1000
# Far above every rank.
_RANK_MAX = 1000


@dataclass(frozen=True, slots=True)
class Timestamp:
    """The wall time of a measurement and the quality of the clock."""

    wall_ns: int
    synced: bool
    error_ms: float | None
    held: bool = False


@dataclass(frozen=True, slots=True)
class NumberedPoint:
    """A point with its number in the journal and its eviction rank."""

    seq: int
    rank: int
    point: Point


@dataclass(frozen=True, slots=True)
class Line:
    """A point in its stored form."""

    seq: int
    time_ns: int
    rank: int
    line: bytes

    @property
    def leaf(self) -> bytes:
        """The line's leaf hash in the Merkle tree."""
        return leaf_hash(self.line)

    @property
    def series(self) -> bytes:
        """Measurement and tags up to the first space; tags contain no space."""
        return self.line[: self.line.index(b" ") + 1]


@dataclass(frozen=True, slots=True)
class PointEncoder:
    """Encodes the points of one journal."""

    identity: Identity
    journal: str
    phase_at: Callable[[int], Phase]

    def record(self, point: Point, seq: int, timestamp: Timestamp) -> Record:
        """Return the point with time, phase and the fields that every point has."""
        fields: dict[str, Value] = {
            **point.fields,
            "seq": seq,
            "device": self.identity.device,
            "journal": self.journal,
            "schema": SCHEMA_VERSION,
            "clock_synced": int(timestamp.synced),
        }
        if timestamp.error_ms is not None:
            fields["clock_error_ms"] = timestamp.error_ms
        if timestamp.held:
            fields["clock_held"] = 1
        tags = {**point.tags, "phase": self.phase_at(timestamp.wall_ns).value}
        return Record(point.measurement, tags, fields, timestamp.wall_ns)

    def line(
        self,
        numbered: NumberedPoint,
        timestamp: Timestamp,
        is_taken: Callable[[int, bytes], bool],
    ) -> Line:
        """Encode a point, moved to the next time that is free in its series."""
        record = self.record(numbered.point, numbered.seq, timestamp)
        line = self._line(numbered, record)
        while is_taken(line.time_ns, line.series):
            record = replace(record, time_ns=record.time_ns + _COLLISION_STEP_NS)
            line = self._line(numbered, record)
        return line

    def _line(self, numbered: NumberedPoint, record: Record) -> Line:
        return Line(numbered.seq, record.time_ns, numbered.rank, encode(record))

    def checked(self, point: Point) -> Point:
        """Return the point, or its replacement if the schema rejects it."""
        trial = Timestamp(0, synced=True, error_ms=0.0, held=True)
        try:
            encode(self.record(point, 0, trial))
        except (ValueError, TypeError) as error:
            _log.exception("journal: the schema rejects a point (bug)")
            return self._replacement(point, one_line(str(error)))
        return point

    def waiting(self, seq: int, text: str, boot_ns: int) -> NumberedPoint:
        """Return a point that waited for a clock; a damaged one is a `refused` event.

        It must not block the points after it.
        """
        try:
            numbered = from_text(seq, text, boot_ns)
        except ValueError as error:
            return NumberedPoint(seq, 0, self._refused(str(error), boot_ns))
        return replace(numbered, point=self.checked(numbered.point))

    def _refused(self, detail: str, boot_ns: int) -> Point:
        fields: Mapping[str, Value] = {"count": 1, "detail": one_line(detail)}
        return Point("event", {**self._place(), "kind": "refused"}, fields, boot_ns)

    def _place(self) -> dict[str, str]:
        return {
            "station": tag_value(self.identity.station),
            "province": tag_value(self.identity.province),
            "regency": tag_value(self.identity.regency),
        }

    def _replacement(self, point: Point, message: str) -> Point:
        table = MEASUREMENTS.get(point.measurement)
        if table is None or "slots" not in {field.name for field in table.fields}:
            return self._refused(f"{point.measurement}: {message}", point.boot_ns)
        tags = {k: tag_value(v) for k, v in point.tags.items() if k in table.tags}
        slots = point.fields.get("slots")
        count = slots if isinstance(slots, int) and 0 < slots < 2**63 else 1
        outcome = {"slots": count, "ok": 0, "failed": count, "skipped": 0}
        fields: Mapping[str, Value] = {
            **outcome,
            "cause": "internal",
            "detail": message,
        }
        return Point(
            point.measurement, {**self._place(), **tags}, fields, point.boot_ns
        )


def to_text(rank: int, point: Point) -> str:
    """Return a point that waits for a clock as JSON, to be read by `from_text`."""
    return json.dumps([rank, point.measurement, dict(point.tags), dict(point.fields)])


def from_text(seq: int, text: str, boot_ns: int) -> NumberedPoint:
    """Read the text that `to_text` wrote. Raises ValueError if it is damaged."""
    match json_text.loads(text):
        case [int(rank), str(measurement), dict(tags), dict(fields)] if (
            abs(rank) <= _RANK_MAX
            and all(isinstance(value, str) for value in tags.values())
            and all(_is_value(value) for value in fields.values())
        ):
            return NumberedPoint(seq, rank, Point(measurement, tags, fields, boot_ns))
    raise ValueError("a point that waited for a clock is damaged")


def _is_value(value: object) -> bool:
    if isinstance(value, int):
        return abs(value) < 2**63
    return isinstance(value, str | float)
