"""The open file of a journal, its transactions, and its replacement while running.

A memory card may fail at any time. If SQLite reports a damaged file or the disk
rejects writes, the journal is reopened as at the start of the agent. That moves a
damaged file aside or continues in memory. Then the operation is tried once more.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from qos_agent.journal import opening
from qos_agent.journal.delivery import collector_id, remove_other_collectors
from qos_agent.journal.encoding import PointEncoder
from qos_agent.journal.errors import needs_reopening, storage_error
from qos_agent.journal.event_log import EventLog
from qos_agent.journal.tables import transaction
from qos_agent.journal.types import Anchor, JournalEvent, JournalLimits
from qos_agent.model import Identity, Phase

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class JournalOptions:
    """The arguments of `Journal.open`."""

    folder: Path
    identity: Identity
    collectors: tuple[str, ...]
    phase_at: Callable[[int], Phase]
    limits: JournalLimits
    eviction_ranks: Mapping[str, int]
    anchor: Anchor | None = None


@dataclass(frozen=True, slots=True)
class JournalFile:
    """An open journal; `path` is None if it is in memory."""

    connection: sqlite3.Connection
    encoder: PointEncoder
    path: Path | None
    collectors: Mapping[str, int]


class Session:
    """Runs operations on the journal's file, one thread at a time."""

    def __init__(self, options: JournalOptions) -> None:
        self.options = options
        self.lock = threading.RLock()
        self._events = EventLog()
        self._lock_handle = opening.lock(options.folder)
        try:
            self.file = self._open(writable=self._lock_handle is not None)
        except BaseException:
            self._release()
            raise

    def write(self, operation: str, action: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run `action` in a transaction. Raises StorageError if nothing was done."""

        def in_transaction(db: sqlite3.Connection) -> _T:
            with transaction(db):
                return action(db)

        return self.read(operation, in_transaction)

    def read(self, operation: str, action: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run `action`, which writes nothing to disk. Raises StorageError."""
        with self.lock:
            try:
                return action(self.file.connection)
            except sqlite3.Error as error:
                failure = storage_error(operation, self._place(), error)
                if not needs_reopening(error):
                    raise failure from error
                _log.error("journal: reopening the file: %s", failure)
                self._reopen()
            try:
                return action(self.file.connection)
            except sqlite3.Error as error:
                raise storage_error(operation, self._place(), error) from error

    def add_event(self, event: JournalEvent) -> None:
        """Keep an event until it is taken."""
        with self.lock:
            self._events.add([event])

    def take_events(self, now_boot_ns: int) -> tuple[JournalEvent, ...]:
        """Return the events that are due and were not taken before."""
        with self.lock:
            return self._events.take(now_boot_ns)

    def close(self) -> None:
        """Close the file and release its lock for another agent."""
        with self.lock:
            self.file.connection.close()
            self._release()

    def _release(self) -> None:
        if self._lock_handle is not None:
            os.close(self._lock_handle)
            self._lock_handle = None

    def _place(self) -> str:
        return str(self.file.path or self.options.folder)

    def _reopen(self) -> None:
        self.file.connection.close()
        writable = opening.is_folder_writable(self.options.folder)
        self.file = self._open(writable=writable)

    def _open(self, *, writable: bool) -> JournalFile:
        options = self.options
        opened = opening.open_journal(
            options.folder,
            options.collectors,
            writable=writable,
            anchor=options.anchor,
        )
        self._events.add(opened.events)
        encoder = PointEncoder(options.identity, opened.id, options.phase_at)
        try:
            with transaction(opened.connection) as db:
                numbers = {name: collector_id(db, name) for name in options.collectors}
                remove_other_collectors(db, numbers.values())
        except sqlite3.Error as error:
            opened.connection.close()
            place = str(opened.path or options.folder)
            raise storage_error("open", place, error) from error
        return JournalFile(opened.connection, encoder, opened.path, numbers)
