"""Opens the journal, whatever state the folder is in: the agent always starts.

A sound file is used. A damaged one, or one of a later version, is moved aside whole
and what can be read of it goes into a new one. Where nothing can be written the
journal is in memory. Only another agent on the same journal is refused.
"""

from __future__ import annotations

import errno
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

from qos_agent.journal import recovery, tables, wal
from qos_agent.journal.database import (
    CANTOPEN,
    IOERR,
    code_of,
    is_damage,
    storage_error,
)
from qos_agent.journal.timestamps import set_state, state
from qos_agent.journal.types import JournalEvent
from qos_agent.model.errors import OperatorError

_log = logging.getLogger(__name__)

_LOCK_NAME = "journal.lock"
# In memory the journal competes with the agent itself.
MEMORY_BYTES = 16_000_000


@dataclass(frozen=True, slots=True)
class Opened:
    """An open journal: `path` None where it is in memory, and what happened."""

    connection: sqlite3.Connection
    id: str
    path: Path | None
    events: tuple[JournalEvent, ...]


def lock(folder: Path) -> int | None:
    """The lock's file descriptor; None where the folder cannot be written.

    Raises OperatorError where another agent holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / _LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o640)
    except OSError as error:
        _log.error("%s cannot be written: %s", folder, error.strerror)
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(handle, 20).decode() or "unknown"
        os.close(handle)
        raise OperatorError(
            f"{folder}: in use by the agent with process id {holder}; stop it"
            " (systemctl stop qos-agent), or set another journal.folder"
        ) from None
    _sign(handle)
    return handle


def _sign(handle: int) -> None:
    """Say who holds the lock; on a full disk it holds unsigned."""
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise


def open_journal(folder: Path, collectors: Sequence[str], *, writable: bool) -> Opened:
    """The journal of `folder`, or one in memory with what could be read there."""
    path = folder / tables.FILE_NAME
    if not writable:
        return _in_memory(path, collectors, f"{folder} cannot be written")
    kept = _keep_log(path)
    try:
        return _open_on_disk(path, collectors)
    finally:
        with suppress(OSError):
            kept.unlink(missing_ok=True)


def _open_on_disk(path: Path, collectors: Sequence[str]) -> Opened:
    try:
        return _on_disk(path)
    except sqlite3.Error as error:
        fails = code_of(error) in (IOERR, CANTOPEN) and folder_works(path.parent)
        if is_damage(error) or fails:
            return _replaced(path, collectors, str(error))
        said = storage_error("open", str(path), error)
        return _in_memory(path, collectors, str(said))


def _keep_log(path: Path) -> Path:
    """A second name for the log: SQLite removes one that it cannot read."""
    kept = _kept_log(path)
    with suppress(OSError):  # no journal yet, or a file system without links
        kept.unlink(missing_ok=True)
        kept.hardlink_to(wal.log_of(path))
    return kept


def _kept_log(path: Path) -> Path:
    return path.with_name(path.name + "-wal-found")


def _on_disk(path: Path) -> Opened:
    if path.exists() and path.stat().st_size == 0:
        raise sqlite3.DatabaseError("the file is empty")
    wal.check(path)
    connection = tables.connect(path)
    try:
        tables.check(connection)
        return Opened(connection, _identify(connection), path, ())
    except BaseException:
        connection.close()
        raise


def _identify(connection: sqlite3.Connection) -> str:
    """The journal's random name, given when it is made."""
    found = state(connection, "journal")
    if found is None:
        found = secrets.token_hex(8)
        set_state(connection, "journal", found)
        # A file without its first page would lose its log at the next opening.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return found


def folder_works(folder: Path) -> bool:
    """Whether a file of some size can be written and synced there."""
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


def _replaced(path: Path, collectors: Sequence[str], fault: str) -> Opened:
    """A new journal with what can be read of the damaged one."""
    try:
        aside = _move_aside(path)
        opened = _on_disk(path)
        points = recovery.recover(aside / path.name, opened.connection, collectors)
    except (OSError, sqlite3.Error) as error:
        return _in_memory(path, collectors, f"{fault}; and then: {error}")
    detail = f"{fault}; moved to {aside.name}; {points} points recovered"
    _log.error("the journal was damaged: %s", detail)
    event = JournalEvent("damage", detail, points)
    return Opened(opened.connection, opened.id, path, (event,))


def _move_aside(path: Path) -> Path:
    """Put file, log and index into a folder of their own; that folder."""
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    aside = path.parent / f"damaged-{stamp}-{secrets.token_hex(2)}"
    aside.mkdir()
    for part in (path, wal.log_of(path), path.with_name(path.name + "-shm")):
        if part.exists():
            part.rename(aside / part.name)
    # In the log's place: it is the one that SQLite has not touched.
    if (kept := _kept_log(path)).exists():
        kept.rename(aside / wal.log_of(path).name)
    return aside


def _in_memory(path: Path, collectors: Sequence[str], fault: str) -> Opened:
    connection = tables.connect(":memory:")
    name = _identify(connection)
    points = recovery.read_newest(path, connection, collectors, MEMORY_BYTES // 2)
    detail = f"{fault}; readings are kept in memory and lost at a stop"
    _log.error("the journal is in memory: %s", detail)
    event = JournalEvent("in_memory", detail, points)
    return Opened(connection, name, None, (event,))
