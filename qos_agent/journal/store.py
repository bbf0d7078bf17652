"""The journal, which stores every point on disk before anything else uses it.

A point is encoded once, when it gets its number and its timestamp. These bytes are
hashed, delivered and exported. The other modules of this package each do one part.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

from qos_agent.journal import (
    counters,
    delivery,
    reservations,
    retention,
    rows,
    timestamps,
    tree,
)
from qos_agent.journal.encoding import NumberedPoint, Timestamp
from qos_agent.journal.event_log import is_about_rejection
from qos_agent.journal.eviction import Ranking
from qos_agent.journal.session import JournalOptions, Session
from qos_agent.journal.timestamps import Now
from qos_agent.journal.tree import Tree
from qos_agent.journal.types import (
    Anchor,
    Batch,
    JournalCounts,
    JournalEvent,
    JournalLimits,
    Lane,
    Reservation,
    Usage,
)
from qos_agent.model import ClockState, Identity, Phase, Point

# Settled points wait for the next commit of readings, up to this number.
_SETTLED_MAX = 4_000
_LINES_PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class _Put:
    """Time and first number of points that were stored together."""

    boot_ns: int
    first_seq: int


class Journal:
    """Stores points, hands them out for delivery and removes them. Thread-safe."""

    def __init__(self, options: JournalOptions) -> None:
        self._session = Session(options)
        self._limits = options.limits
        self._zone = ZoneInfo(options.identity.time_zone)
        self._ranking = Ranking(options.eviction_ranks)
        self._fresh: deque[_Put] = deque()
        self._settled = 0
        self._newest_boot_ns = 0
        self._spent: Counter[reservations.Key] = Counter()
        self._retention = retention.RetentionEnforcer(self._session)
        self.killed = self._session.write(
            "settle killed tasks in", reservations.settle_killed
        )

    @classmethod
    def open(
        cls,
        folder: Path,
        identity: Identity,
        collectors: Sequence[str],
        phase_at: Callable[[int], Phase],
        limits: JournalLimits,
        eviction_ranks: Mapping[str, int] | None = None,
        anchor: Anchor | None = None,
    ) -> Self:
        """Open the journal of `folder`, or one in memory if it cannot be written.

        A damaged journal is moved aside. The acknowledgement of the first of
        `collectors` counts; the others are its fallbacks. `killed` contains the
        reservations that a killed agent did not settle. `eviction_ranks` are those of
        the probes, by measurement. A journal that does not continue `anchor`, its last
        seal, counts as damaged. Raises OperatorError if another agent uses it.
        """
        options = JournalOptions(
            folder=folder,
            identity=identity,
            collectors=tuple(collectors),
            phase_at=phase_at,
            limits=limits,
            eviction_ranks=eviction_ranks or {},
            anchor=anchor,
        )
        return cls(options)

    @property
    def id(self) -> str:
        """The random name that is a field of every point of this journal."""
        return self._session.file.encoder.journal

    @property
    def in_memory(self) -> bool:
        """True if nothing can be written to disk and a stop would lose all points."""
        return self._session.file.path is None

    def take_events(self) -> tuple[JournalEvent, ...]:
        """Return the new events; the agent records them as readings.

        Rejected points of one cause are one event an hour.
        """
        return self._session.take_events(self._newest_boot_ns)

    def put(self, points: Sequence[Point], clock: ClockState, boot_id: str) -> range:
        """Number, stamp and store points in one transaction; return their numbers.

        Pending points that can be stamped now are stored in the same transaction.
        Raises StorageError. In that case no point was stored or numbered.
        """
        newest_boot_ns = max((p.boot_ns for p in points), default=0)
        now = self._now(clock, boot_id, newest_boot_ns)
        with self._session.lock:
            self._retention.enforce(now)
            seqs = self._session.write(
                "store points in", lambda db: self._put(db, points, now)
            )
            self._clear_uncommitted()
            self._extend_fresh(newest_boot_ns, seqs)
            self._newest_boot_ns = max(self._newest_boot_ns, newest_boot_ns)
        return seqs

    def stamp_pending(self, clock: ClockState, boot_id: str, now_boot_ns: int) -> int:
        """Stamp the waiting points whose time is known now; return their number."""
        now = self._now(clock, boot_id, now_boot_ns)
        return self._session.write(
            "stamp points in", lambda db: self._stamp_pending(db, now)
        )

    def claim(self, collector: str, limit: int, lane: Lane) -> Batch:
        """Claim up to `limit` points for `collector`, the oldest of the lane first.

        No other claim returns them until they are settled or released, or until the
        process ends. Points that do not match their hash are quarantined instead.
        """
        with self._session.lock:
            points = self._session.read(
                "claim points in", lambda db: self._claim(db, collector, limit, lane)
            )
            if altered := [point.seq for point in points if not point.is_intact()]:
                self._quarantine_altered(altered)
            intact = {
                point.seq: point.line
                for point in points
                if point.line is not None and point.seq not in altered
            }
            return Batch(self.id, collector, tuple(intact), tuple(intact.values()))

    def settle(self, batch: Batch) -> None:
        """Mark points as delivered; the next commit writes that to disk.

        After a crash before that commit they are sent again. If the first collector
        acknowledges, the fallbacks need not receive the points any more.
        """
        with self._session.lock:
            numbers = self._numbers(batch)
            self._session.read(
                "settle points in", lambda db: delivery.settle(db, numbers, batch)
            )
            self._settled += len(batch)
            if self._settled > _SETTLED_MAX:
                self.flush()

    def release(self, batch: Batch) -> None:
        """Return points that were not delivered to the queue."""
        with self._session.lock:
            numbers = self._numbers(batch)[:1]
            self._session.read(
                "release points in", lambda db: delivery.release(db, numbers, batch)
            )

    def quarantine(self, batch: Batch, message: str) -> None:
        """Keep points that the collector rejected, with its message; do not resend.

        A rejected event about rejected points makes no event.
        """
        with self._session.lock:
            numbers = self._numbers(batch)[:1]
            self._quarantine(numbers, batch.seqs, message)
            points = zip(batch.seqs, batch.lines, strict=True)
            if seqs := [seq for seq, line in points if not is_about_rejection(line)]:
                self._add_event("quarantine", message, seqs)

    def flush(self) -> None:
        """Commit settled points and counted bytes."""
        with self._session.lock:
            self._session.write("settle points in", self._write_uncommitted)
            self._clear_uncommitted()

    def reserve(
        self, link: str, probe: str, size_bytes: int, boot_id: str, due_boot_ns: int
    ) -> int:
        """Commit a reservation before its task uses a byte; return its id."""
        reservation = Reservation(0, link, probe, size_bytes, boot_id, due_boot_ns)

        def action(db: sqlite3.Connection) -> int:
            day = self._day(db, boot_id, due_boot_ns)
            return reservations.reserve(db, reservation, day)

        return self._session.write("reserve bytes in", action)

    def spend(
        self, link: str, probe: str, size_bytes: int, boot_id: str, boot_ns: int
    ) -> None:
        """Count bytes without a reservation; the next commit writes them to disk."""
        with self._session.lock:
            day = self._session.read("read", lambda db: self._day(db, boot_id, boot_ns))
            self._spent[link, probe, day] += size_bytes

    def spent_today(self, link: str, probe: str, boot_id: str, boot_ns: int) -> int:
        """Return the bytes a probe used or reserved on a link on that day."""
        with self._session.lock:
            day = self._session.read("read", lambda db: self._day(db, boot_id, boot_ns))
            return sum(
                use.spent_bytes
                for use in self.usage(link, day)
                if (use.day, use.probe) == (day, probe)
            )

    def day(self, boot_id: str, boot_ns: int) -> str:
        """Return the day, YYYY-MM-DD, to which bytes used at that moment belong."""
        return self._session.read("read", lambda db: self._day(db, boot_id, boot_ns))

    def settle_reservation(self, reservation_id: int, spent_bytes: int) -> None:
        """Replace the reserved bytes by the bytes that the task transferred."""
        self._session.write(
            "settle a reservation in",
            lambda db: reservations.settle(db, reservation_id, spent_bytes),
        )

    def usage(self, link: str, since_day: str) -> tuple[Usage, ...]:
        """Return bytes used or reserved by day and probe, from day YYYY-MM-DD on."""
        with self._session.lock:
            committed = self._session.read(
                "read", lambda db: reservations.usage(db, link, since_day)
            )
            return reservations.with_uncommitted(
                committed, self._spent, link, since_day
            )

    def state(self, key: str) -> str | None:
        """Return a named value, or None."""
        return self._session.read("read", lambda db: timestamps.state(db, key))

    def set_state(self, key: str, value: str) -> None:
        """Store a named value; it is on disk when this returns."""
        self._session.write(
            "set a value in", lambda db: timestamps.set_state(db, key, value)
        )

    def counts(self) -> JournalCounts:
        """Return the numbers of points by state."""
        primary = next(iter(self._session.file.collectors.values()))
        return self._session.read("read", lambda db: counters.counts(db, primary))

    def tree(self) -> Tree:
        """Return the Merkle tree of all points that have a timestamp."""
        return self._session.read("read", tree.tree)

    def consistency(self, before: int, size: int) -> tuple[bytes, list[bytes]]:
        """Return the root of the first `before` points, and the proof to `size`."""
        return self._session.read("read", lambda db: tree.proof(db, before, size))

    def last_time_ns(self) -> int | None:
        """Return the newest timestamp, or None if the journal is empty."""
        return self._session.read("read", rows.last_time_ns)

    def lines(self, after_seq: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield number and canonical line of each point after `after_seq`, in order.

        Points that were recovered from earlier journals have numbers below 1.
        """
        while rows := self._lines_after(after_seq):
            yield from rows
            after_seq = rows[-1][0]

    def close(self) -> None:
        """Commit settled points and counted bytes, and close the file."""
        with self._session.lock:
            try:
                self.flush()
            finally:
                self._session.close()

    def _lines_after(self, seq: int) -> list[tuple[int, bytes]]:
        return self._session.read(
            "read", lambda db: rows.lines(db, seq, _LINES_PER_QUERY)
        )

    def _now(self, clock: ClockState, boot_id: str, boot_ns: int) -> Now:
        return Now(clock, boot_id, boot_ns, int(self._limits.hold_s * 1e9))

    def _clear_uncommitted(self) -> None:
        self._spent.clear()
        self._settled = 0

    def _write_uncommitted(self, db: sqlite3.Connection) -> None:
        delivery.dequeue_settled(db)
        for key, size_bytes in self._spent.items():
            reservations.spend(db, key, size_bytes)

    def _put(self, db: sqlite3.Connection, points: Sequence[Point], now: Now) -> range:
        self._write_uncommitted(db)
        timestamps.store_trusted_offset(db, now.clock, now.boot_id)
        self._stamp_pending(db, now)
        first = rows.next_seq(db)
        for seq, raw in enumerate(points, first):
            point = self._session.file.encoder.checked(raw)
            numbered = NumberedPoint(seq, self._ranking.rank(point), point)
            if now.clock.trusted:
                wall_ns = point.boot_ns + now.clock.offset_ns
                timestamp = Timestamp(wall_ns, now.clock.synced, now.clock.error_ms)
                self._store(db, numbered, timestamp)
            else:
                rows.insert_pending(db, numbered, now.boot_id)
        tree.add_tiles(db)
        return range(first, first + len(points))

    def _stamp_pending(self, db: sqlite3.Connection, now: Now) -> int:
        count, encoder = 0, self._session.file.encoder
        for pending, timestamp in timestamps.stampable(db, now):
            numbered = encoder.waiting(pending.seq, pending.content, pending.boot_ns)
            count += rows.delete_pending(db, pending.seq)
            self._store(db, numbered, timestamp)
        return count

    def _store(
        self, db: sqlite3.Connection, numbered: NumberedPoint, timestamp: Timestamp
    ) -> None:
        file = self._session.file
        line = file.encoder.line(
            numbered, timestamp, lambda *key: rows.is_taken(db, *key)
        )
        rows.insert(db, line)
        delivery.queue(db, file.collectors.values(), line.seq)

    def _extend_fresh(self, boot_ns: int, seqs: range) -> None:
        """Start the fresh lane at the first put within `fresh_s` of the newest one."""
        span_ns = int(self._limits.fresh_s * 1e9)
        if self._fresh and self._fresh[-1].first_seq > seqs.start:
            self._fresh.clear()  # A new file numbers from 1 again.
        if seqs:
            self._fresh.append(_Put(boot_ns, seqs.start))
        while self._fresh and abs(boot_ns - self._fresh[0].boot_ns) > span_ns:
            self._fresh.popleft()

    def _claim(
        self, db: sqlite3.Connection, collector: str, limit: int, lane: Lane
    ) -> list[delivery.ClaimedPoint]:
        fresh_from = self._fresh[0].first_seq if self._fresh else rows.next_seq(db)
        number = self._session.file.collectors[collector]
        return delivery.claim(db, number, limit, lane, fresh_from)

    def _numbers(self, batch: Batch) -> list[int]:
        """Return the numbers of the batch's collector and of its fallbacks.

        The list is empty if the batch is from a file that was replaced since.
        """
        if batch.journal != self.id:
            return []
        numbers = self._session.file.collectors
        names = list(numbers)
        return [numbers[name] for name in names[names.index(batch.collector) :]]

    def _quarantine(
        self, numbers: Sequence[int], seqs: Sequence[int], message: str
    ) -> None:
        self._session.write(
            "quarantine points in",
            lambda db: delivery.quarantine(db, numbers, seqs, message),
        )

    def _quarantine_altered(self, seqs: Sequence[int]) -> None:
        message = "the stored bytes do not match the stored hash"
        self._quarantine(list(self._session.file.collectors.values()), seqs, message)
        self._add_event("damage", message, seqs)

    def _add_event(self, kind: str, detail: str, seqs: Sequence[int]) -> None:
        event = JournalEvent(kind, detail, len(seqs), min(seqs), max(seqs))
        self._session.add_event(event)

    def _day(self, db: sqlite3.Connection, boot_id: str, boot_ns: int) -> str:
        """Return the day of a moment in the station's time zone."""
        return timestamps.day(db, boot_id, boot_ns, self._zone)
