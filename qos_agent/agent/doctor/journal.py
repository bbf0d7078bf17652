"""Checks of the journal: other users of its files, damage, and the backlog."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from qos_agent.agent.doctor.check import Check, bad, ok, warn
from qos_agent.agent.doctor.subject import Subject
from qos_agent.journal.reader import Reader, reading
from qos_agent.journal.tables import FILE_NAME
from qos_agent.model.errors import OperatorError, StorageError
from qos_agent.system.files import may_exist, read_bytes, read_text

_LOCKS = Path("/proc/locks")
# A commit holds the lock for milliseconds; a slow card needs a second.
_HELD_S = 2.0
_POLL_S = 0.2
_CHECK_S = 8.0
_LARGE_BACKLOG = 5000


def journal(subject: Subject) -> Check:
    """Check that the journal can be written and read, and that its content is sound."""
    name, folder = "journal", subject.folder
    if not may_exist(folder / FILE_NAME):
        return _missing(subject)
    if (holder := _other_holder(subject)) is not None:
        return _locked(subject, holder)
    running = subject.running()
    if running is not None and running.figures.in_memory:
        text = "in memory only: all readings are lost when the agent stops"
        return bad(name, text, "{fix}", fix=subject.restart())
    return _opened(subject)


def _opened(subject: Subject) -> Check:
    """Check what the journal contains."""
    name, folder = "journal", subject.folder
    try:
        with reading(folder) as opened:
            fault = opened.damage(_CHECK_S)
            if fault is None:
                return _content(opened)
    except StorageError as error:
        return _damaged(subject, str(error).partition(". Fix:")[0])
    except OperatorError as error:
        problem, _, fix = str(error).partition(" Fix: ")
        return bad(name, "{problem}", "{fix}", problem=problem, fix=fix)
    return _damaged(subject, fault)


def _missing(subject: Subject) -> Check:
    if subject.unit is None:
        return ok("journal", "none yet; the agent creates it")
    text = "there is no journal in {folder}"
    fix = subject.restart()
    report = bad if subject.unit.is_active else warn  # the check of the service is bad
    return report("journal", text, "{fix}", folder=subject.folder, fix=fix)


def _damaged(subject: Subject, fault: str) -> Check:
    """Return the check for damage; at its start the agent keeps what is readable."""
    text = "damaged: {fault}"
    return bad("journal", text, "{fix}", fault=fault, fix=subject.restart())


def _content(opened: Reader) -> Check:
    pending = sum(opened.undelivered().values())
    if refused := opened.refused():
        text = "the collector refused {count} points: {message}"
        values = {"count": len(refused), "message": refused[0].message}
        return warn("journal", text, "sudo qos-agent journal requeue", **values)
    text = "{count} points are not delivered yet"
    if pending > _LARGE_BACKLOG:
        return warn("journal", text, "leave the device switched on", count=pending)
    return ok("journal", text, count=pending)


def _locked(subject: Subject, holder: int) -> Check:
    program = (read_text(Path(f"/proc/{holder}/comm")) or "?").strip()
    fix = f"sudo kill {holder}"
    if subject.unit is not None:
        fix += f" && {subject.restart()}"
    text = "locked by another process: {program} ({pid})"
    values = {"program": program, "pid": holder, "fix": fix}
    return bad("journal", text, "{fix}", **values)


def _other_holder(subject: Subject) -> int | None:
    """Return a process that locks the journal for longer than a commit, or None.

    The service may do so. A lock file that an agent by hand holds is normal too.
    """
    own = subject.unit.number("MainPID") if subject.unit is not None else None
    end_s = time.monotonic() + _HELD_S
    while True:
        found = _holders(subject.folder, agent=own is not None) - {own}
        if not found:
            return None
        if time.monotonic() > end_s:
            return min(found)
        time.sleep(_POLL_S)


def _holders(folder: Path, *, agent: bool) -> set[int]:
    """Return the processes that may write the journal; with `agent` also its lock."""
    names = [FILE_NAME, f"{FILE_NAME}-shm", *(["journal.lock"] if agent else [])]
    inodes = {inode for name in names if (inode := _inode(folder / name))}
    try:
        text = read_bytes(_LOCKS).decode("utf-8", "replace")
    except OSError:
        return set()
    return {pid for pid, inode in write_locks(text) if inode in inodes}


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def write_locks(text: str) -> Iterator[tuple[int, int]]:
    """Yield process and inode of each lock for writing in /proc/locks, proc(5).

    A process outside of this container has no number here.
    """
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 6 or fields[1] == "->" or fields[3] != "WRITE":
            continue
        pid, inode = fields[4], fields[5].rpartition(":")[2]
        if pid.isdecimal() and int(pid) > 0 and inode.isdecimal():
            yield int(pid), int(inode)
