"""Compares the points of some stations with their seals, as they are in the collectors.

The witness needs no points for its cosignatures, so it does not see one that someone
else wrote under the name of a station. The audit reads the points between two seals of
a station and builds their tree. What the device has not sealed is foreign.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qos_agent.archive.columns import READINGS
from qos_agent.evidence import checkpoints
from qos_agent.evidence.merkle import CompactRange, leaf_hash, proven_range
from qos_agent.influx.query import Server, between, word
from qos_agent.model.line_protocol import encode, from_row
from qos_agent.noc.witness.records import JournalState, StoredSeal
from qos_agent.noc.witness.seals import Arrival, Seal, read_point

FOREIGN = "seal_foreign_points"
# A point is stored within the minute after its measurement, before its seal.
_MARGIN_NS = 300 * 10**9
# A station has about 100 points between two seals.
_ROWS_MAX = 5000
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Found:
    """The identity of a point in a collector, and the hash of its line."""

    measurement: str
    origin: str
    seq: int
    leaf: bytes

    def __str__(self) -> str:
        """Return a short text."""
        return f"{self.measurement} {self.seq} of {self.origin}"


def foreign_points(
    server: Server,
    journal: JournalState,
    pair: tuple[StoredSeal, StoredSeal],
    known: Sequence[str],
) -> str:
    """Return what the device has not sealed between two seals, or nothing.

    `known` are the origins of the station. While a point has not arrived yet, only
    those of unknown journals are found. Raises QueryError.
    """
    before, after = pair
    span = (before.at_ns, after.at_ns)
    found = list(_points(server, journal.station, span))
    others = [point for point in found if point.origin not in known]
    if others:
        return _text("of a journal that no registered key has sealed", others)
    own: dict[int, set[bytes]] = {}
    for point in found:
        if point.origin == journal.origin:
            own.setdefault(point.seq, set()).add(point.leaf)
    wanted = range(before.checkpoint.size + 1, after.checkpoint.size + 1)
    doubled = [p for p in found if len(own.get(p.seq, ())) > 1 and p.seq in wanted]
    if doubled:
        return _text("with the number of another one", doubled)
    start = _range_of(server, journal, pair)
    if start is None or any(seq not in own for seq in wanted):
        return ""
    leaves = [min(own[seq]) for seq in wanted]
    if start.extended(leaves).root() == after.checkpoint.root:
        return ""
    return f"points {wanted.start} to {wanted.stop - 1}: not those that were sealed"


def _text(problem: str, points: Sequence[Found]) -> str:
    shown = ", ".join(sorted({str(point) for point in points})[:_SHOWN])
    return f"{len(points)} points {problem}: {shown}"


def _points(server: Server, station: str, span: tuple[int, int]) -> Iterator[Found]:
    """Yield the points of a station around a span."""
    for name in READINGS:
        period = between(span[0] - _MARGIN_NS, span[1])
        query = (
            f'SELECT * FROM "{name}" WHERE "station" = {word(station)} AND {period}'
            f" LIMIT {_ROWS_MAX}"
        )
        for row in server.select(query):
            point = _found(name, row.values)
            if point is not None:
                yield point


def _found(name: str, values: Mapping[str, Any]) -> Found | None:
    """Return the identity of a row, or None for one that is no reading.

    Such a row is in no archive either.
    """
    try:
        record = from_row(name, values)
        line = encode(record)
        device, journal = str(record.fields["device"]), str(record.fields["journal"])
        origin = checkpoints.origin(device, journal)
        return Found(name, origin, int(record.fields["seq"]), leaf_hash(line))
    except (ValueError, TypeError, KeyError):
        return None


def _range_of(
    server: Server, journal: JournalState, pair: tuple[StoredSeal, StoredSeal]
) -> CompactRange | None:
    """Return the tree at the first seal, which the proof of the second one contains."""
    before, after = pair
    query = (
        'SELECT "note", "previous", "proof", "cause" FROM "seal" WHERE "station" ='
        f" {word(journal.station)} AND {between(after.at_ns, after.at_ns + 1)}"
    )
    for row in server.select(query):
        arrival = Arrival(journal.station, journal.regency, after.at_ns)
        seal = read_point(arrival, row.values)
        if isinstance(seal, Seal) and seal.previous == before.checkpoint.size:
            sizes = before.checkpoint.size, after.checkpoint.size
            roots = before.checkpoint.root, after.checkpoint.root
            return proven_range(*sizes, seal.proof, *roots)
    return None
