"""Opens the journal in any state of its folder, so that the agent always starts.

A sound file is used. A damaged file, or one of a later version, is moved aside whole,
and its readable points are copied into a new file. If nothing can be written, the
journal is in memory. It is an error only if another agent uses the same journal.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from qos_agent.journal import recovery, tables, tree, wal
from qos_agent.journal.errors import (
    CANTOPEN,
    IOERR,
    cannot_write,
    code_of,
    is_damage,
    storage_error,
)
from qos_agent.journal.timestamps import set_state, state
from qos_agent.journal.tree import RewoundError
from qos_agent.journal.types import Anchor, JournalEvent
from qos_agent.model.errors import OperatorError

_log = logging.getLogger(__name__)

# The state with the reason for which the journal was created: no file was there
# (moved), or it replaces a damaged or rewound one, or no folder can be written. Its
# first seal changes the value to `sealed`.
CREATED = "created"
_LOCK_NAME = "journal.lock"
# A journal in memory competes with the agent for memory.
MEMORY_BYTES = 16_000_000


@dataclass(frozen=True, slots=True)
class OpenedJournal:
    """An open journal and its events; `path` is None if it is in memory."""

    connection: sqlite3.Connection
    id: str
    path: Path | None
    events: tuple[JournalEvent, ...]


def lock(folder: Path) -> int | None:
    """Return the lock's file descriptor, or None if the folder cannot be written.

    Raises OperatorError if another agent holds the lock.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / _LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o640)
    except OSError as error:
        _log.error("journal: cannot write %s: %s", folder, error.strerror)
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(handle, 20).decode(errors="replace") or "unknown"
        os.close(handle)
        raise OperatorError(
            f"{folder}: in use by the agent with process id {holder}. Fix: stop that"
            " agent (systemctl stop qos-agent) or set another journal.folder."
        ) from None
    _write_holder(handle)
    return handle


def _write_holder(handle: int) -> None:
    """Write the process id into the lock file; skip it if the disk is full or fails."""
    with suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)


def open_journal(
    folder: Path,
    collectors: Sequence[str],
    *,
    writable: bool,
    anchor: Anchor | None = None,
) -> OpenedJournal:
    """Open the journal of `folder`, or one in memory with the points readable there.

    A journal that does not continue `anchor` counts as damaged.
    """
    path = folder / tables.FILE_NAME
    if not writable:
        return _in_memory(path, collectors, cannot_write(folder))
    log_copy = _link_log(path)
    try:
        return _open_on_disk(path, collectors, anchor)
    finally:
        with suppress(OSError):
            log_copy.unlink(missing_ok=True)


def _open_on_disk(
    path: Path, collectors: Sequence[str], anchor: Anchor | None
) -> OpenedJournal:
    try:
        return _on_disk(path, anchor)
    except RewoundError as error:
        return _replaced(path, collectors, str(error), "rewound")
    except sqlite3.Error as error:
        file_fails = code_of(error) in (IOERR, CANTOPEN)
        if is_damage(error) or (file_fails and is_folder_writable(path.parent)):
            return _replaced(path, collectors, str(error), "recovered")
        fault = str(storage_error("open", str(path), error))
        return _in_memory(path, collectors, fault)
    except OSError as error:
        fault = f"cannot read {path}: {error.strerror}"
        return _in_memory(path, collectors, fault)


def _link_log(path: Path) -> Path:
    """Give the log a second name, because SQLite deletes a log it cannot read."""
    log_copy = _log_copy(path)
    # There may be no journal yet, or the file system may not support links.
    with suppress(OSError):
        log_copy.unlink(missing_ok=True)
        log_copy.hardlink_to(wal.log_path(path))
    return log_copy


def _log_copy(path: Path) -> Path:
    return path.with_name(path.name + "-wal-found")


def _on_disk(path: Path, anchor: Anchor | None = None) -> OpenedJournal:
    if path.exists() and path.stat().st_size == 0:
        raise sqlite3.DatabaseError("the file is empty")
    wal.check(path)
    connection = tables.connect(path)
    try:
        tables.check(connection)
        name = _identify(connection)
        if anchor is not None:
            tree.check_continues(connection, name, anchor)
        return OpenedJournal(connection, name, path, ())
    except BaseException:
        connection.close()
        raise


def _identify(connection: sqlite3.Connection) -> str:
    """Return the journal's random name, which is assigned when it is created."""
    name = state(connection, "journal")
    if name is None:
        name = secrets.token_hex(8)
        set_state(connection, CREATED, "moved")
        set_state(connection, "journal", name)
        # If the file had no first page, the next opening would lose its log.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return name


def is_folder_writable(folder: Path) -> bool:
    """Return True if a file of 256 KiB can be written and synced in the folder."""
    probe = folder / f".probe-{os.getpid()}"
    try:
        with probe.open("wb") as file:
            file.write(bytes(256 * 1024))
            file.flush()
            os.fsync(file.fileno())
        probe.unlink()
    except OSError:
        with suppress(OSError):
            probe.unlink()
        return False
    return True


def _replaced(
    path: Path, collectors: Sequence[str], fault: str, kind: str
) -> OpenedJournal:
    """Create a new journal with the readable points of the damaged one."""
    opened: OpenedJournal | None = None
    try:
        aside = _move_aside(path)
        opened = _on_disk(path)
        set_state(opened.connection, CREATED, kind)
        points = recovery.recover(aside / path.name, opened.connection, collectors)
    except (OSError, sqlite3.Error) as error:
        if opened is not None:
            opened.connection.close()
        return _in_memory(path, collectors, f"{fault}; replacing it failed: {error}")
    detail = f"{fault}; moved to {aside.name}; {points} points recovered"
    _log.error("journal: the file was damaged: %s", detail)
    event = JournalEvent("damage", detail, points)
    return OpenedJournal(opened.connection, opened.id, path, (event,))


def _move_aside(path: Path) -> Path:
    """Move file, log and index into a new folder; return the folder."""
    time_text = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    aside = path.parent / f"damaged-{time_text}-{secrets.token_hex(2)}"
    aside.mkdir()
    for part in (path, wal.log_path(path), path.with_name(path.name + "-shm")):
        if part.exists():
            part.rename(aside / part.name)
    # Use the copy as the log: SQLite has not changed it.
    if (log_copy := _log_copy(path)).exists():
        log_copy.rename(aside / wal.log_path(path).name)
    return aside


def _in_memory(path: Path, collectors: Sequence[str], fault: str) -> OpenedJournal:
    connection = tables.connect(":memory:")
    name = _identify(connection)
    set_state(connection, CREATED, "in_memory")
    points = recovery.read_newest(path, connection, collectors, MEMORY_BYTES // 2)
    detail = f"readings stay in memory and are lost when the agent stops: {fault}"
    _log.error("journal: it is in memory only: %s", detail)
    event = JournalEvent("in_memory", detail, points)
    return OpenedJournal(connection, name, None, (event,))
