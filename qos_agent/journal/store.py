"""The journal: every point on disk before anything else sees it.

A point is encoded once, here, when it gets its number and its stamp; these bytes
are what is hashed, delivered and exported. What takes more than a sentence to say
has a module of its own beside this one.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

from qos_agent.journal import counters, delivery, reservations, retention, timestamps
from qos_agent.journal.encoding import Line, Stamp, from_text, to_text
from qos_agent.journal.eviction import Ranking
from qos_agent.journal.session import JournalOptions, Session
from qos_agent.journal.timestamps import Now
from qos_agent.journal.types import (
    Batch,
    JournalCounts,
    JournalEvent,
    JournalLimits,
    Lane,
    Reservation,
    Usage,
)
from qos_agent.model import ClockState, Identity, Phase, Point

# Settled points wait for the next commit of readings, but no more than these.
_SETTLED_MAX = 4_000
_LINES_AT_ONCE = 500


class Journal:
    """Stores, gives out for delivery, forgets in order. For all threads."""

    def __init__(self, plan: JournalOptions) -> None:
        self._session = Session(plan)
        self._limits = plan.limits
        self._zone = ZoneInfo(plan.identity.time_zone)
        self._ranking = Ranking()
        self._fresh: deque[tuple[int, int]] = deque()
        self._settled = 0
        self._spent: Counter[reservations.Key] = Counter()
        self._tidier = retention.Tidier(self._session)
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
    ) -> Self:
        """Open `folder`'s journal; moves a damaged one aside, falls back to memory.

        The first of `collectors` is the one whose acknowledgement counts, the rest
        stand in for it. `killed` holds the tasks a killed agent left unsettled.
        Raises OperatorError where another agent uses the journal.
        """
        return cls(
            JournalOptions(folder, identity, tuple(collectors), phase_at, limits)
        )

    @property
    def id(self) -> str:
        """The random name that every point of this journal carries."""
        return self._session.file.stamper.journal

    @property
    def in_memory(self) -> bool:
        """True where nothing could be written: all is lost at a stop."""
        return self._session.file.path is None

    @property
    def events(self) -> tuple[JournalEvent, ...]:
        """What happened to the journal and was not taken yet."""
        return self._session.events()

    def take_events(self) -> tuple[JournalEvent, ...]:
        """What happened to the journal, to be made readings of; once each."""
        return self._session.take_events()

    def put(self, points: Sequence[Point], clock: ClockState, boot_id: str) -> range:
        """Number, stamp and store points in one transaction; their numbers.

        What waited for a clock is stamped with them where that can be done now.
        Raises StorageError: nothing is stored then, and nothing numbered.
        """
        newest_boot_ns = max((p.boot_ns for p in points), default=0)
        now = self._now(clock, boot_id, newest_boot_ns)
        with self._session.lock:
            self._tidier.make_room(now)
            seqs = self._session.write(
                "store in", lambda db: self._put(db, points, now)
            )
            self._nothing_waits()
            self._note_fresh(newest_boot_ns, seqs)
        return seqs

    def stamp_pending(self, clock: ClockState, boot_id: str, now_boot_ns: int) -> int:
        """Stamp what waited for a clock, as far as can be done now; how many."""
        now = self._now(clock, boot_id, now_boot_ns)
        return self._session.write("stamp in", lambda db: self._stamp_due(db, now))

    def claim(self, collector: str, limit: int, lane: Lane) -> Batch:
        """Up to `limit` points owed to `collector`, oldest of the lane first.

        Nobody else is given them until they are settled or released, or the
        process ends. Bytes that do not have their hash go to quarantine instead.
        """
        with self._session.lock:
            rows = self._session.read(
                "claim from", lambda db: self._claim(db, collector, limit, lane)
            )
            if bad := delivery.altered(rows):
                self._set_aside_altered(bad)
            good = [(s, line) for s, line, _ in rows if line and s not in bad]
            seqs, lines = tuple(s for s, _ in good), tuple(line for _, line in good)
            return Batch(self.id, collector, seqs, lines)

    def settle(self, batch: Batch) -> None:
        """Delivered. On disk with the next commit; a crash before it sends again.

        The first collector's word settles what stand-ins are owed as well.
        """
        with self._session.lock:
            numbers = self._numbers(batch)
            self._session.read(
                "settle in", lambda db: delivery.settle(db, numbers, batch)
            )
            self._settled += len(batch)
            if self._settled > _SETTLED_MAX:
                self.flush()

    def release(self, batch: Batch) -> None:
        """Not delivered: to be claimed again."""
        with self._session.lock:
            numbers = self._numbers(batch)[:1]
            self._session.read(
                "release in", lambda db: delivery.release(db, numbers, batch)
            )

    def quarantine(self, batch: Batch, words: str) -> None:
        """Refused for good by the collector, with its words."""
        with self._session.lock:
            numbers = self._numbers(batch)[:1]
            self._quarantine(numbers, batch.seqs, words)
            self._tell("quarantine", words, batch.seqs)

    def requeue(self, first: int | None = None, last: int | None = None) -> int:
        """Owe again what was refused, or with a span every point of it; how many."""
        number = next(iter(self._session.file.collectors.values()))

        def action(db: sqlite3.Connection) -> int:
            self._write_waiting(db)
            if first is None:
                return delivery.requeue_refused(db)
            return delivery.requeue_span(db, number, first, last or first)

        with self._session.lock:
            count = self._session.write("requeue in", action)
            self._nothing_waits()
        return count

    def flush(self) -> None:
        """Commit what was settled and spent."""
        with self._session.lock:
            self._session.write("settle in", self._write_waiting)
            self._nothing_waits()

    def reserve(
        self, link: str, probe: str, size_bytes: int, boot_id: str, due_boot_ns: int
    ) -> int:
        """Commit a reservation before its task spends a byte; its id."""
        wanted = Reservation(0, link, probe, size_bytes, boot_id, due_boot_ns)

        def action(db: sqlite3.Connection) -> int:
            day = self._day(db, boot_id, due_boot_ns)
            return reservations.reserve(db, wanted, day)

        return self._session.write("reserve in", action)

    def spend(
        self, link: str, probe: str, size_bytes: int, boot_id: str, boot_ns: int
    ) -> None:
        """Count bytes that had no reservation; on disk with the next commit."""
        with self._session.lock:
            day = self._session.read("read", lambda db: self._day(db, boot_id, boot_ns))
            self._spent[link, probe, day] += size_bytes

    def spent_today(self, link: str, probe: str, boot_id: str, boot_ns: int) -> int:
        """Bytes a probe spent or reserved on a link in the day of that moment."""
        with self._session.lock:
            day = self._session.read("read", lambda db: self._day(db, boot_id, boot_ns))
            return sum(
                use.spent_bytes
                for use in self.usage(link, day)
                if (use.day, use.probe) == (day, probe)
            )

    def day(self, boot_id: str, boot_ns: int) -> str:
        """The day, YYYY-MM-DD, that bytes spent at that moment are counted on."""
        return self._session.read("read", lambda db: self._day(db, boot_id, boot_ns))

    def settle_reservation(self, reservation_id: int, spent_bytes: int) -> None:
        """Enter what the task moved in place of what it had reserved."""
        self._session.write(
            "settle in", lambda db: reservations.settle(db, reservation_id, spent_bytes)
        )

    def usage(self, link: str, since_day: str) -> tuple[Usage, ...]:
        """Bytes spent or reserved on a link by day and probe, from YYYY-MM-DD on."""
        with self._session.lock:
            on_disk = self._session.read(
                "read", lambda db: reservations.usage(db, link, since_day)
            )
            return reservations.with_unwritten(on_disk, self._spent, link, since_day)

    def state(self, key: str) -> str | None:
        """A value kept under a name; None where there is none."""
        return self._session.read("read", lambda db: timestamps.state(db, key))

    def set_state(self, key: str, value: str) -> None:
        """Keep a value under a name, on disk at the return."""
        self._session.write("keep in", lambda db: timestamps.set_state(db, key, value))

    def counts(self) -> JournalCounts:
        """How much there is of everything."""
        primary = next(iter(self._session.file.collectors.values()))
        return self._session.read("read", lambda db: counters.counts(db, primary))

    def last_time_ns(self) -> int | None:
        """The newest time stamp on record; None in an empty journal."""
        return self._session.read("read", timestamps.last_time_ns)

    def lines(self, after_seq: int = 0) -> Iterator[tuple[int, bytes]]:
        """Number and canonical line of each point after `after_seq`, in order.

        Points recovered from earlier journals have numbers below 1.
        """
        while rows := self._lines_after(after_seq):
            yield from rows
            after_seq = rows[-1][0]

    def close(self) -> None:
        """Commit what was settled and close the file."""
        with self._session.lock:
            try:
                self.flush()
            finally:
                self._session.close()

    def _lines_after(self, seq: int) -> list[tuple[int, bytes]]:
        return self._session.read("read", lambda db: _lines(db, seq))

    def _now(self, clock: ClockState, boot_id: str, boot_ns: int) -> Now:
        return Now(clock, boot_id, boot_ns, int(self._limits.hold_s * 1e9))

    def _nothing_waits(self) -> None:
        """After a commit."""
        self._spent.clear()
        self._settled = 0

    def _write_waiting(self, db: sqlite3.Connection) -> None:
        delivery.write_settled(db)
        for key, size_bytes in self._spent.items():
            reservations.spend(db, key, size_bytes)

    def _put(self, db: sqlite3.Connection, points: Sequence[Point], now: Now) -> range:
        self._write_waiting(db)
        timestamps.remember(db, now.clock, now.boot_id)
        self._stamp_due(db, now)
        first = timestamps.next_seq(db)
        for seq, given in enumerate(points, first):
            point = self._session.file.stamper.sound(given)
            rank = self._ranking.rank(point)
            if now.clock.trusted:
                wall_ns = point.boot_ns + now.clock.offset_ns
                stamp = Stamp(wall_ns, now.clock.synced, now.clock.error_ms)
                self._store(db, (seq, rank, point), stamp)
            else:
                content = to_text(rank, point)
                row = (seq, now.boot_id, point.boot_ns, content)
                db.execute("INSERT INTO pending VALUES (?, ?, ?, ?)", row)
        return range(first, first + len(points))

    def _stamp_due(self, db: sqlite3.Connection, now: Now) -> int:
        count = 0
        for waiting, stamp in timestamps.due(db, now):
            rank, point = from_text(waiting.content, waiting.boot_ns)
            db.execute("DELETE FROM pending WHERE seq = ?", (waiting.seq,))
            self._store(db, (waiting.seq, rank, point), stamp)
            count += 1
        return count

    def _store(
        self, db: sqlite3.Connection, numbered: tuple[int, int, Point], stamp: Stamp
    ) -> None:
        file = self._session.file
        line = file.stamper.line(numbered, stamp, lambda *key: _taken(db, *key))
        _insert(db, line)
        delivery.owe(db, file.collectors.values(), line.seq)

    def _note_fresh(self, boot_ns: int, seqs: range) -> None:
        """Fresh is what was put within `fresh_s` of the newest reading."""
        span_ns = int(self._limits.fresh_s * 1e9)
        if self._fresh and self._fresh[-1][1] > seqs.start:
            self._fresh.clear()  # another file, which numbers from 1
        if seqs:
            self._fresh.append((boot_ns, seqs.start))
        while self._fresh and abs(boot_ns - self._fresh[0][0]) > span_ns:
            self._fresh.popleft()

    def _claim(
        self, db: sqlite3.Connection, collector: str, limit: int, lane: Lane
    ) -> list[delivery.ClaimedRow]:
        fresh_from = self._fresh[0][1] if self._fresh else timestamps.next_seq(db)
        number = self._session.file.collectors[collector]
        return delivery.claim(db, number, limit, lane, fresh_from)

    def _numbers(self, batch: Batch) -> list[int]:
        """The batch's collector and its stand-ins; none for a file since replaced."""
        if batch.journal != self.id:
            return []
        known = self._session.file.collectors
        names = list(known)
        return [known[name] for name in names[names.index(batch.collector) :]]

    def _quarantine(
        self, numbers: Sequence[int], seqs: Sequence[int], words: str
    ) -> None:
        self._session.write(
            "set aside in", lambda db: delivery.quarantine(db, numbers, seqs, words)
        )

    def _set_aside_altered(self, seqs: Sequence[int]) -> None:
        words = "the stored bytes do not have the hash they were stored with"
        self._quarantine(list(self._session.file.collectors.values()), seqs, words)
        self._tell("damage", words, seqs)

    def _tell(self, kind: str, words: str, seqs: Sequence[int]) -> None:
        event = JournalEvent(kind, words, len(seqs), min(seqs), max(seqs))
        self._session.tell(event)

    def _day(self, db: sqlite3.Connection, boot_id: str, boot_ns: int) -> str:
        """The day of a moment in the station's time zone, as far as it is known."""
        offset_ns = timestamps.offset(db, "trusted_offset", boot_id)
        if offset_ns is None:
            time_ns = timestamps.last_time_ns(db) or 0
        else:
            time_ns = boot_ns + offset_ns
        moment = datetime.fromtimestamp(time_ns / 1e9, UTC)
        return moment.astimezone(self._zone).date().isoformat()


def _insert(db: sqlite3.Connection, line: Line) -> None:
    db.execute(
        "INSERT INTO point (seq, time_ns, rank, leaf, line) VALUES (?, ?, ?, ?, ?)",
        (line.seq, line.time_ns, line.rank, line.leaf, line.line),
    )


def _taken(db: sqlite3.Connection, time_ns: int, series: bytes) -> bool:
    """Whether a point of this series has this time; an evicted one may have."""
    found = db.execute(
        "SELECT 1 FROM point WHERE time_ns = ?"
        " AND (line IS NULL OR substr(line, 1, ?) = ?) LIMIT 1",
        (time_ns, len(series), series),
    )
    return found.fetchone() is not None


def _lines(db: sqlite3.Connection, after_seq: int) -> list[tuple[int, bytes]]:
    return db.execute(
        "SELECT seq, line FROM point WHERE seq > ? AND line IS NOT NULL"
        " ORDER BY seq LIMIT ?",
        (after_seq, _LINES_AT_ONCE),
    ).fetchall()
