"""The open file behind a journal, and its replacement by another while running.

A card may fail at noon: when SQLite finds the file damaged, or the disk refuses to
write, the journal is opened anew as at the start, which moves a damaged file aside
or goes on in memory, and the action is tried once more.
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
from qos_agent.journal.database import DamagedError, Database
from qos_agent.journal.delivery import collector_id, forget_other_collectors
from qos_agent.journal.encoding import Stamper
from qos_agent.journal.types import JournalEvent, JournalLimits
from qos_agent.model import Identity, Phase
from qos_agent.model.errors import StorageError

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class JournalOptions:
    """What a journal is opened with."""

    folder: Path
    identity: Identity
    collectors: tuple[str, ...]
    phase_at: Callable[[int], Phase]
    limits: JournalLimits


@dataclass(frozen=True, slots=True)
class _File:
    """One open file."""

    database: Database
    stamper: Stamper
    path: Path | None
    collectors: Mapping[str, int]


class Session:
    """Runs what the journal does on its file, one thread at a time."""

    def __init__(self, plan: JournalOptions) -> None:
        self.plan = plan
        self.lock = threading.RLock()
        self._events: list[JournalEvent] = []
        self._lock_handle = opening.lock(plan.folder)
        self.file = self._open(writable=self._lock_handle is not None)

    def write(self, operation: str, action: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run `action` in a transaction. Raises StorageError: nothing was done."""
        return self._twice(operation, lambda: self._in_transaction(operation, action))

    def read(self, operation: str, action: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run `action`, which writes nothing to disk. Raises StorageError."""
        return self._twice(operation, lambda: self._outside(operation, action))

    def tell(self, event: JournalEvent) -> None:
        """Keep an event until it is taken."""
        with self.lock:
            self._events.append(event)

    def events(self) -> tuple[JournalEvent, ...]:
        """What was told and not taken."""
        with self.lock:
            return tuple(self._events)

    def take_events(self) -> tuple[JournalEvent, ...]:
        """What was told, once."""
        with self.lock:
            taken, self._events = tuple(self._events), []
            return taken

    def close(self) -> None:
        """Close the file and let another agent have it."""
        with self.lock:
            self.file.database.close()
            if self._lock_handle is not None:
                os.close(self._lock_handle)
                self._lock_handle = None

    def _twice(self, operation: str, attempt: Callable[[], _T]) -> _T:
        with self.lock:
            try:
                return attempt()
            except DamagedError as error:
                _log.error("the journal is opened anew: %s", error)
                self._open_anew()
            try:
                return attempt()
            except DamagedError as error:
                where = str(self.plan.folder)
                raise StorageError(operation, where, str(error)) from error

    def _in_transaction(
        self, operation: str, action: Callable[[sqlite3.Connection], _T]
    ) -> _T:
        with self.file.database.transaction(operation) as connection:
            return action(connection)

    def _outside(
        self, operation: str, action: Callable[[sqlite3.Connection], _T]
    ) -> _T:
        with self.file.database.reading(operation) as connection:
            return action(connection)

    def _open_anew(self) -> None:
        self.file.database.close()
        writable = opening.folder_works(self.plan.folder)
        self.file = self._open(writable=writable)

    def _open(self, *, writable: bool) -> _File:
        plan = self.plan
        opened = opening.open_journal(plan.folder, plan.collectors, writable=writable)
        self._events += opened.events
        where = str(opened.path or plan.folder)
        database = Database(opened.connection, where)
        stamper = Stamper(plan.identity, opened.id, plan.phase_at)
        try:
            with database.transaction("open") as connection:
                numbers = {n: collector_id(connection, n) for n in plan.collectors}
                forget_other_collectors(connection, numbers.values())
        except DamagedError as error:
            raise StorageError("open", where, str(error)) from error
        return _File(database, stamper, opened.path, numbers)
